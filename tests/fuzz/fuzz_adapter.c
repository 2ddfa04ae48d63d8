/* fuzz_adapter.c: files of adapters (LoRA of all kinds, ControlNet, T2I-Adapter, IP-Adapter, GLIGEN, style models, hypernetworks,
 * vision towers) as people break them: what readers accept must build a graph or be an error there, and a graph must run.
 *
 * One idea: bytes that are a file would break in its header, which fuzz_safetensors.c looks at. So the input is a list of edits
 * of a small good file: entries dropped, renamed, copied, of other shapes, types and numbers. The first byte chooses the file;
 * each edit is seven bytes. The good files are those that tests/support_families.c writes, opened and removed again when the
 * program starts. */
#include "engine/formats/safetensors.h"
#include "engine/tensor/derived.h"
#include "engine/tensor/shape.h"
#include "nodes/diffusion/boxes.h"
#include "nodes/diffusion/control.h"
#include "nodes/diffusion/control_lora.h"
#include "nodes/lora_inspect.h"
#include "nodes/models/clip_vision.h"
#include "nodes/models/family.h"
#include "nodes/models/ip_adapter.h"
#include "nodes/models/layout.h"
#include "nodes/models/scaled_fp8.h"
#include "nodes/models/style.h"
#include "tests/fuzz/weights_walk.h"
#include "tests/support.h"
#include "tests/support_families.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "nodes/hypernetwork.c" /* its functions are static */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { EDITS = 12, EDIT_BYTES = 7, LONG_NAME = 10000, NUMBERS = 1 << 18, SIDE = 8, TOKENS = 5 };

static void require(NodusStatus status)
{
    if (!status) return;
    fprintf(stderr, "%s\n", nodus_error_message(status));
    abort();
}

/* An error must say something. */
static void told(NodusStatus status)
{
    if (!status) return;
    if (strlen(nodus_error_message(status)) < 10 || nodus_error_kind(status) == NODUS_ERROR_INTERNAL) require(status);
    nodus_error_free(status);
}

/* ---- What is shared by all inputs -------------------------------------------------------------------------------------------
 */

static SupportMath lab; /* as support_math_open makes it, with a small budget */
static WeightSet *demo;
static Model model; /* the demo's, as far as adapters look at it */
static float numbers[NUMBERS], wild[NUMBERS];

static void open_math(void)
{
    require(pool_new(1, &lab.pool));
    require(device_open("ref", NULL, lab.pool, &lab.device));
    require(budget_new((size_t)512 << 20, &lab.budget));
    lab.math.device = lab.device;
    lab.math.pool = lab.pool;
    lab.math.cancel = &lab.cancel;
    require(plan_cache_new(lab.budget, &lab.math.plans));
    require(weight_store_new(lab.budget, &lab.math.weights));
}

/* A LoRA of each kind; the layer mN is a matrix for even N, a kernel of 3×3 for odd ones. */
static const char loras[] =
    "m0.lora_up.weight 8 2;m0.lora_down.weight 2 6;m0.alpha;"
    "m1.lora_up.weight 8 2 1 1;m1.lora_mid.weight 2 3 3 3;m1.lora_down.weight 3 6 1 1;m1.alpha;"
    "m2.hada_w1_a 8 2;m2.hada_w1_b 2 6;m2.hada_w2_a 8 2;m2.hada_w2_b 2 6;m2.alpha;"
    "m3.hada_t1 2 3 3 3;m3.hada_w1_a 2 8;m3.hada_w1_b 3 6;m3.hada_t2 2 3 3 3;m3.hada_w2_a 2 8;m3.hada_w2_b 3 6;"
    "m4.lokr_w1 2 2;m4.lokr_w2 4 3;"
    "m5.lokr_w1_a 2 1;m5.lokr_w1_b 1 2;m5.lokr_w2_a 2 4;m5.lokr_w2_b 2 3;m5.lokr_t2 2 2 3 3;m5.alpha;"
    "m6.a1.weight 6 2;m6.a2.weight 2 6;m6.b1.weight 8 2;m6.b2.weight 2 6;m6.alpha;"
    "m7.oft_blocks 2 4 4;m7.alpha;m8.oft_blocks 2 2 4 4;m9.diff 8 6 3 3;m9.diff_b 8;"
    "m10.lora_up.weight 8 2;m10.lora_down.weight 2 6;m10.dora_scale 8 1;m10.alpha;m11.set_weight 8 6 3 3;";
