/* repl_line.c: reads the console's lines: through libedit on a terminal, else as they come.
 *
 * One idea: libedit is loaded when a person sits there, so that the program needs no library for it. Characters reach it through a function
 * of ours, which waits for input and signals at once: Ctrl-C leaves the line as an end of input does, and no handler jumps out of it. */
#include "engine/cli/repl_line.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/repl_history.h"
#include "engine/cli/say.h"
#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#ifdef NODUS_HAVE_EDITLINE
#include <histedit.h>
#endif

enum { LONGEST_LINE = 16 << 20, BLOCK = 65536, MOST_SHOWN = 200 /* completions */ };

typedef struct Editing Editing;
struct ReplLine {
    ReplComplete *complete;
    void *user;
    const char *prompt;
    char *history_file;
    bool terminal, interrupted, wrong, ended;
    char *data; /* plain: what was read, of which `at` … `end` is not given out yet */
    size_t at, end, room;
    Editing *editing; /* NULL: plain */
};

/* ---- Waiting ------------------------------------------------------------------------------------------------------- */

/* Signals are let in here only: none can come between the look at it and the wait. False: interrupted. */
static bool wait_for_input(ReplLine *line)
{
    sigset_t open;
    pthread_sigmask(SIG_SETMASK, NULL, &open);
    sigdelset(&open, SIGINT);
    sigdelset(&open, SIGTERM);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (ppoll(&input, 1, NULL, &open) < 0 && errno == EINTR && !interrupt_came()) {}
    line->interrupted = interrupt_came();
    return !line->interrupted;
}

/* ---- Plain --------------------------------------------------------------------------------------------------------- */

static bool more(ReplLine *line)
{
    if (line->at) {
        memmove(line->data, line->data + line->at, line->end - line->at);
        line->end -= line->at;
        line->at = 0;
    }
    if (line->room - line->end < BLOCK) line->data = need(realloc(line->data, line->room += BLOCK + line->room / 2));
    if (line->end > LONGEST_LINE) {
        line->wrong = true;
        return false;
    }
    if (!wait_for_input(line)) return false;
    const ssize_t got = read(STDIN_FILENO, line->data + line->end, line->room - line->end - 1);
    if (got > 0) line->end += (size_t)got;
    return got > 0;
}

static ReplLineEnd read_plain(ReplLine *line, const char **text)
{
    size_t looked = line->at;
    if (line->terminal) fprintf(stderr, "%s", line->prompt);
    for (;;) {
        char *feed = line->data ? memchr(line->data + looked, '\n', line->end - looked) : NULL;
        if (!feed && !line->ended) {
            const size_t held = line->end - line->at;
            line->ended = !more(line) && !line->interrupted;
            looked = line->at + held;
            if (!line->interrupted && !line->wrong) continue;
            line->at = line->end; /* what came so far goes */
            if (line->interrupted) return REPL_LINE_INTERRUPTED;
            line->wrong = false;
            refuse("a line of more than %d MiB: the console ends here", LONGEST_LINE >> 20);
            return REPL_LINE_WRONG;
        }
        if (!feed && line->at == line->end) return REPL_LINE_ENDED;
        if (!feed) feed = line->data + line->end;
        *text = line->data + line->at;
        line->at = feed == line->data + line->end ? line->end : (size_t)(feed - line->data) + 1;
        *feed = '\0'; /* more() leaves a byte for it */
        if (*text + strlen(*text) == feed) return REPL_LINE_READ;
        refuse("a line with a zero byte is no Lua: it is left out");
        return REPL_LINE_WRONG;
    }
}

/* ---- libedit ------------------------------------------------------------------------------------------------------- */

#ifdef NODUS_HAVE_EDITLINE
struct Editing {
    EditLine *edit;
    History *past;
    void *library;
    __typeof__(el_init) *init;
    __typeof__(el_end) *end;
    __typeof__(el_set) *set;
    __typeof__(el_get) *get;
    __typeof__(el_gets) *gets;
    __typeof__(el_line) *line;
    __typeof__(el_insertstr) *insert;
    __typeof__(el_resize) *resize;
    __typeof__(el_source) *source;
    __typeof__(history_init) *history_begin;
    __typeof__(history_end) *history_end;
    __typeof__(history) *history;
};

