/* guiders.c: the type GUIDER, and the nodes that make one: which conditionings guide a model, and by which rule.
 *
 * One idea: a guider is a note; nothing is evaluated before a sampling. It holds shared copies of its model and lists, so that it
 * outlives the nodes that made them. The rules are in nodes/diffusion/guider.c. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/cost.h"
#include "nodes/objects.h"
#include "nodes/sample.h"

static void guider_free_own(const Guider *guider)
{
    if (guider->own && guider->own->free) guider->own->free(guider->self);
}

/* Payloads are const to all but who frees them. */
static void guider_free(void *payload)
{
    Guider *guider = payload;
    if (guider->model) type_model.free((void *)(uintptr_t)guider->model);
    for (int i = 0; i < GUIDER_LISTS; i++)
        if (guider->list[i]) conditioning_free((void *)(uintptr_t)guider->list[i]);
    guider_free_own(guider);
    memory_free(guider);
}

static void guider_account(const void *payload, NodusAccount *account)
{
    const Guider *guider = payload;
    type_model.account(guider->model, account);
    for (int i = 0; i < GUIDER_LISTS; i++)
        if (guider->list[i]) type_conditioning.account(guider->list[i], account);
}

static NodusStatus guider_print(const void *payload, NodusText *text)
{
    static const char *const names[] = {"guidance", "dual guidance", "nested dual guidance",
                                        "guidance with a perpendicular negative"};
    const Guider *guider = payload;
    if (guider->own) return nodus_print(text, "%s for a diffusion model of %s", guider->own->name, guider->model->origin);
    return nodus_print(text, "%s of %g for a diffusion model of %s", names[guider->rule], guider->cfg, guider->model->origin);
}

const NodusType type_guider = {
    .struct_size = sizeof(NodusType), .name = "GUIDER", .free = guider_free, .account = guider_account, .print = guider_print};

/* A guider of its own from one with borrowed parts, but for the rule's own object, which it takes over. */
static NodusStatus guiders_put(NodusCall *call, uint32_t slot, const Guider *borrowed)
{
    NodusStatus status = values_require(call, "model", borrowed->model->weights, borrowed->model->origin, "diffusion model");
    Guider *guider = status ? NULL : memory_alloc(sizeof *guider);
    if (!guider) {
        guider_free_own(borrowed);
        return status ? status : status_memory();
    }
    *guider = (Guider){
        .rule = borrowed->rule, .cfg = borrowed->cfg, .second = borrowed->second, .own = borrowed->own, .self = borrowed->self};
    bool whole = (guider->model = model_copy(borrowed->model));
    for (int i = 0; i < GUIDER_LISTS && whole; i++)
        if (borrowed->list[i]) whole = (guider->list[i] = conditioning_copy(borrowed->list[i]));
    if (whole) return nodus_emit(call, slot, &type_guider, guider);
    guider_free(guider);
    return status_memory();
}

static NodusStatus guiders_emit(NodusCall *call, const Guider *borrowed)
{
    return guiders_put(call, 0, borrowed);
}

NodusStatus nodus_emit_guider(NodusCall *call, uint32_t slot, const NodusGuiderDef *def, void *self, const void *model,
                              const void *const *conditioning, int count)
{
    Guider guider = {.rule = GUIDER_OWN, .model = model, .cfg = 1, .own = def, .self = self};
    bool whole = model && count >= 1 && count <= GUIDER_LISTS;
    for (int i = 0; whole && i < count; i++) whole = (guider.list[i] = conditioning[i]);
    if (whole) return guiders_put(call, slot, &guider);
    guider_free_own(&guider);
    return nodus_error(NODUS_ERROR_INPUT, "a guider has a model and 1 to %d conditionings", GUIDER_LISTS);
}

typedef struct {
    const Model *model;
    const Conditioning *positive, *negative, *third;
    double cfg, second;
    const char *style;
} GuiderArgs;

/* The facts of a guider are its model's, and how many conditionings it has. The first `heard` of them are used in any case. */
static NodusStatus guiders_infer(NodusCall *call, const NodusFacts *in, const NodusInput *inputs, int heard, int lists,
                                 NodusFacts *out)
{
    for (int i = 1; i <= heard; i++) NODUS_TRY(sample_check_family(call, &in[0], inputs[i].name, &in[i]));
    out[0] = in[0];
    for (int i = 1; i <= lists; i++) out[0].file = cost_files(call, out[0].file, in[i].file);
    out[0].rank = 1;
    out[0].dim[0] = lists;
    return NULL;
}

static const NodusOutput guider_outputs[] = {
    {.name = "GUIDER", .type = "GUIDER", .tooltip = "The guided model, for a custom sampling."}};
#define MODEL                      NODUS_IN_LINK("model", GuiderArgs, model, "MODEL", "The diffusion model that removes the noise.")
#define LIST(name_, field_, help_) NODUS_IN_LINK(name_, GuiderArgs, field_, "CONDITIONING", help_)
#define CFG(name_, field_, help_) \
    NODUS_IN_FLOAT(name_, GuiderArgs, field_, help_, .def = 8, .min = 0, .max = 100, .step = 0.1, .round = 0.01)