enum { LAYERS = 12, ROWS = 8, COLUMNS = 6, KERNEL = 3 };

static void add_made(WeightSet *set, const char *name, int rank, const int64_t *dim)
{
    require(weights_add(set, name, DTYPE_F32, rank, dim, numbers, (size_t)shape_count(rank, dim) * sizeof *numbers, false));
}

static WeightSet *make_loras(void)
{
    WeightSet *set;
    require(weights_new(&set));
    for (const char *at = loras; *at; at = strchr(at, ';') + 1) {
        char name[64];
        int64_t dim[VIEW_RANK];
        int rank = 0, used;
        sscanf(at, "%63[^ ;]%n", name, &used);
        for (const char *number = at + used; *number == ' '; rank++) dim[rank] = strtoll(number, (char **)(uintptr_t)&number, 10);
        add_made(set, name, rank, dim);
    }
    return set;
}

static WeightSet *make_layers(void)
{
    WeightSet *set;
    char name[32];
    require(weights_new(&set));
    for (int i = 0; i < LAYERS; i++) {
        snprintf(name, sizeof name, "m%d.weight", i);
        add_made(set, name, i % 2 ? 4 : 2, (int64_t[]){ROWS, COLUMNS, KERNEL, KERNEL});
        snprintf(name, sizeof name, "m%d.bias", i);
        add_made(set, name, 1, (int64_t[]){ROWS});
    }
    weights_set_identity(set, hash_of("layers", 6));
    return set;
}

/* ---- A run -------------------------------------------------------------------------------------------------------------------
 */

typedef struct Job {
    NodusStatus (*build)(void *context, OpGraph *graph);
    void *context;
    bool run; /* kernels too */
    uint64_t key;
    Bindings bindings;
} Job;

static void input(Job *job, const char *name, int rank, const int64_t *dim)
{
    NodusTensor *x;
    if (job->run) require(nodus_tensor_fill(&lab.math, &x, rank, dim, 0.5f));
    if (job->run) bindings_input(&job->bindings, name, x);
}

static void output(Job *job, const char *name)
{
    static Tensor *out[BINDINGS_OUTPUTS];
    bindings_output(&job->bindings, name, &out[job->bindings.outputs % BINDINGS_OUTPUTS]);
}

/* A graph that no shape contradicts must run. Kernels run for small networks only: under the sanitizers a ControlNet takes
 * seconds. */
static NodusStatus go(Job *job, WeightSet *weights)
{
    OpGraph *graph;
    Plan *plan;
    NodusHash *hash;
    require(graph_new(weights, &graph));
    NodusStatus status = job->build(job->context, graph), sticky = graph_finish(graph);
    graph_free(graph);
    if (status) nodus_error_free(sticky);
    else status = sticky;
    if (status || !job->run) return status;
    require(plan_key_begin(&lab.math, weights, "fuzz", &hash));
    nodus_hash_u64(hash, job->key);
    NODUS_TRY(plan_get(&lab.math, plan_key_end(hash), weights, job->build, job->context, &plan));
    if (plan_arena_bytes(plan) < (size_t)64 << 20) status = plan_run(&lab.math, plan, &job->bindings);
    plan_unref(plan);
    return status;
}

/* ---- LoRA --------------------------------------------------------------------------------------------------------------------
 */

static NodusStatus build_layers(void *context, OpGraph *g)
{
    (void)context;
    const OpRef x = op_input(g, "x", DTYPE_F32, 2, (const int64_t[]){1, COLUMNS}),
                y = op_input(g, "y", DTYPE_F32, 4, (const int64_t[]){1, COLUMNS, 4, 4});
    char name[32];
    for (int i = 0; i < LAYERS; i++) {
        snprintf(name, sizeof name, "m%d", i);
        const OpRef out = i % 2 ? op_conv2d(g, y, name, CONV_3X3) : op_linear(g, x, name);
        snprintf(name, sizeof name, "out%d", i);
        op_output(g, name, out);
    }
    return NULL;
}

