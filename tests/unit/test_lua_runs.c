/* test_lua_runs.c: a script and its runs: each keeps to its own thread, several go on at once, and values made in Lua go into
 * graphs. */
#include "engine/base/file.h"
#include "lua/queue.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

/* What a script printed, and what the host saw of its runs. */
typedef struct Host {
    char text[4096];
    size_t length;
    _Atomic(NodusRun *) run;
    atomic_int steps, finished, events, cancelled;
    atomic_int entered; /* of threads in the event function at the same time */
    uint64_t next;
    double finished_at;
} Host;

static void print(void *user, const char *text, size_t length)
{
    Host *host = user;
    if (length > sizeof host->text - 1 - host->length) length = sizeof host->text - 1 - host->length;
    memcpy(host->text + host->length, text, length);
    host->text[host->length += length] = 0;
}

static void event(void *user, const NodusEvent *event)
{
    Host *host = user;
    assert_int_equal(atomic_fetch_add(&host->entered, 1), 0);
    assert_int_equal(event->id, ++host->next);
    atomic_fetch_add(&host->events, 1);
    if (event->kind == NODUS_EVENT_PROGRESS) atomic_fetch_add(&host->steps, 1);
    if (event->kind == NODUS_EVENT_START && !strcmp(event->class_type, "SamplerCustom")) atomic_fetch_add(&host->steps, 3);
    if (event->kind == NODUS_EVENT_FINISHED) {
        host->finished_at = file_clock();
        atomic_fetch_add(&host->finished, 1);
    }
    atomic_fetch_sub(&host->entered, 1);
}

static void prepare(void *user, NodusRunOptions *options)
{
    Host *host = user;
    options->event = event;
    options->user = host;
    options->first_event_id = host->next + 1;
}

static void watch(void *user, NodusRun *run, bool ended)
{
    Host *host = user;
    atomic_store(&host->run, ended ? NULL : run);
}

static bool cancelled(void *user)
{
    return atomic_load(&((Host *)user)->cancelled);
}

static NodusOutcome run(Host *host, const char *source, double seconds, NodusStatus *error)
{
    const NodusScriptOptions options = {.struct_size = sizeof options,
                                        .name = "s.lua",
                                        .seconds = seconds,
                                        .user = host,
                                        .print = print,
                                        .prepare = prepare,
                                        .watch = watch,
                                        .cancelled = cancelled};
    return nodus_script_run(lab.engine, source, strlen(source), &options, error);
}

static void expect(const char *source, const char *printed)
{
    Host host = {0};
    NodusStatus error;
    const NodusOutcome outcome = run(&host, source, 20, &error);
    if (error) fail_msg("%s\nfailed: %s", source, nodus_error_message(error));
    assert_int_equal(outcome, NODUS_SUCCESS);
    assert_string_equal(host.text, printed);
}

static void expect_error(const char *source, const char *piece)
{
    Host host = {0};
    NodusStatus error;
    run(&host, source, 1, &error);
    if (!error) fail_msg("%s\nsucceeded, and printed: %s", source, host.text);
    if (!strstr(nodus_error_message(error), piece))
        fail_msg("failed with: %s\nexpected: %s\nsource: %s", nodus_error_message(error), piece, source);
    nodus_error_free(error);
}

#define NODUS "local n = require 'nodus' "
/* A sampling of the demo model: `latent(seed, steps)`. */
#define SAMPLING                                                                                                               \
    NODUS "local c = n.CheckpointLoaderSimple{ ckpt_name = 'shapes-sd1.safetensors' } "                                        \
          "local function latent(seed, steps) return n.KSampler{ model = c, "                                                  \
          "positive = n.CLIPTextEncode{ clip = c, text = 'a red star' }, negative = n.CLIPTextEncode{ clip = c, text = '' }, " \
          "latent_image = n.EmptyLatentImage{ width = 64, height = 64 }, seed = seed, steps = steps, cfg = 5, "                \
          "sampler_name = 'euler', scheduler = 'normal' } end "

/* ---- Threads -------------------------------------------------------------------------------------------------------- */

