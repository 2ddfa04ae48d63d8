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

/* What a script puts in the place of a node's own fields is an error, not a crash. */
TEST(what_is_no_json_is_a_message)
{
    expect(NODUS "print((n.unchecked 'X'{ a = n.json '[18446744073709551615, null, {\"b\": [1.5, -0.0, true, \"\\\\u0001\\\\n\"]}]' }:to_json()))",
           "{\n  \"1\": {\"class_type\": \"X\", \"inputs\": {\"a\": [18446744073709551615, null, {\"b\": [1.5, -0.0, true, \"\\u0001\\n\"]}]}}\n}\n\n");
    expect_error(NODUS "n.unchecked 'X'{ a = { 1, 2 } }:to_json()", "s.lua:1: a table cannot be in a workflow: n.json makes");
    expect_error(NODUS "n.unchecked 'X'{ a = 0/0 }:to_json()", "s.lua:1: a number that is not finite");
    expect_error(NODUS "n.unchecked 'X'{ a = print }:to_json()", "s.lua:1: a function cannot be in a workflow");
    expect_error(NODUS "local t = n.json '[1]' t[1] = t n.unchecked 'X'{ a = t }:to_json()", "JSON of more than 150 levels");
    expect_error(NODUS "local t = n.json '[1]' t.n = 1 << 60 n.unchecked 'X'{ a = t }:to_json()", "a nil cannot be in a workflow");
    static const char *const fields[] = {"_in = 5", "_def = 5", "_def = {}", "_def = { needed = {}, names = 5, by = {} }", "_names = 5",
                                         "_names = { 1, {} , print }", "_title = print", "_id = {}", "_order = {}", "image._node = 5", "image._slot = 'x'"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char source[300];
        snprintf(source, sizeof source, NODUS "local e = n.ImageInvert{ image = n.EmptyImage{} } print(pcall(function() e.%s e:to_json() end) ~= nil)", fields[i]);
        expect(source, "true\n");
    }
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
           "a  b  image             sum\n3  1  tensor 2 x 2 x 3  4\n3  2  tensor 2 x 2 x 3  5\n140\n");
}

#define STUDY NODUS "local s = n.sweep({ { 'place', { 'in', 'out' } }, { 'seed', { 1, 2 } } }, function(p) " \
    "return { moved = #p.place * p.seed, left = p.seed == 1 and 4 or nil, label = p.seed, psnr = 1 / 0, image = n.full({ 2, 2, 3 }, 1) } end) "

TEST(a_sweep_has_means)
{
    expect(STUDY "print(s:means 'seed') print(#s:means('place', 'seed'), s:means('place').columns[2]) print(s:means():means 'seed' [2].moved)",
           "place  label  left  moved  psnr\nin     1.5          3      inf\nout    1.5          4.5    inf\n1\tlabel\n4.5\n");
    expect_error(STUDY "s:means 'sed'", "s.lua:1: this sweep has no axis \"sed\"; did you mean seed?; it has place, seed");
}

TEST(a_sweep_is_a_table_for_nodes)
{
    expect(STUDY "print(s:table():value()) print(s:table{ 'moved', 'place' }:value())",
           "TABLE: place  seed  label  left  moved  psnr\nin        1  1         4      2  \nin        2  2                4  \n"
           "out       1  1         4      3  \nout       2  2                6  \n\n"
           "TABLE: moved  place\n    2  in\n    4  in\n    3  out\n    6  out\n\n");
    expect_error(STUDY "s:table{ 'moved', 'palce' }", "this sweep has no column \"palce\"");
    expect_error(STUDY "s:table{ 'image' }:value()", "TableRow");
    expect_error(NODUS "n.sweep({ ['a, b'] = { 1 } }, function() return 1 end):table()", "a comma in its name: \"a, b\"");
}

