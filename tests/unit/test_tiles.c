/* Tiles: where they lie, that ramps cancel, and that VAE nodes in tiles give what they should; a run under a memory limit gives the same bits, or
 * says that it works in tiles. */
#include "tests/support.h"
#include "tests/test.h"
#include "nodes/diffusion/tiles.h"
#include <math.h>
#include <nodus/nodus.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- Geometry and weights ------------------------------------------------------------------------------------------ */

typedef struct Seen {
    SupportMath *support;
    int64_t height[64], width[64];
    int count, scale;
} Seen;

static NodusStatus enlarge(void *context, const NodusTensor *tile, NodusTensor **out)
{
    Seen *seen = context;
    seen->height[seen->count] = nodus_tensor_dim(tile, 2);
    seen->width[seen->count++] = nodus_tensor_dim(tile, 3);
    if (seen->scale == 1) return nodus_tensor_affine(&seen->support->math, out, tile, 1, 0);
    return nodus_tensor_resize(&seen->support->math, out, tile, nodus_tensor_dim(tile, 2) * seen->scale, nodus_tensor_dim(tile, 3) * seen->scale,
                               NODUS_NEAREST);
}

static void tile_it(Seen *seen, Tiles tiles, int64_t height, int64_t width, double *off)
{
    NodusMath *math = &seen->support->math;
    NodusTensor *x, *whole, *tiled;
    uint64_t random = 5;
    float *data = malloc((size_t)(2 * height * width) * sizeof *data);
    const float *a, *b;
    assert_non_null(data);
    support_fill(&random, data, (size_t)(2 * height * width));
    tiles.math = math;
    tiles.each = enlarge;
    tiles.context = seen;
    tiles.up = seen->scale;
    tiles.down = 1;
    assert_null(nodus_tensor_from_f32(math, &x, 4, (int64_t[]){1, 2, height, width}, data));
    assert_null(enlarge(seen, x, &whole));
    seen->count = 0;
    assert_null(tiles_run(&tiles, x, 2, &tiled));
    assert_null(nodus_tensor_map_f32(math, whole, &a));
    assert_null(nodus_tensor_map_f32(math, tiled, &b));
    assert_int_equal(nodus_tensor_count(whole), nodus_tensor_count(tiled));
    *off = 0;
    for (int64_t i = 0; i < nodus_tensor_count(whole); i++) *off = fmax(*off, fabs((double)a[i] - (double)b[i]));
    assert_int_equal(seen->count, tiles_count(&tiles, height, width));
    free(data);
}

static SupportMath cpu;

TEST(tiles_advance_by_tile_less_overlap_and_the_last_one_is_shorter)
{
    Seen seen = {.support = &cpu, .scale = 1};
    double off;
    tile_it(&seen, (Tiles){.height = 64, .width = 64, .overlap = 16}, 130, 10, &off);
    assert_int_equal(seen.count, 3); /* at 0, 48, 96 */
    assert_int_equal(seen.height[0], 64);
    assert_int_equal(seen.height[1], 64);
    assert_int_equal(seen.height[2], 34);
    assert_int_equal(seen.width[2], 10);
    tile_it(&seen, (Tiles){.height = 64, .width = 64, .overlap = 16}, 65, 10, &off);
    assert_int_equal(seen.count, 2); /* at 0, 48 */
    assert_int_equal(seen.height[1], 17);
    tile_it(&seen, (Tiles){.height = 64, .width = 64, .overlap = 16}, 112, 10, &off);
    assert_int_equal(seen.count, 2); /* 0, 48: what is left is the overlap */
    tile_it(&seen, (Tiles){.height = 64, .width = 8, .overlap = 0}, 64, 24, &off);
    assert_int_equal(seen.count, 3);
}

TEST(what_needs_no_neighbours_comes_out_as_if_whole)
{
    static const int64_t sizes[][2] = {{7, 9}, {16, 16}, {17, 31}, {40, 23}, {12, 50}};
    for (int scale = 1; scale <= 3; scale++)
        for (int overlap = 0; overlap < 8; overlap += 3)
            for (int i = 0; i < 5; i++) {
                Seen seen = {.support = &cpu, .scale = scale};
                double off;
                tile_it(&seen, (Tiles){.height = 12, .width = 16, .overlap = overlap}, sizes[i][0], sizes[i][1], &off);
                assert_near(off, 0, 1e-6);
                if (sizes[i][0] <= 12 && sizes[i][1] <= 16) assert_true(off == 0);
            }
}

