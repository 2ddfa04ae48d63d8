/* save.h: a text as a file that is there as a whole or not at all, and the folders that files go to. */
#ifndef CLI_SAVE_H
#define CLI_SAVE_H
#include <nodus/nodus.h>

/* Writes beside the target and puts it in its place; the error names the file. */
NodusStatus save_text(const char *path, const char *text);
/* The folder, and those that it lies in; one that cannot be made is told when something is opened in it. */
void save_folders(const char *path);
#endif
