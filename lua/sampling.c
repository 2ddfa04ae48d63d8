/* sampling.c: the callbacks of a sampling (nodus/diffusion.h) as functions of Lua: for samplers in files of nodes, and for those
 * that are functions of a script.
 *
 * One idea: whatever a sampling gives is taken over by Lua at once and given back to the sampling's scratch list, so that memory
 * is held by what the function still names. Lua's collector does not see tensors, so it is told to work when enough of them have
 * passed by. The network is given only tensors of the shape that the sampling began with. */
#include "lua/sampling.h"
#include "lua/define.h"
#include "lua/run.h"
#include <math.h>
#include <stdio.h>

enum { GARBAGE = 4 << 20 /* bytes of tensors that may lie about */ };

static const SamplingCall *call_of(lua_State *L)
{
    const SamplingCall *call = script_of(L)->sampling;
    if (!call) script_error(L, "this sampling is over");
    return call;
}

static const NodusSampling *sampling_of(lua_State *L)
{
    return call_of(L)->sampling;
}

void sampling_try(lua_State *L, NodusStatus status)
{
    enum { LONGEST_MESSAGE = 2000 };
    char message[LONGEST_MESSAGE];
    if (!status) return;
    NodusStatus *failed = call_of(L)->failed;
    snprintf(message, sizeof message, "%s", nodus_error_message(status));
    if (*failed) nodus_error_free(status);
    else *failed = status;
    script_error(L, "%s", message);
}

/* Pushes what a callback made. */
static void take(lua_State *L, NodusTensor *tensor)
{
    Script *script = script_of(L);
    if (script->garbage > GARBAGE) {
        script->garbage = 0;
        lua_gc(L, LUA_GCCOLLECT, 0);
    }
    tensor_push(L, tensor);
    nodus_tensor_release(sampling_of(L)->math, tensor);
}

static float sigma_at(lua_State *L, int index, float least)
{
    const float sigma = (float)luaL_checknumber(L, index);
    if (!isfinite(sigma) || sigma < least) script_error(L, "a sigma is a number above 0, not %g", (double)sigma);
    return sigma;
}

/* Time in the network is not the script's. */
static void pause_clock(Script *script)
{
    script->spent += script_clock() - script->since;
}

/* Where the sampling is a script's own, its events wait on the same thread. */
static void hear(lua_State *L)
{
    Script *script = script_of(L);
    const SamplingCall *call = script->sampling;
    if (!script->runs) return;
    pause_clock(script);
    script->sampling = NULL; /* not for functions of events */
    run_hear(L);
    script->sampling = call;
    script->since = script_clock();
}

/* denoise(x, sigma) → x0[, the unconditional prediction, where the sampler needs it] */
static int sampling_denoise(lua_State *L)
{
    const NodusSampling *s = sampling_of(L);
    Script *script = script_of(L);
    const NodusTensor *x = define_like(L, 1, "x", call_of(L)->x);
    const float sigma = sigma_at(L, 2, 1e-12f);
    const bool both = call_of(L)->both;
    NodusTensor *denoised = NULL, *uncond = NULL;
    pause_clock(script);
    NodusStatus status = s->denoise(s->context, x, sigma, &denoised, both ? &uncond : NULL);
    script->since = script_clock();
    sampling_try(L, status);
    hear(L);
    take(L, denoised);
    if (!uncond) return 1;
    take(L, uncond);
    return 2;
}

/* noise(from, to): of a step */
static int sampling_noise(lua_State *L)
{
    const NodusSampling *s = sampling_of(L);
    const float from = sigma_at(L, 1, 0), to = sigma_at(L, 2, 0);
    float low = s->sigmas[0], high = s->sigmas[0];
    for (int i = 1; i <= s->steps; i++) low = fminf(low, s->sigmas[i]), high = fmaxf(high, s->sigmas[i]);
    if (from == to || fminf(from, to) < low || fmaxf(from, to) > high)
        return script_error(L, "noise is for a step between two sigmas of the sampling, not from %g to %g", (double)from,
                            (double)to);
    NodusTensor *noise = NULL;
    sampling_try(L, s->noise(s->context, from, to, &noise));
    take(L, noise);
    return 1;
}

/* add_noise(x, noise, sigma) */
static int sampling_add_noise(lua_State *L)
{
    const NodusSampling *s = sampling_of(L);
    const NodusTensor *like = call_of(L)->x, *x = define_like(L, 1, "x", like), *noise = define_like(L, 2, "the noise", like);
    NodusTensor *out = NULL;
    sampling_try(L, s->add_noise(s->context, x, noise, sigma_at(L, 3, 0), &out));
    take(L, out);
    return 1;
}

/* draw(): unit noise of the latent's shape, behind the noise that the sampling began with */
static int sampling_draw(lua_State *L)
{
    const NodusSampling *s = sampling_of(L);
    const NodusTensor *like = call_of(L)->x;
    int64_t dim[NODUS_MAX_RANK];
    NodusTensor *out = NULL;
    for (int i = 0; i < nodus_tensor_rank(like); i++) dim[i] = nodus_tensor_dim(like, i);
    script_room(L, (uint64_t)nodus_tensor_count(like) * sizeof(float));
    sampling_try(L, s->draw(s->context, nodus_tensor_rank(like), dim, &out));
    take(L, out);
    return 1;
}

/* step_done(step, x, denoised): from 1 */
static int sampling_step_done(lua_State *L)
{
    const NodusSampling *s = sampling_of(L);
    const NodusTensor *like = call_of(L)->x;
    const lua_Integer step = luaL_checkinteger(L, 1);
    if (step < 1 || step > s->steps)
        return script_error(L, "there is no step %lld: the sampling has %d", (long long)step, s->steps);
    const NodusTensor *x = define_like(L, 2, "x", like), *denoised = define_like(L, 3, "the prediction", like);
    sampling_try(L, s->step_done(s->context, (int)step - 1, x, denoised));
    hear(L);
    return 0;
}

static int sampling_percent_sigma(lua_State *L)
{
    const NodusSampling *s = sampling_of(L);
    const double percent = luaL_checknumber(L, 1);
    if (!(percent >= 0 && percent <= 1)) return script_error(L, "a place in the sampling is 0 to 1");
    lua_pushnumber(L, (double)s->percent_sigma(s->context, percent));
    return 1;
}

void sampling_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"denoise", sampling_denoise},
                                         {"noise", sampling_noise},
                                         {"add_noise", sampling_add_noise},
                                         {"draw", sampling_draw},
                                         {"step_done", sampling_step_done},
                                         {"percent_sigma", sampling_percent_sigma},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

void sampling_push(lua_State *L)
{
    const SamplingCall *call = call_of(L);
    const NodusSampling *s = call->sampling;
    lua_createtable(L, 0, 4);
    value_set_int(L, "steps", s->steps);
    value_set_int(L, "seed", (int64_t)s->seed);
    lua_pushboolean(L, s->flow);
    lua_setfield(L, -2, "flow");
    lua_createtable(L, s->steps + 1, 0);
    for (int i = 0; i <= s->steps; i++) {
        lua_pushnumber(L, (double)s->sigmas[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "sigmas");
    tensor_push(L, call->x);
}

void sampling_give(lua_State *L, NodusTensor **out)
{
    const SamplingCall *call = call_of(L);
    sampling_try(L, define_give(call->sampling->math, define_like(L, -1, "what the sampler gives", call->x), out));
}
