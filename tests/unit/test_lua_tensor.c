/* test_lua_tensor.c: tensor functions of scripts against naive twins in Lua tables, on random shapes; and that they cannot be misused.
 *
 * One idea: the twin walks over all places with one function of Lua, so a wrong axis, stride or repetition shows as another number. */
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(lab_open(&lab, NULL))

static NodusOutcome run(const char *source, size_t memory, NodusStatus *error)
{
    const NodusScriptOptions options = {.struct_size = sizeof options, .name = "s.lua", .memory = memory, .seconds = 30};
    return nodus_script_run(lab.engine, source, strlen(source), &options, error);
}

/* A random tensor as a flat table with its shape; places in order; what two tensors must have in common. */
static const char prelude[] =
    "local n = require 'nodus' local unpack = table.unpack\n"
    "local function near(a, b, what) if not (a == b or a ~= a and b ~= b or math.abs(a - b) <= 2e-6 * (1 + math.abs(b))) then\n"
    "  error(what .. ': ' .. a .. ' is not ' .. b) end end\n"
    "local function count(shape) local c = 1 for _, d in ipairs(shape) do c = c * d end return c end\n"
    "local function random(shape) local t = {} for i = 1, count(shape) do t[i] = n.tensor{ math.random() * 4 - 2 }[1] end return n.tensor(t, shape), t end\n"
    "local function shape(rank) local s = {} for i = 1, rank do s[i] = math.random(1, 4) end return s end\n"
    "local function narrow(s) local r = {} for i, d in ipairs(s) do r[i] = math.random() < 0.4 and 1 or d end return r end\n"
    "local function at(t, s, place) local i = 0 for k = 1, #s do i = i * s[k] + (s[k] == 1 and 0 or place[k] - 1) end return t[i + 1] end\n"
    "local function each(s, f) local p = {} local function go(k) if k > #s then return f(p) end\n"
    "  for i = 1, s[k] do p[k] = i go(k + 1) end end go(1) end\n"
    "local function flat(x) return x:reshape{ x:count() }:totable() end\n"
    "local function check(got, s, f, what)\n"
    "  local have = got:shape() assert(table.concat(have, ' ') == table.concat(s, ' '), what .. ': shape ' .. table.concat(have, ' '))\n"
    "  local t = flat(got) each(s, function(p) near(at(t, s, p), f(p), what) end) end\n";

static void expect(const char *script)
{
    char text[16384];
    NodusStatus error;
    assert_true((size_t)snprintf(text, sizeof text, "%s%s", prelude, script) < sizeof text);
    const NodusOutcome outcome = run(text, 0, &error);
    if (error) fail_msg("%s", nodus_error_message(error));
    assert_int_equal(outcome, NODUS_SUCCESS);
}

static void expect_error(const char *script, const char *piece)
{
    char text[16384];
    NodusStatus error;
    assert_true((size_t)snprintf(text, sizeof text, "%s%s", prelude, script) < sizeof text);
    run(text, 48 << 20, &error);
    if (!error) fail_msg("%s\nsucceeded", script);
    if (!strstr(nodus_error_message(error), piece)) fail_msg("%s\nfailed with: %s\nexpected: %s", script, nodus_error_message(error), piece);
    nodus_error_free(error);
}

TEST(functions_of_one_number)
{
    expect("for _ = 1, 20 do local s = shape(math.random(1, 5)) local x, t = random(s)\n"
           "  for name, f in pairs{ abs = math.abs, sqrt = function(v) return v < 0 and 0/0 or v ^ 0.5 end, exp = math.exp,\n"
           "    log = function(v) return v < 0 and 0/0 or math.log(v) end, floor = math.floor,\n"
           "    round = function(v) local r = math.floor(v + 0.5) return v + 0.5 == r and r % 2 == 1 and r - 1 or r end } do\n"
           "    check(x[name](x), s, function(p) return f(at(t, s, p)) end, name) end end\n"
           "assert(n.tensor{ 0.5, 1.5, -2.5 }:round() == n.tensor{ 0, 2, -2 })");
}