TEST(events_come_in_order)
{
    expect(NODUS "local seen = {} n.PreviewAny{ source = n.PrimitiveInt{ value = 41 } }:run{ on = function(e) "
                 "seen[#seen + 1] = e.kind .. (e.class and ' ' .. e.class or '') end } print(table.concat(seen, ', '))",
           "begin, start PrimitiveInt, done PrimitiveInt, start PreviewAny, done PreviewAny, finished\n");
}

TEST(a_quick_function_cancels_at_that_very_place)
{
    for (int i = 0; i < 5; i++)
        expect(NODUS
               "local seen = {} local r = n.PreviewAny{ source = n.StringConcatenate{ string_a = 'a', string_b = 'b' } }:run{ "
               "on = function(e) seen[#seen + 1] = e.kind if e.kind == 'begin' then return 'cancel' end end } "
               "print(r.status, r.made, table.concat(seen, ' '))",
               "cancelled\t0\tbegin finished\n");
    expect(SAMPLING "local last local r = n.graph(latent(1, 500)):run{ progress = function(value, max) last = value "
                    "if value >= 3 then return 'cancel' end end } print(r.status, last < 100)",
           "cancelled\ttrue\n");
}

/* Its event function never returns, and yet the run goes on and can be cancelled. */
static void *cancel_from_elsewhere(void *user)
{
    Host *host = user;
    for (int i = 0; i < 1000 && (atomic_load(&host->steps) < 3 || !atomic_load(&host->run)); i++) usleep(5000);
    usleep(100000);
    const double at = file_clock();
    NodusRun *running = atomic_load(&host->run);
    if (running) nodus_run_cancel(running);
    for (int i = 0; i < 2000 && !atomic_load(&host->finished); i++) usleep(1000);
    const double took = atomic_load(&host->finished) ? host->finished_at - at : 99;
    atomic_store(&host->cancelled, 1);
    printf("a run of a busy script ended %.1f ms after its cancel\n", took * 1e3);
    return took < 1 ? user : NULL;
}

TEST(a_busy_script_does_not_hold_its_run_up)
{
    Host host = {0};
    NodusStatus error;
    pthread_t thread;
    void *quick;
    assert_int_equal(pthread_create(&thread, NULL, cancel_from_elsewhere, &host), 0);
    const NodusOutcome outcome =
        run(&host, SAMPLING "n.graph(latent(2, 10000)):run{ progress = function() while true do end end }", 60, &error);
    pthread_join(thread, &quick);
    assert_non_null(quick);
    assert_int_equal(outcome, NODUS_CANCELLED);
    nodus_error_free(error);
}

TEST(what_ends_a_script_within_an_event_ends_its_run)
{
    expect_error(SAMPLING "n.graph(latent(3, 10000)):run{ progress = function() while true do end end }", "used up its time");
    expect_error(SAMPLING "n.graph(latent(4, 10000)):run{ progress = function() error 'mine' end }", "mine");
    expect_error(SAMPLING "n.graph(latent(4, 10000)):run{ on = function() n.EmptyImage{}:run() end }", "within an event");
}

/* Nobody but `cancelled` says so: the thread that waits asks. */
static void *cancel_soon(void *user)
{
    Host *host = user;
    for (int i = 0; i < 1000 && atomic_load(&host->steps) < 2; i++) usleep(5000);
    atomic_store(&host->cancelled, 1);
    return NULL;
}

TEST(a_script_that_waits_can_be_cancelled)
{
    Host host = {0};
    NodusStatus error;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &host), 0);
    assert_int_equal(run(&host, SAMPLING "pcall(function() n.graph(latent(5, 10000)):run() end) while true do end", 60, &error),
                     NODUS_CANCELLED);
    pthread_join(thread, NULL);
    nodus_error_free(error);
}

TEST(previews_are_tensors)
{
    expect(SAMPLING "local shape local r = n.graph(latent(6, 3)):run{ preview = function(picture) shape = picture:shape() "
                    "assert(picture:min() >= 0 and picture:max() <= 1) end } print(r.status, #shape, shape[3])",
           "success\t3\t3\n");
}

