/* folders.h: where files are: model folders, input, output, temp (engine-and-api.md §6.1, §6.5).
 *
 * One idea: a name in a prompt is looked for in a list of roots — the user's models, those of the base folder, those of the
 * installation — and can never leave them. Both / and \ separate folders, for prompts made on Windows. */
#ifndef GRAPH_FOLDERS_H
#define GRAPH_FOLDERS_H
#include "engine/base/text.h"
#include <nodus/nodus.h>

typedef struct Folders Folders;
NodusStatus folders_new(const NodusEngineOptions *options, Folders **out);
void folders_free(Folders *folders); /* NULL is allowed */

typedef struct FolderList {
    char **name;
    size_t count, capacity;
    bool failed; /* out of memory */
} FolderList;
/* All names of a model folder, or the pictures of "input": sorted by code point, each once. An absent folder is empty. */
NodusStatus folders_list(Folders *folders, const char *folder, FolderList *out);
void folders_list_free(FolderList *list);

/* The path of a file, or NULL when there is none. memory_free. For "input" the name may end in " [output]", " [temp]", "
 * [input]". */
NodusStatus folders_find(Folders *folders, const char *folder, const char *name, char **path);
/* `name` "" or NULL: the only or most recently modified file, the user's before the installation's. A name that no folder has may
 * be a path: the file is then listed in that folder for the life of the engine. Both results: memory_free. */
NodusStatus folders_choose(Folders *folders, const char *folder, const char *name, char **path, char **listed);
/* "input", "output", "temp": made if it is missing. Lives as long as `folders`. */
NodusStatus folders_directory(Folders *folders, const char *which, const char **path);
const char *folders_plugins(const Folders *folders); /* plugins/ of the base folder, which may not be there */
/* The folders that a search would visit, for messages. */
void folders_searched(Folders *folders, const char *folder, Text *out);
#endif
