/* bench.c: `nodus bench`: how fast this machine runs the networks of Stable Diffusion 1.5.
 *
 * One idea: the same builders, plans, packed weights and kernels as a real run, without a file and without the workflow around
 * them. The weights are made by formula (they keep activations near one; random bits would not) as f16 in a memory file, which
 * behaves as a checkpoint does: mapped, and its pages given back once they are packed. */
#include "engine/cli/commands.h"
#include "engine/cli/say.h"
#include "engine/cli/sd15.h"
#include "engine/base/memory.h"
#include "engine/tensor/budget.h"
#include "engine/tensor/plan.h"
#include "nodes/models/clip_text.h"
#include "nodes/models/unet.h"
#include "nodes/models/vae.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    DEFAULT_SIDE = 512,
    DEFAULT_STEPS = 3,
    CELL = 8,
    LATENT = 4,
    TOKENS = 77,
    CONTEXT = 768,
    TIMESTEP = 500,
    LARGEST_TOKEN = 49000
};
enum { PAGE = 4096, FILL_BLOCK = 1 << 16, INPUT_STREAM = 5000 /* of the formula, beyond the weights' */ };

typedef enum Piece { PIECE_UNET, PIECE_DECODE, PIECE_ENCODE, PIECE_CLIP, PIECE_COUNT } Piece;
static const struct {
    const char *name, *prefix, *output;
} pieces[PIECE_COUNT] = {
    {"unet", "model.diffusion_model.", "out"},
    {"vae-decode", "first_stage_model.", "pixels"},
    {"vae-encode", "first_stage_model.", "latent"},
    {"clip", "cond_stage_model.transformer.text_model.", "last"},
};

typedef struct Bench {
    const Options *options;
    Piece piece;
    int width, height, batch, steps;
    Pool *pool;
    Device *device;
    Budget *budget;
    WeightStore *store;
    PlanCache *plans;
    WeightSet *weights;
    NodusMath math;
    UnetConfig unet;
    VaeConfig vae;
    ClipTextConfig clip;
    Plan *plan;
    Tensor *input[3];
    double load_seconds, first_seconds, seconds, cpu_seconds, mean, deviation;
} Bench;

static double clock_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Weights ------------------------------------------------------------------------------------------------------- */

/* One tensor being filled, a block at a time on all threads. */
typedef struct Fill {
    const Sd15Tensor *tensor;
    int index;
    uint16_t *to;
} Fill;

static void fill_part(void *state, int64_t part)
{
    const Fill *fill = state;
    const int64_t begin = part * FILL_BLOCK, count = sd15_numbers(fill->tensor),
                  end = begin + FILL_BLOCK < count ? begin + FILL_BLOCK : count;
    sd15_fill(fill->tensor, fill->index, begin, end, fill->to);
}

typedef struct Mapping {
    uint8_t *data;
    size_t bytes;
} Mapping;

static void mapping_release(void *owner)
{
    Mapping *mapping = owner;
    munmap(mapping->data, mapping->bytes);
    free(mapping);
}

static bool of_piece(const Bench *bench, const Sd15Tensor *tensor)
{
    return !strncmp(tensor->name, pieces[bench->piece].prefix, strlen(pieces[bench->piece].prefix));
}

static size_t stored_bytes(const Sd15Tensor *tensor)
{
    return ((size_t)sd15_numbers(tensor) * sizeof(uint16_t) + PAGE - 1) / PAGE * PAGE;
}

static NodusStatus map_memory(size_t bytes, Mapping **out)
{
    const int file = memfd_create("nodus-bench", MFD_CLOEXEC);
    void *data = MAP_FAILED;
    if (file >= 0 && !ftruncate(file, (off_t)bytes)) data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    NodusStatus status = data == MAP_FAILED
                             ? nodus_error(NODUS_ERROR_MEMORY, "no room for %zu MB of weights: %s", bytes >> 20, strerror(errno))
                             : NULL;
    if (file >= 0) close(file);
    if (status) return status;
    *out = need(malloc(sizeof **out));
    **out = (Mapping){data, bytes};
    return NULL;
}