static int open_cpu(void **state)
{
    (void)state;
    return support_math_open("cpu", NULL, 2, &cpu) != NULL;
}

static int close_cpu(void **state)
{
    (void)state;
    support_math_close(&cpu);
    return 0;
}

/* ---- Nodes --------------------------------------------------------------------------------------------------------- */

#define LOADER "\"1\": {\"class_type\": \"CheckpointLoaderSimple\", \"inputs\": {\"ckpt_name\": \"shapes-sd1.safetensors\"}},"
#define TEMPORAL ", \"temporal_size\": 64, \"temporal_overlap\": 8"

/* scene.png, 64 pixels a side or more, to a latent and back; the picture is node 4. */
static const char plain[] = "{" LOADER "\"2\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
                            "\"3\": {\"class_type\": \"VAEEncode\", \"inputs\": {\"pixels\": [\"2\", 0], \"vae\": [\"1\", 2]}},"
                            "\"4\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"3\", 0], \"vae\": [\"1\", 2]}},"
                            "\"5\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"4\", 0]}}}";
static const char one_tile[] =
    "{" LOADER "\"2\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
    "\"3\": {\"class_type\": \"VAEEncodeTiled\", \"inputs\": {\"pixels\": [\"2\", 0], \"vae\": [\"1\", 2], \"tile_size\": 1024, \"overlap\": 64" TEMPORAL "}},"
    "\"4\": {\"class_type\": \"VAEDecodeTiled\", \"inputs\": {\"samples\": [\"3\", 0], \"vae\": [\"1\", 2], \"tile_size\": 1024, \"overlap\": 64" TEMPORAL "}},"
    "\"5\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"4\", 0]}}}";
static const char small_tiles[] =
    "{" LOADER "\"2\": {\"class_type\": \"LoadImage\", \"inputs\": {\"image\": \"scene.png\"}},"
    "\"3\": {\"class_type\": \"VAEEncode\", \"inputs\": {\"pixels\": [\"2\", 0], \"vae\": [\"1\", 2]}},"
    "\"4\": {\"class_type\": \"VAEDecodeTiled\", \"inputs\": {\"samples\": [\"3\", 0], \"vae\": [\"1\", 2], \"tile_size\": 64, \"overlap\": 16" TEMPORAL "}},"
    "\"5\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"4\", 0]}}}";
static const char whole_run[] =
    "{" LOADER "\"2\": {\"class_type\": \"CLIPTextEncode\", \"inputs\": {\"text\": \"a (red:1.2) star\", \"clip\": [\"1\", 1]}},"
    "\"3\": {\"class_type\": \"EmptyLatentImage\", \"inputs\": {\"width\": 128, \"height\": 128, \"batch_size\": 1}},"
    "\"6\": {\"class_type\": \"KSampler\", \"inputs\": {\"model\": [\"1\", 0], \"seed\": 1, \"steps\": 2, \"cfg\": 2.0, \"sampler_name\": \"euler\","
    "\"scheduler\": \"normal\", \"positive\": [\"2\", 0], \"negative\": [\"2\", 0], \"latent_image\": [\"3\", 0], \"denoise\": 1.0}},"
    "\"4\": {\"class_type\": \"VAEDecode\", \"inputs\": {\"samples\": [\"6\", 0], \"vae\": [\"1\", 2]}},"
    "\"5\": {\"class_type\": \"PreviewImage\", \"inputs\": {\"images\": [\"4\", 0]}}}";

typedef struct Outcome {
    uint8_t *npy;
    size_t bytes;
    int warnings, errors;
    char message[400];
} Outcome;

static void event(void *user, const NodusEvent *e)
{
    Outcome *outcome = user;
    outcome->warnings += e->kind == NODUS_EVENT_WARNING;
    outcome->errors += e->kind == NODUS_EVENT_ERROR;
    if ((e->kind == NODUS_EVENT_WARNING || e->kind == NODUS_EVENT_ERROR) && e->message)
        snprintf(outcome->message, sizeof outcome->message, "%s", e->message);
}