/* ---- The queue ------------------------------------------------------------------------------------------------------ */

static void *leave_events(void *user)
{
    Queue *queue = user;
    uint8_t picture[12] = {7};
    for (int i = 1; i <= 600; i++) {
        char text[24];
        snprintf(text, sizeof text, "node %d", i % 2);
        const NodusEvent step = {
            .kind = NODUS_EVENT_PROGRESS, .node = text, .value = i, .preview = picture, .preview_width = 2, .preview_height = 2};
        const NodusEvent done = {.kind = NODUS_EVENT_DONE, .node = text, .value = i};
        queue_event(queue, 0, &step, false);
        if (i % 100 == 0) queue_event(queue, 0, &done, false);
    }
    return NULL;
}

/* Nobody serves it meanwhile. */
TEST(only_progress_is_merged_and_the_last_of_it_stays)
{
    Queue queue;
    Message end, *message;
    pthread_t thread;
    double last[2] = {0};
    int done = 0, progress = 0;
    queue_open(&queue);
    assert_int_equal(pthread_create(&thread, NULL, leave_events, &queue), 0);
    pthread_join(thread, NULL);
    queue_end(&queue, 0, &end);
    while ((message = queue_take(&queue, 1))->kind == MESSAGE_EVENT) {
        const NodusEvent *e = &message->event;
        if (e->kind == NODUS_EVENT_DONE) assert_true(e->value == ++done * 100);
        else progress++, last[e->node[5] - '0'] = e->value;
        assert_true(e->kind == NODUS_EVENT_DONE || e->preview[0] == 7);
        queue_done(&queue, message);
    }
    assert_ptr_equal(message, &end);
    assert_int_equal(done, 6);
    assert_true(progress < 300 && last[0] == 600 && last[1] == 599);
    assert_null(queue_take(&queue, 0));
    assert_int_equal(queue.picture_bytes, 0);
    queue_close(&queue);
}

/* ---- Several at once -------------------------------------------------------------------------------------------------- */

TEST(parallel_graphs_give_what_they_give_one_by_one)
{
    expect(SAMPLING "local a, b, c = n.parallel({ latent(11, 4), n.graph(latent(12, 4)), latent(13, 4).LATENT }, { jobs = 3 }) "
                    "print(a.LATENT:type(), b.status, c:type()) "
                    "local first = { a.LATENT:tensor(), c:tensor() } print(first[1] == first[2])",
           "LATENT\tsuccess\tLATENT\nfalse\n");
}

/* Two engines, so that nothing comes from the cache. */
TEST(parallel_runs_give_the_same_bits)
{
    static const char source[] = SAMPLING
        "local all = {} for i = 1, 4 do all[i] = latent(20 + i, 3).LATENT end "
        "if MANY then all = { n.parallel(all, { jobs = 4 }) } else for i = 1, 4 do all[i] = all[i]:value() end end "
        "for i = 1, 4 do local t = all[i]:tensor() print(('%a %a %a'):format(t:sum(), t[1][1][1][1], t[1][4][8][8])) end";
    char text[2][4096], whole[2048];
    for (int many = 0; many < 2; many++) {
        Host host = {0};
        NodusStatus error;
        if (many) {
            lab_close(&lab);
            assert_ok(lab_open(&lab, NULL));
        }
        snprintf(whole, sizeof whole, "MANY = %s %s", many ? "true" : "false", source);
        const NodusOutcome outcome = run(&host, whole, 20, &error);
        if (error) fail_msg("%s", nodus_error_message(error));
        assert_int_equal(outcome, NODUS_SUCCESS);
        assert_int_equal(host.finished, 4);
        strcpy(text[many], host.text);
    }
    assert_string_equal(text[0], text[1]);
    assert_non_null(strstr(text[0], "0x"));
}

