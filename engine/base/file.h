/* file.h: files. Reading maps or loads a whole file with a size limit; writing goes to a temporary name beside the target,
 * which appears only when it is complete. Errors name the path and what to do. */
#ifndef BASE_FILE_H
#define BASE_FILE_H
#include <nodus/tensor.h>
#include <stdio.h>

typedef struct FileMap { const uint8_t *data; size_t size; int descriptor; } FileMap;
NodusStatus file_map(const char *path, FileMap *out); /* read-only, lazily paged; an empty file is an error */
void file_unmap(FileMap *map);
NodusStatus file_read(const char *path, size_t limit, uint8_t **data, size_t *size); /* NUL-terminated copy; memory_free */

/* A file that appears at once. `exclusive`: fails softly (*exists) instead of replacing. */
typedef struct FileWriter FileWriter;
NodusStatus file_create(const char *path, FileWriter **out);
NodusStatus file_write(FileWriter *file, const void *data, size_t size);
NodusStatus file_commit(FileWriter *file);                           /* replaces the target; frees the writer in any case */
NodusStatus file_commit_new(FileWriter *file, bool *exists);         /* never replaces: *exists tells that the name was taken */
NodusStatus file_commit_as(FileWriter *file, const char *path, bool *exists); /* the same under another name; the writer stays when *exists */
NodusStatus file_write_whole(const char *path, const void *data, size_t size); /* all of the above; replaces the target */
void file_abandon(FileWriter *file);                                 /* removes the temporary; NULL is allowed */

NodusStatus file_make_folders(const char *path);      /* like mkdir -p */
bool file_exists(const char *path);
bool file_is_folder(const char *path);
char *file_join(const char *folder, const char *name); /* memory_free; NULL when out of memory */
/* Whether a relative name stays inside its folder: no absolute path, no "..", no NUL, no empty part. */
bool file_name_is_inside(const char *name);
double file_clock(void); /* seconds, monotonic */
#endif
