/* lora_inspect.c: LoraInspect: what a LoRA file holds, layer by layer, as a table and as a picture.
 *
 * One idea: the norm of the difference says how much a layer is changed, its singular values how many directions that takes. Both come from
 * the file alone; where the difference depends on the weight that it is put on, the table says so by a dash. */
#include "nodes/lora_inspect.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/weights_file.h"
#include "nodes/lora.h"
#include "nodes/pixels.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Values ---------------------------------------------------------------------------------------------------------- */

enum { TOP = 4 };

static NodusStatus inspect_plain(const Lora *lora, const LoraEntry *entry, float *up, float *down, Svd *out)
{
    NODUS_TRY(weights_read_f32(weights_at(lora->weights, entry->up), up));
    NODUS_TRY(weights_read_f32(weights_at(lora->weights, entry->down), down));
    NODUS_TRY(svd_product(entry->rows, entry->columns, entry->rank, up, down, out));
    for (int64_t i = 0; i < out->count; i++) out->s[i] *= fabs(entry->alpha) / (double)entry->rank;
    if (entry->alpha < 0)
        for (int64_t i = 0; i < out->count * out->rows; i++) out->u[i] = -out->u[i];
    return NULL;
}

static NodusStatus inspect_thin(const Lora *lora, const LoraEntry *entry, Svd *out, double *energy)
{
    float *up = memory_array((size_t)(entry->rows * entry->rank), sizeof *up);
    float *down = memory_array((size_t)(entry->rank * entry->columns), sizeof *down);
    NodusStatus status = up && down ? inspect_plain(lora, entry, up, down, out) : status_memory();
    memory_free(up);
    memory_free(down);
    *energy = 0;
    for (int64_t i = 0; i < out->count && !status; i++) *energy += out->s[i] * out->s[i];
    return status;
}

/* Of more than that many columns the whole difference is smaller. */
static bool is_thin(const LoraEntry *entry)
{
    return entry->up >= 0 && entry->rank <= entry->rows && entry->rank <= entry->columns;
}

NodusStatus lora_inspect(const Lora *lora, const LoraEntry *entry, int64_t count, Svd *out, double *energy)
{
    *out = (Svd){0};
    if (is_thin(entry)) return inspect_thin(lora, entry, out, energy);
    const int64_t numbers = entry->rows * entry->columns;
    float *delta = memory_array((size_t)numbers, sizeof *delta);
    NodusStatus status = delta ? lora_entry_delta(lora, entry, delta) : status_memory();
    *energy = 0;
    for (int64_t i = 0; i < numbers && !status; i++) *energy += (double)delta[i] * (double)delta[i];
    if (!status) status = svd_top(entry->rows, entry->columns, delta, count, out);
    memory_free(delta);
    return status;
}

/* ---- Layers ---------------------------------------------------------------------------------------------------------- */

typedef struct Layer {
    LoraEntry entry;
    double energy, top[TOP];
    int64_t tops;
    NodusStatus status;
} Layer;

typedef struct Inspection {
    NodusCall *call;
    Lora lora;
    Layer *layer;
    int layers;
    size_t widest; /* name */
} Inspection;

static void inspect_layer(void *state, int64_t part)
{
    const Inspection *all = state;
    Layer *layer = &all->layer[part];
    Svd svd;
    if (!layer->entry.rows) return;
    layer->status = lora_inspect(&all->lora, &layer->entry, TOP, &svd, &layer->energy);
    if (layer->status) return;
    layer->tops = svd.count < TOP ? svd.count : TOP;
    for (int64_t i = 0; i < layer->tops; i++) layer->top[i] = svd.s[i];
    svd_free(&svd);
}

static NodusStatus inspect_layers(Inspection *all)
{
    all->layer = nodus_alloc(all->call, (size_t)all->lora.parts * sizeof *all->layer);
    if (!all->layer) return status_memory();
    for (int i = 0; i < weights_count(all->lora.weights) && all->layers < all->lora.parts; i++) {
        Layer *layer = &all->layer[all->layers];
        if (!lora_entry(&all->lora, i, &layer->entry)) continue;
        const size_t length = strlen(layer->entry.name);
        if (length > all->widest) all->widest = length;
        all->layers++;
    }
    nodus_parallel(all->call, all->layers, inspect_layer, all);
    NodusStatus status = NULL;
    for (int i = 0; i < all->layers; i++) {
        if (status) nodus_error_free(all->layer[i].status);
        else status = all->layer[i].status;
    }
    return status;
}