TEST(equal_work_at_the_same_time_is_done_once)
{
    expect(SAMPLING
           "local made = 0 local function on(e) if e.kind == 'done' and e.class == 'KSampler' then made = made + 1 end end "
           "local a, b = n.parallel({ latent(31, 4), latent(31, 4) }, { on = on }) print(made, a.LATENT:tensor() == "
           "b.LATENT:tensor())",
           "1\ttrue\n");
}

TEST(parallel_events_have_an_index_and_one_count)
{
    expect(NODUS "local seen = {} n.parallel({ n.PrimitiveInt{ value = 61 }[1], n.PrimitiveInt{ value = 62 }[1] }, { jobs = 2, "
                 "on = function(e) "
                 "seen[e.index] = (seen[e.index] or '') .. e.kind .. ' ' end }) print(seen[1]) print(seen[2]) "
                 "print(n.PrimitiveInt{ value = 63 }[1]:value())",
           "begin start done finished \nbegin start done finished \n63\n");
}

TEST(a_graph_that_fails_stops_what_is_not_begun)
{
    expect(NODUS "local bad = n.LoadImage{ image = 'none.png' } local begun = {} local good, message = pcall(n.parallel, { "
                 "n.PrimitiveInt{ value = 64 }, bad, n.PrimitiveInt{ value = 65 } }, { jobs = 1, on = function(e) begun[e.index] "
                 "= true end }) "
                 "print(good, message:match 'LoadImage %(made at line 1%), image', begun[1], begun[2], begun[3])",
           "false\tLoadImage (made at line 1), image\ttrue\ttrue\tnil\n");
    expect(NODUS "print(n.parallel{}) print(pcall(n.parallel, { 1 }))",
           "\nfalse\ts.lua:1: parallel takes a list of graphs, nodes and links; there is 1 at place 1\n");
    expect_error(NODUS "n.parallel({ n.PrimitiveInt{ value = 1 } }, { jobs = 0 })", "s.lua:1: jobs: from 1 to 64");
    expect_error(
        NODUS
        "n.parallel({ n.PrimitiveInt{ value = 67 }[1], n.PrimitiveInt{ value = 68 }[1] }, { on = function() error 'mine' end })",
        "mine");
}

TEST(cancel_ends_one_of_several)
{
    expect(NODUS "local a, b = n.parallel({ n.graph(n.PreviewAny{ source = n.PrimitiveInt{ value = 71 } }), "
                 "n.graph(n.PreviewAny{ source = n.PrimitiveInt{ value = 72 } }) }, "
                 "{ on = function(e) if e.kind == 'begin' and e.index == 1 then return 'cancel' end end }) print(a.status, "
                 "b.status, b.texts[1])",
           "cancelled\tsuccess\t72\n");
}

TEST(a_sweep_runs_several_at_once)
{
    expect(NODUS "local function body(p) local x = n.PrimitiveInt{ value = p.a }[1]:value() local y = n.PrimitiveInt{ value = "
                 "p.b }[1]:value() "
                 "return { sum = x + y } end local axes = { { 'a', { 81, 82, 83 } }, { 'b', { 1, 2 } } } "
                 "print(tostring(n.sweep(axes, body)) == tostring(n.sweep(axes, body, { jobs = 4 }))) print(n.sweep(axes, body, "
                 "{ jobs = 2 })[6].sum)",
           "true\n85\n");
    expect_error(NODUS "n.sweep({ a = { 1, 2, 3 } }, function(p) n.PrimitiveInt{ value = 90 + p.a }[1]:value() if p.a == 2 then "
                       "error 'mine' end end, { jobs = 2 })",
                 "s.lua:1: mine");
    expect(
        NODUS
        "local t = n.sweep({ a = { 1, 2, 3 } }, function(p) return { good = pcall(function() if p.a == 1 then n.LoadImage{ image "
        "= 'none' }:run() end "
        "return n.PrimitiveInt{ value = 190 + p.a }[1]:value() end) } end, { jobs = 3 }) print(t[1].good, t[2].good, t[3].good)",
        "false\ttrue\ttrue\n");
}

/* ---- Values of the script ------------------------------------------------------------------------------------------ */

