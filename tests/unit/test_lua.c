/* test_lua.c: scripts as strangers write them: graphs and their results, errors with the line, and scripts that mean harm. After each
 * of these the engine is as it was, which the last test of all shows by using it. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static Lab lab;
static double seconds = 20; /* that scripts may take */
LAB_FIXTURE(lab_open(&lab, NULL))

typedef struct Printed {
    char text[4096];
    size_t length;
} Printed;

static void print(void *user, const char *text, size_t length)
{
    Printed *printed = user;
    if (length > sizeof printed->text - 1 - printed->length) length = sizeof printed->text - 1 - printed->length;
    memcpy(printed->text + printed->length, text, length);
    printed->text[printed->length += length] = 0;
}

static void prepare(void *user, NodusRunOptions *options)
{
    (void)user;
    *options = lab.options;
    options->struct_size = sizeof *options;
}

/* Limits that a test can wait for. */
static NodusOutcome run(const char *source, Printed *printed, NodusStatus *error)
{
    const NodusScriptOptions options = {.struct_size = sizeof options,
                                        .name = "s.lua",
                                        .folder = "graphs",
                                        .arguments = (const char *const[]){"one", "two"},
                                        .argument_count = 2,
                                        .memory = 48 << 20,
                                        .seconds = seconds,
                                        .user = printed,
                                        .print = print,
                                        .prepare = prepare};
    printed->length = 0;
    printed->text[0] = 0;
    return nodus_script_run(lab.engine, source, strlen(source), &options, error);
}

/* The script runs and prints that. */
static void expect(const char *source, const char *printed)
{
    Printed got;
    NodusStatus error;
    const NodusOutcome outcome = run(source, &got, &error);
    if (error) fail_msg("%s\nfailed: %s", source, nodus_error_message(error));
    assert_int_equal(outcome, NODUS_SUCCESS);
    assert_string_equal(got.text, printed);
}

/* The script fails with a message that contains `piece`. */
static void expect_error(const char *source, const char *piece)
{
    Printed got;
    NodusStatus error;
    const NodusOutcome outcome = run(source, &got, &error);
    if (!error) fail_msg("%s\nsucceeded, and printed: %s", source, got.text);
    if (!strstr(nodus_error_message(error), piece))
        fail_msg("%s\nfailed with: %s\nexpected: %s", source, nodus_error_message(error), piece);
    assert_true(outcome == NODUS_FAILED || outcome == NODUS_REFUSED);
    nodus_error_free(error);
}

#define NODUS "local n = require 'nodus' "

/* ---- Graphs -------------------------------------------------------------------------------------------------------- */

TEST(a_script_gets_its_arguments_and_prints)
{
    expect("print(#arg, arg[0], arg[1], ...)", "2\ts.lua\tone\tone\ttwo\n");
    expect("#!/usr/bin/env nodus\nprint(1)", "1\n");
    expect_error("x =", "s.lua:1:");
}

TEST(a_node_has_its_defaults_and_is_json)
{
    expect(NODUS "print((n.EmptyLatentImage{ width = 64, _title = 'Size \"x\"' }:to_json():gsub('%s+$', '')))",
           "{\n  \"1\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 512, \"batch_size\": 1}, "
           "\"_meta\": {\"title\": \"Size \\\"x\\\"\"}}\n}\n");
}

TEST(links_go_by_name_number_and_type)
{
    expect(NODUS "local c = n.CheckpointLoaderSimple{ ckpt_name = 'a' } "
                 "print(c.CLIP == c[2], c.clip == c[2], c.VAE, n.CLIPTextEncode{ clip = c, text = 'x' }.clip == c.CLIP)",
           "true\ttrue\tVAE of CheckpointLoaderSimple\ttrue\n");
}

TEST(mistakes_are_named_with_their_line)
{
    expect_error(NODUS "\n\nn.KSampler{ sed = 1 }", "s.lua:3: KSampler has no input \"sed\"; did you mean seed?");
    expect_error(NODUS "n.KSampelr{}", "s.lua:1: there is no node KSampelr; did you mean KSampler?");
    expect_error(NODUS "n.KSampler{ steps = 0 }", "KSampler, steps: got 0, expected INT from 1 to 10000");
    expect_error(NODUS "n.KSampler{ 'x' }", "KSampler has no input 1");
    expect_error(NODUS "n.KSampler{ model = n.EmptyLatentImage{} }", "KSampler, model: got a link to LATENT, expected MODEL");
    expect_error(NODUS "local k = n.KSampler{}\nk.cfg = 'x'", "s.lua:2: KSampler, cfg: got \"x\", expected FLOAT");
    expect_error(NODUS "local k = n.KSampler{}\n\nk:run()", "s.lua:3: KSampler (made at line 1) needs model, of type MODEL");
    expect_error(NODUS "n.LoadImage{ image = 'none.png' }.IMAGE:value()", "LoadImage (made at line 1), image: ");
}

