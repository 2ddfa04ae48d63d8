/* Scaled fp8: a network of 8-bit matrices with their scales paints what the same network in f32 paints; odd scales are refused by name. */
#include "engine/base/file.h"
#include "engine/formats/safetensors.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

#define DEMO "models/checkpoints/shapes-sd1.safetensors"
#define UNET "model.diffusion_model."
enum { MOST = 2000, NAME = 160 };

static Lab lab;

typedef struct Builder {
    SafetensorsItem item[MOST];
    char name[MOST][NAME];
    void *made[MOST];
    int count, owned;
} Builder;
static Builder builder;

static void *room(size_t size)
{
    void *memory = calloc(size ? size : 1, 1);
    if (!memory) abort();
    return builder.made[builder.owned++] = memory;
}

static SafetensorsItem *add(const char *name, int dtype, int rank, const int64_t *dim, const void *data)
{
    SafetensorsItem *item = &builder.item[builder.count];
    snprintf(builder.name[builder.count], NAME, "%s", name);
    *item = (SafetensorsItem){.name = builder.name[builder.count++], .dtype = dtype, .rank = rank, .data = data};
    if (rank) memcpy(item->dim, dim, (size_t)rank * sizeof *dim);
    return item;
}

/* A matrix of the shape of `weight`: bytes that mean ±0.5 … ±0.9375, and a scale; or the products. */
static void add_matrix(const char *name, const Weight *weight, bool scaled, int64_t scales)
{
    size_t count = 1;
    char key[NAME];
    float *scale = room((size_t)scales * sizeof *scale);
    for (int i = 0; i < weight->rank; i++) count *= (size_t)weight->dim[i];
    for (int64_t i = 0; i < scales; i++) scale[i] = 0.03f + 0.001f * (float)(strlen(name) % 7);
    uint8_t *bytes = room(count);
    float *values = room(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(((i * 2654435761u >> 9) & 0x87) | 0x30);
        values[i] = (bytes[i] & 0x80 ? -0.5f : 0.5f) * (1 + (float)(bytes[i] & 7) / 8) * *scale;
    }
    add(name, scaled ? NODUS_F8_E4M3 : NODUS_F32, weight->rank, weight->dim, scaled ? (void *)bytes : (void *)values);
    if (!scaled) return;
    snprintf(key, sizeof key, "%.*s.scale_weight", (int)(strlen(name) - strlen(".weight")), name);
    add(key, NODUS_F32, scales > 1, &scales, scale);
    snprintf(key, sizeof key, "%.*s.scale_input", (int)(strlen(name) - strlen(".weight")), name);
    add(key, NODUS_F32, 0, NULL, scale);
}

static NodusStatus write_unet(const char *file, bool scaled, int64_t scales)
{
    WeightSet *demo;
    NODUS_TRY(safetensors_open(DEMO, &demo));
    builder.count = builder.owned = 0;
    if (scaled) add("scaled_fp8", NODUS_F8_E4M3, 1, (int64_t[]){2}, room(2));
    for (int i = 0; i < weights_count(demo); i++) {
        const Weight *weight = weights_at(demo, i);
        if (strncmp(weight->name, UNET, strlen(UNET)) != 0) continue;
        const char *name = weight->name + strlen(UNET);
        if (strstr(name, "attn") && weight->rank == 2 && strstr(name, ".weight")) add_matrix(name, weight, scaled, scales);
        else add(name, weight->dtype, weight->rank, weight->dim, weight->data);
    }
    NodusStatus status = safetensors_write(lab_path(&lab, file), true, NULL, builder.item, builder.count, NULL, 0);
    for (int i = 0; i < builder.owned; i++) free(builder.made[i]);
    weights_unref(demo);
    return status;
}

static NodusStatus prepare(void)
{
    NODUS_TRY(lab_open(&lab, NULL));
    NODUS_TRY(file_make_folders(lab_path(&lab, "models/diffusion_models")));
    NODUS_TRY(write_unet("models/diffusion_models/scaled.safetensors", true, 1));
    NODUS_TRY(write_unet("models/diffusion_models/products.safetensors", false, 1));
    return write_unet("models/diffusion_models/rows.safetensors", true, 2);
}
LAB_FIXTURE(prepare())

static NodusStatus sampled(const char *file, LabArray *out)
{
    char json[2048];
    snprintf(json, sizeof json,
             "{\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
             "\"3\": {\"class_type\": \"UNETLoader\", \"inputs\": {\"unet_name\": \"%s\", \"weight_dtype\": \"default\"}},"
             "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a red star\", \"clip\": [\"1\", 1]}},"
             "\"4\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 64, \"height\": 64, \"batch_size\": 1}},"
             "\"5\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"3\", 0], \"seed\": 5, \"steps\": 1, \"cfg\": 1, \"sampler_name\": \"euler\","
             "\"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"4\", 0], \"denoise\": 1}},"
             "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"5\", 0]}}}",
             file);
    return lab_array(&lab, json, "5", 0, NULL, out);
}

TEST(a_scaled_network_paints_what_its_products_paint)
{
    LabArray scaled, products;
    assert_ok(sampled("scaled.safetensors", &scaled));
    assert_ok(sampled("products.safetensors", &products));
    assert_true(scaled.count && scaled.count == products.count);
    for (size_t i = 0; i < scaled.count; i++) assert_true(scaled.data[i] == scaled.data[i]); /* no NaN */
    assert_memory_equal(scaled.data, products.data, scaled.count * sizeof(float));
    free(scaled.data);
    free(products.data);
}

TEST(several_scales_of_a_weight_are_refused_by_name)
{
    LabArray out;
    assert_error(sampled("rows.safetensors", &out), "scale_weight' has 2 numbers: one for the whole weight is all that can be read");
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(a_scaled_network_paints_what_its_products_paint), CASE(several_scales_of_a_weight_are_refused_by_name)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