TEST(a_sweep_is_plotted)
{
    expect(STUDY "local a = s:plot{ x = 'seed', y = 'moved', group = 'place', width = 200, height = 160 } "
                 "local t = n.TableJoin{ tables = n.TableRow{ label = '', seed = 1, moved = 2, place = 'in' }, a = n.TableRow{ label = '', seed = 2, moved = 4, place = 'in' }, "
                 "b = n.TableRow{ label = '', seed = 1, moved = 3, place = 'out' }, c = n.TableRow{ label = '', seed = 2, moved = 6, place = 'out' } } "
                 "local b = n.PlotTable{ table = t, x = 'seed', y = 'moved', group_by = 'place', width = 200, height = 160 }.IMAGE:value() print(a, a == b[1]) "
                 "local m = s:means 'seed' print(m:plot() == m:plot{ x = 'place', y = { 'moved' }, style = 'lines' }, m:plot{ style = 'bars', y = 'moved' } == m:plot{ y = 'moved' })",
           "tensor 160 x 200 x 3\ttrue\ntrue\tfalse\n");
    expect_error(STUDY "s:plot{ x = 'place', y = 'mooved' }", "s.lua:1: this sweep has no column \"mooved\"; did you mean moved?; it has place, seed,");
    expect_error(STUDY "s:plot{ group = 'plaec', y = 'moved' }", "this sweep has no column \"plaec\"");
    expect_error(STUDY "s:plot{ y = 'place' }", "the column 'place' does not hold numbers");
    expect_error(STUDY "s:plot{ y = 'moved', style = 'pie' }", "expected one of lines, points, bars");
    expect_error(NODUS "n.sweep({ a = { 1 } }, function() return 'x' end):plot()", "plot takes columns: sweep:plot{ x = \"strength\"");
}

TEST(nodes_are_made_as_they_are_given)
{
    expect(NODUS "local u = n.unchecked 'No such' { b = n.null, a = n.json '[18446744073709551615, {\"x\": -1}]', _id = '5:7' } "
                 "local v = n.unchecked 'KSampler' { seed = -1, steps = 'many', model = u[3] } print(v:to_json())",
           "{\n  \"5:7\": {\"class_type\": \"No such\", \"inputs\": {\"a\": [18446744073709551615, {\"x\": -1}], \"b\": null}},\n"
           "  \"1\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"5:7\", 2], \"seed\": 18446744073709551615, \"steps\": \"many\"}}\n}\n\n");
    expect(NODUS "local w = n.parse '{\"3\": {\"class_type\": \"RandomNoise\", \"inputs\": {\"noise_seed\": 18446744073709551614}}}' "
                 "print(w['RandomNoise'].noise_seed, (w:to_json():find('18446744073709551614', 1, true)))",
           "-2\t65\n");
    expect_error(NODUS "n.unchecked 'PreviewAny' { source = 1 }:run{ strict = true } n.unchecked 'No such' {}:run()", "No such");
}

