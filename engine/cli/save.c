/* save.c: see save.h. */
#include "engine/cli/save.h"
#include "engine/cli/say.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

NodusStatus save_text(const char *path, const char *text)
{
    char *temporary = format_text("%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(temporary, "wbx");
    bool written = file && fputs(text, file) >= 0;
    if (file) written = !fclose(file) && written;
    written = written && !rename(temporary, path);
    NodusStatus status = written ? NULL : nodus_error(NODUS_ERROR_FILE, "cannot write '%s': %s", path, strerror(errno));
    if (!written && file) unlink(temporary);
    free(temporary);
    return status;
}

void save_folders(const char *path)
{
    char *part = copy_text(path);
    for (char *at = part; *at;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        const char kept = *at;
        *at = '\0';
        mkdir(part, 0777);
        *at = kept;
    }
    free(part);
}
