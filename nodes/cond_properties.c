/* cond_properties.c: nodes that set several properties of one or two conditionings at once: ConditioningTimestepsRange,
 * ConditioningSetProperties and its relatives, …SetDefaultCombine, PairConditioningCombine.
 *
 * One idea: "and combine" puts the changed entries behind those of another conditioning; a pair does to positive and negative the
 * same. Hooks are taken by their type, which no node makes yet. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/cond.h"
#include <string.h>

/* ---- ConditioningTimestepsRange ------------------------------------------------------------------------------------ */

static void range_free(void *payload)
{
    memory_free(payload);
}

static NodusStatus range_print(const void *payload, NodusText *text)
{
    const TimestepsRange *range = payload;
    return nodus_print(text, "from %g to %g of the sampling", range->start, range->end);
}

static NodusStatus range_store(const void *payload, NodusWriter *writer)
{
    const TimestepsRange *range = payload;
    NODUS_TRY(nodus_write_double(writer, range->start));
    return nodus_write_double(writer, range->end);
}

static NodusStatus range_load(NodusReader *reader, void **payload)
{
    TimestepsRange read, *range;
    NODUS_TRY(nodus_read_double(reader, &read.start));
    NODUS_TRY(nodus_read_double(reader, &read.end));
    range = memory_alloc(sizeof *range);
    if (!range) return status_memory();
    *range = read;
    *payload = range;
    return NULL;
}

const NodusType type_timesteps_range = {.struct_size = sizeof(NodusType),
                                        .name = "TIMESTEPS_RANGE",
                                        .free = range_free,
                                        .print = range_print,
                                        .store = range_store,
                                        .load = range_load};

typedef struct {
    double start, end;
} RangeArgs;

static NodusStatus range_emit(NodusCall *call, uint32_t slot, double start, double end)
{
    TimestepsRange *range = memory_alloc(sizeof *range);
    if (!range) return status_memory();
    *range = (TimestepsRange){start, end};
    return nodus_emit(call, slot, &type_timesteps_range, range);
}

static NodusStatus range_make(NodusCall *call, const void *args)
{
    const RangeArgs *in = args;
    NODUS_TRY(range_emit(call, 0, in->start, in->end));
    NODUS_TRY(range_emit(call, 1, 0, in->start));
    return range_emit(call, 2, in->end, 1);
}