static NodusStatus patch_all(Lora *lora, Derived *derived, const WeightSet *base)
{
    char name[32];
    NODUS_TRY(derived_keep(derived, lora->weights));
    for (int i = 0; i < LAYERS; i++) {
        bool found = false;
        snprintf(name, sizeof name, "m%d", i);
        NODUS_TRY(lora_patch(lora, derived, base, 2 * i, name, 0.5, &found));
    }
    return NULL;
}

static NodusStatus use_patched(WeightSet *base, WeightSet *patched, bool run)
{
    static char names[LAYERS][16];
    Job job = {build_layers, NULL, run, 0, {.inputs = 0}};
    float values[ROWS * COLUMNS * KERNEL * KERNEL];
    for (int i = 0; i < weights_count(base); i++) told(derived_read(patched, i, values));
    input(&job, "x", 2, (int64_t[]){1, COLUMNS});
    input(&job, "y", 4, (int64_t[]){1, COLUMNS, 4, 4});
    for (int i = 0; i < LAYERS; i++) {
        snprintf(names[i], sizeof names[i], "out%d", i);
        output(&job, names[i]);
    }
    return go(&job, patched);
}

static NodusStatus read_lora(WeightSet *file, bool run)
{
    WeightSet *base = make_layers(), *patched;
    Derived *derived;
    Lora lora;
    LoraEntry entry;
    NodusStatus status = lora_read(file, &lora);
    for (int i = 0; !status && !run && i < weights_count(file); i++) {
        Svd svd;
        double energy;
        if (!lora_entry(&lora, i, &entry) || !entry.rows) continue;
        if (entry.rows * entry.columns > NUMBERS || entry.rank > 64) continue;
        told(lora_inspect(&lora, &entry, 4, &svd, &energy));
        svd_free(&svd);
    }
    if (!status) require(derived_new(base, false, &derived));
    if (!status && (status = patch_all(&lora, derived, base))) derived_free(derived);
    else if (!status && !(status = derived_finish(derived, &patched))) {
        status = use_patched(base, patched, run);
        weights_unref(patched);
    }
    weights_unref(base);
    return status;
}

/* ---- ControlNets and T2I-Adapters --------------------------------------------------------------------------------------------
 */

static NodusStatus build_hint(void *context, OpGraph *graph)
{
    control_build_hint(graph, context, 1, SIDE, SIDE);
    return NULL;
}

static NodusStatus build_net(void *context, OpGraph *graph)
{
    control_build(graph, context, &(UnetShape){1, SIDE, SIDE, TOKENS});
    return NULL;
}

static NodusStatus build_t2i(void *context, OpGraph *graph)
{
    control_build_adapter(graph, context, 1, SIDE, SIDE);
    return NULL;
}

static NodusStatus use_net(WeightSet *weights, ControlConfig *config)
{
    told(go(&(Job){build_hint, config, false, 1, {.inputs = 0}}, weights));
    return go(&(Job){build_net, config, false, 2, {.inputs = 0}}, weights);
}

static NodusStatus read_control(WeightSet *file, bool run)
{
    ControlConfig config;
    WeightSet *whole;
    NODUS_TRY(control_config(file, &config));
    if (config.kind == CONTROL_ADAPTER) return go(&(Job){build_t2i, &config, false, 3, {.inputs = 0}}, file);
    config.typed = config.types && run;
    if (!config.lora) return use_net(file, &config);
    NODUS_TRY(control_lora_weights(file, config.prefix, &model, &whole));
    ControlConfig told_by_model = control_of_model(&config, &model.unet);
    NodusStatus status = use_net(whole, &told_by_model);
    weights_unref(whole);
    return status;
}

/* ---- Others ------------------------------------------------------------------------------------------------------------------
 */

/* What nodes read into room of a size that the config tells. */
static void holds(const WeightSet *file, const char *name, int64_t count)
{
    const Weight *weight = weights_get(file, name);
    if (!weight || (int64_t)(weight->bytes / dtype_size(weight->dtype)) != count) abort();
}

static NodusStatus build_ip(void *context, OpGraph *graph)
{
    const IpAdapterConfig *config = context;
    ip_adapter_build(graph, config, config->kind == IP_PLAIN ? 1 : TOKENS);
    return NULL;
}