#define GUIDER(name_, category_, inputs_) \
    NODUS_NODE(name_, name_, category_, GuiderArgs, inputs_, guider_outputs), .example = "graphs/guiders.json"

/* ---- BasicGuider, CFGGuider ------------------------------------------------------------------------------------------ */

static NodusStatus guiders_basic(NodusCall *call, const void *args)
{
    const GuiderArgs *in = args;
    return guiders_emit(call, &(Guider){.model = in->model, .list = {in->positive}, .cfg = 1});
}

static const NodusInput basic_inputs[] = {MODEL, LIST("conditioning", positive, "What the picture should show.")};

static NodusStatus basic_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    return guiders_infer(call, in, basic_inputs, 1, 1, out);
}

const NodusNode node_basic_guider = {
    GUIDER("BasicGuider", "sampling/custom_sampling/guiders", basic_inputs),
    .help = "Follow one conditioning as it is: for models that need no negative prompt.",
    .run = guiders_basic,
    .infer = basic_infer,
};

static NodusStatus guiders_cfg(NodusCall *call, const void *args)
{
    const GuiderArgs *in = args;
    return guiders_emit(call, &(Guider){.model = in->model, .list = {in->positive, in->negative}, .cfg = in->cfg});
}

static const NodusInput cfg_inputs[] = {
    MODEL,
    LIST("positive", positive, "What the picture should show."),
    LIST("negative", negative, "What it should not show."),
    CFG("cfg", cfg, "How closely the prompt is followed; at 1 the negative prompt is not used."),
};

static NodusStatus cfg_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const GuiderArgs *given = args;
    return guiders_infer(call, in, cfg_inputs, given->cfg == 1 ? 1 : 2, 2, out);
}

const NodusNode node_cfg_guider = {
    GUIDER("CFGGuider", "sampling/custom_sampling/guiders", cfg_inputs),
    .help = "Follow a positive conditioning and turn away from a negative one, as a KSampler does.",
    .run = guiders_cfg,
    .infer = cfg_infer,
};

/* ---- DualCFGGuider --------------------------------------------------------------------------------------------------- */

static NodusStatus guiders_three(NodusCall *call, const GuiderArgs *in, GuiderRule rule)
{
    return guiders_emit(call, &(Guider){.rule = rule,
                                        .model = in->model,
                                        .list = {in->positive, in->negative, in->third},
                                        .cfg = in->cfg,
                                        .second = in->second});
}

static NodusStatus guiders_dual(NodusCall *call, const void *args)
{
    const GuiderArgs *in = args;
    return guiders_three(call, in, in->style[0] == 'n' ? GUIDER_NESTED : GUIDER_DUAL);
}

static const char *const styles[] = {"regular", "nested", NULL};
static const NodusInput dual_inputs[] = {
    MODEL,
    LIST("cond1", positive, "What the picture should show."),
    LIST("cond2", third, "What it starts from: cond1 counts by how it differs from this."),
    LIST("negative", negative, "What it should not show."),
    CFG("cfg_conds", cfg, "How far to go from cond2 to cond1."),
    CFG("cfg_cond2_negative", second, "How far to go from the negative to cond2."),
    NODUS_IN_COMBO(
        "style", GuiderArgs, style,
        "regular: one step from the negative to cond2, and one from cond2 to cond1. nested: from cond2 to cond1 first, "
        "then from the negative to there.",
        .names = styles),
};

static NodusStatus dual_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    return guiders_infer(call, in, dual_inputs, 1, 3, out);
}

const NodusNode node_dual_cfg_guider = {
    GUIDER("DualCFGGuider", "sampling/custom_sampling/guiders", dual_inputs),
    .help = "Follow two conditionings, each with a strength of its own: for models that are told of a picture and a text.",
    .run = guiders_dual,
    .infer = dual_infer,
};

/* ---- PerpNegGuider --------------------------------------------------------------------------------------------------- */

static NodusStatus guiders_perp_neg(NodusCall *call, const void *args)
{
    return guiders_three(call, args, GUIDER_PERP_NEG);
}

static const NodusInput perp_neg_inputs[] = {
    MODEL,
    LIST("positive", positive, "What the picture should show."),
    LIST("negative", negative, "What it should not show."),
    LIST("empty_conditioning", third, "The empty prompt, which both are measured from."),
    CFG("cfg", cfg, "How closely the prompt is followed."),
    NODUS_IN_FLOAT("neg_scale", GuiderArgs, second, "How much the negative counts.", .def = 1, .min = 0, .max = 100,
                   .step = 0.01),
};

static NodusStatus perp_neg_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)args;
    return guiders_infer(call, in, perp_neg_inputs, 1, 3, out);
}

const NodusNode node_perp_neg_guider = {
    GUIDER("PerpNegGuider", "_for_testing", perp_neg_inputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Turn away only from what the negative conditioning does not share with the positive one.",
    .run = guiders_perp_neg,
    .infer = perp_neg_infer,
};
