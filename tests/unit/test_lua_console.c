/* test_lua_console.c: a state that stays open: what one piece defines the next one sees, expressions are shown, a limit ends one piece
 * only, completion calls nothing of the script; and the sandbox, lifted. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

typedef struct Printed {
    char text[4096];
    size_t length;
    bool stop;
} Printed;

static void print(void *user, const char *text, size_t length)
{
    Printed *printed = user;
    if (length > sizeof printed->text - 1 - printed->length) length = sizeof printed->text - 1 - printed->length;
    memcpy(printed->text + printed->length, text, length);
    printed->text[printed->length += length] = 0;
}

static bool cancelled(void *user)
{
    return ((Printed *)user)->stop;
}

static NodusScript *open_console(NodusScriptOptions *options, Printed *printed)
{
    NodusScript *script;
    *options = (NodusScriptOptions){.struct_size = sizeof *options, .name = "c", .folder = "tests/golden", .memory = 48 << 20,
                                    .seconds = 5, .user = printed, .print = print, .cancelled = cancelled, .console = true};
    assert_null(nodus_script_open(lab.engine, options, &script));
    return script;
}

static void expect(NodusScript *script, Printed *printed, const char *piece, const char *shown)
{
    NodusStatus error;
    printed->length = 0;
    printed->text[0] = 0;
    nodus_script_do(script, piece, strlen(piece), &error);
    if (error) fail_msg("%s\nfailed: %s", piece, nodus_error_message(error));
    assert_string_equal(printed->text, shown);
}

static NodusOutcome expect_error(NodusScript *script, const char *piece, const char *message)
{
    NodusStatus error;
    const NodusOutcome outcome = nodus_script_do(script, piece, strlen(piece), &error);
    if (!error) fail_msg("%s\nsucceeded", piece);
    if (!strstr(nodus_error_message(error), message)) fail_msg("%s\nfailed with: %s", piece, nodus_error_message(error));
    nodus_error_free(error);
    return outcome;
}

TEST(expressions_are_shown_and_definitions_stay)
{
    Printed printed = {0};
    NodusScriptOptions options;
    NodusScript *script = open_console(&options, &printed);
    expect(script, &printed, "x = 4", "");
    expect(script, &printed, "x + 1, nil", "5\tnil\n");
    expect(script, &printed, "-- nothing", "");
    expect(script, &printed, "return 7", "7\n");
    expect_error(script, "x.y.z()", "c:1: ");
    expect_error(script, "require('nodus').KSampler{ steps = 0 }", "c:1: KSampler, steps");
    expect(script, &printed, "x", "4\n");
    nodus_script_close(script);
}

TEST(a_piece_is_whole_or_goes_on)
{
    Printed printed = {0};
    NodusScriptOptions options;
    NodusScript *script = open_console(&options, &printed);
    static const struct { const char *text; bool incomplete; } all[] = {
        {"for i = 1, 3 do", true}, {"f(", true}, {"x = [[a", true}, {"1 +", true}, {"x = = 1", false}, {"1 + 1", false}, {"", false}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (nodus_script_incomplete(script, all[i].text, strlen(all[i].text)) != all[i].incomplete) fail_msg("%s", all[i].text);
    nodus_script_close(script);
}

TEST(a_limit_or_a_cancellation_ends_one_piece)
{
    Printed printed = {0};
    NodusScriptOptions options;
    NodusScript *script = open_console(&options, &printed);
    options.instructions = 0;
    expect(script, &printed, "co = coroutine.wrap(function() for i = 1, 1e9 do coroutine.yield(i) end end) co()", "");
    printed.stop = true;
    assert_int_equal(expect_error(script, "while true do pcall(function() while true do end end) end", "cancelled"), NODUS_CANCELLED);
    printed.stop = false;
    expect(script, &printed, "1, co()", "1\t2\n");
    expect_error(script, "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end", "memory");
    expect(script, &printed, "2", "2\n");
    nodus_script_close(script);
}

/* `names`: each between blanks has to be among the completions; "-name" must not. */
static void expect_names(NodusScript *script, const char *text, size_t start, const char *names)
{
    char *got, name[64], line[80];
    size_t from;
    assert_null(nodus_script_complete(script, text, strlen(text), &from, &got));
    if (from != start) fail_msg("%s: completes from %zu", text, from);
    char *framed = malloc(strlen(got) + 3);
    sprintf(framed, "\n%s\n", got);
    for (int used; sscanf(names, " %63s%n", name, &used) == 1; names += used) {
        const bool unwanted = name[0] == '-';
        snprintf(line, sizeof line, "\n%s\n", name + unwanted);
        if ((strstr(framed, line) != NULL) == unwanted) fail_msg("%s: %s in: %.300s", text, name, got);
    }
    free(framed);
    nodus_free(got);
}