static NodusStatus read_ip(WeightSet *file, bool run)
{
    IpAdapterConfig config;
    NODUS_TRY(ip_adapter_config(file, &config));
    if (config.kind == IP_PLUS) holds(file, "image_proj.latents", (int64_t)config.tokens * config.inner);
    Job job = {build_ip, &config, run, 4, {.inputs = 0}};
    input(&job, "image", 3, (int64_t[]){1, config.kind == IP_PLAIN ? 1 : TOKENS, config.image});
    if (config.kind == IP_PLUS) input(&job, "latents", 3, (int64_t[]){1, config.tokens, config.inner});
    output(&job, "keys");
    return go(&job, file);
}

static NodusStatus build_style(void *context, OpGraph *graph)
{
    style_build(graph, context, TOKENS);
    return NULL;
}

static NodusStatus read_style(WeightSet *file, bool run)
{
    StyleConfig config;
    NODUS_TRY(style_config(file, &config));
    Job job = {build_style, &config, run, 5, {.inputs = 0}};
    input(&job, "seen", 3, (int64_t[]){1, TOKENS, config.width});
    output(&job, "tokens");
    return go(&job, file);
}

static NodusStatus build_vision(void *context, OpGraph *graph)
{
    clip_vision_build(graph, context);
    return NULL;
}

static NodusStatus read_vision(WeightSet *file, bool run)
{
    ClipVisionConfig config;
    (void)run;
    NODUS_TRY(family_vision(file, "fuzz", &config));
    return go(&(Job){build_vision, &config, false, 6, {.inputs = 0}}, file);
}

static NodusStatus build_unet(void *context, OpGraph *graph)
{
    (void)context;
    unet_build(graph, &model.unet, 1, SIDE, SIDE, TOKENS);
    return NULL;
}

typedef struct Patched {
    const NodusPatchClass *class;
    const void *self;
} Patched;

static NodusStatus build_patched(void *context, OpGraph *graph)
{
    const Patched *patched = context;
    graph_set_patches(graph, &patched->class, &patched->self, 1);
    return build_unet(NULL, graph);
}

static NodusStatus build_tokens(void *context, OpGraph *graph)
{
    gligen_build_tokens(graph, context);
    return NULL;
}

static NodusStatus read_gligen(WeightSet *file, bool run)
{
    BoxUse use = {.weights = file};
    WeightSet *whole;
    NODUS_TRY(gligen_config(file, &use.config));
    holds(file, "position_net.null_positive_feature", use.config.context);
    holds(file, "position_net.null_position_feature", GLIGEN_WAVES);
    (void)run;
    told(go(&(Job){build_tokens, &use.config, false, 7, {.inputs = 0}}, file));
    NODUS_TRY(boxes_weights(demo, model.unet.prefix, file, &whole));
    NodusStatus status = go(&(Job){build_patched, &(Patched){&boxes_patch, &use}, false, 8, {.inputs = 0}}, whole);
    weights_unref(whole);
    return status;
}

static NodusStatus read_hyper(WeightSet *file, bool run)
{
    Hypernetwork hyper = {.activation = LINEAR};
    Model *out;
    (void)run;
    NODUS_TRY(put(&model, file, &hyper, &out));
    NodusStatus status = go(&(Job){build_patched, &(Patched){&hyper_class, &hyper}, false, 9, {.inputs = 0}}, out->weights);
    type_model.free(out);
    return status;
}

/* ---- The good files
 * ------------------------------------------------------------------------------------------------------------ */

static struct {
    const char *file; /* NULL: make_loras */
    NodusStatus (*read)(WeightSet *file, bool run);
    bool layout; /* opened as a model: names are told anew */
    WeightSet *good;
} kinds[] = {
    {NULL, read_lora, false, NULL},
    {"controlnet/control.safetensors", read_control, true, NULL},
    {"controlnet/control-diffusers.safetensors", read_control, true, NULL},
    {"controlnet/union.safetensors", read_control, true, NULL},
    {"controlnet/control-lora.safetensors", read_control, true, NULL},
    {"controlnet/t2i.safetensors", read_control, true, NULL},
    {"controlnet/t2i-light-diffusers.safetensors", read_control, true, NULL},
    {"ipadapter/ip-adapter_sd15.safetensors", read_ip, true, NULL},
    {"ipadapter/ip-adapter-plus_sd15.safetensors", read_ip, true, NULL},
    {"gligen/gligen.safetensors", read_gligen, true, NULL},
    {"style_models/style.safetensors", read_style, true, NULL},
    {"style_models/redux.safetensors", read_style, true, NULL},
    {"hypernetworks/hypernetwork.safetensors", read_hyper, true, NULL},
    {"clip_vision/clip_vision.safetensors", read_vision, true, NULL},
};
enum { KINDS_OF_FILE = sizeof kinds / sizeof *kinds };

