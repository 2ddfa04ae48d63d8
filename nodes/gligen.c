/* gligen.c: nodes that place things in boxes: GLIGENLoader, GLIGENTextBoxApply.
 *
 * One idea: as for ControlNets, applying is a note on the entries of a conditioning (nodes/diffusion/boxes.h). */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/cond.h"
#include "nodes/diffusion/boxes.h"
#include "nodes/gligen.h"
#include "nodes/cost.h"
#include "nodes/model_file.h"
#include "nodes/text_encode.h"

/* ---- GLIGEN ----------------------------------------------------------------------------------------------------------------- */

static void gligen_free(void *payload)
{
    Gligen *gligen = payload;
    weights_unref(gligen->weights);
    memory_free(gligen->origin);
    memory_free(gligen);
}

static NodusStatus gligen_print(const void *payload, NodusText *text)
{
    return nodus_print(text, "GLIGEN %s", ((const Gligen *)payload)->origin);
}

const NodusType type_gligen = {.struct_size = sizeof(NodusType), .name = "GLIGEN", .free = gligen_free, .print = gligen_print};

typedef struct {
    const char *name;
} LoadArgs;

static NodusStatus gligen_load(NodusCall *call, const void *args)
{
    const LoadArgs *in = args;
    const char *path;
    NODUS_TRY(nodus_find_file(call, "gligen", in->name, &path));
    Gligen *gligen = memory_alloc(sizeof *gligen);
    if (!gligen) return status_memory();
    NodusStatus status = model_file_open(path, &gligen->weights);
    if (!status) status = gligen_config(gligen->weights, &gligen->config);
    gligen->origin = memory_text(in->name);
    if (!status) return nodus_emit(call, 0, &type_gligen, gligen);
    gligen_free(gligen);
    return nodus_error_prefix(status, "'%s'", in->name);
}

static NodusStatus gligen_load_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const LoadArgs *in = args;
    return model_file_hash(call, "gligen", in->name, hash);
}

static NodusStatus gligen_load_cost(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out)
{
    const LoadArgs *given = args;
    (void)in;
    return cost_file(call, "gligen", given->name, out);
}

static const NodusInput load_inputs[] = {
    NODUS_IN_COMBO("gligen_name", LoadArgs, name, "A file of models/gligen.", .folder = "gligen"),
};
static const NodusOutput load_outputs[] = {{.name = "GLIGEN", .type = "GLIGEN", .tooltip = "What places things in boxes."}};
const NodusNode node_gligen_loader = {
    NODUS_NODE("GLIGENLoader", "GLIGENLoader", "loaders", LoadArgs, load_inputs, load_outputs),
    .flags = NODUS_IO,
    .help = "Open a GLIGEN model: layers for SD1 that place things in boxes.",
    .example = "graphs/gligen.json",
    .run = gligen_load,
    .fingerprint = gligen_load_fingerprint,
    .cost = gligen_load_cost,
};

/* ---- GLIGENTextBoxApply ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *conditioning;
    const Clip *clip;
    const Gligen *gligen;
    const char *text;
    int64_t width, height, x, y;
} BoxArgs;

enum { CELL = 8 };

static NodusStatus put(const BoxArgs *in, const NodusTensor *pooled, Conditioning *conditioning)
{
    for (int i = 0; i < conditioning->count; i++) {
        Cond *cond = &conditioning->cond[i];
        BoxUse *use = box_use(in->gligen, pooled, in->height / CELL, in->width / CELL, in->y / CELL, in->x / CELL, cond->boxes);
        if (!use) return status_memory();
        box_unref(cond->boxes);
        cond->boxes = use;
    }
    return NULL;
}

static NodusStatus box_apply(NodusCall *call, const void *args)
{
    const BoxArgs *in = args;
    NodusTensor *text, *pooled;
    NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
    NODUS_TRY(text_encode(call, in->clip, in->text, NULL, &text, &pooled));
    Conditioning *changed = conditioning_copy(in->conditioning);
    if (!changed) return status_memory();
    return cond_finish(call, 0, changed, put(in, pooled, changed));
}

static NodusStatus box_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const BoxArgs *in = args;
    return text_fingerprint(call, in->text, hash);
}

#define SIDE(name_, help_, def_, min_) NODUS_IN_INT(#name_, BoxArgs, name_, help_, .def = def_, .min = min_, .max = 16384, .step = 8)
static const NodusInput box_inputs[] = {
    NODUS_IN_LINK("conditioning_to", BoxArgs, conditioning, "CONDITIONING", "The conditioning of the whole picture."),
    NODUS_IN_LINK("clip", BoxArgs, clip, "CLIP", "The text encoder."),
    NODUS_IN_LINK("gligen_textbox_model", BoxArgs, gligen, "GLIGEN", "What places things in boxes."),
    NODUS_IN_STRING("text", BoxArgs, text, "What the box is to show.", .multiline = true, .dynamic = true),
    SIDE(width, "Width of the box in pixels.", 64, 8),
    SIDE(height, "Height of the box in pixels.", 64, 8),
    SIDE(x, "How far its left edge is from that of the picture.", 0, 0),
    SIDE(y, "How far its upper edge is from that of the picture.", 0, 0),
};
const NodusNode node_gligen_text_box_apply = {
    NODUS_NODE("GLIGENTextBoxApply", "GLIGENTextBoxApply", "conditioning/gligen", BoxArgs, box_inputs, cond_outputs),
    .help = "Say what a box of the picture should show. Several boxes can be put on one after the other, up to thirty.",
    .example = "graphs/gligen.json",
    .run = box_apply,
    .fingerprint = box_fingerprint,
    .infer = cond_infer,
};
