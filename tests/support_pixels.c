#include "tests/support_pixels.h"
#include "engine/graph/facts.h"
#include "engine/graph/run.h"
#include "nodes/values.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    int64_t b, h, w, c;
    const char *values;
} TestPixelsArgs;

/* The numbers of a text, from the beginning again where they end. */
static void fill(const char *values, float *out, size_t count)
{
    const char *at = values;
    for (size_t i = 0; i < count; i++) {
        char *end;
        if (!*values) {
            out[i] = (float)((i * 7919 + i / 7 * 131) % 1009) / 1008.0f;
            continue;
        }
        out[i] = strtof(at, &end);
        at = *end ? end : values;
    }
}

static NodusStatus make(NodusCall *call, const TestPixelsArgs *in, int rank, NodusTensor **out)
{
    const int64_t dim[] = {in->b, in->h, in->w, in->c}, count = in->b * in->h * in->w * (rank == 4 ? in->c : 1);
    float *data = nodus_alloc(call, (size_t)count * sizeof *data);
    if (!data) return nodus_error(NODUS_ERROR_MEMORY, "out of memory");
    fill(in->values, data, (size_t)count);
    return nodus_tensor_from_f32(nodus_math(call), out, rank, dim, data);
}

static NodusStatus run_picture(NodusCall *call, const void *args)
{
    NodusTensor *out;
    NODUS_TRY(make(call, args, 4, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}

static NodusStatus run_mask(NodusCall *call, const void *args)
{
    NodusTensor *out;
    NODUS_TRY(make(call, args, 3, &out));
    return nodus_emit_tensor(call, 0, "MASK", out);
}

static NodusStatus infer_picture(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const TestPixelsArgs *a = args;
    (void)call;
    (void)in;
    *out = (NodusFacts){.struct_size = sizeof *out, .rank = 4, .dim = {a->b, a->h, a->w, a->c}};
    return NULL;
}

static NodusStatus infer_mask(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const TestPixelsArgs *a = args;
    (void)call;
    (void)in;
    *out = (NodusFacts){.struct_size = sizeof *out, .rank = 3, .dim = {a->b, a->h, a->w}};
    return NULL;
}

#define SIDE(name_) NODUS_IN_INT(#name_, TestPixelsArgs, name_, "", .def = 1, .min = 1, .max = 100000)
static const NodusInput picture_inputs[] = {SIDE(b), SIDE(h), SIDE(w), SIDE(c),
                                            NODUS_IN_STRING("values", TestPixelsArgs, values, "", .def = "")};
static const NodusInput mask_inputs[] = {SIDE(b), SIDE(h), SIDE(w), NODUS_IN_STRING("values", TestPixelsArgs, values, "", .def = "")};
static const NodusOutput picture_outputs[] = {{.name = "IMAGE", .type = "IMAGE", .tooltip = ""}};
static const NodusOutput mask_outputs[] = {{.name = "MASK", .type = "MASK", .tooltip = ""}};
static const NodusNode node_picture = {NODUS_NODE("TestPicture", "Test Picture", "test", TestPixelsArgs, picture_inputs, picture_outputs),
                                       .help = "", .run = run_picture, .infer = infer_picture};
static const NodusNode node_mask = {NODUS_NODE("TestMask", "Test Mask", "test", TestPixelsArgs, mask_inputs, mask_outputs),
                                    .help = "", .run = run_mask, .infer = infer_mask};

/* ---- Latents and noise levels -------------------------------------------------------------------------------------- */

static NodusStatus run_latent(NodusCall *call, const void *args)
{
    const TestPixelsArgs *in = args;
    const int64_t dim[] = {in->b, in->c, in->h, in->w}, count = in->b * in->c * in->h * in->w;
    float *data = nodus_alloc(call, (size_t)count * sizeof *data);
    NodusTensor *samples;
    if (!data) return nodus_error(NODUS_ERROR_MEMORY, "out of memory");
    fill(in->values, data, (size_t)count);
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &samples, 4, dim, data));
    return latent_emit(call, 0, NULL, samples);
}

static NodusStatus infer_latent(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    const TestPixelsArgs *a = args;
    (void)call;
    (void)in;
    *out = (NodusFacts){.struct_size = sizeof *out, .rank = 4, .dim = {a->b, a->c, a->h, a->w}};
    return NULL;
}

typedef struct {
    const Latent *samples;
} TestIndexArgs;

/* The batch index of a latent as a mask; −1 for one that has none. */
static NodusStatus run_index(NodusCall *call, const void *args)
{
    const Latent *latent = ((const TestIndexArgs *)args)->samples;
    const int64_t count = latent->batch_index ? latent->batch : 1;
    float *data = nodus_alloc(call, (size_t)count * sizeof *data);
    NodusTensor *out;
    if (!data) return nodus_error(NODUS_ERROR_MEMORY, "out of memory");
    for (int64_t i = 0; i < count; i++) data[i] = latent->batch_index ? (float)latent->batch_index[i] : -1;
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &out, 3, (int64_t[]){1, 1, count}, data));
    return nodus_emit_tensor(call, 0, "MASK", out);
}

static NodusStatus run_sigmas(NodusCall *call, const void *args)
{
    const TestPixelsArgs *in = args;
    float *data = nodus_alloc(call, (size_t)(in->w + 1) * sizeof *data);
    NodusTensor *out;
    if (!data) return nodus_error(NODUS_ERROR_MEMORY, "out of memory");
    fill(in->values, data, (size_t)in->w);
    NODUS_TRY(nodus_tensor_from_f32(nodus_math(call), &out, 1, &in->w, data));
    return nodus_emit_tensor(call, 0, "SIGMAS", out);
}