/* Also a pair of which neither fits into the other, and numbers on either side. */
TEST(arithmetic_repeats_axes_of_one)
{
    expect("local function bit(v) return v and 1 or 0 end\n"
           "local calls = { add = function(a, b) return a + b end, sub = function(a, b) return a - b end, mul = function(a, b) return a * b end,\n"
           "  div = function(a, b) return a / b end, maximum = function(a, b) return a:maximum(b) end, minimum = function(a, b) return a:minimum(b) end,\n"
           "  gt = function(a, b) return a:gt(b) end, ge = function(a, b) return a:ge(b) end, lt = function(a, b) return a:lt(b) end,\n"
           "  le = function(a, b) return a:le(b) end, eq = function(a, b) return a:eq(b) end }\n"
           "local twins = { add = calls.add, sub = calls.sub, mul = calls.mul, div = calls.div, maximum = math.max, minimum = math.min,\n"
           "  gt = function(a, b) return bit(a > b) end, ge = function(a, b) return bit(a >= b) end, lt = function(a, b) return bit(a < b) end,\n"
           "  le = function(a, b) return bit(a <= b) end, eq = function(a, b) return bit(a == b) end }\n"
           "for _ = 1, 20 do local s = shape(math.random(1, 5)) local sa, sb = narrow(s), narrow(s)\n"
           "  for i = 1, #s do s[i] = math.max(sa[i], sb[i]) end\n"
           "  local a, ta = random(sa) local b, tb = random(sb) local k = tb[1]\n"
           "  for name, f in pairs(calls) do local g = twins[name]\n"
           "    check(f(a, b), s, function(p) return g(at(ta, sa, p), at(tb, sb, p)) end, name)\n"
           "    check(f(a, k), sa, function(p) return g(at(ta, sa, p), k) end, name .. ' number')\n"
           "    if name == 'add' or name == 'sub' or name == 'mul' or name == 'div' then\n"
           "      check(f(k, a), sa, function(p) return g(k, at(ta, sa, p)) end, 'number ' .. name) end end\n"
           "  check(a:abs() ^ b, s, function(p) return math.abs(at(ta, sa, p)) ^ at(tb, sb, p) end, 'pow')\n"
           "  check(2 ^ a, sa, function(p) return 2 ^ at(ta, sa, p) end, 'number pow')\n"
           "  check(n.lincomb(0.5, a, -2, a), sa, function(p) return -1.5 * at(ta, sa, p) end, 'lincomb') end\n");
}

/* The bits that the operation on whole tensors gives: no reciprocal that rounds, no lost sign of 0. */
TEST(a_number_gives_the_bits_of_a_tensor)
{
    expect("local x = random{ 1000 } x = n.concat{ x, n.tensor{ 0, -0.0, 1e-40, -3e38, 1/0, -1/0 } }\n"
           "local function same(a, b) assert(a == b) assert((1 / a) == (1 / b)) end\n"
           "for _, k in ipairs{ 3, 0.1, -7.3, 0.5, -4, 2 ^ -90, 1e-30, 1e30, 2 ^ 100 } do local w = n.full({ x:count() }, k)\n"
           "  local finite = x:slice(1, 1, 1004) local v = n.full({ 1004 }, k)\n"
           "  same(finite * k, finite * v) same(finite / k, finite / v) same(finite + k, finite + v) same(finite - k, finite - v) same(k - finite, v - finite)\n"
           "  assert((x / k):eq(x / w):sum() == x:count())\n"
           "end");
}

TEST(reductions_keep_their_axis)
{
    expect("for _ = 1, 30 do local s = shape(math.random(1, 5)) if math.random() < 0.2 then s[#s] = 150 end\n"
           "  local x, t = random(s) local axis = math.random(1, #s) local r = { unpack(s) } r[axis] = 1\n"
           "  local function along(p, f) local q, best = { unpack(p) } for i = 1, s[axis] do q[axis] = i best = f(best, at(t, s, q), i) end return best end\n"
           "  local function sum(p) return along(p, function(b, v) return (b or 0) + v end) end\n"
           "  check(x:sum(axis), r, sum, 'sum') check(x:mean(axis - #s - 1), r, function(p) return sum(p) / s[axis] end, 'mean')\n"
           "  check(x:max(axis), r, function(p) return along(p, function(b, v) return math.max(b or v, v) end) end, 'max')\n"
           "  check(x:min(axis), r, function(p) return along(p, function(b, v) return math.min(b or v, v) end) end, 'min')\n"
           "  local place = function(sign) return function(p) local best, k\n"
           "    along(p, function(_, v, i) if not best or sign * v > best then best, k = sign * v, i end end) return k end end\n"
           "  check(x:argmax(axis), r, place(1), 'argmax') check(x:argmin(axis), r, place(-1), 'argmin') end\n"
           "assert(n.tensor{ 1, 3, 0/0, 5 }:argmax(1)[1] == 3)");
}