static NodusStatus make_weights(Bench *bench, const Sd15 *list)
{
    size_t bytes = 0, at = 0;
    Mapping *mapping;
    for (int i = 0; i < list->count; i++) bytes += of_piece(bench, &list->item[i]) ? stored_bytes(&list->item[i]) : 0;
    NODUS_TRY(weights_new(&bench->weights));
    NODUS_TRY(map_memory(bytes, &mapping));
    NODUS_TRY(weights_own(bench->weights, mapping_release, mapping));
    for (int i = 0; i < list->count; i++) {
        const Sd15Tensor *tensor = &list->item[i];
        if (!of_piece(bench, tensor)) continue;
        const int64_t count = sd15_numbers(tensor);
        Fill fill = {tensor, i, (uint16_t *)(void *)(mapping->data + at)};
        pool_each(bench->pool, (count + FILL_BLOCK - 1) / FILL_BLOCK, fill_part, &fill);
        madvise(mapping->data + at, stored_bytes(tensor), MADV_DONTNEED); /* the file keeps it */
        NODUS_TRY(weights_add(bench->weights, tensor->name, DTYPE_F16, tensor->rank, tensor->dim, fill.to,
                              (size_t)count * sizeof *fill.to, true));
        at += stored_bytes(tensor);
    }
    weights_set_identity(bench->weights, hash_of("nodus bench", 11));
    return NULL;
}

static NodusStatus read_config(Bench *bench)
{
    const char *prefix = pieces[bench->piece].prefix;
    if (bench->piece == PIECE_UNET) return unet_config(bench->weights, prefix, &bench->unet);
    if (bench->piece == PIECE_CLIP) return clip_text_config(bench->weights, prefix, CLIP_L, &bench->clip);
    return vae_config(bench->weights, prefix, &bench->vae);
}

/* ---- Inputs and plan ----------------------------------------------------------------------------------------------- */

static NodusStatus make_input(Bench *bench, int slot, int rank, const int64_t *dim)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dim[i];
    float *numbers = need(malloc((size_t)count * sizeof *numbers));
    const float unit = bench->piece == PIECE_ENCODE ? 1 : 1.7320508f; /* pixels −1 … 1; noise has variance 1 */
    for (int64_t i = 0; i < count; i++) numbers[i] = sd15_formula((uint32_t)i, (uint32_t)(INPUT_STREAM + slot)) * unit;
    NodusStatus status = nodus_tensor_from_f32(&bench->math, &bench->input[slot], rank, dim, numbers);
    free(numbers);
    return status;
}

static NodusStatus make_tokens(Bench *bench)
{
    const int64_t dim[] = {bench->batch, TOKENS}, count = dim[0] * dim[1];
    NODUS_TRY(tensor_new(bench->device, DTYPE_I32, 2, dim, &bench->input[0]));
    NODUS_TRY(math_keep(&bench->math, bench->input[0]));
    int32_t *ids = bench->input[0]->data;
    for (int64_t i = 0; i < count; i++) ids[i] = (int32_t)((sd15_formula((uint32_t)i, INPUT_STREAM) + 1) * 0.5f * LARGEST_TOKEN);
    return NULL;
}

static NodusStatus make_inputs(Bench *bench)
{
    const int64_t n = bench->batch, latent[] = {n, LATENT, bench->height / CELL, bench->width / CELL};
    if (bench->piece == PIECE_CLIP) return make_tokens(bench);
    if (bench->piece == PIECE_ENCODE) return make_input(bench, 0, 4, (int64_t[]){n, 3, bench->height, bench->width});
    NODUS_TRY(make_input(bench, 0, 4, latent));
    if (bench->piece == PIECE_DECODE) return NULL;
    NODUS_TRY(nodus_tensor_fill(&bench->math, &bench->input[1], 1, &n, TIMESTEP));
    return make_input(bench, 2, 3, (int64_t[]){n, TOKENS, CONTEXT});
}

static NodusStatus build(void *context, OpGraph *graph)
{
    const Bench *bench = context;
    const int64_t n = bench->batch, h = bench->height, w = bench->width;
    switch (bench->piece) {
    case PIECE_UNET:
        unet_build(graph, &bench->unet, n, h / CELL, w / CELL, TOKENS);
        break;
    case PIECE_DECODE:
        vae_build_decoder(graph, &bench->vae, n, h / CELL, w / CELL);
        break;
    case PIECE_ENCODE:
        vae_build_encoder(graph, &bench->vae, n, h, w);
        break;
    default:
        clip_text_build(graph, &bench->clip, &(ClipTextPass){.batch = n, .layer = bench->clip.layers, .normalize = true});
        break;
    }
    return NULL;
}