static NodusStatus infer_sigmas(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    (void)call;
    (void)in;
    *out = (NodusFacts){.struct_size = sizeof *out, .rank = 1, .dim = {((const TestPixelsArgs *)args)->w}};
    return NULL;
}

static const NodusInput index_inputs[] = {NODUS_IN_LINK("samples", TestIndexArgs, samples, "LATENT", "")};
static const NodusInput sigmas_inputs[] = {NODUS_IN_INT("w", TestPixelsArgs, w, "", .def = 1, .min = 0, .max = 1000),
                                           NODUS_IN_STRING("values", TestPixelsArgs, values, "", .def = "")};
static const NodusOutput latent_out[] = {{.name = "LATENT", .type = "LATENT", .tooltip = ""}};
static const NodusOutput sigmas_out[] = {{.name = "SIGMAS", .type = "SIGMAS", .tooltip = ""}};
static const NodusNode node_latent = {NODUS_NODE("TestLatent", "Test Latent", "test", TestPixelsArgs, picture_inputs, latent_out),
                                      .help = "", .run = run_latent, .infer = infer_latent};
static const NodusNode node_index = {NODUS_NODE("TestIndex", "Test Index", "test", TestIndexArgs, index_inputs, mask_outputs),
                                     .help = "", .run = run_index};
static const NodusNode node_sigmas = {NODUS_NODE("TestSigmas", "Test Sigmas", "test", TestPixelsArgs, sigmas_inputs, sigmas_out),
                                      .help = "", .run = run_sigmas, .infer = infer_sigmas};
static const NodusNode *const pixels_nodes[] = {&node_picture, &node_mask, &node_latent, &node_index, &node_sigmas, NULL};

Lab pixels_lab;

int pixels_setup(void **state)
{
    (void)state;
    NodusStatus status = lab_open(&pixels_lab, pixels_nodes);
    if (status) fprintf(stderr, "%s\n", nodus_error_message(status));
    return status ? -1 : 0;
}

int pixels_teardown(void **state)
{
    (void)state;
    lab_close(&pixels_lab);
    return 0;
}

/* ---- Asking -------------------------------------------------------------------------------------------------------- */

enum { LONGEST = 8192 };

LabArray pixels_run(const char *nodes, uint32_t slot)
{
    char json[LONGEST];
    LabArray out = {.data = NULL};
    snprintf(json, sizeof json, "{%s}", nodes);
    NodusStatus status = lab_array(&pixels_lab, json, "9", slot, NULL, &out);
    if (status) fail_msg("%s: %s", nodes, nodus_error_message(status));
    return out;
}

void pixels_expect(const char *nodes, uint32_t slot, const char *dims, const char *values, double tolerance)
{
    LabArray got = pixels_run(nodes, slot);
    char shape[128] = "";
    for (int i = 0; i < NODUS_MAX_RANK && got.dim[i]; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), i ? " %d" : "%d", (int)got.dim[i]);
    assert_string_equal(shape, dims);
    float *want = calloc(got.count + 1, sizeof *want);
    assert_non_null(want);
    fill(values, want, got.count);
    for (size_t i = 0; i < got.count; i++)
        if (!((double)got.data[i] - (double)want[i] <= tolerance && (double)want[i] - (double)got.data[i] <= tolerance))
            fail_msg("number %zu is %.9g, expected %.9g: %s", i, (double)got.data[i], (double)want[i], nodes);
    free(want);
    free(got.data);
}

void pixels_fails(const char *nodes, const char *piece)
{
    char json[LONGEST];
    snprintf(json, sizeof json, "{%s, %s}", nodes, NODE("S", "PreviewAny", "\"source\": [\"9\", 0]"));
    if (lab_run(&pixels_lab, json) == NODUS_SUCCESS) fail_msg("succeeded, expected \"%s\": %s", piece, nodes);
    if (!strstr(pixels_lab.error, piece)) fail_msg("\"%s\" does not contain \"%s\"", pixels_lab.error, piece);
}

/* What is known of a slot of node "9" before anything runs. */
static NodusFacts known_before(const char *nodes, uint32_t slot)
{
    char json[LONGEST];
    NodusRun *run = NULL;
    const NodusRunOptions options = {.struct_size = sizeof options};
    snprintf(json, sizeof json, "{%s, \"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"9\", %u]}}}", nodes, slot);
    NodusStatus status = run_new(pixels_lab.engine, json, strlen(json), &options, &run);
    if (status) fail_msg("%s: %s", nodes, nodus_error_message(status));
    const NodusFacts facts = *facts_output(run->workflow->facts, workflow_find(run->workflow, "9"), slot);
    run_free(run);
    return facts;
}

void pixels_agrees(const char *nodes, uint32_t slots, bool vague)
{
    for (uint32_t slot = 0; slot < slots; slot++) {
        const NodusFacts facts = known_before(nodes, slot);
        LabArray got = pixels_run(nodes, slot);
        int rank = 0;
        while (rank < NODUS_MAX_RANK && got.dim[rank]) rank++;
        if (facts.rank != rank && !(vague && !facts.rank)) fail_msg("slot %u: rank %d was expected, %d came: %s", slot, facts.rank, rank, nodes);
        for (int i = 0; i < rank; i++)
            if (facts.dim[i] != got.dim[i] && !(vague && !facts.dim[i]))
                fail_msg("slot %u: dimension %d was to be %d and is %d: %s", slot, i, (int)facts.dim[i], (int)got.dim[i], nodes);
        free(got.data);
    }
}