TEST(a_workflow_is_loaded_edited_and_written_as_it_was)
{
    expect(NODUS "local w = n.load 'txt2img.json' w['KSampler'].seed = -1 w['Size'].width = 64 w['2'].text = 'b' "
                 "print(w:to_json():find('18446744073709551615', 1, true) ~= nil, w['5'].steps, w['What to paint'].text, #w:nodes())",
           "true\t20\tb\t7\n");
    expect_error(NODUS "local w = n.load 'txt2img.json' print(w['CLIPTextEncode'])",
                 "several nodes are \"CLIPTextEncode\": take one by its id: 2, 3");
}

/* ---- Results ------------------------------------------------------------------------------------------------------- */

TEST(scalars_and_texts_come_back)
{
    expect(NODUS "print(n.PrimitiveInt{ value = 7 }[1]:value(), n.PrimitiveFloat{ value = 2 }[1]:value(), "
                 "n.PrimitiveString{ value = 'a' }[1]:value())",
           "7\t2.0\ta\n");
    expect(NODUS "local r = n.PreviewAny{ source = n.PrimitiveInt{ value = 7 } }:run() print(r.status, r.texts[1])", "success\t7\n");
}

TEST(tensors_are_sliced_and_calculated)
{
    expect(NODUS "local t = n.tensor{ {1, 2}, {3, 4} } print(t, #t, t[2][1], t:mean(), t:min(), t:max(), t:sum(), "
                 "(t * 2 - t) == t, (1 - t)[1][2])",
           "tensor 2 x 2\t2\t3.0\t2.5\t1.0\t4.0\t10.0\ttrue\t-1.0\n");
    expect(NODUS "local t = n.tensor({1, 2, 3, 4, 5, 6}, {2, 3}) "
                 "print(t:slice(2, 2, 3):totable()[2][1], t:permute{2, 1}:shape()[1], n.concat({t, t}, 2):shape()[2], "
                 "(t + n.tensor{ {1}, {2} })[2][3], (n.tensor{ {10} } / t)[1][2])",
           "5.0\t3\t6\t8.0\t5.0\n");
    expect_error(NODUS "return n.tensor{ {1, 2}, {3} }", "s.lua:1: the rows of this table are not equally long");
    expect_error(NODUS "return n.full{2, 2}[3]", "there is no place 3 on an axis of length 2");
}

TEST(tensors_are_saved_and_loaded)
{
    expect(NODUS "local t = n.full({4, 6, 3}, 0.2) t:save 'a/b.png' t:save 'a/b.npy' "
                 "print(n.load_tensor('a/b.npy', 'output') == t, n.load_tensor('a/b.png', 'output')[1] == t)",
           "true\ttrue\n");
}

TEST(a_graph_gives_pictures_and_events)
{
    expect(NODUS "local i = n.EmptyImage{ width = 8, height = 4, batch_size = 1, color = 0xff0000 } local seen = {} "
                 "local r = n.graph(n.ImageInvert{ image = i }):run{ keep = { i }, on = function(e) seen[#seen + 1] = e.kind end } "
                 "print(r[i].IMAGE, r[i.IMAGE][1][1][1][1], r.made, table.concat(seen, ' '))",
           "tensor 1 x 4 x 8 x 3\t1.0\t2\tbegin start done start done finished\n");
    expect_error(NODUS "n.EmptyImage{ width = 16 }:run{ on = function() error 'mine' end }", "mine");
    expect_error(NODUS "n.EmptyImage{ width = 24 }:run{ on = function() n.EmptyImage{}:run() end }", "within an event");
}

TEST(a_sweep_is_a_table)
{
    expect(NODUS "local s = n.sweep({ b = {1, 2}, a = {3} }, "
                 "function(p) return { sum = p.a + p.b, image = n.full({2, 2, 3}, p.b / 4) } end) "
                 "print(s) print(s:sheet():shape()[2]) s:csv 's.csv'",
           "a  b  image             sum\n3  1  tensor 2 x 2 x 3  4\n3  2  tensor 2 x 2 x 3  5\n4\n");
}

/* ---- Strangers ----------------------------------------------------------------------------------------------------- */

#define MEMORY "not enough memory"
#define TIME   "has used up its time"