TEST(names_are_completed)
{
    Printed printed = {0};
    NodusScriptOptions options;
    NodusScript *script = open_console(&options, &printed);
    expect(script, &printed, "n = require 'nodus' c = n.CheckpointLoaderSimple{ ckpt_name = 'a' } k = n.KSampler{} g = n.graph(c)", "");
    expect_names(script, "n.KSa", 2, "KSampler KSamplerAdvanced -VAEDecode");
    expect_names(script, "x = n.sw", 6, "sweep");
    expect_names(script, "n.KSampler{ seed = 1, sch", 22, "-seed");
    expect_names(script, "n.KSampler{ scheduler = \"ka", 25, "karras -simple");
    expect_names(script, "k.scheduler = 'ka", 15, "karras");
    expect_names(script, "c.C", 2, "CLIP");
    expect_names(script, "c:r", 2, "run -CLIP");
    expect_names(script, "g:", 2, "run to_json save");
    expect_names(script, "c.CLIP:v", 7, "value");
    expect_names(script, "whi", 0, "while");
    expect_names(script, "string.re", 7, "rep reverse");
    expect_names(script, "help(n.KSampler) -- n.KS", 24, "-KSampler");
    expect_names(script, "n.help 'KSa", 8, "KSampler");
    expect_names(script, "g[\"Check", 3, "CheckpointLoaderSimple");
    expect_names(script, "nothing.at.all.", 15, "-x");
    nodus_script_close(script);
}

TEST(completion_calls_nothing)
{
    Printed printed = {0};
    NodusScriptOptions options;
    NodusScript *script = open_console(&options, &printed);
    expect(script, &printed, "called = 0 local function f() called = called + 1 return 1 end "
                             "t = setmetatable({ own = 1 }, { __index = f, __pairs = f, __len = f }) string.match = f next = f", "");
    expect_names(script, "t.", 2, "own");
    expect_names(script, "t.other.", 8, "-own");
    expect(script, &printed, "called", "0\n");
    nodus_script_close(script);
}

TEST(the_sandbox_is_lifted_for_one_s_own_scripts)
{
    Printed printed = {0};
    NodusScriptOptions options;
    NodusScript *script = open_console(&options, &printed);
    expect(script, &printed, "io, os, debug, package", "nil\tnil\tnil\tnil\n");
    nodus_script_close(script);
    options.unsafe = true;
    assert_ok(nodus_script_open(lab.engine, &options, &script));
    expect(script, &printed, "type(io.open), type(os.time()), require('nodus') == require 'nodus'", "function\tnumber\ttrue\n");
    expect(script, &printed, "package.path:sub(1, 18)", "tests/golden/?.lua\n");
    expect_error(script, "require 'no.such.module'", "module 'no.such.module' not found");
    nodus_script_close(script);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(expressions_are_shown_and_definitions_stay), CASE(a_piece_is_whole_or_goes_on), CASE(a_limit_or_a_cancellation_ends_one_piece),
        CASE(names_are_completed), CASE(completion_calls_nothing), CASE(the_sandbox_is_lifted_for_one_s_own_scripts)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