static NodusStatus make_plan(Bench *bench)
{
    NodusHash *hash;
    NODUS_TRY(plan_key_begin(&bench->math, bench->weights, pieces[bench->piece].name, &hash));
    nodus_hash_u64(hash, (uint64_t)bench->batch);
    nodus_hash_u64(hash, (uint64_t)bench->height);
    nodus_hash_u64(hash, (uint64_t)bench->width);
    return plan_get(&bench->math, plan_key_end(hash), bench->weights, build, bench, &bench->plan);
}

/* ---- Measuring ----------------------------------------------------------------------------------------------------- */

static NodusStatus call(Bench *bench, Tensor **out)
{
    static const char *const names[] = {"x", "timesteps", "context"};
    Tensor *hidden = NULL;
    Bindings bindings = {0};
    if (bench->piece == PIECE_UNET)
        for (int i = 0; i < 3; i++) bindings_input(&bindings, names[i], bench->input[i]);
    else
        bindings_input(&bindings,
                       bench->piece == PIECE_CLIP     ? "ids"
                       : bench->piece == PIECE_DECODE ? "latent"
                                                      : "pixels",
                       bench->input[0]);
    if (bench->piece == PIECE_CLIP) bindings_output(&bindings, "hidden", &hidden);
    bindings_output(&bindings, pieces[bench->piece].output, out);
    NODUS_TRY(plan_run(&bench->math, bench->plan, &bindings));
    nodus_tensor_release(&bench->math, hidden);
    return NULL;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

static NodusStatus describe_output(Bench *bench, const Tensor *out)
{
    const float *data;
    const int64_t count = nodus_tensor_count(out);
    double sum = 0, squares = 0;
    NODUS_TRY(nodus_tensor_map_f32(&bench->math, out, &data));
    for (int64_t i = 0; i < count; i++) sum += data[i];
    bench->mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) squares += (data[i] - bench->mean) * (data[i] - bench->mean);
    bench->deviation = sqrt(squares / (double)count);
    if (isfinite(bench->mean) && isfinite(bench->deviation)) return NULL;
    return nodus_error(NODUS_ERROR_INTERNAL, "the output is not finite; the figure would mean nothing");
}

static NodusStatus measure(Bench *bench)
{
    double *wall = need(calloc((size_t)bench->steps, sizeof *wall)), *cpu = need(calloc((size_t)bench->steps, sizeof *cpu));
    Tensor *out = NULL;
    double begun = clock_of(CLOCK_MONOTONIC);
    NodusStatus status = make_plan(bench);
    if (!status) status = call(bench, &out); /* packs the weights; does not count */
    bench->first_seconds = clock_of(CLOCK_MONOTONIC) - begun;
    for (int i = 0; i < bench->steps && !status; i++) {
        nodus_tensor_release(&bench->math, out);
        const double cpu_begun = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        begun = clock_of(CLOCK_MONOTONIC);
        status = call(bench, &out);
        wall[i] = clock_of(CLOCK_MONOTONIC) - begun;
        cpu[i] = clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_begun;
    }
    if (!status) status = describe_output(bench, out);
    bench->seconds = median(wall, bench->steps);
    bench->cpu_seconds = median(cpu, bench->steps);
    free(wall);
    free(cpu);
    return status;
}

/* ---- The result ---------------------------------------------------------------------------------------------------- */

