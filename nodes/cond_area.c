/* cond_area.c: nodes that say where, when and how strongly a conditioning acts: ConditioningSetArea, …SetAreaPercentage,
 * …SetAreaStrength, …SetMask, …SetTimestepRange.
 *
 * One idea: each sets a few fields of every entry; conds_entries.c makes of them what the sampling needs. */
#include "engine/base/status.h"
#include "nodes/cond.h"
#include "nodes/pixels.h"
#include <string.h>

enum { CELL = 8 /* pixels */ };
const char *const cond_areas[] = {"default", "mask bounds", NULL};

#define COND_INPUT(Args) NODUS_IN_LINK("conditioning", Args, conditioning, "CONDITIONING", "What is to act there.")
#define COND_STRENGTH(Args)                                                                                                \
    NODUS_IN_FLOAT("strength", Args, strength,                                                                             \
                   "Its weight against other conditionings of the same place; alone it counts fully.", .def = 1, .min = 0, \
                   .max = 10, .step = 0.01)

/* ---- ConditioningSetArea, ConditioningSetAreaPercentage ------------------------------------------------------------ */

static NodusStatus set_area(NodusCall *call, const Conditioning *conditioning, CondArea area, double strength)
{
    Conditioning *changed = conditioning_copy(conditioning);
    if (!changed) return status_memory();
    for (int i = 0; i < changed->count; i++) {
        Cond *cond = &changed->cond[i];
        cond->area = area;
        cond->strength = strength;
        cond->has = (cond->has | COND_AREA) & ~(unsigned)COND_MASK_BOUNDS;
    }
    return nodus_emit(call, 0, &type_conditioning, changed);
}

typedef struct {
    const Conditioning *conditioning;
    int64_t width, height, x, y;
    double strength;
} AreaArgs;

static NodusStatus cond_set_area(NodusCall *call, const void *args)
{
    const AreaArgs *in = args;
    const CondArea area = {(double)(in->height / CELL), (double)(in->width / CELL), (double)(in->y / CELL),
                           (double)(in->x / CELL), false};
    return set_area(call, in->conditioning, area, in->strength);
}

#define AREA_PIXELS(name_, field_, help_, def_, min_) \
    NODUS_IN_INT(name_, AreaArgs, field_, help_, .def = def_, .min = min_, .max = PIXELS_MAX_SIDE, .step = 8)
static const NodusInput area_inputs[] = {
    COND_INPUT(AreaArgs),
    AREA_PIXELS("width", width, "Width of the rectangle, in pixels.", 64, 64),
    AREA_PIXELS("height", height, "Its height.", 64, 64),
    AREA_PIXELS("x", x, "Its left edge.", 0, 0),
    AREA_PIXELS("y", y, "Its upper edge.", 0, 0),
    COND_STRENGTH(AreaArgs),
};
const NodusNode node_conditioning_set_area = {
    NODUS_NODE("ConditioningSetArea", "Conditioning (Set Area)", "conditioning", AreaArgs, area_inputs, cond_outputs),
    .help = "Limit a conditioning to a rectangle, in pixels: the model is asked about that part alone.",
    .example = "graphs/regional.json",
    .run = cond_set_area,
    .infer = cond_infer,
};

typedef struct {
    const Conditioning *conditioning;
    double width, height, x, y, strength;
} PartArgs;

static NodusStatus cond_set_part(NodusCall *call, const void *args)
{
    const PartArgs *in = args;
    return set_area(call, in->conditioning, (CondArea){in->height, in->width, in->y, in->x, true}, in->strength);
}

#define AREA_PART(name_, field_, help_, def_) \
    NODUS_IN_FLOAT(name_, PartArgs, field_, help_, .def = def_, .min = 0, .max = 1, .step = 0.01)
static const NodusInput part_inputs[] = {
    COND_INPUT(PartArgs),
    AREA_PART("width", width, "Width of the rectangle, as a share of the picture's.", 1),
    AREA_PART("height", height, "Its height.", 1),
    AREA_PART("x", x, "Its left edge.", 0),
    AREA_PART("y", y, "Its upper edge.", 0),
    COND_STRENGTH(PartArgs),
};
const NodusNode node_conditioning_set_area_percentage = {
    NODUS_NODE("ConditioningSetAreaPercentage", "Conditioning (Set Area with Percentage)", "conditioning", PartArgs, part_inputs,
               cond_outputs),
    .help = "Limit a conditioning to a rectangle that is a part of the picture, whatever its size.",
    .example = "graphs/regional.json",
    .run = cond_set_part,
    .infer = cond_infer,
};

