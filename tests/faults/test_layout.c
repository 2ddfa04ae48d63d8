/* Telling a file's weights anew: the n-th allocation fails, and nothing is lost. */
#include "engine/base/memory.h"
#include "nodes/models/layout.h"
#include "nodes/model_join.h"
#include "tests/faults/faults.h"
#include "tests/test.h"

/* A file with a layer in OpenCLIP's layout and a part of a VAE in that of diffusers. */
static NodusStatus make_file(WeightSet **out)
{
    static const float numbers[12];
    static const struct { const char *name; int rank; int64_t dim[2]; } rows[] = {
        {"m.transformer.resblocks.0.ln_1.weight", 1, {2}},          {"m.transformer.resblocks.0.attn.in_proj_weight", 2, {6, 2}},
        {"m.transformer.resblocks.0.attn.in_proj_bias", 1, {6}},    {"m.text_projection", 2, {2, 3}},
        {"encoder.down_blocks.0.resnets.0.conv_shortcut.bias", 1, {2}}, {"encoder.mid_block.attentions.0.to_q.weight", 2, {2, 2}},
    };
    NODUS_TRY(weights_new(out));
    NodusStatus status = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !status; i++)
        status = weights_add(*out, rows[i].name, DTYPE_F32, rows[i].rank, rows[i].dim, numbers,
                             (size_t)(rows[i].dim[0] * (rows[i].rank > 1 ? rows[i].dim[1] : 1)) * sizeof *numbers, false);
    if (status) weights_unref(*out);
    return status;
}

static bool is_told(const WeightSet *set)
{
    const Weight *third = weights_get(set, "m.text_model.encoder.layers.0.self_attn.k_proj.weight"), *kernel = weights_get(set, "encoder.mid.attn_1.q.weight");
    const Weight *projection = weights_get(set, "m.text_projection.weight");
    return third && third->dim[0] == 2 && kernel && kernel->rank == 4 && projection && projection->dim[0] == 3 &&
           weights_get(set, "encoder.down.0.block.0.nin_shortcut.bias") && weights_get(set, "m.text_model.encoder.layers.0.self_attn.v_proj.bias");
}

static NodusStatus tell(void *context)
{
    WeightSet *set;
    NODUS_TRY(layout_apply(context, &set));
    const bool right = is_told(set);
    weights_unref(set);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "wrong names");
}

static NodusStatus join(void *context)
{
    WeightSet *set;
    const JoinPart parts[] = {{context, "m.transformer.", "a."}, {context, "encoder.", "b."}};
    NODUS_TRY(model_join(parts, 2, &set));
    const bool right = weights_count(set) == 5 && weights_get(set, "a.resblocks.0.ln_1.weight") && !weights_get(set, "b.m.text_projection");
    weights_unref(set);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "wrong parts");
}

TEST(names_of_other_layouts)
{
    WeightSet *file;
    assert_ok(make_file(&file));
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, tell, file) > 5);
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, join, file) > 5);
    weights_unref(file);
}

TEST_MAIN(CASE(names_of_other_layouts))