TEST(tensors_go_into_graphs)
{
    expect(NODUS "local t = n.full({ 1, 2, 2, 3 }, 0.25) print(n.ImageInvert{ image = t }.IMAGE:value():totable()[1][2][2][3]) "
                 "print(n.InvertMask{ mask = n.full({ 1, 2, 2 }, 0.25) }[1]:value():max()) "
                 "print(n.FlipSigmas{ sigmas = n.tensor{ 2, 1, 0 } }[1]:value():totable()[3])",
           "0.75\n0.75\n2.0\n");
    expect(
        NODUS
        "local samples = n.full({ 1, 4, 8, 8 }, 1.5) local k = n.LatentMultiply{ samples = n.latent(samples), multiplier = 2 } "
        "print(k.LATENT:value():tensor():max(), n.LatentMultiply{ samples = n.latent(samples, n.full({ 1, 8, 8 }, 1)), "
        "multiplier = 2 }"
        ".LATENT:value():tensor('noise_mask'):mean())",
        "3.0\t1.0\n");
}

TEST(a_tensor_is_known_by_its_content)
{
    expect(NODUS "local function made(v) return n.ImageInvert{ image = n.full({ 1, 3, 2, 3 }, v) }:run() end "
                 "print(made(0.125).made, made(0.125).made, made(0.5).made)",
           "2\t0\t2\n");
}

TEST(results_go_into_other_graphs)
{
    expect(SAMPLING "local model = c.MODEL:value() local words = n.CLIPTextEncode{ clip = c, text = 'a blue fish' }[1]:value() "
                    "local function sample(m, w) return n.KSampler{ model = m, positive = w, negative = w, latent_image = "
                    "n.EmptyLatentImage{ width = 64, "
                    "height = 64 }, seed = 77, steps = 2, cfg = 1, sampler_name = 'euler', scheduler = 'normal' } end "
                    "local x = sample(model, words).LATENT:value() local y = sample(c, n.CLIPTextEncode{ clip = c, text = 'a "
                    "blue fish' }).LATENT:value() "
                    "print(x:tensor() == y:tensor()) print(sample(c.MODEL:value(), words):run().made) "
                    "print(n.LatentMultiply{ samples = x, multiplier = 1 }.LATENT:value():tensor() == x:tensor())",
           "true\n0\ntrue\n");
}

TEST(values_that_do_not_fit_are_refused_at_their_line)
{
    expect_error(
        NODUS "\nn.ImageInvert{ image = n.full({ 2, 2, 3 }, 0) }",
        "s.lua:2: ImageInvert, image: IMAGE is a tensor of shape [batch, height, width, 3 or 4]; this is tensor 2 x 2 x 3");
    expect_error(NODUS "n.VAEDecode{ samples = n.full({ 1, 4, 8, 8 }, 0) }",
                 "VAEDecode, samples: a tensor becomes a LATENT by n.latent(tensor)");
    expect_error(NODUS "n.KSampler{ model = n.full({ 1, 4, 8, 8 }, 0) }",
                 "KSampler, model: got tensor 1 x 4 x 8 x 8, expected MODEL");
    expect_error(NODUS "n.KSampler{ seed = n.full({ 1 }, 0) }", "KSampler, seed: got tensor 1, expected INT");
    expect_error(NODUS "n.KSampler{ model = n.EmptyLatentImage{}[1]:value() }", "KSampler, model: got LATENT: latent 1");
    expect_error(NODUS "n.latent(n.full({ 4 }, 0))",
                 "s.lua:1: latent: LATENT is a tensor of shape [batch, channels, height, width]; this is tensor 4");
    expect_error(NODUS "local g = n.graph(n.ImageInvert{ image = n.full({ 1, 2, 2, 3 }, 0) })\nprint(g:to_json())",
                 "s.lua:2: this workflow holds a value of the script, of type IMAGE (given at line 1), which no file can hold");
    expect_error(NODUS "n.ImageInvert{ image = n.full({ 1, 2, 2, 3 }, 0) }:to_json()", "no file can hold");
    expect_error(NODUS "n.graph(n.ImageInvert{ image = n.full({ 1, 2, 2, 3 }, 0) }):to_lua{}", "no file can hold");
}

