/* repl_history.c: the history of the console, a file of plain lines.
 *
 * One idea: each line is appended when it is typed, so that nothing is lost in a crash and two consoles keep both their lines. What people
 * type is theirs alone: folder and file are private, and nothing is followed that is no plain file. */
#include "engine/cli/repl_history.h"
#include "engine/cli/say.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST_LINE = 4096, LARGEST_FILE = 1 << 20 /* of it the end is read */ };

static char *make_folder(const char *state)
{
    char *folder = format_text("%s/nodus", state);
    mkdir(state, 0700); /* one that is missing altogether is told when the file cannot be opened */
    mkdir(folder, 0700);
    return folder;
}

char *repl_history_file(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (!(state && *state) && !(home && *home)) return NULL;
    char *above = state && *state ? copy_text(state) : format_text("%s/.local/state", home);
    if (!(state && *state)) {
        char *local = format_text("%s/.local", home);
        mkdir(local, 0700);
        free(local);
    }
    char *folder = make_folder(above), *file = format_text("%s/lua-history", folder);
    free(folder);
    free(above);
    return file;
}

static int open_private(const char *file, int flags)
{
    struct stat info;
    const int fd = open(file, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd >= 0 && !fstat(fd, &info) && S_ISREG(info.st_mode) && !fchmod(fd, 0600)) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static bool write_all(int fd, const char *text, size_t length)
{
    while (length) {
        const ssize_t written = write(fd, text, length);
        if (written <= 0) return false;
        text += written;
        length -= (size_t)written;
    }
    return true;
}

/* The end of the file, NUL-terminated, from a whole line on; *cut: there was more. */
static char *read_end(int fd, bool *cut)
{
    struct stat info;
    *cut = false;
    if (fstat(fd, &info)) return NULL;
    *cut = info.st_size > LARGEST_FILE;
    const off_t from = *cut ? info.st_size - LARGEST_FILE : 0;
    char *text = need(malloc(LARGEST_FILE + 1));
    const ssize_t got = pread(fd, text, LARGEST_FILE, from);
    text[got > 0 ? got : 0] = '\0';
    const char *line = *cut ? strchr(text, '\n') : NULL;
    if (line) memmove(text, line + 1, strlen(line));
    return text;
}

/* Where the last lines of a text begin. */
static const char *last_lines(const char *text, int most)
{
    const char *at = text + strlen(text);
    for (int count = 0; at > text; at--)
        if (at[-1] == '\n' && at[0] && ++count == most) break;
    return at;
}

static void replace(const char *file, const char *text)
{
    char *fresh = format_text("%s.%ld", file, (long)getpid());
    const int fd = open_private(fresh, O_WRONLY | O_CREAT | O_EXCL);
    const bool good = fd >= 0 && write_all(fd, text, strlen(text));
    if (fd >= 0) close(fd);
    if (!good || rename(fresh, file)) unlink(fresh);
    free(fresh);
}

void repl_history_read(const char *file, void (*add)(void *user, const char *line), void *user)
{
    bool cut;
    const int fd = open_private(file, O_RDONLY);
    char *text = fd < 0 ? NULL : read_end(fd, &cut);
    if (fd >= 0) close(fd);
    if (!text) return;
    const char *last = last_lines(text, REPL_HISTORY_LINES);
    if (cut || last_lines(text, 2 * REPL_HISTORY_LINES) != text) replace(file, last);
    for (const char *line = last; *line;) {
        const size_t length = strcspn(line, "\n");
        char *one = need(strndup(line, length));
        if (length) add(user, one);
        free(one);
        line += length + (line[length] == '\n');
    }
    free(text);
}

bool repl_history_add(const char *file, const char *line)
{
    if (strlen(line) > LONGEST_LINE || strchr(line, '\n')) return true;
    const int fd = open_private(file, O_WRONLY | O_APPEND | O_CREAT);
    if (fd < 0) return false;
    char *text = format_text("%s\n", line);
    const bool good = write_all(fd, text, strlen(text));
    free(text);
    return !close(fd) && good;
}
