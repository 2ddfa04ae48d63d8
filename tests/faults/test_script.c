/* Scripts with the n-th allocation failing, those of Lua's state and those of the engine: each ends in success or in a message,
 * leaves nothing behind, and the engine goes on working. Lua collects garbage and asks again where one allocation fails, so
 * memory that stays exhausted is the harder half. The fault numbers are every one of the first, then spaced ever wider;
 * NODUS_FAULTS=all takes every one. */
#include "tests/faults/faults.h"
#include <nodus/nodus.h>
#include <stdio.h>
#include <stdlib.h>

static NodusEngine *engine;

static const char *const scripts[] = {
    "local n = require 'nodus' local i = n.EmptyImage{ width = 8, height = 4, batch_size = 1, color = 0xff0000 } "
    "local g = n.graph(n.ImageInvert{ image = i }) local text = g:to_json() print(#text, n.info('KSampler').help) "
    "local r = g:run{ keep = { i }, on = function(e) print(e.kind) end } print(r[i].IMAGE:mean())",
    "local n = require 'nodus' local t = n.tensor{ {1, 2}, {3, 4} } t = n.concat({t * 2 - 1, t / t}, 2):permute{2, 1}:slice(1, "
    "1, 3) "
    "print(t:totable()[1][2], t, n.full({4, 4}, 2):resize(2, 2):sum()) "
    "print(n.sweep({ a = {1, 2}, b = {'x'} }, function(p) return { sum = p.a, t = t } end))",
    "local s = {} for i = 1, 100 do s[i] = ('x'):rep(i) .. i end local t = table.concat(s, ',') print(#t, t:find('9,', 1, true)) "
    "print(pcall(error, setmetatable({}, {__tostring = function() return 'mine' end}))) "
    "local f = coroutine.wrap(function(a) return coroutine.yield(a .. a) end) print(f('b'), f('c')) print(select(2, xpcall(load, "
    "print, 'x = ')))",
    "print(pcall(function() local n = require 'nodus' n.KSampler{ sed = 1 } end)) error 'the end'",
};

static void print(void *user, const char *text, size_t length)
{
    *(size_t *)user += text ? length : 0;
}

typedef struct Piece {
    const char *script;
    size_t printed;
    NodusOutcome outcome;
} Piece;

static NodusStatus run(void *context)
{
    Piece *piece = context;
    const NodusScriptOptions options = {.struct_size = sizeof options, .name = "s.lua", .user = &piece->printed, .print = print};
    NodusStatus error;
    piece->printed = 0;
    piece->outcome = nodus_script_run(engine, piece->script, strlen(piece->script), &options, &error);
    return error;
}

static long next_fault(long n)
{
    const char *all = getenv("NODUS_FAULTS");
    return (all && !strcmp(all, "all")) || n < 40 ? n + 1 : n + n / 24;
}

static void replay(const char *script, bool forever, long *failed)
{
    Piece piece = {.script = script};
    NodusStatus status = run(&piece); /* warms up */
    const NodusOutcome outcome = piece.outcome;
    const size_t printed = piece.printed;
    nodus_error_free(status);
    bool hit = true;
    for (long n = 1; hit; n = next_fault(n)) {
        const long live = atomic_load(&faults.live);
        hit = faults_run(FAULT_OF_ALLOCATION, n, forever, run, &piece, &status);
        if ((piece.outcome == NODUS_SUCCESS) != !status)
            fail_msg("fault %ld: outcome %d, error: %s", n, piece.outcome, status ? nodus_error_message(status) : "none");
        if (status && !*nodus_error_message(status)) fail_msg("fault %ld: an empty message", n);
        if (!hit && (piece.outcome != outcome || piece.printed != printed))
            fail_msg("without faults: %d, %zu bytes", piece.outcome, piece.printed);
        *failed += status != NULL;
        nodus_error_free(status);
        if (FAULTS_COUNT_LIVE && atomic_load(&faults.live) != live)
            fail_msg("%s\nfault %ld: %ld allocations left behind", script, n, atomic_load(&faults.live) - live);
    }
}

static void replay_all(bool forever, long least)
{
    long failed = 0;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) replay(scripts[i], forever, &failed);
    assert_true(failed > least);
    print_message("%ld ended in a message\n", failed);
}

TEST(a_script_survives_one_failed_allocation)
{
    (void)state_;
    replay_all(false, 5);
}

TEST(a_script_survives_memory_that_stays_exhausted)
{
    (void)state_;
    replay_all(true, 200);
}

static int set_up(void **state)
{
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = "/nonexistent", .no_cache = true};
    (void)state;
    return nodus_engine_new(&options, &engine) != NULL;
}

static int tear_down(void **state)
{
    (void)state;
    nodus_engine_free(engine);
    return 0;
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(a_script_survives_one_failed_allocation),
                                       CASE(a_script_survives_memory_that_stays_exhausted)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