TEST(a_given_value_means_nothing_elsewhere)
{
    assert_int_equal(lab_run(&lab, "{\"1\": {\"class_type\": \"NodusGiven\", \"inputs\": {\"name\": \"x\"}}, "
                                   "\"2\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"1\", 0]}}}"),
                     NODUS_REFUSED);
    assert_non_null(strstr(lab.error, "existed only within the script"));
    expect(NODUS "for _, name in ipairs(n.nodes()) do assert(name ~= 'NodusGiven') end print 'ok'", "ok\n");
}

/* ---- Functions as samplers ----------------------------------------------------------------------------------------- */

/* `custom(sampler, seed, steps)`, and Euler's method as a function. */
#define CUSTOM                                                                                                                \
    SAMPLING "local words = n.CLIPTextEncode{ clip = c, text = 'a red star' } "                                               \
             "local function custom(sampler, seed, steps) return n.SamplerCustom{ model = c, add_noise = true, noise_seed = " \
             "seed, cfg = 2, "                                                                                                \
             "positive = words, negative = words, sampler = sampler, sigmas = n.BasicScheduler{ model = c, scheduler = "      \
             "'normal', steps = steps, "                                                                                      \
             "denoise = 1 }, latent_image = n.EmptyLatentImage{ width = 64, height = 64 } } end "                             \
             "local calls = 0 local function euler(s, x) calls = calls + 1 for i = 1, s.steps do local sigma = s.sigmas[i] "  \
             "local x0 = s:denoise(x, sigma) x = x + (x - x0) / sigma * (s.sigmas[i + 1] - sigma) s:step_done(i, x, x0) end " \
             "return x end "

TEST(a_function_samples_as_its_twin_in_c)
{
    expect(CUSTOM "local mine = custom(n.sampler(euler), 101, 4)[1]:value():tensor() "
                  "local theirs = custom(n.KSamplerSelect{ sampler_name = 'euler' }, 101, 4)[1]:value():tensor() "
                  "local d = mine - theirs print(calls, d:max() < 1e-3, d:min() > -1e-3, mine:std() > 0.1)",
           "1\ttrue\ttrue\ttrue\n");
}

TEST(a_function_is_called_each_time)
{
    expect(CUSTOM "local sampler = n.sampler(euler) local g = custom(sampler, 102, 1) g:run() g:run() "
                  "n.parallel({ custom(sampler, 102, 2), custom(sampler, 103, 2) }, { jobs = 2 }) print(calls)",
           "4\n");
}

TEST(events_come_while_a_function_samples)
{
    expect(CUSTOM
           "local seen = {} local function slow(s, x) local out = euler(s, x) seen[#seen + 1] = 'sampled' return out end "
           "custom(n.sampler(slow), 104, 2):run{ progress = function(value, max) seen[#seen + 1] = value .. '/' .. max end } "
           "print(seen[#seen], seen[#seen - 1])",
           "sampled\t2.0/2.0\n");
    expect(CUSTOM
           "local g = n.graph(custom(n.sampler(euler), 105, 500)) local r = g:run{ progress = function() return 'cancel' end } "
           "print(r.status, n.PrimitiveInt{ value = 105 }[1]:value())",
           "cancelled\t105\n");
}