static void show(const Bench *bench)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const Backend *backend = bench->device->backend;
    const char *isa = backend->variant(bench->device->handle), *name = pieces[bench->piece].name;
    const double gflop = plan_flop(bench->plan) * 1e-9, peak = (double)usage.ru_maxrss / 1024,
                 arena = (double)plan_arena_bytes(bench->plan) / 1048576;
    if (bench->options->json) {
        printf("{\"piece\": \"%s\", \"size\": %d, \"height\": %d, \"batch\": %d, \"threads\": %d, \"steps\": %d, \"precision\": "
               "\"f32\", "
               "\"seconds_per_step\": %.6f, \"cpu_seconds\": %.6f, \"gflop\": %.1f, \"gflops\": %.1f, \"peak_rss_mb\": %.0f, "
               "\"first_step_seconds\": %.4f, \"load_seconds\": %.4f, \"plan_peak_mb\": %.1f, \"output_mean\": %.9g, "
               "\"output_std\": %.9g, "
               "\"device\": \"%s\", \"isa\": \"%s\"}\n",
               name, bench->width, bench->height, bench->batch, pool_threads(bench->pool), bench->steps, bench->seconds,
               bench->cpu_seconds, gflop, gflop / bench->seconds, peak, bench->first_seconds, bench->load_seconds, arena,
               bench->mean, bench->deviation, backend->name, isa);
        return;
    }
    char text[32];
    printf("%s %dx%d, batch %d, %d threads, %s %s\n", name, bench->width, bench->height, bench->batch, pool_threads(bench->pool),
           backend->name, isa);
    printf("  a call          %s (median of %d; CPU time %.3f s)\n", text_of_seconds(bench->seconds, text), bench->steps,
           bench->cpu_seconds);
    printf("  work            %.1f GFLOP, %.1f GFLOP/s\n", gflop, gflop / bench->seconds);
    printf("  first call      %s (plans and packs)\n", text_of_seconds(bench->first_seconds, text));
    printf("  making weights  %s\n", text_of_seconds(bench->load_seconds, text));
    printf("  memory          %.0f MB at most, of which %.0f MB work space\n", peak, arena);
    printf("  output          mean %.6g, std %.6g\n", bench->mean, bench->deviation);
}

/* ---- The command --------------------------------------------------------------------------------------------------- */

static NodusStatus open_machine(Bench *bench)
{
    const Options *options = bench->options;
    const char *isa = getenv("NODUS_ISA");
    NODUS_TRY(pool_new(options->threads ? options->threads : pool_cpus(), &bench->pool));
    NodusStatus status =
        device_open(options->device ? options->device : "cpu", isa && *isa ? isa : NULL, bench->pool, &bench->device);
    if (status) return isa && *isa ? nodus_error_prefix(status, "NODUS_ISA=%s", isa) : status;
    NODUS_TRY(budget_new(SIZE_MAX / 2, &bench->budget));
    NODUS_TRY(weight_store_new(bench->budget, &bench->store));
    NODUS_TRY(plan_cache_new(bench->budget, &bench->plans));
    bench->math = (NodusMath){.device = bench->device, .pool = bench->pool, .plans = bench->plans, .weights = bench->store};
    return NULL;
}

static void close_machine(Bench *bench)
{
    if (bench->device) math_clear(&bench->math);
    memory_free(bench->math.scratch);
    memory_free(bench->math.memory);
    plan_unref(bench->plan);
    if (bench->plans) plan_cache_free(bench->plans);
    if (bench->store) weight_store_free(bench->store);
    weights_unref(bench->weights);
    if (bench->budget) budget_free(bench->budget);
    if (bench->device) device_close(bench->device);
    if (bench->pool) pool_free(bench->pool);
}

static NodusStatus run_bench(Bench *bench)
{
    Sd15 list;
    sd15_list(&list);
    const double begun = clock_of(CLOCK_MONOTONIC);
    NodusStatus status = make_weights(bench, &list);
    sd15_free(&list);
    bench->load_seconds = clock_of(CLOCK_MONOTONIC) - begun;
    if (!status) status = read_config(bench);
    if (!status) status = make_inputs(bench);
    return status ? status : measure(bench);
}

static int find_piece(const Options *options)
{
    for (int i = 0; options->words.count == 1 && i < PIECE_COUNT; i++)
        if (!strcmp(options->words.item[0], pieces[i].name)) return i;
    return -1;
}

int command_bench(const Options *options)
{
    const int piece = find_piece(options);
    if (piece < 0) return refuse("nodus bench takes one of unet, vae-decode, vae-encode, clip");
    Bench bench = {.options = options, .piece = (Piece)piece, .width = DEFAULT_SIDE, .height = DEFAULT_SIDE};
    if (options->size_given) bench.width = options->width, bench.height = options->height;
    bench.batch = options->batch ? options->batch : piece == PIECE_UNET ? 2 : 1;
    bench.steps = options->steps ? options->steps : DEFAULT_STEPS;
    NodusStatus status = open_machine(&bench);
    const bool opened = !status;
    if (!status) status = run_bench(&bench);
    if (!status) show(&bench);
    close_machine(&bench);
    if (!status) return EXIT_GOOD;
    refuse_status(status);
    return opened ? EXIT_NODE_FAILED : EXIT_REFUSED;
}