/* ---- The table ------------------------------------------------------------------------------------------------------- */

static NodusStatus inspect_row(NodusText *text, const Inspection *all, const Layer *layer)
{
    const LoraEntry *entry = &layer->entry;
    NODUS_TRY(nodus_print(text, "%-*s  %-10s", (int)all->widest, entry->name, entry->kind));
    if (entry->rank) NODUS_TRY(nodus_print(text, " %5d %8.4g", (int)entry->rank, entry->alpha));
    else NODUS_TRY(nodus_print(text, " %5s %8s", "-", "-"));
    if (!entry->rows) return nodus_print(text, " %10s\n", "-");
    NODUS_TRY(nodus_print(text, " %10.5g ", sqrt(layer->energy)));
    for (int64_t i = 0; i < layer->tops; i++) NODUS_TRY(nodus_print(text, " %.4g", layer->top[i]));
    return nodus_print(text, "\n");
}

static NodusStatus inspect_table(const Inspection *all)
{
    NodusText *text = nodus_text(all->call);
    double energy = 0;
    NODUS_TRY(nodus_print(text, "%-*s  %-10s %5s %8s %10s  %s\n", (int)all->widest, "layer", "kind", "rank", "alpha", "norm",
                          "largest singular values"));
    for (int i = 0; i < all->layers; i++) {
        NODUS_TRY(inspect_row(text, all, &all->layer[i]));
        energy += all->layer[i].energy;
    }
    NODUS_TRY(nodus_print(text, "%d layers, norm of all: %.5g\n", all->layers, sqrt(energy)));
    return nodus_emit_string(all->call, 0, nodus_text_get(text));
}

/* ---- The picture ----------------------------------------------------------------------------------------------------- */

enum { LETTER = 6, LINE = 12, LINES_MOST = 1300, BAR = 400, NUMBER = 72, MARGIN = 6, LABEL_MOST = 200 };

typedef struct Bar {
    char label[LABEL_MOST];
    double energy;
} Bar;

/* A layer's block: its name up to the first number that stands by itself: "lora_unet_down_blocks_0". */
static void block_of(const char *name, char out[LABEL_MOST])
{
    size_t length = 0;
    while (name[length] && !(length && strchr("._", name[length - 1]) && name[length] >= '0' && name[length] <= '9')) length++;
    while (name[length] >= '0' && name[length] <= '9') length++;
    snprintf(out, LABEL_MOST, "%.*s", (int)(length < LABEL_MOST ? length : LABEL_MOST - 1), name);
}

static int inspect_bars(const Inspection *all, bool blocks, Bar *bar)
{
    int count = 0;
    for (int i = 0; i < all->layers; i++) {
        char label[LABEL_MOST];
        int at = 0;
        if (blocks) block_of(all->layer[i].entry.name, label);
        else snprintf(label, sizeof label, "%.*s", LABEL_MOST - 1, all->layer[i].entry.name);
        while (blocks && at < count && strcmp(bar[at].label, label)) at++;
        if (!blocks || at == count) {
            if (count == LINES_MOST) continue;
            at = count++;
            memcpy(bar[at].label, label, sizeof label);
        }
        bar[at].energy += all->layer[i].energy;
    }
    return count;
}

/* A text with its left upper corner at x, y. */
static NodusStatus draw_text(NodusCall *call, float *to, const Pixels *size, const char *text, int64_t x, int64_t y)
{
    NodusTensor *picture;
    const float *from;
    NODUS_TRY(nodus_tensor_text(nodus_math(call), &picture, text, 1));
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), picture, &from));
    const int64_t width = nodus_tensor_dim(picture, 1), fits = width < size->width - x ? width : size->width - x;
    for (int64_t row = 0; row < nodus_tensor_dim(picture, 0); row++)
        memcpy(to + ((y + row) * size->width + x) * 3, from + row * width * 3, (size_t)(fits * 3) * sizeof *to);
    return NULL;
}