static void open_all(void)
{
    char folder[] = "/tmp/nodus-fuzz-XXXXXX", path[512];
    if (!mkdtemp(folder)) abort();
    for (int i = 0; i < NUMBERS; i++) {
        numbers[i] = (float)(i * 37 % 101) / 500 - 0.1f;
        wild[i] = i % 3 ? (i % 3 == 1 ? (float)NAN : (float)INFINITY) : 3e38f;
    }
    open_math();
    require(safetensors_open("models/checkpoints/shapes-sd1.safetensors", &demo));
    model.weights = demo;
    require(unet_config(demo, "model.diffusion_model.", &model.unet));
    require(support_families(folder));
    for (int i = 0; i < KINDS_OF_FILE; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, kinds[i].file ? kinds[i].file : "");
        if (kinds[i].file) require(safetensors_open(path, &kinds[i].good));
        else kinds[i].good = make_loras();
    }
    snprintf(path, sizeof path, "rm -rf %s", folder); /* what is mapped stays */
    if (system(path)) abort();
}

/* ---- Edits
 * --------------------------------------------------------------------------------------------------------------------- */

typedef struct Item {
    char *name;
    int dtype, rank, from; /* from: in the good file; −1: it has other numbers */
    int64_t dim[VIEW_RANK];
    const float *data;
} Item;

static const int64_t sizes[] = {
    0, 1, 2, 3, 5, 8, 16, 32, 64, 192, 193, 512, 1 << 20, (1 << 20) + 1, (int64_t)1 << 31, (int64_t)1 << 40, INT64_MAX};
static const char *const texts[] = {"99999999", "-1", "4294967296", "31", "32", "64",
                                    "",         "0",  "1",          "7",  "x",  "9223372036854775808"};
enum { SIZES = sizeof sizes / sizeof *sizes, TEXTS = sizeof texts / sizeof *texts };

/* The n-th number in a name becomes another text; a name without one gets it as its end. */
static void renumber(Item *item, int n, const char *text)
{
    char *out = malloc(strlen(item->name) + strlen(text) + 1), *digits = item->name + strcspn(item->name, "0123456789");
    for (; n % 4 && *digits; n--) {
        char *next = digits + strspn(digits, "0123456789");
        next += strcspn(next, "0123456789");
        if (!*next) break;
        digits = next;
    }
    sprintf(out, "%.*s%s%s", (int)(digits - item->name), item->name, text, digits + strspn(digits, "0123456789"));
    free(item->name);
    item->name = out;
}

static void lengthen(Item *item, const uint8_t *edit)
{
    char *out = malloc(strlen(item->name) + LONG_NAME + 1);
    memset(out, edit[3] % 2 ? 'x' : '.', LONG_NAME);
    strcpy(out + LONG_NAME, item->name);
    if (edit[3] & 2) out[(size_t)LONG_NAME + strlen(item->name) - 1] = '\x01';
    free(item->name);
    item->name = out;
}

static void reshape(Item *item, const uint8_t *edit)
{
    const int axis = item->rank ? edit[3] % item->rank : 0;
    item->from = -1;
    switch (edit[4] % 5) {
    case 0: item->dim[axis] = sizes[edit[5] % SIZES]; break;
    case 1: item->dim[axis] += (int8_t)edit[5]; break;
    case 2:
        if (item->rank) item->rank--;
        break;
    case 3:
        if (item->rank < VIEW_RANK) item->dim[item->rank++] = edit[5] % 4;
        break;
    default:
        if (item->rank > 1) {
            const int64_t first = item->dim[0];
            item->dim[0] = item->dim[axis];
            item->dim[axis] = first;
        }
    }
}

