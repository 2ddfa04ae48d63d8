/* comfyui.h: the names of ComfyUI's built-in nodes, so that nodus can tell what it has of them, what is to come, and what is not.
 *
 * One idea: a name stands in one group, which says when such nodes come or why they do not. Whether nodus has the node is not written here:
 * the engine knows. A node that is built may stay in its group. */
#ifndef CLI_COMFYUI_H
#define CLI_COMFYUI_H

typedef struct ComfyuiGroup {
    const char *subject, *when; /* both "": all of these are built */
    const char *const *names;   /* NULL-terminated, sorted without regard to case; NULL behind the last group */
} ComfyuiGroup;
extern const ComfyuiGroup comfyui_groups[];

/* The group that a node is in; NULL: it is none of ComfyUI's. */
const ComfyuiGroup *comfyui_find(const char *name);
#endif
