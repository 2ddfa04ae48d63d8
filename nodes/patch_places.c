/* patch_places.c: what patches of plug-ins see of a network while it is built, and of one run of it (nodus/patch.h).
 *
 * One idea: a place has fields that a builder reads after the visit; only those may be set, to values of as many dimensions and
 * items, for builders of ours go by that without looking. */
#include "engine/base/status.h"
#include "engine/tensor/op_public.h"
#include <math.h>
#include <nodus/patch.h>
#include <stdio.h>

_Static_assert((int)NODUS_AT_INPUT_BLOCK == (int)SITE_INPUT_BLOCK &&
                   (int)NODUS_AT_INPUT_AFTER_SKIP == (int)SITE_INPUT_BLOCK_AFTER_SKIP &&
                   (int)NODUS_AT_MIDDLE_BLOCK == (int)SITE_MIDDLE_BLOCK && (int)NODUS_AT_OUTPUT_BLOCK == (int)SITE_OUTPUT_BLOCK &&
                   (int)NODUS_AT_ATTENTION == (int)SITE_ATTENTION &&
                   (int)NODUS_AT_ATTENTION_OUTPUT == (int)SITE_ATTENTION_OUTPUT &&
                   (int)NODUS_AT_MIDDLE_PATCH == (int)SITE_MIDDLE_PATCH && (int)NODUS_AT_EMB == (int)SITE_EMB &&
                   (int)NODUS_AT_ATTENTION_RESULT == (int)SITE_ATTENTION_RESULT,
               "the public numbers of places are those of graph.h");
_Static_assert((int)NODUS_STAGE_INPUT == (int)SITE_STAGE_INPUT && (int)NODUS_STAGE_OUTPUT == (int)SITE_STAGE_OUTPUT,
               "and of stages");

/* ---- Places ---------------------------------------------------------------------------------------------------------- */

int64_t nodus_site_number(const NodusSite *site, NodusSiteNumber which)
{
    switch (which) {
    case NODUS_SITE_KIND: return site->kind;
    case NODUS_SITE_STAGE: return site->stage;
    case NODUS_SITE_BLOCK: return site->block;
    case NODUS_SITE_INDEX: return site->index;
    case NODUS_SITE_HEADS: return site->heads;
    case NODUS_SITE_HEIGHT: return site->height;
    case NODUS_SITE_WIDTH: return site->width;
    case NODUS_SITE_LATENT_HEIGHT: return site->latent_height;
    case NODUS_SITE_LATENT_WIDTH: return site->latent_width;
    }
    return -1;
}

/* NULL: there is no such value. */
static OpRef *place_value(NodusSite *site, NodusSiteValue which)
{
    switch (which) {
    case NODUS_SITE_H: return &site->h;
    case NODUS_SITE_SKIP: return &site->skip;
    case NODUS_SITE_EMB: return &site->emb;
    case NODUS_SITE_Q: return &site->q;
    case NODUS_SITE_K: return &site->k;
    case NODUS_SITE_V: return &site->v;
    case NODUS_SITE_CONTEXT: return &site->context;
    case NODUS_SITE_OUT: return &site->out;
    }
    return NULL;
}

#define BIT(which_) (1u << (which_))
/* What the builder reads after the visit. */
static unsigned place_set(int kind)
{
    const unsigned attention = BIT(NODUS_SITE_Q) | BIT(NODUS_SITE_K) | BIT(NODUS_SITE_V);
    switch (kind) {
    case SITE_OUTPUT_BLOCK: return BIT(NODUS_SITE_H) | BIT(NODUS_SITE_SKIP);
    case SITE_ATTENTION: return attention;
    case SITE_ATTENTION_RESULT: return attention | BIT(NODUS_SITE_OUT);
    case SITE_ATTENTION_OUTPUT: return BIT(NODUS_SITE_OUT);
    case SITE_EMB: return BIT(NODUS_SITE_EMB);
    default: return BIT(NODUS_SITE_H);
    }
}

static const char *const value_name[] = {"H", "SKIP", "EMB", "Q", "K", "V", "CONTEXT", "OUT"};

NodusOpRef nodus_site_get(NodusOpGraph *graph, const NodusSite *site, NodusSiteValue which)
{
    NodusSite copy = *site;
    const OpRef *value = place_value(&copy, which);
    if (!value) nodus_op_fail(graph, "a place has no value of the number %d", (int)which);
    return value ? op_to_public(graph, *value) : NODUS_OP_NONE;
}

void nodus_site_set(NodusOpGraph *graph, NodusSite *site, NodusSiteValue which, NodusOpRef value)
{
    OpRef *field = place_value(site, which);
    if (!field || !(place_set(site->kind) & BIT(which))) {
        nodus_op_fail(graph, "%s cannot be set here: nobody reads it after the patch",
                      field ? value_name[which] : "a value without a name");
        return;
    }
    const OpRef own = op_from_public(graph, value_name[which], value), like = op_is_none(*field) ? site->q : *field;
    if (nodus_op_failed(graph)) return;
    const int axis = graph_rank(graph, like) == 4 ? 1 : -1;
    const int64_t items = graph_dim(graph, like, 0), channels = graph_dim(graph, like, axis);
    if (graph_rank(graph, own) != graph_rank(graph, like) || graph_dim(graph, own, 0) != items ||
        graph_dim(graph, own, axis) != channels)
        nodus_op_fail(graph, "%s has %d dimensions, %lld items, %lld channels here; a patch gave %d, %lld, %lld",
                      value_name[which], graph_rank(graph, like), (long long)items, (long long)channels, graph_rank(graph, own),
                      (long long)graph_dim(graph, own, 0), (long long)graph_dim(graph, own, axis));
    else *field = own;
}

/* ---- One run --------------------------------------------------------------------------------------------------------- */

static NodusStatus bind(NodusBindings *bindings, const char *name, const NodusTensor *tensor)
{
    if (!op_public_name(name)) return nodus_error(NODUS_ERROR_INPUT, "an input without name, or with one that is too long");
    if (!tensor) return nodus_error(NODUS_ERROR_INPUT, "input %s: there is no tensor", name);
    if (bindings->texts >= BINDINGS_OWN)
        return nodus_error(NODUS_ERROR_INPUT, "input %s is one too many: %d are possible in all", name, BINDINGS_OWN);
    char *text = bindings->text[bindings->texts++];
    snprintf(text, BINDINGS_NAME, "%s.%s", bindings->scope ? bindings->scope : "", name);
    bindings_input(bindings, text, tensor);
    return NULL;
}

NodusStatus nodus_bind_tensor(NodusBindings *bindings, const char *name, const NodusTensor *tensor)
{
    return bind(bindings, name, tensor);
}

NodusStatus nodus_bind_number(NodusBindings *bindings, const char *name, double value)
{
    NodusTensor *tensor;
    const float number = (float)value;
    if (!isfinite(number)) return nodus_error(NODUS_ERROR_INPUT, "input %s is not a finite number", name ? name : "without name");
    NODUS_TRY(nodus_tensor_from_f32(bindings->math, &tensor, 1, (const int64_t[]){1}, &number));
    NODUS_TRY(bind(bindings, name, tensor));
    bindings->number[bindings->numbers++] = tensor;
    return NULL;
}