/* ---- ConditioningSetAreaStrength ----------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *conditioning;
    double strength;
} StrengthArgs;

static NodusStatus cond_set_strength(NodusCall *call, const void *args)
{
    const StrengthArgs *in = args;
    Conditioning *changed = conditioning_copy(in->conditioning);
    if (!changed) return status_memory();
    for (int i = 0; i < changed->count; i++) changed->cond[i].strength = in->strength;
    return nodus_emit(call, 0, &type_conditioning, changed);
}

static const NodusInput strength_inputs[] = {COND_INPUT(StrengthArgs), COND_STRENGTH(StrengthArgs)};
const NodusNode node_conditioning_set_area_strength = {
    NODUS_NODE("ConditioningSetAreaStrength", "ConditioningSetAreaStrength", "conditioning", StrengthArgs, strength_inputs,
               cond_outputs),
    .help = "Set how much a conditioning counts where several act.",
    .example = "graphs/regional.json",
    .run = cond_set_strength,
    .infer = cond_infer,
};

/* ---- ConditioningSetMask ------------------------------------------------------------------------------------------- */

NodusStatus cond_apply_mask(NodusCall *call, Conditioning *conditioning, const NodusTensor *mask, double strength, bool bounds)
{
    NodusTensor *planes;
    Pixels size;
    NODUS_TRY(pixels_mask(call, "mask", mask, &planes, &size));
    for (int i = 0; i < conditioning->count; i++) {
        Cond *cond = &conditioning->cond[i];
        cond_assign(&cond->mask, planes);
        cond->mask_strength = strength;
        cond->has = bounds ? cond->has | COND_MASK_BOUNDS : cond->has & ~(unsigned)COND_MASK_BOUNDS;
    }
    return NULL;
}

typedef struct {
    const Conditioning *conditioning;
    const NodusTensor *mask;
    double strength;
    const char *set_cond_area;
} MaskArgs;

static NodusStatus cond_set_mask(NodusCall *call, const void *args)
{
    const MaskArgs *in = args;
    Conditioning *changed = conditioning_copy(in->conditioning);
    if (!changed) return status_memory();
    const bool bounds = strcmp(in->set_cond_area, cond_areas[0]) != 0;
    return cond_finish(call, 0, changed, cond_apply_mask(call, changed, in->mask, in->strength, bounds));
}

static const NodusInput mask_inputs[] = {
    COND_INPUT(MaskArgs),
    NODUS_IN_LINK("mask", MaskArgs, mask, "MASK",
                  "Where it acts: 1 fully, 0 not at all. Any size; it is stretched over the picture."),
    COND_STRENGTH(MaskArgs),
    NODUS_IN_COMBO("set_cond_area", MaskArgs, set_cond_area,
                   "default: the model looks at the whole picture; mask bounds: only at the rectangle around the mask.",
                   .names = cond_areas),
};
const NodusNode node_conditioning_set_mask = {
    NODUS_NODE("ConditioningSetMask", "Conditioning (Set Mask)", "conditioning", MaskArgs, mask_inputs, cond_outputs),
    .help = "Limit a conditioning to a mask.",
    .example = "graphs/regional.json",
    .run = cond_set_mask,
    .infer = cond_infer,
};

/* ---- ConditioningSetTimestepRange ---------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *conditioning;
    double start, end;
} RangeArgs;

static NodusStatus cond_set_range(NodusCall *call, const void *args)
{
    const RangeArgs *in = args;
    Conditioning *changed = conditioning_copy(in->conditioning);
    if (!changed) return status_memory();
    for (int i = 0; i < changed->count; i++) changed->cond[i].start = in->start, changed->cond[i].end = in->end;
    return nodus_emit(call, 0, &type_conditioning, changed);
}

static const NodusInput range_inputs[] = {
    COND_INPUT(RangeArgs),
    NODUS_IN_FLOAT("start", RangeArgs, start, "From where on it acts: 0 is the start of the sampling.", .def = 0, .min = 0,
                   .max = 1, .step = 0.001),
    NODUS_IN_FLOAT("end", RangeArgs, end, "To where it acts: 1 is the end.", .def = 1, .min = 0, .max = 1, .step = 0.001),
};
const NodusNode node_conditioning_set_timestep_range = {
    NODUS_NODE("ConditioningSetTimestepRange", "ConditioningSetTimestepRange", "advanced/conditioning", RangeArgs, range_inputs,
               cond_outputs),
    .help = "Use a conditioning in a part of the sampling only: the beginning decides the composition, the end the details.",
    .example = "graphs/regional.json",
    .run = cond_set_range,
    .infer = cond_infer,
};