static bool load_editing(Editing *editing)
{
    const struct { const char *name; void *function; } all[] = {
        {"el_init", &editing->init}, {"el_end", &editing->end}, {"el_set", &editing->set}, {"el_get", &editing->get},
        {"el_gets", &editing->gets}, {"el_line", &editing->line}, {"el_insertstr", &editing->insert}, {"el_resize", &editing->resize},
        {"el_source", &editing->source}, {"history_init", &editing->history_begin}, {"history_end", &editing->history_end},
        {"history", &editing->history}};
    editing->library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; editing->library && i < sizeof all / sizeof *all; i++) {
        void *function = dlsym(editing->library, all[i].name);
        if (!function) return false;
        memcpy(all[i].function, &function, sizeof function);
    }
    return editing->library != NULL;
}

/* The line that is being read: what libedit gives its callbacks leads nowhere before its functions are known. */
static ReplLine *reading;

static char *give_prompt(EditLine *edit)
{
    (void)edit;
    return (char *)(uintptr_t)reading->prompt;
}

/* One character: 1, or 0 at the end of input or an interruption. */
static int read_character(EditLine *edit, wchar_t *out)
{
    mbstate_t state = {0};
    char byte;
    (void)edit;
    for (;;) {
        if (!wait_for_input(reading) || read(STDIN_FILENO, &byte, 1) != 1) return 0;
        const size_t got = mbrtowc(out, &byte, 1, &state);
        if (got == (size_t)-1) state = (mbstate_t){0}; /* no character: skipped */
        else if (got != (size_t)-2 && *out) return 1; /* a NUL is what the terminal makes of a Ctrl-D that came before it was ours */
    }
}

/* ---- Completion ---------------------------------------------------------------------------------------------------- */

/* How much all lines of `names` have in common at their beginning. */
static size_t common_length(const char *names)
{
    size_t common = strcspn(names, "\n");
    for (const char *name = names; *name; name += strcspn(name, "\n"), name += *name == '\n') {
        size_t same = 0;
        while (same < common && name[same] == names[same]) same++;
        common = same;
    }
    while (common && ((unsigned char)names[common] & 0xC0) == 0x80) common--; /* whole characters */
    return common;
}

