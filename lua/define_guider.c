/* define_guider.c: guiders in Lua: a node that gives a GUIDER, and the rule by which that one combines predictions.
 *
 * One idea: the node runs no Lua: it keeps copies of its inputs for the rule, which is called at each step, in a state of its own, so
 * nothing is carried from step to step. */
#include "lua/define.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_LISTS = 8 /* more than there can be */ };

typedef struct Kept {
    const Definition *definition;
    DefineInput input[]; /* texts and values are its own; those of MODEL and CONDITIONING are left out */
} Kept;

static bool is_type(const NodusInput *input, const char *type)
{
    return input->kind == NODUS_LINK && !strcmp(input->type, type);
}

void define_guider_free(void *self)
{
    Kept *kept = self;
    for (uint32_t i = 0; i < kept->definition->node.input_count; i++) {
        free((void *)(uintptr_t)kept->input[i].text);
        nodus_value_unref(kept->input[i].value);
    }
    free(kept);
}

/* Copies of the inputs; NULL when out of memory. */
static Kept *keep(NodusCall *call, const Definition *definition, const void *args)
{
    const NodusNode *node = &definition->node;
    bool whole = true;
    Kept *kept = calloc(1, sizeof *kept + node->input_count * sizeof *kept->input);
    if (!kept) return NULL;
    kept->definition = definition;
    define_read_inputs(call, node, args, kept->input);
    for (uint32_t i = 0; i < node->input_count; i++) {
        DefineInput *input = &kept->input[i];
        const bool given = is_type(&node->inputs[i], "MODEL") || is_type(&node->inputs[i], "CONDITIONING");
        input->value = input->value && !given ? nodus_value_ref(input->value) : NULL;
        const char *text = input->text;
        if (text) whole = (input->text = strdup(text)) && whole;
    }
    if (whole) return kept;
    define_guider_free(kept);
    return NULL;
}

NodusStatus define_guider_run(NodusCall *call, const void *args)
{
    const Definition *definition = nodus_call_data(call);
    const NodusNode *node = &definition->node;
    const void *model = NULL, *list[MOST_LISTS];
    int count = 0;
    Kept *kept = keep(call, definition, args);
    if (!kept) return nodus_error(NODUS_ERROR_MEMORY, "no memory for a guider");
    for (uint32_t i = 0; i < node->input_count; i++) {
        NodusValue *value = nodus_input_value(call, i);
        if (is_type(&node->inputs[i], "MODEL") && value) model = nodus_value_payload(value);
        if (is_type(&node->inputs[i], "CONDITIONING") && value && count < MOST_LISTS) list[count++] = nodus_value_payload(value);
    }
    return nodus_emit_guider(call, 0, &definition->guider, kept, model, list, count);
}

/* The facts of a guider are its model's, and how many conditionings it has. */
NodusStatus define_guider_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const NodusNode *node = &((const Definition *)nodus_call_data(call))->node;
    int64_t lists = 0;
    (void)args;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (is_type(&node->inputs[i], "MODEL")) out[0] = in[i];
        lists += is_type(&node->inputs[i], "CONDITIONING");
    }
    out[0].rank = 1;
    out[0].dim[0] = lists;
    return NULL;
}

/* ---- A step ------------------------------------------------------------------------------------------------------------ */

/* Calls with the predictions by the names of their inputs, and with the other inputs. */
static int body(lua_State *L)
{
    const DefineRun *run = define_of(L);
    const NodusNode *node = &run->definition->node;
    const NodusGuiding *guiding = run->guiding;
    int list = 0;
    lua_getfield(L, 1, "call");
    lua_newtable(L);
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (!is_type(&node->inputs[i], "CONDITIONING") || list == guiding->predictions) continue;
        tensor_push(L, guiding->prediction[list++]);
        lua_setfield(L, -2, node->inputs[i].name);
    }
    tensor_push(L, guiding->x);
    lua_setfield(L, -2, "x");
    value_set_number(L, "sigma", (double)guiding->sigma);
    define_push_inputs(L, node, run->inputs);
    lua_call(L, 2, 1);
    if (!tensor_is(L, -1))
        return define_blame(L, "guide", "a guider gives a tensor, not %s", lua_isnil(L, -1) ? "nothing (nil)" : luaL_typename(L, -1));
    define_try(L, define_give(guiding->math, define_like(L, -1, "what the guider gives", guiding->x), run->out));
    return 0;
}

NodusStatus define_guider_guide(const void *self, const NodusGuiding *guiding, NodusTensor **out)
{
    const Kept *kept = self;
    DefineRun run = {.body = body, .guiding = guiding, .inputs = kept->input, .x = guiding->x, .out = out};
    return define_run(&run, kept->definition, guiding->math);
}
