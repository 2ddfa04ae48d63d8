/* initial.c: naming or copying the picture of --init; see initial.h. */
#include "engine/cli/initial.h"
#include "engine/cli/save.h"
#include "engine/cli/say.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_PICTURE = 1 << 30, MOST_NAMES = 10000 };

static NodusStatus cannot(const char *verb, const char *path)
{
    return nodus_error(NODUS_ERROR_FILE, "--init: cannot %s '%s': %s", verb, path, strerror(errno));
}

/* The rest of `path` below `folder`, both resolved, or NULL. */
static const char *inside(const char *path, const char *folder, char **resolved)
{
    *resolved = realpath(folder, NULL);
    const size_t length = *resolved ? strlen(*resolved) : 0;
    return length && !strncmp(path, *resolved, length) && path[length] == '/' ? path + length + 1 : NULL;
}

static char *name_in_folders(const Session *session, const char *path)
{
    const struct {
        const char *folder, *mark;
    } places[] = {{session->input, ""}, {session->output, " [output]"}, {session->temp, " [temp]"}};
    char *name = NULL;
    for (int i = 0; i < 3 && !name; i++) {
        char *folder;
        const char *rest = inside(path, places[i].folder, &folder);
        if (rest) name = format_text("%s%s", rest, places[i].mark);
        free(folder);
    }
    return name;
}

static NodusStatus read_picture(const char *path, char **data, size_t *size)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (!file) return cannot("read", path);
    const bool known = !fstat(fileno(file), &info) && S_ISREG(info.st_mode) && info.st_size <= LARGEST_PICTURE;
    *size = known ? (size_t)info.st_size : 0;
    *data = known ? need(malloc(*size + 1)) : NULL;
    const bool whole = known && fread(*data, 1, *size, file) == *size;
    fclose(file);
    if (whole) return NULL;
    free(*data);
    return nodus_error(NODUS_ERROR_FILE, "--init: '%s' is no picture file of less than 1 GB that can be read", path);
}

static bool holds(const char *path, const char *data, size_t size)
{
    char *other;
    size_t other_size;
    NodusStatus status = read_picture(path, &other, &other_size);
    const bool equal = !status && other_size == size && !memcmp(other, data, size);
    if (!status) free(other);
    nodus_error_free(status);
    return equal;
}

/* Writes beside the target and moves it there, so that the name never stands for half a picture. */
static NodusStatus write_picture(const char *path, const char *data, size_t size)
{
    char *temporary = format_text("%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(temporary, "wbx");
    bool written = file && fwrite(data, 1, size, file) == size;
    if (file) written = !fclose(file) && written;
    written = written && !rename(temporary, path);
    NodusStatus status = written ? NULL : cannot("write", path);
    if (!written && file) unlink(temporary);
    free(temporary);
    return status;
}

/* "scene.png", "scene (1).png" … : the first name that is free, or has the same content. */
static NodusStatus copy_in(const Session *session, const char *path, char **name)
{
    const char *base = strrchr(path, '/') + 1, *dot = strrchr(base, '.');
    if (!dot || dot == base) dot = base + strlen(base);
    char *data;
    size_t size;
    NODUS_TRY(read_picture(path, &data, &size));
    save_folders(session->input);
    NodusStatus status = NULL;
    for (int n = 0; n < MOST_NAMES && !*name && !status; n++) {
        char *wanted = n ? format_text("%.*s (%d)%s", (int)(dot - base), base, n, dot) : copy_text(base);
        char *target = format_text("%s/%s", session->input, wanted);
        const bool there = !access(target, F_OK);
        if (!there) status = write_picture(target, data, size);
        if (!status && (!there || holds(target, data, size))) *name = wanted;
        else free(wanted);
        free(target);
    }
    free(data);
    return status;
}

NodusStatus initial_name(const Session *session, const char *given, char **name)
{
    *name = NULL;
    char *path = realpath(given, NULL);
    if (!path) { /* no such path: perhaps a name in the input folder */
        char *there = format_text("%s/%s", session->input, given);
        path = realpath(there, NULL);
        free(there);
    }
    if (!path)
        return nodus_error(NODUS_ERROR_FILE, "--init: there is no picture '%s', neither here nor in %s", given, session->input);
    *name = name_in_folders(session, path);
    NodusStatus status = *name ? NULL : copy_in(session, path, name);
    free(path);
    return status;
}