static const struct { const char *script, *says; } hostile[] = {
    {"local s = 'x' while true do s = s .. s end", MEMORY},
    {"local t = {} for i = 1, 1e12 do t[i] = {i} end", MEMORY},
    {"return string.rep('x', 1e9)", MEMORY},
    {"string.rep('', 1 << 60) while true do end", TIME},
    {"while true do end", TIME},
    {"while true do pcall(function() while true do end end) end", TIME},
    {"local f = coroutine.wrap(function() while true do pcall(function() while true do end end) end end) while true do pcall(f) end",
     TIME},
    {"coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()", TIME},
    {"xpcall(function() while true do end end, function() while true do end end) while true do end", TIME},
    {"local t <close> = setmetatable({}, {__close = function() while true do end end}) while true do end", TIME},
    {"local f = coroutine.wrap(function() local t <close> = setmetatable({}, {__close = function() while true do end end}) "
     "while true do end end) while true do pcall(f) end",
     TIME},
    {"local function f() return 1 + f() end f()", MEMORY},
    {"local function f(n) return coroutine.wrap(function() return f(n + 1) end)() end f(0)", "C stack overflow"},
    {"assert(load('\\27Lua', 'x', 'b'))", "attempt to load a binary chunk"},
    {"string.dump(print)", "nil value (field 'dump')"},
    {"io.open('/etc/passwd')", "global 'io'"},
    {"os.execute('id')", "global 'os'"},
    {"debug.sethook()", "global 'debug'"},
    {"package.loadlib('libc.so.6', 'system')", "global 'package'"},
    {"dofile('/etc/passwd')", "global 'dofile'"},
    {"require 'io'", "there is no module \"io\""},
    {"setmetatable({}, {__gc = function() while true do end end})", "no finalizers"},
    {"string.find(('a'):rep(50000), ('a*'):rep(20) .. 'b')", "could take too long"},
    {"(('a'):rep(5000)):gsub('(.-)(.-)(.-)(.-)b', '')", "could take too long"},
    {"table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 0)", "too large for this"},
    {"table.move({}, 1, 1 << 60, 2)", "too large for this"},
    {"table.unpack({}, 1, 1 << 60)", "too large for this"},
    {"table.concat(setmetatable({}, {__index = tostring}), '', 1, 1 << 60)", "too large for this"},
    {"table.sort(setmetatable({}, {__len = function() return 1 << 30 end}))", "too large for this"},
    {"error(setmetatable({}, {__tostring = function() while true do end end}))", ""},
    {"error(setmetatable({}, {__tostring = function() error 'again' end}))", "no text"},
    {"getmetatable('').__index = nil", "boolean value"},
    {"load(('('):rep(1000000)) error 'alive'", "alive"},
    {NODUS "n.full{100000, 100000, 100000}", MEMORY},
    {NODUS "n.full{1000, 1000, 1000}", MEMORY},
    {NODUS "local t = {} for i = 1, 1000 do t[i] = n.full{1000000} end", MEMORY},
    {NODUS "local t = {} for i = 1, 1000 do t[i] = n.full{1000000} t[i] = t[i] * 2 end", MEMORY},
    {NODUS "local t = {} t[1] = t n.tensor(t)", "five levels"},
    {NODUS "getmetatable(n.full{1}).__gc()", "boolean value"},
    {NODUS "n.full{2, 2, 3}:save '../../x.png'", "not a name in the output folder"},
    {NODUS "n.full{2, 2, 3}:save '/tmp/x.png'", "not a name in the output folder"},
    {NODUS "n.full{2, 2, 3}:save('x.png', '..')", "is no folder that files may be in"},
    {NODUS "n.load '../../etc/passwd'", "not a name in the input folder"},
    {NODUS "n.load_tensor '/etc/passwd'", "not a name in the input folder"},
    {NODUS "n.save_text('a/../../b', 'x')", "not a name in the output folder"},
    {NODUS "local k = n.VAEDecode{} k.samples = k:outputs() n.full{1}", "got a link to IMAGE"},
};

TEST(hostile_scripts_end_in_a_message)
{
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        seconds = strcmp(hostile[i].says, TIME) && *hostile[i].says ? 20 : 0.25;
        expect_error(hostile[i].script, hostile[i].says);
        clock_gettime(CLOCK_MONOTONIC, &after);
        const double took = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) * 1e-9;
        if (took > 20) fail_msg("%s\ntook %.1f s", hostile[i].script, took);
    }
    seconds = 20;
    expect(NODUS "print(n.PrimitiveInt{ value = 8 }[1]:value())", "8\n");
}

TEST(replaced_functions_do_what_lua_s_own_do)
{
    expect("print(xpcall(function(a) return a + 1, 2 end, print, 3)) print(xpcall(error, function(e) return e .. '!' end, 'x'))",
           "true\t4\t2\nfalse\tx!\n");
    expect("local f = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) print(f(1), f(5), pcall(f))",
           "2\t10\tfalse\tcannot resume dead coroutine\n");
}

TEST(views_do_not_hide_memory)
{
    expect(NODUS "local t = {} for i = 1, 20 do t[i] = n.full({1000000}):slice(1, 1, 2) end print(#t)", "20\n");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_script_gets_its_arguments_and_prints), CASE(a_node_has_its_defaults_and_is_json), CASE(links_go_by_name_number_and_type),
        CASE(mistakes_are_named_with_their_line), CASE(a_workflow_is_loaded_edited_and_written_as_it_was),
        CASE(scalars_and_texts_come_back), CASE(tensors_are_sliced_and_calculated), CASE(tensors_are_saved_and_loaded),
        CASE(a_graph_gives_pictures_and_events), CASE(a_sweep_is_a_table), CASE(hostile_scripts_end_in_a_message),
        CASE(replaced_functions_do_what_lua_s_own_do), CASE(views_do_not_hide_memory)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
