/* object_info.h: node definitions as JSON in the shape of ComfyUI's /object_info (engine-and-api.md §4.3), and the pieces of it
 * that error messages show. */
#ifndef GRAPH_OBJECT_INFO_H
#define GRAPH_OBJECT_INFO_H
#include "engine/base/text.h"
#include "engine/graph/folders.h"
#include "engine/graph/registry.h"

/* The options of a combo: `names` (static) or a list made for the moment. */
typedef struct Options {
    const char *const *name;
    size_t count;
    FolderList list;         /* what to free */
    const char **registered; /* the same for samplers and schedulers */
} Options;
NodusStatus object_info_options(const Registry *registry, Folders *folders, const NodusInput *input, Options *out);
void object_info_options_free(Options *options);

void object_info_config(const NodusInput *input, const Options *options, Text *out); /* [type, {options}] */
NodusStatus object_info_print(const Registry *registry, Folders *folders, const NodusNode *node, Text *out); /* one class */
#endif
