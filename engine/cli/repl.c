/* repl.c: `nodus repl`: Lua piece by piece on one engine.
 *
 * One idea: a piece is as many lines as it takes until they are Lua. A piece that fails is told, and the console goes on; one that is
 * interrupted is over, and on a terminal the console goes on too. From a pipe the exit code is that of the worst piece. */
#include "engine/cli/commands.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/repl_line.h"
#include "engine/cli/say.h"
#include "engine/cli/script.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct Console {
    NodusScript *script;
    ReplLine *line;
    char *piece; /* the lines so far, each with its line feed */
    size_t length;
    int worst;
    bool over, ended; /* ended: by a signal */
} Console;

static void add_line(Console *console, const char *line)
{
    const size_t length = strlen(line);
    console->piece = need(realloc(console->piece, console->length + length + 2));
    memcpy(console->piece + console->length, line, length);
    console->length += length;
    console->piece[console->length++] = '\n';
    console->piece[console->length] = '\0';
}

static NodusStatus complete(void *user, const char *text, size_t length, size_t *start, char **names)
{
    const Console *console = user;
    char *whole = need(malloc(console->length + length + 1));
    if (console->length) memcpy(whole, console->piece, console->length);
    memcpy(whole + console->length, text, length);
    NodusStatus status = nodus_script_complete(console->script, whole, console->length + length, start, names);
    free(whole);
    if (*start >= console->length) {
        *start -= console->length;
        return status;
    }
    nodus_free(*names); /* of an earlier line */
    *names = NULL;
    *start = length;
    return status;
}

/* ---- Pieces ---------------------------------------------------------------------------------------------------------- */

static void do_piece(Console *console, const char *text, size_t length)
{
    NodusStatus error;
    int code = (int)nodus_script_do(console->script, text, length, &error);
    if (error) refuse_status(error);
    fflush(stdout);
    const int signal_number = interrupt_take();
    if (signal_number) code = EXIT_CANCELLED;
    console->worst = worst_exit(console->worst, code);
    console->ended |= signal_number == SIGTERM || (signal_number && !repl_line_on_terminal(console->line));
    console->over |= console->ended;
}

static void end_piece(Console *console)
{
    if (console->length) do_piece(console, console->piece, console->length);
    console->length = 0;
}

/* Ctrl-C at the prompt gives up the piece; from elsewhere a signal means the end. */
static void interrupted(Console *console)
{
    const int signal_number = interrupt_take();
    console->length = 0;
    if (repl_line_on_terminal(console->line) && signal_number != SIGTERM) return;
    console->over = console->ended = true;
    console->worst = EXIT_CANCELLED;
}

static void read_pieces(Console *console)
{
    const char *text;
    while (!console->over) {
        switch (repl_line_read(console->line, console->length ? ">> " : "> ", &text)) {
        case REPL_LINE_READ:
            add_line(console, text);
            if (!nodus_script_incomplete(console->script, console->piece, console->length)) end_piece(console);
            break;
        case REPL_LINE_WRONG:
            console->length = 0; /* what it belonged to cannot be whole */
            console->worst = worst_exit(console->worst, EXIT_REFUSED);
            break;
        case REPL_LINE_INTERRUPTED:
            interrupted(console);
            break;
        case REPL_LINE_ENDED:
            end_piece(console); /* where it is not whole, that is the error */
            console->over = true;
            break;
        }
    }
}

/* ---- The console ------------------------------------------------------------------------------------------------------ */

static void greet(const Console *console)
{
    if (!repl_line_on_terminal(console->line)) return;
    puts("nodus " NODUS_VERSION ", Lua 5.4. n is the library; help() tells more; Tab completes; Ctrl-C interrupts, Ctrl-D ends.");
    fflush(stdout);
}

static int talk(Session *session, const NodusScriptOptions *options)
{
    static const char begin[] = "n = require 'nodus' help = n.help";
    Console console = {0};
    NodusStatus status = nodus_script_open(session->engine, options, &console.script);
    if (status) return refuse_status(status);
    console.line = repl_line_open(complete, &console);
    do_piece(&console, begin, strlen(begin));
    greet(&console);
    read_pieces(&console);
    const bool person = repl_line_on_terminal(console.line) && !console.ended;
    repl_line_close(console.line);
    nodus_script_close(console.script);
    free(console.piece);
    return person ? EXIT_GOOD : console.worst; /* a person has seen what failed */
}

int command_repl(const Options *options)
{
    Session session;
    if (options->words.count) return refuse("nodus repl takes no file: nodus run script.lua");
    int code = session_open(&session, options);
    if (code) return code;
    NodusScriptOptions script = script_options(&session, ".");
    script.name = "stdin";
    script.console = true;
    code = talk(&session, &script);
    session_close(&session);
    return code;
}
