/* define_sampler.c: samplers of a file of nodes: each sampling has a state of its own. */
#include "lua/define.h"
#include "lua/sampling.h"

static int body(lua_State *L)
{
    lua_getfield(L, 1, "call");
    sampling_push(L);
    lua_call(L, 2, 1);
    if (!tensor_is(L, -1))
        return define_blame(L, "run", "a sampler gives a tensor, not %s",
                            lua_isnil(L, -1) ? "nothing (nil)" : luaL_typename(L, -1));
    sampling_give(L, define_of(L)->out);
    return 0;
}

NodusStatus define_sampler_run(const NodusSampling *sampling, const void *definition, const NodusTensor *x, NodusTensor **out)
{
    const Definition *of = definition;
    DefineRun run = {.body = body, .out = out};
    SamplingCall call = {
        .sampling = sampling, .x = x, .both = of->sampler.flags & NODUS_SAMPLER_NEEDS_UNCOND, .failed = &run.failed};
    run.script.sampling = &call;
    return define_run(&run, definition, sampling->math);
}