TEST(places_are_chosen_and_turned)
{
    expect("for _ = 1, 20 do local s = shape(math.random(1, 5)) local x, t = random(s) local axis, places, r = math.random(1, #s), {}, { unpack(s) }\n"
           "  for i = 1, math.random(1, 6) do places[i] = math.random(1, s[axis]) end r[axis] = #places\n"
           "  local function there(p, i) local q = { unpack(p) } q[axis] = i return at(t, s, q) end\n"
           "  check(x:take(axis, places), r, function(p) return there(p, places[p[axis]]) end, 'take')\n"
           "  check(x:flip(axis), s, function(p) return there(p, s[axis] + 1 - p[axis]) end, 'flip') end\n"
           "assert(n.tensor{ 1, 2, 3 }:take(1, { -1 })[1] == 3)");
}

TEST(matrices_and_measures)
{
    expect("for _ = 1, 20 do local s = shape(math.random(2, 5)) local k, m = #s, s[#s] s[k - 1] = math.random(1, 9)\n"
           "  local sb, r = { unpack(s) }, { unpack(s) } sb[k - 1], sb[k], r[k] = m, math.random(1, 70), 0 r[k] = sb[k]\n"
           "  local a, ta = random(s) local b, tb = random(sb)\n"
           "  check(a:matmul(b), r, function(p) local sum = 0 for i = 1, m do local u, v = { unpack(p) }, { unpack(p) } u[k], v[k - 1] = i, i\n"
           "    sum = sum + at(ta, s, u) * at(tb, sb, v) end return sum end, 'matmul')\n"
           "  local c, tc = random(s) local sum, square = 0, 0 for i, v in ipairs(ta) do sum = sum + (v - tc[i]) ^ 2 square = square + v * v end\n"
           "  near(a:mse(c), sum / #ta, 'mse') near(a:norm(), square ^ 0.5, 'norm') near(a:psnr(c, 2), 10 * math.log(4 / a:mse(c), 10), 'psnr') end");
}

TEST(misuse_is_a_message)
{
    expect_error("n.full({ 2, 3 }, 1):take(2, { 4 })", "there is no place 4 on an axis of length 3");
    expect_error("n.full({ 2, 3 }, 1):take(2, {})", "take is given 1 to");
    expect_error("n.full({ 2, 3 }, 1):matmul(n.full({ 2, 3 }, 1))", "a product of matrices takes");
    expect_error("local x = n.full({ 2000, 2000 }, 1) x:matmul(x)", "too large");
    expect_error("n.full({ 2, 3 }, 1):mse(n.full({ 3, 2 }, 1))", "of one shape");
    expect_error("n.full({ 2, 3 }, 1):maximum(n.full({ 2, 4 }, 1))", "axis 2 of one tensor is 3 long, of the other 4");
    expect_error("return n.full({ 2, 4 }, 1) - n.full({ 2, 3 }, 1)", "axis 2 of one tensor is 4 long, of the other 3");
    expect_error("n.full({ 2, 3 }, 1):maximum(n.full({ 6 }, 1))", "reshape one");
    expect_error("n.full({ 2, 3 }, 1):maximum('x')", "number expected");
    expect_error("n.full({ 2, 0 }, 1):max(2)", "an axis of length 0 has no max");
    expect_error("n.full({ 2, 3 }, 1):sum(3)", "there is no axis 3");
    expect_error("local _ = n.full({ 1000, 1 }, 1) * n.full({ 1, 100000 }, 1)", "not enough memory");
    expect_error("n.full({ 1000, 1 }, 1):gt(n.full({ 1, 100000 }, 1))", "not enough memory");
    expect_error("local t = {} for i = 1, 1000000 do t[i] = 1 end n.full({ 1, 100 }, 1):take(1, t)", "not enough memory");
}

/* Tensors that nothing holds are collected before they are many, whatever made them. */
TEST(results_that_are_dropped_do_not_pile_up)
{
    expect("local x, most = n.full({ 1, 256, 1024 }, 0.5), 0\n"
           "for i = 1, 300 do local y = i % 3 == 0 and x:slice(2, 1, 200) or i % 3 == 1 and x:permute{ 2, 1, 3 } or x:flip(2)\n"
           "  most = math.max(most, collectgarbage 'count') end\n"
           "if most > 64 * 1024 then error('held ' .. most) end");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(functions_of_one_number),      CASE(arithmetic_repeats_axes_of_one), CASE(a_number_gives_the_bits_of_a_tensor),
        CASE(reductions_keep_their_axis),   CASE(places_are_chosen_and_turned),   CASE(matrices_and_measures),
        CASE(misuse_is_a_message),          CASE(results_that_are_dropped_do_not_pile_up)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