static int terminal_width(void)
{
    struct winsize size;
    return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

static void show_names(const char *names)
{
    int widest = 0, count = 0, column = 0;
    for (const char *name = names; *name; name += strcspn(name, "\n"), name += *name == '\n', count++)
        if ((int)strcspn(name, "\n") > widest) widest = (int)strcspn(name, "\n");
    const int columns = terminal_width() / (widest + 2) > 0 ? terminal_width() / (widest + 2) : 1;
    putchar('\n');
    int shown = 0;
    for (const char *name = names; *name && shown < MOST_SHOWN; name += strcspn(name, "\n"), name += *name == '\n', shown++) {
        column = (column + 1) % columns;
        printf(column ? "%-*.*s" : "%*.*s\n", column ? widest + 2 : 0, (int)strcspn(name, "\n"), name);
    }
    if (column) putchar('\n');
    if (count > shown) printf("and %d more\n", count - shown);
    fflush(stdout);
}

static bool only_blanks(const char *text, size_t length)
{
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    return !length;
}

/* Tab: puts in what all completions have in common, or shows them; at the beginning of a line it indents. */
static unsigned char complete(EditLine *edit, int character)
{
    const Editing *editing = reading->editing;
    const LineInfo *info = editing->line(edit);
    const size_t length = (size_t)(info->cursor - info->buffer);
    size_t start;
    char *names;
    (void)character;
    if (only_blanks(info->buffer, length)) return editing->insert(edit, "  ") ? CC_ERROR : CC_REFRESH;
    NodusStatus status = reading->complete(reading->user, info->buffer, length, &start, &names);
    nodus_error_free(status);
    unsigned char answer = CC_ERROR; /* a beep */
    const size_t common = names ? common_length(names) : 0, typed = length - start;
    if (common > typed) {
        char *rest = need(strndup(names + typed, common - typed));
        answer = editing->insert(edit, rest) ? CC_ERROR : CC_REFRESH;
        free(rest);
    } else if (names && *names && names[strcspn(names, "\n")]) {
        show_names(names);
        answer = CC_REDISPLAY;
    }
    nodus_free(names);
    return answer;
}

/* ---- Editing lines -------------------------------------------------------------------------------------------------- */

static void enter(void *user, const char *text)
{
    const Editing *editing = user;
    HistEvent event;
    editing->history(editing->past, &event, H_ENTER, text);
}

static void close_editing(Editing *editing)
{
    if (!editing) return;
    if (editing->edit) editing->end(editing->edit);
    if (editing->past) editing->history_end(editing->past);
    if (editing->library) dlclose(editing->library);
    free(editing);
}

static bool begin_editing(ReplLine *line, Editing *editing)
{
    HistEvent event;
    setlocale(LC_CTYPE, "");
    editing->edit = editing->init("nodus", stdin, stdout, stderr);
    editing->past = editing->history_begin();
    if (!editing->edit || !editing->past) return false;
    editing->history(editing->past, &event, H_SETSIZE, REPL_HISTORY_LINES);
    editing->history(editing->past, &event, H_SETUNIQUE, 1);
    editing->set(editing->edit, EL_PROMPT, give_prompt);
    editing->set(editing->edit, EL_EDITOR, "emacs");
    editing->set(editing->edit, EL_HIST, editing->history, editing->past);
    editing->set(editing->edit, EL_GETCFN, read_character);
    editing->set(editing->edit, EL_ADDFN, "nodus-complete", "complete", complete);
    editing->set(editing->edit, EL_BIND, "^I", "nodus-complete", NULL);
    editing->set(editing->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    editing->source(editing->edit, NULL); /* what a person has in ~/.editrc */
    if (line->history_file) repl_history_read(line->history_file, enter, editing);
    return true;
}

static void open_editing(ReplLine *line)
{
    Editing *editing = need(calloc(1, sizeof *editing));
    if (load_editing(editing) && begin_editing(line, editing)) line->editing = editing;
    else close_editing(editing);
}

static ReplLineEnd read_edited(ReplLine *line, const char **text)
{
    const Editing *editing = line->editing;
    int count = 0;
    reading = line;
    editing->resize(editing->edit);
    const char *typed = editing->gets(editing->edit, &count);
    if (line->interrupted || !typed || count <= 0) {
        puts(line->interrupted ? "^C" : "");
        fflush(stdout);
        return line->interrupted ? REPL_LINE_INTERRUPTED : REPL_LINE_ENDED;
    }
    const size_t length = strcspn(typed, "\n");
    free(line->data);
    *text = line->data = need(strndup(typed, length));
    if (!only_blanks(line->data, length)) {
        enter(line->editing, line->data);
        if (line->history_file && !repl_history_add(line->history_file, line->data)) {
            say("nodus: %s cannot be written: no history is kept", line->history_file);
            free(line->history_file);
            line->history_file = NULL;
        }
    }
    return REPL_LINE_READ;
}

const char *repl_line_library(void)
{
    return "libedit (loaded when used)";
}
#else
static void open_editing(ReplLine *line)
{
    (void)line;
}

static void close_editing(Editing *editing)
{
    (void)editing;
}

static ReplLineEnd read_edited(ReplLine *line, const char **text)
{
    return read_plain(line, text);
}

const char *repl_line_library(void)
{
    return "none (built without libedit)";
}
#endif

/* ---- Lines ----------------------------------------------------------------------------------------------------------- */

ReplLine *repl_line_open(ReplComplete *complete_text, void *user)
{
    ReplLine *line = need(calloc(1, sizeof *line));
    line->complete = complete_text;
    line->user = user;
    line->terminal = isatty(STDIN_FILENO);
    if (!line->terminal || !isatty(STDOUT_FILENO)) return line;
    line->history_file = repl_history_file();
    open_editing(line);
    if (!line->editing) say("lines cannot be edited here: libedit is not there (Debian: libedit2)");
    return line;
}

void repl_line_close(ReplLine *line)
{
    close_editing(line->editing);
    free(line->history_file);
    free(line->data);
    free(line);
}

bool repl_line_on_terminal(const ReplLine *line)
{
    return line->terminal;
}

ReplLineEnd repl_line_read(ReplLine *line, const char *prompt, const char **text)
{
    line->prompt = prompt;
    line->interrupted = false;
    interrupt_block();
    interrupt_wait(true);
    const ReplLineEnd end = line->editing ? read_edited(line, text) : read_plain(line, text);
    interrupt_wait(false);
    interrupt_allow();
    return end;
}