static void draw_bar(float *to, const Pixels *size, int64_t x, int64_t y, int64_t length)
{
    static const float blue[] = {0.25f, 0.45f, 0.75f};
    for (int64_t row = y; row < y + LINE - 3; row++)
        for (int64_t i = x; i < x + length; i++) memcpy(to + (row * size->width + i) * 3, blue, sizeof blue);
}

static NodusStatus inspect_picture(const Inspection *all, bool blocks)
{
    Bar *bar = nodus_alloc(all->call, (size_t)(all->layers + 1) * sizeof *bar);
    if (!bar) return status_memory();
    const int count = inspect_bars(all, blocks, bar);
    size_t widest = 1;
    double most = 0;
    for (int i = 0; i < count; i++) {
        if (strlen(bar[i].label) > widest) widest = strlen(bar[i].label);
        if (isfinite(bar[i].energy) && bar[i].energy > most) most = bar[i].energy;
    }
    const int64_t left = (int64_t)widest * LETTER + 2 * MARGIN;
    const Pixels size = {1, count * LINE + 2 * MARGIN, left + BAR + NUMBER + 2 * MARGIN, 3, NULL};
    float *pixel = pixels_new(all->call, &size);
    if (!pixel) return status_memory();
    for (int64_t i = 0; i < pixels_item(&size); i++) pixel[i] = 250 / 255.0f;
    for (int i = 0; i < count; i++) {
        char number[32];
        const bool drawn = most > 0 && isfinite(bar[i].energy); /* what is no number has no bar */
        const int64_t y = MARGIN + i * LINE, length = drawn ? (int64_t)(BAR * sqrt(bar[i].energy / most)) : 0;
        snprintf(number, sizeof number, "%.4g", sqrt(bar[i].energy));
        NODUS_TRY(draw_text(all->call, pixel, &size, bar[i].label, MARGIN, y));
        draw_bar(pixel, &size, left, y, length);
        NODUS_TRY(draw_text(all->call, pixel, &size, number, left + length + MARGIN, y));
    }
    if (!blocks && all->layers > LINES_MOST)
        nodus_warn(all->call, "the picture shows the first %d of %d layers; the table has them all", LINES_MOST, all->layers);
    return pixels_emit(all->call, 1, &size, pixel);
}

/* ---- The node -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name, *bars;
} InspectArgs;

static NodusStatus inspect_run(NodusCall *call, const void *args)
{
    const InspectArgs *in = args;
    Inspection all = {.call = call};
    const char *path;
    WeightSet *weights;
    NODUS_TRY(nodus_find_file(call, "loras", in->name, &path));
    NODUS_TRY(checkpoint_open(path, &weights));
    NodusStatus status = lora_read(weights, &all.lora);
    if (!status) status = inspect_layers(&all);
    weights_unref(weights);
    if (status) return nodus_error_prefix(status, "'%s'", in->name);
    NODUS_TRY(inspect_table(&all));
    return inspect_picture(&all, in->bars[0] == 'b');
}

static NodusStatus inspect_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const InspectArgs *in = args;
    return lora_hash(call, hash, in->name);
}

static const char *const inspect_bars_of[] = {"blocks", "layers", NULL};
static const NodusInput inspect_inputs[] = {
    NODUS_IN_COMBO("lora_name", InspectArgs, name, "A file of models/loras.", .folder = "loras"),
    NODUS_IN_COMBO("bars", InspectArgs, bars, "What the picture has a bar for: each block of the network, or each layer.",
                   .names = inspect_bars_of),
};
static const NodusOutput inspect_outputs[] = {
    {.name = "table",
     .type = "STRING",
     .tooltip = "A line a layer: kind, rank, alpha, the norm of what is added at a strength of 1, and the largest singular "
                "values of that."},
    {.name = "picture", .type = "IMAGE", .tooltip = "The norms as bars."},
};
const NodusNode node_lora_inspect = {
    NODUS_NODE("LoraInspect", "Look into a LoRA", "loaders", InspectArgs, inspect_inputs, inspect_outputs),
    .flags = NODUS_IO,
    .help = "Show what a LoRA changes, layer by layer: how much, and how many directions it takes. What depends on the model's "
            "weights (OFT, GLoRA) "
            "has no norm; of DoRA the part before the magnitudes is shown.",
    .example = "graphs/lora_inspect.json",
    .run = inspect_run,
    .fingerprint = inspect_fingerprint,
};