TEST(what_a_function_does_wrong_is_told)
{
    expect_error(CUSTOM "\ncustom(n.sampler(function(s, x) error 'mine' end), 106, 1):run()",
                 "s.lua:2: SamplerCustom (made at line 2)");
    expect_error(CUSTOM "\ncustom(n.sampler(function(s, x) error 'mine' end), 106, 1):run()", "s.lua:2: mine");
    expect_error(CUSTOM "custom(n.sampler(function(s, x) end), 107, 1):run()", "a sampler gives a tensor, not nothing (nil)");
    expect_error(CUSTOM "custom(n.sampler(function(s, x) return x[1] end), 107, 1):run()",
                 "what the sampler gives is a tensor 4 x 8 x 8");
    expect_error(CUSTOM
                 "custom(n.sampler(function(s, x) while true do pcall(function() while true do end end) end end), 108, 1):run()",
                 "used up its time");
    expect_error(CUSTOM "custom(n.sampler(function(s, x) n.EmptyImage{}:run() end), 109, 1):run()",
                 "within an event of another run");
    expect_error(
        CUSTOM
        "local kept custom(n.sampler(function(s, x) kept = s return x end), 110, 1):run() kept:denoise(n.full({ 1 }, 0), 1)",
        "this sampling is over");
    expect_error(NODUS "n.sampler(1)", "sampler takes a function");
    expect_error(CUSTOM "custom(n.sampler(euler), 1, 1):to_json()", "of type SAMPLER");
}

/* It computes and never asks for anything that could tell it so. */
static void *cancel_sampling(void *user)
{
    Host *host = user;
    for (int i = 0; i < 1000 && !atomic_load(&host->run); i++) usleep(5000);
    usleep(200000);
    NodusRun *running = atomic_load(&host->run);
    if (running) nodus_run_cancel(running);
    return NULL;
}

/* An event function that never ends keeps the script from sampling: the run ends without it. */
TEST(a_run_does_not_wait_for_a_script_that_is_busy_elsewhere)
{
    Host host = {0};
    NodusStatus error;
    pthread_t thread;
    void *quick;
    assert_int_equal(pthread_create(&thread, NULL, cancel_from_elsewhere, &host), 0);
    const NodusOutcome outcome = run(
        &host,
        CUSTOM
        "custom(n.sampler(euler), 112, 2):run{ on = function(e) if e.class == 'SamplerCustom' then while true do end end end }",
        60, &error);
    pthread_join(thread, &quick);
    assert_non_null(quick);
    assert_int_equal(outcome, NODUS_CANCELLED);
    nodus_error_free(error);
}

TEST(a_function_that_never_ends_is_cancelled)
{
    Host host = {0};
    NodusStatus error;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_sampling, &host), 0);
    const NodusOutcome outcome = run(&host,
                                     CUSTOM "print(pcall(function() custom(n.sampler(function() while true do pcall(function() "
                                            "while true do end end) end end), 111, 1):run() end))",
                                     30, &error);
    pthread_join(thread, NULL);
    if (error) fail_msg("%s", nodus_error_message(error));
    assert_int_equal(outcome, NODUS_SUCCESS);
    assert_non_null(strstr(host.text, "the run was cancelled"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(events_come_in_order),
                                       CASE(a_quick_function_cancels_at_that_very_place),
                                       CASE(a_busy_script_does_not_hold_its_run_up),
                                       CASE(what_ends_a_script_within_an_event_ends_its_run),
                                       CASE(a_script_that_waits_can_be_cancelled),
                                       CASE(previews_are_tensors),
                                       CASE(only_progress_is_merged_and_the_last_of_it_stays),
                                       CASE(parallel_graphs_give_what_they_give_one_by_one),
                                       CASE(parallel_runs_give_the_same_bits),
                                       CASE(equal_work_at_the_same_time_is_done_once),
                                       CASE(parallel_events_have_an_index_and_one_count),
                                       CASE(a_graph_that_fails_stops_what_is_not_begun),
                                       CASE(cancel_ends_one_of_several),
                                       CASE(a_sweep_runs_several_at_once),
                                       CASE(tensors_go_into_graphs),
                                       CASE(a_tensor_is_known_by_its_content),
                                       CASE(results_go_into_other_graphs),
                                       CASE(values_that_do_not_fit_are_refused_at_their_line),
                                       CASE(a_given_value_means_nothing_elsewhere),
                                       CASE(a_function_samples_as_its_twin_in_c),
                                       CASE(a_function_is_called_each_time),
                                       CASE(events_come_while_a_function_samples),
                                       CASE(what_a_function_does_wrong_is_told),
                                       CASE(a_run_does_not_wait_for_a_script_that_is_busy_elsewhere),
                                       CASE(a_function_that_never_ends_is_cancelled)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