TEST(a_graph_is_written_as_a_script)
{
    expect(NODUS "local i = n.EmptyImage{ width = 8 } local s = n.PreviewImage{ images = i, _title = ']] error() --[[' } "
                 "print((n.graph(s):to_lua{ name = 'x/\\n' }:gsub('\\n', '|')))",
           "-- x__.lua: nodus run x__.lua; with the argument json it writes the workflow.|local n = require \"nodus\"||"
           "local empty_image = n.EmptyImage{ width = 8 }|local error = n.PreviewImage{ images = empty_image, _title = \"]] error() --[[\" }|"
           "local graph = n.graph(error)||if arg[1] == \"json\" then graph:save \"x__.json\" else graph:run() end\n");
    expect_error(NODUS "n.graph(n.PreviewImage{ images = n.full({1, 8, 8, 3}, 0.5) }):to_lua()", "holds a value of the script");
    expect(NODUS "print(n.text('ab', 1), n.text '', n.text('ab'):min() < 0.1)", "tensor 9 x 12 x 3\ttensor 18 x 12 x 3\ttrue\n");
    expect_error(NODUS "n.text('x', 17)", "scale is 1 to 16");
    expect_error(NODUS "n.text(('x'):rep(2000))", "at most 1000 letters");
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
    {NODUS "local t = {} t[1] = t n.parallel(t)", "there is a table at place 1"},
    {NODUS "n.parallel(setmetatable({}, {__len = function() return 1 << 60 end}))", "a list of graphs"},
    {NODUS "n.parallel({ n.EmptyImage{ width = 16 } }, { jobs = 1 << 60 })", "jobs: from 1 to 64"},
    {NODUS "n.EmptyImage{ width = 32 }:run{ on = function() while true do end end }", TIME},
    {NODUS "n.EmptyImage{ width = 40 }:run{ on = function(e) coroutine.yield(e) end }", "attempt to yield"},
    {NODUS "n.ImageInvert{ image = n.full{1, 4, 4, 3} }.IMAGE:value():save '../x.png'", "not a name in the output folder"},
    {NODUS "n.ImageInvert{ image = n.full{4} }.IMAGE:value()", "IMAGE is a tensor of shape"},
    {NODUS "n.ImageInvert{ image = print }", "got a function"},
    {NODUS "n.json(('['):rep(100000))", "JSON of more than"},
    {NODUS "n.parse '{\"1\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"1\", 0]}}}':run()", "cannot run"},
    {NODUS "n.unchecked(('x'):rep(1 << 20)){}:run()", "cannot run"},
    {NODUS "n.sweep({ a = setmetatable({}, {__index = function(_, i) return i end, __len = function() return 1 << 60 end}) }, print)", ""}, /* whichever limit is reached first */
    {"require 'nodus.define'", "there is no module \"nodus.define\""},
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

/* What goes through a text once may go through a long one; what begins anew at each place may not. */
TEST(patterns_that_take_long_are_refused)
{
    expect("local s = ('ab, cd = 12\\n'):rep(100000) local words = 0 for w in s:gmatch('%a+') do words = words + 1 end "
           "print(words, select(2, s:gsub('([^\\n]*)\\n?', '')), #s:gsub('%s+', ''), s:find('=%s*%d*'), (s:gsub('%f[%w]%w+', 'x')):sub(1, 9))",
           "200000\t100000\t800000\t8\tx, x = x\n\n");
    expect("print(('a'):rep(1000):find('a*b'), ('x'):rep(2000000):find('^x*y'), #('ab'):rep(2000000):match('^.*$'))", "nil\tnil\t4000000\n");
    static const char *const slow[] = {"'a*b'", "'.*$'", "'%s+$'", "'(a+)%1'", "'%b()'", "'a-b'", "'a?a*a'", "'a*()b'", "'[%]a]+[^]]'", "'a+a+a+'"};
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
        char source[200];
        snprintf(source, sizeof source, "print(('a'):rep(2000000):find(%s))", slow[i]);
        expect_error(source, "this pattern could take too long on a text of 2000000 bytes");
    }
    expect_error("('^a'):rep(2000000):gmatch('^a*b')", "too long");
    expect_error("('a'):rep(2000000):gsub('[' .. ('x'):rep(1000000) .. ']', '')", "too long");
    expect_error("('a'):rep(4000000):find(('a'):rep(1000000) .. 'b', 1, true)", "too long");
}

TEST(views_do_not_hide_memory)
{
    expect(NODUS "local t = {} for i = 1, 20 do t[i] = n.full({1000000}):slice(1, 1, 2) end print(#t)", "20\n");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_script_gets_its_arguments_and_prints), CASE(a_node_has_its_defaults_and_is_json), CASE(what_is_no_json_is_a_message),
        CASE(links_go_by_name_number_and_type),
        CASE(mistakes_are_named_with_their_line), CASE(a_workflow_is_loaded_edited_and_written_as_it_was),
        CASE(scalars_and_texts_come_back), CASE(tensors_are_sliced_and_calculated), CASE(tensors_are_saved_and_loaded),
        CASE(a_graph_gives_pictures_and_events), CASE(a_sweep_is_a_table), CASE(a_sweep_has_means), CASE(a_sweep_is_a_table_for_nodes), CASE(a_sweep_is_plotted), CASE(nodes_are_made_as_they_are_given), CASE(a_graph_is_written_as_a_script), CASE(hostile_scripts_end_in_a_message),
        CASE(replaced_functions_do_what_lua_s_own_do), CASE(patterns_that_take_long_are_refused), CASE(views_do_not_hide_memory)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