static Outcome run(const char *prompt, size_t memory)
{
    Outcome outcome = {0};
    char folder[] = "/tmp/nodus-tiles-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/4.npy", folder);
    const NodusDump dump = {"4", 0, NULL, path};
    const NodusEngineOptions engine_options = {.struct_size = sizeof engine_options, .threads = 2, .base_directory = ".", .input = "graphs",
                                               .output = folder, .temp = folder, .memory = memory};
    const NodusRunOptions options = {.struct_size = sizeof options, .event = event, .user = &outcome, .dumps = &dump, .dump_count = 1};
    NodusEngine *engine;
    NodusRun *a_run;
    assert_null(nodus_engine_new(&engine_options, &engine));
    assert_null(nodus_run_new(engine, prompt, strlen(prompt), &options, &a_run));
    nodus_run_execute(a_run);
    nodus_run_free(a_run);
    nodus_engine_free(engine);
    FILE *file = fopen(path, "rb");
    if (file) {
        outcome.npy = malloc(8 << 20);
        outcome.bytes = fread(outcome.npy, 1, 8 << 20, file);
        fclose(file);
    }
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    return outcome;
}

TEST(one_tile_is_the_whole_picture)
{
    Outcome a = run(plain, (size_t)2 << 30), b = run(one_tile, (size_t)2 << 30);
    assert_true(a.bytes > 10000 && a.bytes == b.bytes);
    assert_memory_equal(a.npy, b.npy, a.bytes);
    free(a.npy);
    free(b.npy);
}

/* How alike two arrays are: 1 the same but for light and contrast. */
static double correlation(const Outcome *a, const Outcome *b)
{
    const size_t head = 128, count = (a->bytes - head) / sizeof(float);
    double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    for (size_t i = 0; i < count; i++) {
        float x, y;
        memcpy(&x, a->npy + head + i * sizeof x, sizeof x);
        memcpy(&y, b->npy + head + i * sizeof y, sizeof y);
        sx += (double)x, sy += (double)y;
        sxx += (double)x * (double)x, syy += (double)y * (double)y, sxy += (double)x * (double)y;
    }
    const double n = (double)count;
    return (sxy - sx * sy / n) / sqrt((sxx - sx * sx / n) * (syy - sy * sy / n));
}

/* This small model's norms see little of the picture in a tile of 64 pixels, so the light changes much; what is to be seen does not. */
TEST(tiles_show_the_same_picture)
{
    Outcome a = run(plain, (size_t)2 << 30), b = run(small_tiles, (size_t)2 << 30);
    assert_true(a.bytes > 10000 && a.bytes == b.bytes);
    assert_int_equal(b.warnings, 0);
    const double alike = correlation(&a, &b);
    if (alike < 0.5 || alike > 0.9999) fail_msg("correlation %g", alike);
    free(a.npy);
    free(b.npy);
}

TEST(a_run_under_a_limit_gives_the_same_bits_until_it_must_use_tiles)
{
    Outcome whole = run(whole_run, (size_t)2 << 30);
    int same = 0, tiled = 0, refused = 0;
    assert_int_equal(whole.warnings + whole.errors, 0);
    for (size_t megabytes = 48; megabytes >= 3; megabytes = megabytes * 3 / 4) {
        Outcome limited = run(whole_run, megabytes << 20);
        if (limited.errors) {
            assert_non_null(strstr(limited.message, "out of memory: this needs"));
            refused++;
        } else if (limited.warnings) {
            assert_non_null(strstr(limited.message, "in tiles of"));
            assert_int_equal(limited.bytes, whole.bytes);
            tiled++;
        } else {
            assert_int_equal(limited.bytes, whole.bytes);
            assert_memory_equal(limited.npy, whole.npy, whole.bytes);
            same++;
        }
        free(limited.npy);
    }
    free(whole.npy);
    print_message("the same %d, in tiles %d, refused %d\n", same, tiled, refused);
    assert_true(same >= 2 && tiled >= 1 && refused >= 1);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(tiles_advance_by_tile_less_overlap_and_the_last_one_is_shorter), CASE(what_needs_no_neighbours_comes_out_as_if_whole),
                                       CASE(one_tile_is_the_whole_picture), CASE(tiles_show_the_same_picture),
                                       CASE(a_run_under_a_limit_gives_the_same_bits_until_it_must_use_tiles)};
    return cmocka_run_group_tests(cases, open_cpu, close_cpu);
}