static void edit_item(Item *items, int *count, const uint8_t *edit)
{
    const int at = (edit[1] | edit[2] << 8) % *count, other = (edit[5] | edit[6] << 8) % *count;
    Item *item = &items[at];
    switch (edit[0] % 9) {
    case 0:
        free(item->name);
        *item = items[--*count];
        break;
    case 1: renumber(item, edit[3], texts[edit[4] % TEXTS]); break;
    case 2:
    case 3: reshape(item, edit); break;
    case 4: item->dtype = edit[3] % DTYPE_COUNT, item->from = -1; break;
    case 5: /* what it holds goes under the name of another */
        if (at == other) break;
        free(items[other].name);
        items[other].name = item->name;
        *item = items[--*count];
        break;
    case 6: lengthen(item, edit); break;
    case 7: item->data = wild, item->from = -1; break;
    default: /* one more under a name that is not there */
        items[*count] = *item;
        items[*count].name = strdup(item->name);
        renumber(&items[(*count)++], edit[3], texts[edit[4] % TEXTS]);
    }
}

/* As far as a safetensors file can hold it: numbers that are really there. */
static void add_item(WeightSet *set, const WeightSet *good, const Item *item)
{
    size_t bytes = dtype_size(item->dtype);
    for (int i = 0; i < item->rank; i++)
        if (item->dim[i] < 0 || __builtin_mul_overflow(bytes, (size_t)item->dim[i], &bytes)) return;
    if (item->from >= 0) {
        told(weights_add_like(set, item->name, 0, NULL, good, item->from));
    } else if (bytes <= sizeof numbers) {
        told(weights_add(set, item->name, item->dtype, item->rank, item->dim, item->data, bytes, false));
    }
}

static WeightSet *edited(const WeightSet *good, const uint8_t *edits, size_t count)
{
    const int most = weights_count(good) + EDITS;
    Item *items = calloc((size_t)most, sizeof *items);
    WeightSet *set;
    int there = 0;
    for (; there < weights_count(good); there++) {
        const Weight *weight = weights_at(good, there);
        items[there] = (Item){strdup(weight->name), weight->dtype, weight->rank, there, {0}, numbers};
        memcpy(items[there].dim, weight->dim, sizeof weight->dim);
    }
    for (size_t i = 0; i < count && there > 1; i++) edit_item(items, &there, edits + i * EDIT_BYTES);
    require(weights_new(&set));
    for (int i = 0; i < there; i++) {
        add_item(set, good, &items[i]);
        free(items[i].name);
    }
    free(items);
    return set;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!demo) open_all();
    if (!size) return 0;
    const int kind = data[0] % KINDS_OF_FILE;
    const bool run = data[0] / KINDS_OF_FILE % 4 == 3;
    const size_t edits = (size - 1) / EDIT_BYTES < EDITS ? (size - 1) / EDIT_BYTES : EDITS;
    WeightSet *file = edited(kinds[kind].good, data + 1, edits), *whole = NULL, *told_anew = NULL;
    NodusStatus status = NULL;
    weights_set_identity(file, hash_of(data, size));
    if (kinds[kind].layout) {
        status = scaled_fp8_apply(file, &whole);
        if (!status) status = layout_apply(whole, &told_anew);
    }
    if (!status) status = kinds[kind].read(told_anew ? told_anew : file, run);
    if (status && !edits) require(status);
    told(status);
    math_clear(&lab.math);
    weights_unref(told_anew);
    weights_unref(whole);
    weights_unref(file);
    return 0;
}

/* Another file, an edit more, less, or another one; a changed letter of an edit. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    uint64_t state = seed;
    size_t edits = size ? (size - 1) / EDIT_BYTES : 0;
    const uint64_t choice = support_random(&state) % 8;
    if (most < 1 + (edits + 1) * EDIT_BYTES || edits > EDITS) return LLVMFuzzerMutate(data, size, most);
    if (!size || choice == 0) data[0] = (uint8_t)support_random(&state);
    if (!edits || (choice < 4 && edits < EDITS)) edits++;
    else if (choice == 4) edits--;
    uint8_t *edit = data + 1 + (edits ? (choice < 4 ? edits - 1 : support_random(&state) % edits) : 0) * EDIT_BYTES;
    if (!edits) return 1;
    if (choice == 7) LLVMFuzzerMutate(edit, EDIT_BYTES, EDIT_BYTES);
    else
        for (int i = 0; i < EDIT_BYTES; i++) edit[i] = (uint8_t)support_random(&state);
    return 1 + edits * EDIT_BYTES;
}