static const NodusInput range_inputs[] = {
    NODUS_IN_FLOAT("start_percent", RangeArgs, start, "Where it begins: 0 is the start of the sampling.", .def = 0, .min = 0,
                   .max = 1, .step = 0.001),
    NODUS_IN_FLOAT("end_percent", RangeArgs, end, "Where it ends: 1 is the end.", .def = 1, .min = 0, .max = 1, .step = 0.001),
};
static const NodusOutput range_outputs[] = {
    {.name = "TIMESTEPS_RANGE", .type = "TIMESTEPS_RANGE", .tooltip = "That part."},
    {.name = "BEFORE_RANGE", .type = "TIMESTEPS_RANGE", .tooltip = "What comes before it."},
    {.name = "AFTER_RANGE", .type = "TIMESTEPS_RANGE", .tooltip = "What comes after it."},
};
const NodusNode node_conditioning_timesteps_range = {
    NODUS_NODE("ConditioningTimestepsRange", "Timesteps Range", "advanced/hooks", RangeArgs, range_inputs, range_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Name a part of the sampling, and what is before and after.",
    .example = "graphs/regional_pair.json",
    .run = range_make,
};

/* ---- Setting properties -------------------------------------------------------------------------------------------- */

typedef struct {
    const Conditioning *cond, *positive, *negative;             /* what is combined with */
    const Conditioning *cond_new, *positive_new, *negative_new; /* what is changed, or added */
    double strength;
    const char *set_cond_area;
    const NodusTensor *mask;
    const void *hooks;
    const TimestepsRange *timesteps;
} PropertyArgs;

/* A changed copy; behind the entries of `with`, unless that is NULL. */
static NodusStatus properties_make(NodusCall *call, const PropertyArgs *in, const char *input, const Conditioning *given,
                                   const Conditioning *with, Conditioning **out)
{
    Conditioning *changed = conditioning_copy(given);
    NodusStatus status = NULL;
    if (!changed) return status_memory();
    if (in->mask) status = cond_apply_mask(call, changed, in->mask, in->strength, strcmp(in->set_cond_area, cond_areas[0]) != 0);
    for (int i = 0; in->timesteps && i < changed->count; i++) {
        changed->cond[i].start = in->timesteps->start;
        changed->cond[i].end = in->timesteps->end;
    }
    *out = changed;
    if (!status && with) {
        status = cond_join(call, input, with, changed, out);
        conditioning_free(changed);
    } else if (status) {
        conditioning_free(changed);
    }
    return status;
}

static NodusStatus properties_emit(NodusCall *call, const PropertyArgs *in, uint32_t slot, const char *input,
                                   const Conditioning *given, const Conditioning *with)
{
    Conditioning *changed;
    NODUS_TRY(properties_make(call, in, input, given, with, &changed));
    return nodus_emit(call, slot, &type_conditioning, changed);
}

static NodusStatus cond_set_properties(NodusCall *call, const void *args)
{
    const PropertyArgs *in = args;
    return properties_emit(call, in, 0, "cond_NEW", in->cond_new, in->cond);
}

static NodusStatus pair_set_properties(NodusCall *call, const void *args)
{
    const PropertyArgs *in = args;
    NODUS_TRY(properties_emit(call, in, 0, "positive_NEW", in->positive_new, in->positive));
    return properties_emit(call, in, 1, "negative_NEW", in->negative_new, in->negative);
}

#define PROPERTY_COND(name_, field_, help_) NODUS_IN_LINK(name_, PropertyArgs, field_, "CONDITIONING", help_)
#define PROPERTY_SETTINGS                                                                                                    \
    NODUS_IN_FLOAT("strength", PropertyArgs, strength, "How strongly the mask counts; without a mask it has no effect.",     \
                   .def = 1, .min = 0, .max = 10, .step = 0.01),                                                             \
        NODUS_IN_COMBO("set_cond_area", PropertyArgs, set_cond_area,                                                         \
                       "default: the model looks at the whole picture; mask bounds: only at the rectangle around the mask.", \
                       .names = cond_areas),                                                                                 \
        NODUS_FLAG_LINK(NODUS_OPTIONAL, "mask", PropertyArgs, mask, "MASK", "Where it acts; everywhere if not given."),      \
        PROPERTY_HOOKS,                                                                                                      \
        NODUS_FLAG_LINK(NODUS_OPTIONAL, "timesteps", PropertyArgs, timesteps, "TIMESTEPS_RANGE",                             \
                        "The part of the sampling in which it acts; all of it if not given.")
#define PROPERTY_HOOKS \
    NODUS_FLAG_LINK(NODUS_OPTIONAL, "hooks", PropertyArgs, hooks, "HOOKS", "Changes of the model while it acts.")

static const NodusInput set_inputs[] = {PROPERTY_COND("cond_NEW", cond_new, "What is changed."), PROPERTY_SETTINGS};
const NodusNode node_conditioning_set_properties = {
    NODUS_NODE("ConditioningSetProperties", "Cond Set Props", "advanced/hooks/cond single", PropertyArgs, set_inputs,
               cond_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Set mask, strength and range of a conditioning at once.",
    .example = "graphs/regional_pair.json",
    .run = cond_set_properties,
    .infer = cond_infer,
};

static const NodusInput set_combine_inputs[] = {PROPERTY_COND("cond", cond, "What is there already."),
                                                PROPERTY_COND("cond_NEW", cond_new, "What is changed and added."),
                                                PROPERTY_SETTINGS};
const NodusNode node_conditioning_set_properties_and_combine = {
    NODUS_NODE("ConditioningSetPropertiesAndCombine", "Cond Set Props Combine", "advanced/hooks/cond single", PropertyArgs,
               set_combine_inputs, cond_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Set mask, strength and range of a conditioning and combine it with another one.",
    .example = "graphs/regional_pair.json",
    .run = cond_set_properties,
    .infer = cond_infer,
};

static const NodusInput pair_inputs[] = {PROPERTY_COND("positive_NEW", positive_new, "The positive one that is changed."),
                                         PROPERTY_COND("negative_NEW", negative_new, "The negative one that is changed."),
                                         PROPERTY_SETTINGS};
const NodusNode node_pair_conditioning_set_properties = {
    NODUS_NODE("PairConditioningSetProperties", "Cond Pair Set Props", "advanced/hooks/cond pair", PropertyArgs, pair_inputs,
               cond_pair_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Set mask, strength and range of a positive and a negative conditioning.",
    .example = "graphs/regional_pair.json",
    .run = pair_set_properties,
    .infer = cond_infer_pair,
};

static const NodusInput pair_combine_inputs[] = {PROPERTY_COND("positive", positive, "The positive one that is there already."),
                                                 PROPERTY_COND("negative", negative, "The negative one that is there already."),
                                                 PROPERTY_COND("positive_NEW", positive_new, "What is changed and added to it."),
                                                 PROPERTY_COND("negative_NEW", negative_new, "What is changed and added to it."),
                                                 PROPERTY_SETTINGS};
const NodusNode node_pair_conditioning_set_properties_and_combine = {
    NODUS_NODE("PairConditioningSetPropertiesAndCombine", "Cond Pair Set Props Combine", "advanced/hooks/cond pair", PropertyArgs,
               pair_combine_inputs, cond_pair_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Set mask, strength and range of two conditionings and combine them with others.",
    .example = "graphs/regional_pair.json",
    .run = pair_set_properties,
    .infer = cond_infer_pair,
};

/* ---- PairConditioningCombine --------------------------------------------------------------------------------------- */

static NodusStatus pair_combine(NodusCall *call, const void *args)
{
    const PropertyArgs *in = args;
    Conditioning *positive, *negative;
    NODUS_TRY(cond_join(call, "positive_B", in->positive, in->positive_new, &positive));
    NODUS_TRY(nodus_emit(call, 0, &type_conditioning, positive));
    NODUS_TRY(cond_join(call, "negative_B", in->negative, in->negative_new, &negative));
    return nodus_emit(call, 1, &type_conditioning, negative);
}

static const NodusInput join_inputs[] = {PROPERTY_COND("positive_A", positive, "The first positive one."),
                                         PROPERTY_COND("negative_A", negative, "The first negative one."),
                                         PROPERTY_COND("positive_B", positive_new, "The second positive one."),
                                         PROPERTY_COND("negative_B", negative_new, "The second negative one.")};
const NodusNode node_pair_conditioning_combine = {
    NODUS_NODE("PairConditioningCombine", "Cond Pair Combine", "advanced/hooks/cond pair", PropertyArgs, join_inputs,
               cond_pair_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Combine two pairs of conditionings.",
    .example = "graphs/regional_pair.json",
    .run = pair_combine,
    .infer = cond_infer_pair,
};

/* ---- ConditioningSetDefaultCombine, PairConditioningSetDefaultCombine ---------------------------------------------- */

static NodusStatus fill_emit(NodusCall *call, uint32_t slot, const char *input, const Conditioning *cond,
                             const Conditioning *fill)
{
    Conditioning *both;
    NODUS_TRY(cond_join(call, input, cond, fill, &both));
    for (int i = cond->count; i < both->count; i++) both->cond[i].has |= COND_FILL;
    return nodus_emit(call, slot, &type_conditioning, both);
}

static NodusStatus cond_set_default(NodusCall *call, const void *args)
{
    const PropertyArgs *in = args;
    return fill_emit(call, 0, "cond_DEFAULT", in->cond, in->cond_new);
}

static NodusStatus pair_set_default(NodusCall *call, const void *args)
{
    const PropertyArgs *in = args;
    NODUS_TRY(fill_emit(call, 0, "positive_DEFAULT", in->positive, in->positive_new));
    return fill_emit(call, 1, "negative_DEFAULT", in->negative, in->negative_new);
}

static const NodusInput default_inputs[] = {PROPERTY_COND("cond", cond, "What acts in its masks and areas."),
                                            PROPERTY_COND("cond_DEFAULT", cond_new, "What acts in the rest of the picture."),
                                            PROPERTY_HOOKS};
const NodusNode node_conditioning_set_default_combine = {
    NODUS_NODE("ConditioningSetDefaultCombine", "Cond Set Default Combine", "advanced/hooks/cond single", PropertyArgs,
               default_inputs, cond_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Add a conditioning for what masks and areas leave over.",
    .example = "graphs/regional_pair.json",
    .run = cond_set_default,
    .infer = cond_infer,
};

static const NodusInput pair_default_inputs[] = {
    PROPERTY_COND("positive", positive, "The positive one, with masks and areas."),
    PROPERTY_COND("negative", negative, "The negative one, with masks and areas."),
    PROPERTY_COND("positive_DEFAULT", positive_new, "What acts in the rest of the picture."),
    PROPERTY_COND("negative_DEFAULT", negative_new, "What acts in the rest of the picture."), PROPERTY_HOOKS};
const NodusNode node_pair_conditioning_set_default_combine = {
    NODUS_NODE("PairConditioningSetDefaultCombine", "Cond Pair Set Default Combine", "advanced/hooks/cond pair", PropertyArgs,
               pair_default_inputs, cond_pair_outputs),
    .flags = NODUS_EXPERIMENTAL,
    .help = "Add two conditionings for what masks and areas leave over.",
    .example = "graphs/regional_pair.json",
    .run = pair_set_default,
    .infer = cond_infer_pair,
};
