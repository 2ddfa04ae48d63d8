/* conds.c: see conds.h. Batches are made once and found again by their members: which entries act changes with sigma, but not
 * often. Entries of one batch are in reversed order, the last list first: [uncond, cond]. Texts of different lengths share a call
 * if repeating them to a common length is cheap. */
#include "nodes/diffusion/conds.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "nodes/diffusion/conds_inside.h"
#include "nodes/diffusion/label.h"
#include <string.h>

enum { REPEAT_LIMIT = 4 /* how often a text may be repeated to share a call */, LABEL_PIXELS = 8 /* a latent cell */ };

/* ---- Batches ------------------------------------------------------------------------------------------------------- */

static int64_t tokens_of(const Conds *conds, int index)
{
    return nodus_tensor_dim(conds->entry[index].source->text, 1);
}

static int64_t common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

static bool may_share(const Conds *conds, int a, int b)
{
    const Box *one = &conds->entry[a].box, *other = &conds->entry[b].box;
    const int64_t first = tokens_of(conds, a), second = tokens_of(conds, b), shorter = first < second ? first : second;
    return one->height == other->height && one->width == other->width && common_multiple(first, second) / shorter <= REPEAT_LIMIT &&
           control_same(conds->entry[a].control, conds->entry[b].control) && !conds->entry[a].boxes == !conds->entry[b].boxes &&
           conds->entry[a].edit == conds->entry[b].edit;
}

static NodusStatus check_text(const Conds *conds, const Entry *entry)
{
    const int width = conds->setup.model->unet.context_width;
    const int64_t given = nodus_tensor_dim(entry->source->text, 2);
    if (given == width) return NULL;
    return nodus_input_error(conds->setup.call, conds->setup.list[entry->list].input,
                             "its texts are %d wide, the model hears %d: are text encoder and model of two families?", (int)given,
                             width);
}

/* A text, repeated to `tokens` tokens and once an item of the batch. */
static NodusStatus batch_text(const Conds *conds, const NodusTensor *text, int64_t tokens, NodusTensor **out)
{
    const int64_t times = tokens / nodus_tensor_dim(text, 1);
    const NodusTensor **same = nodus_alloc(conds->setup.call, (size_t)times * sizeof *same);
    NodusTensor *longer;
    if (!same) return status_memory();
    for (int64_t i = 0; i < times; i++) same[i] = text;
    NODUS_TRY(nodus_tensor_concat(conds->math, &longer, 1, (int)times, same));
    return nodus_tensor_repeat(conds->math, out, longer, conds->batch);
}

/* The text of an entry: the network's, or (`control`) that of its ControlNets. */
static const NodusTensor *text_of(const Entry *entry, bool control)
{
    return control && entry->source->control_text ? entry->source->control_text : entry->source->text;
}

/* The same; of an edited entry its source's before it. */
static NodusStatus texts_told(const Conds *conds, const Entry *entry, bool control, const NodusTensor **out)
{
    NodusTensor *pair;
    *out = text_of(entry, control);
    if (!entry->edit || *out != entry->source->text) return NULL;
    NODUS_TRY(edit_pair(conds->math, entry->edit->text, *out, &pair));
    *out = pair;
    return NULL;
}

static NodusStatus texts_of(const Conds *conds, const Batch *batch, bool control, int64_t *tokens, NodusTensor **out)
{
    NodusTensor **text = nodus_alloc(conds->setup.call, (size_t)batch->count * sizeof(NodusTensor *));
    const NodusTensor *told;
    if (!text) return status_memory();
    *tokens = 1;
    for (int i = 0; i < batch->count; i++)
        *tokens = common_multiple(*tokens, nodus_tensor_dim(text_of(&conds->entry[batch->member[i]], control), 1));
    for (int i = 0; i < batch->count; i++) {
        NODUS_TRY(texts_told(conds, &conds->entry[batch->member[i]], control, &told));
        NODUS_TRY(batch_text(conds, told, *tokens, &text[i]));
    }
    return nodus_tensor_concat(conds->math, out, 0, batch->count, (const NodusTensor *const *)text);
}

static NodusStatus batch_context(const Conds *conds, Batch *batch)
{
    bool own = false;
    for (int i = 0; i < batch->count; i++) {
        const Entry *entry = &conds->entry[batch->member[i]];
        NODUS_TRY(check_text(conds, entry));
        own = own || entry->source->control_text;
    }
    NODUS_TRY(texts_of(conds, batch, false, &batch->tokens, &batch->context));
    batch->control_context = batch->context;
    batch->control_tokens = batch->tokens;
    return own ? texts_of(conds, batch, true, &batch->control_tokens, &batch->control_context) : NULL;
}

static NodusStatus batch_beside(const Conds *conds, Batch *batch)
{
    NodusTensor **beside = nodus_alloc(conds->setup.call, (size_t)batch->count * sizeof(NodusTensor *));
    if (!beside) return status_memory();
    for (int i = 0; i < batch->count; i++) beside[i] = conds->entry[batch->member[i]].beside;
    if (!beside[0]) return NULL;
    return nodus_tensor_concat(conds->math, &batch->beside, 0, batch->count, (const NodusTensor *const *)beside);
}

/* What a member is told of the picture beside its text: the network, or its ControlNets. */
static NodusStatus entry_label(const Conds *conds, const Entry *entry, bool control, NodusTensor **out)
{
    const CondsSetup *setup = &conds->setup;
    const int64_t height = conds->picture.height * LABEL_PIXELS, width = conds->picture.width * LABEL_PIXELS;
    Cond told = *entry->source;
    const bool own = control && told.control_pooled, negative = setup->list[entry->list].negative;
    NodusTensor *one = entry->pictures, *source;
    if (own) told.pooled = told.control_pooled;
    if (!one) NODUS_TRY(label_vector(conds->math, setup->model, &told, negative, height, width, &one));
    if (entry->edit && !own && !entry->pictures) {
        told.pooled = entry->edit->pooled;
        NODUS_TRY(label_vector(conds->math, setup->model, &told, negative, height, width, &source));
        NODUS_TRY(edit_pair(conds->math, source, one, &one));
    }
    return nodus_tensor_repeat(conds->math, out, one, conds->batch);
}

static NodusStatus labels_of(const Conds *conds, const Batch *batch, bool control, NodusTensor **out)
{
    NodusTensor **label = nodus_alloc(conds->setup.call, (size_t)batch->count * sizeof(NodusTensor *));
    if (!label) return status_memory();
    for (int i = 0; i < batch->count; i++) NODUS_TRY(entry_label(conds, &conds->entry[batch->member[i]], control, &label[i]));
    return nodus_tensor_concat(conds->math, out, 0, batch->count, (const NodusTensor *const *)label);
}

static NodusStatus batch_label(const Conds *conds, Batch *batch)
{
    bool own = false;
    if (!conds->setup.model->unet.label_width) return NULL;
    for (int i = 0; i < batch->count; i++) own = own || conds->entry[batch->member[i]].source->control_pooled;
    NODUS_TRY(labels_of(conds, batch, false, &batch->label));
    batch->control_label = batch->label;
    return own ? labels_of(conds, batch, true, &batch->control_label) : NULL;
}

/* The tokens of what each member wants in boxes. */
static NodusStatus batch_boxes(const Conds *conds, Batch *batch)
{
    NodusTensor **boxes = nodus_alloc(conds->setup.call, (size_t)batch->count * sizeof(NodusTensor *)), *one;
    if (!boxes) return status_memory();
    if (!conds->entry[batch->member[0]].boxes) return NULL;
    for (int i = 0; i < batch->count; i++) {
        const Entry *entry = &conds->entry[batch->member[i]];
        NODUS_TRY(boxes_tokens(conds->setup.call, entry->boxes, entry->box.height, entry->box.width, &one));
        NODUS_TRY(nodus_tensor_repeat(conds->math, &boxes[i], one, conds->batch));
    }
    return nodus_tensor_concat(conds->math, &batch->boxes, 0, batch->count, (const NodusTensor *const *)boxes);
}

/* What members share with their sources. */
static NodusStatus batch_edit(const Conds *conds, Batch *batch)
{
    const Entry *first = &conds->entry[batch->member[0]];
    if (!first->edit) return NULL;
    batch->edit = nodus_alloc(conds->setup.call, sizeof *batch->edit);
    if (!batch->edit) return status_memory();
    return edit_run(conds->setup.call, first->edit, first->source->text, conds->batch, batch->count * conds->batch, batch->edit);
}

/* What each member is told by pictures that the model's patches have as prompts. */
static NodusStatus batch_prompts(const Conds *conds, Batch *batch)
{
    const Model *model = conds->setup.model;
    bool *negative = nodus_alloc(conds->setup.call, (size_t)batch->count * sizeof *negative);
    if (!negative) return status_memory();
    for (int i = 0; i < batch->count; i++) negative[i] = conds->setup.list[conds->entry[batch->member[i]].list].negative;
    for (int i = 0; i < model->patch_count; i++) {
        if (model->patches[i].class != &image_prompt_patch) continue;
        if (!batch->prompts) batch->prompts = nodus_alloc(conds->setup.call, (size_t)model->patch_count * sizeof(NodusTensor *));
        if (!batch->prompts) return status_memory();
        NODUS_TRY(image_prompt_keys(conds->math, model->patches[i].self, negative, batch->count, conds->batch, &batch->prompts[i]));
    }
    return NULL;
}

/* The batch of those entries; made when it is new. */
static NodusStatus batch_of(Conds *conds, const int *member, int count, const Batch **out)
{
    for (int i = 0; i < conds->batch_count; i++) {
        *out = &conds->batches[i];
        if ((*out)->count == count && !memcmp((*out)->member, member, (size_t)count * sizeof *member)) return NULL;
    }
    if (!memory_reserve((void **)&conds->batches, &conds->batch_room, (size_t)conds->batch_count, sizeof *conds->batches))
        return status_memory();
    Batch *batch = &conds->batches[conds->batch_count];
    *batch = (Batch){.count = count, .member = nodus_alloc(conds->setup.call, (size_t)count * sizeof *member)};
    if (!batch->member) return status_memory();
    memcpy(batch->member, member, (size_t)count * sizeof *member);
    NODUS_TRY(batch_edit(conds, batch));
    NODUS_TRY(batch_context(conds, batch));
    NODUS_TRY(batch_label(conds, batch));
    NODUS_TRY(batch_beside(conds, batch));
    NODUS_TRY(batch_boxes(conds, batch));
    NODUS_TRY(batch_prompts(conds, batch));
    conds->batch_count++;
    *out = batch;
    return NULL;
}

static NetworkShape batch_shape(const Conds *conds, const Batch *batch)
{
    const Box *box = &conds->entry[batch->member[0]].box;
    return (NetworkShape){batch->count * conds->batch, box->height, box->width, batch->tokens};
}

/* ---- Which entries act, and with whom ------------------------------------------------------------------------------ */

/* One evaluation of the lists at a sigma. */
typedef struct Step {
    const NodusTensor *x, *scaled;
    float sigma;
    const PatchRun *patch;
    int patches;
    unsigned lists;
    int acting[CONDS_LISTS]; /* entries of each list */
    bool *open;              /* by entry: acts, and is in no batch yet */
    int *member;             /* of the batch at hand */
    Plan *plan;              /* its plan, borrowed */
    ControlPlaces places;    /* what guides it adds to these */
    bool controlled;         /* something does */
    Generator *random;       /* what patches draw from, or NULL */
    Draws draws;             /* what they drew for the batch at hand */
    NodusTensor *sum[CONDS_LISTS], *weight[CONDS_LISTS];
} Step;

static NodusStatus step_open(Conds *conds, unsigned lists, float sigma, const PatchRun *patch, int patches, Generator *random,
                             Step *step)
{
    *step = (Step){.sigma = sigma, .patch = patch, .patches = patches, .lists = lists, .random = random};
    step->open = memory_array((size_t)conds->entries + 1, sizeof *step->open);
    step->member = memory_array((size_t)conds->entries + 1, sizeof *step->member);
    if (!step->open || !step->member) return status_memory();
    for (int i = 0; i < conds->entries; i++) {
        const Entry *entry = &conds->entry[i];
        step->open[i] = lists >> entry->list & 1 && sigma <= entry->start && sigma >= entry->end;
        step->acting[entry->list] += step->open[i];
    }
    return NULL;
}

static void step_close(Step *step)
{
    memory_free(step->open);
    memory_free(step->member);
    draws_free(&step->draws);
}

static uint32_t step_random(void *generator)
{
    return generator_u32(generator);
}

/* What guides a batch by pictures; all its members have the same. */
static const ControlUse *control_of(const Conds *conds, const Batch *batch)
{
    return conds->entry[batch->member[0]].control;
}

/* A patch of the step; with what the batch brings, if it is a picture that is a prompt. */
static PatchRun patch_of(const Conds *conds, const Batch *batch, const PatchRun *patch)
{
    const Model *model = conds->setup.model;
    PatchRun run = *patch;
    for (int i = 0; batch->prompts && i < model->patch_count; i++)
        if (batch->prompts[i] && model->patches[i].self == patch->self) run.state = batch->prompts[i];
    return run;
}

/* The patches of the step, and before them what puts into the network what guides the batch, its boxes and its edit. */
static NodusStatus step_patches(Conds *conds, Step *step, const Batch *batch, ControlSignals *signals, const PatchRun **patch, int *patches)
{
    enum { MORE = 2 + EDIT_PATCHES };
    int count = 0;
    *patch = step->patch;
    *patches = step->patches;
    if (!step->controlled && !batch->boxes && !batch->edit && !batch->prompts) return NULL;
    if (conds->with_more_room < step->patches + MORE) {
        conds->with_more_room = step->patches + MORE;
        conds->with_more = nodus_alloc(conds->setup.call, (size_t)conds->with_more_room * sizeof *conds->with_more);
        if (!conds->with_more) return status_memory();
    }
    if (step->controlled) conds->with_more[count++] = (PatchRun){&control_patch, &step->places, signals};
    if (batch->boxes) conds->with_more[count++] = (PatchRun){&boxes_patch, conds->boxes_file, batch->boxes};
    if (batch->edit) count += edit_patches(batch->edit, &conds->setup.model->sampling, step->sigma, &conds->with_more[count]);
    for (int i = 0; i < step->patches; i++) conds->with_more[count++] = patch_of(conds, batch, &step->patch[i]);
    *patch = conds->with_more;
    *patches = count;
    return NULL;
}

/* The plan of a batch, with what its patches draw. */
static NodusStatus step_plan(Conds *conds, Step *step, const Batch *batch)
{
    const Model *model = conds->setup.model;
    const NetworkShape shape = batch_shape(conds, batch);
    if (!memory_reserve((void **)&conds->plan, &conds->plan_room, (size_t)conds->plans, sizeof(Plan *))) return status_memory();
    const PatchRun *patch;
    int patches;
    step->controlled = controls_places(control_of(conds, batch), model, step->sigma, &step->places);
    NODUS_TRY(step_patches(conds, step, batch, NULL, &patch, &patches));
    draws_free(&step->draws);
    step->draws = (Draws){.next = step_random, .generator = step->random};
    NODUS_TRY(network_plan(conds->math, conds->weights, &model->unet, &shape, patch, patches, step->sigma,
                           step->random ? &step->draws : NULL, &step->plan));
    if (step->draws.choices) {
        plan_unref(conds->drawn);
        conds->drawn = step->plan;
        return NULL;
    }
    for (int i = 0; i < conds->plans; i++)
        if (conds->plan[i] == step->plan) {
            plan_unref(step->plan);
            return NULL;
        }
    conds->plan[conds->plans++] = step->plan;
    return NULL;
}

/* The batch of the first `count` members, with its plan; when that is too large for the memory, of the last half of them, which
 * has the first entry, and so on; what was drawn for a batch that is not run is drawn again. */
static NodusStatus step_fit(Conds *conds, Step *step, int count, const Batch **out)
{
    Generator before = {.next = 0};
    if (step->random) before = *step->random;
    for (;;) {
        NODUS_TRY(batch_of(conds, step->member, count, out));
        NODUS_TRY(step_plan(conds, step, *out));
        if (count == 1 || plan_fits(conds->math, step->plan)) return NULL;
        if (step->random) *step->random = before;
        const int put_back = count / 2;
        nodus_keep_local(conds->setup.call);
        for (int i = 0; i < put_back; i++) step->open[step->member[i]] = true;
        count -= put_back;
        memmove(step->member, step->member + put_back, (size_t)count * sizeof *step->member);
    }
}

/* The next batch: the first entry left opens it, whoever fits joins. `out` NULL: none is left. */
static NodusStatus step_next(Conds *conds, Step *step, const Batch **out)
{
    int first = 0, count = 0;
    *out = NULL;
    while (first < conds->entries && !step->open[first]) first++;
    if (first == conds->entries) return NULL;
    for (int i = conds->entries - 1; i >= first; i--)
        if (step->open[i] && may_share(conds, first, i)) step->member[count++] = i;
    for (int i = 0; i < count; i++) step->open[step->member[i]] = false;
    return step_fit(conds, step, count, out);
}

/* ---- The network --------------------------------------------------------------------------------------------------- */

/* The latent as each member sees it. */
static NodusStatus batch_input(const Conds *conds, const Batch *batch, const NodusTensor *scaled, NodusTensor **out)
{
    NodusMath *math = conds->math;
    NodusTensor **part = memory_array((size_t)batch->count, sizeof(NodusTensor *));
    if (!part) return status_memory();
    NodusStatus status = NULL;
    for (int i = 0; i < batch->count && !status; i++)
        status = area_crop(math, scaled, &conds->entry[batch->member[i]].box, &part[i]);
    if (!status) status = nodus_tensor_concat(math, out, 0, batch->count, (const NodusTensor *const *)part);
    for (int i = 0; i < batch->count; i++) nodus_tensor_release(math, part[i]);
    memory_free(part);
    return status;
}

/* What guides the batch by pictures is asked. */
static NodusStatus batch_control(Conds *conds, const Batch *batch, const Step *step, const NodusTensor *x, const NodusTensor *timesteps,
                                 ControlSignals *out)
{
    const ControlQuestion question = {.model = conds->setup.model,
                                      .x = x,
                                      .timesteps = timesteps,
                                      .context = batch->control_context,
                                      .label = batch->control_label,
                                      .sigma = step->sigma,
                                      .members = batch->count,
                                      .batch = conds->batch,
                                      .tokens = batch->control_tokens};
    *out = (ControlSignals){.at = {NULL}};
    return step->controlled ? controls_ask(&conds->controls, conds->setup.call, control_of(conds, batch), &question, out) : NULL;
}

/* The network's answer to `input` with what guides it, unless a patch answers. */
static NodusStatus batch_ask(Conds *conds, const Batch *batch, Step *step, const NodusTensor *input, Bindings *bindings,
                             ControlSignals *signals, NodusTensor **out)
{
    NodusMath *math = conds->math;
    const PatchRun *patch;
    int patches;
    bindings_output(bindings, "out", out);
    NODUS_TRY(step_patches(conds, step, batch, signals, &patch, &patches));
    NODUS_TRY(network_bind(patch, patches, step->sigma, &step->draws, bindings));
    NodusAnswer answer = {.math = math, .sigma = step->sigma, .key = (int)(batch - conds->batches), .members = batch->count, .x = input};
    answer.leads = batch->member[batch->count - 1] == 0 && !conds->entry[0].list;
    NODUS_TRY(network_answer(patch, patches, &answer));
    if (!answer.out) {
        NODUS_TRY(plan_run(math, step->plan, bindings));
        answer.out = *out;
        NODUS_TRY(network_answer(patch, patches, &answer));
    }
    *out = answer.out;
    return NULL;
}

/* The network's answers to a batch: [count·batch, c, h, w]. */
static NodusStatus batch_run(Conds *conds, const Batch *batch, Step *step, NodusTensor **out)
{
    NodusMath *math = conds->math;
    const int64_t items = batch->count * conds->batch;
    const float timestep = model_sampling_timestep(&conds->setup.model->sampling, step->sigma);
    NodusTensor *seen, *input, *timesteps;
    Bindings bindings = {.math = math};
    ControlSignals signals;
    NODUS_TRY(batch_input(conds, batch, step->scaled, &seen));
    NODUS_TRY(nodus_tensor_fill(math, &timesteps, 1, &items, timestep));
    NODUS_TRY(batch_control(conds, batch, step, seen, timesteps, &signals));
    input = seen;
    if (batch->beside) NODUS_TRY(nodus_tensor_concat(math, &input, 1, 2, (const NodusTensor *[]){seen, batch->beside}));
    bindings_input(&bindings, "x", input);
    bindings_input(&bindings, "timesteps", timesteps);
    bindings_input(&bindings, "context", batch->context);
    if (batch->label) bindings_input(&bindings, "y", batch->label);
    NODUS_TRY(batch_ask(conds, batch, step, input, &bindings, &signals, out));
    bindings_release(&bindings);
    controls_release(math, &signals);
    if (input != seen) nodus_tensor_release(math, input);
    nodus_tensor_release(math, seen);
    nodus_tensor_release(math, timesteps);
    return NULL;
}

/* ---- Sums ---------------------------------------------------------------------------------------------------------- */

/* *sum += x; takes x. */
static NodusStatus sum_add(NodusMath *math, NodusTensor **sum, NodusTensor *x)
{
    NodusTensor *before = *sum;
    *sum = x;
    if (!before) return NULL;
    NODUS_TRY(nodus_tensor_add(math, sum, before, x));
    nodus_tensor_release(math, before);
    nodus_tensor_release(math, x);
    return NULL;
}

/* What is left of 1 in every place when the other acting entries of the list have had their part. */
static NodusStatus step_left(const Conds *conds, const Step *step, int list, NodusTensor **out)
{
    NodusMath *math = conds->math;
    NodusTensor *sum = NULL, *more, *left;
    for (int i = 0; i < conds->entries; i++) {
        const Entry *entry = &conds->entry[i];
        if (entry->list != list || entry->cond->has & COND_FILL || step->sigma > entry->start || step->sigma < entry->end)
            continue;
        NODUS_TRY(nodus_tensor_affine(math, &more, entry->spread, 1, 0));
        NODUS_TRY(sum_add(math, &sum, more));
    }
    if (!sum) return nodus_tensor_fill(math, out, 4, (int64_t[]){1, 1, 1, 1}, 1);
    NODUS_TRY(nodus_tensor_affine(math, &left, sum, -1, 1));
    NODUS_TRY(nodus_tensor_clamp(math, out, left, 0, 1));
    nodus_tensor_release(math, sum);
    nodus_tensor_release(math, left);
    return NULL;
}

/* Adds an entry's prediction to its list, weighed; takes it. */
static NodusStatus step_weigh(const Conds *conds, Step *step, const Entry *entry, NodusTensor *denoised)
{
    NodusMath *math = conds->math;
    NodusTensor *weighed, *whole, *spread;
    if (entry->cond->has & COND_FILL) {
        NodusTensor *ones;
        NODUS_TRY(nodus_tensor_affine(math, &ones, entry->spread, 0, 1));
        NODUS_TRY(step_left(conds, step, entry->list, &weighed));
        NODUS_TRY(nodus_tensor_mul(math, &spread, ones, weighed));
        NODUS_TRY(nodus_tensor_mul(math, &whole, denoised, spread));
    } else {
        NODUS_TRY(nodus_tensor_affine(math, &spread, entry->spread, 1, 0));
        NODUS_TRY(nodus_tensor_mul(math, &weighed, denoised, entry->weight));
        NODUS_TRY(area_paste(math, weighed, &entry->box, &conds->picture, &whole));
    }
    nodus_tensor_release(math, weighed);
    nodus_tensor_release(math, denoised);
    NODUS_TRY(sum_add(math, &step->sum[entry->list], whole));
    return sum_add(math, &step->weight[entry->list], spread);
}

/* Adds the answers of a batch to the sums of their lists. */
static NodusStatus step_collect(const Conds *conds, Step *step, const Batch *batch, const NodusTensor *answers)
{
    NodusMath *math = conds->math;
    for (int i = 0; i < batch->count; i++) {
        const Entry *entry = &conds->entry[batch->member[i]];
        NodusTensor *answer, *seen, *denoised;
        NODUS_TRY(nodus_tensor_slice(math, &answer, answers, 0, i * conds->batch, conds->batch));
        NODUS_TRY(area_crop(math, step->x, &entry->box, &seen));
        NODUS_TRY(model_sampling_denoised(&conds->setup.model->sampling, math, seen, answer, step->sigma, &denoised));
        nodus_tensor_release(math, answer);
        nodus_tensor_release(math, seen);
        if (entry->plain && step->acting[entry->list] == 1) step->sum[entry->list] = denoised;
        else NODUS_TRY(step_weigh(conds, step, entry, denoised));
    }
    return NULL;
}

/* The mean of a list: 0 where no entry acts. */
static NodusStatus step_mean(const Conds *conds, const Step *step, int list, NodusTensor **out)
{
    const float nearly_zero = 1e-37f;
    NodusTensor *weight;
    *out = step->sum[list];
    if (!*out) return nodus_tensor_affine(conds->math, out, step->x, 0, 0);
    if (!step->weight[list]) return NULL;
    NODUS_TRY(nodus_tensor_affine(conds->math, &weight, step->weight[list], 1, nearly_zero));
    NODUS_TRY(nodus_tensor_div(conds->math, out, step->sum[list], weight));
    nodus_tensor_release(conds->math, weight);
    nodus_tensor_release(conds->math, step->weight[list]);
    nodus_tensor_release(conds->math, step->sum[list]);
    return NULL;
}

/* ---- Outside ------------------------------------------------------------------------------------------------------- */

static NodusStatus step_run(Conds *conds, Step *step, NodusTensor *prediction[CONDS_LISTS])
{
    const Batch *batch;
    NODUS_TRY(step_next(conds, step, &batch));
    for (; batch;) {
        NodusTensor *answers;
        NODUS_TRY(batch_run(conds, batch, step, &answers));
        NODUS_TRY(step_collect(conds, step, batch, answers));
        nodus_tensor_release(conds->math, answers);
        NODUS_TRY(step_next(conds, step, &batch));
    }
    for (int list = 0; list < conds->setup.lists; list++)
        if (step->lists >> list & 1) NODUS_TRY(step_mean(conds, step, list, &prediction[list]));
    return NULL;
}

NodusStatus conds_evaluate(Conds *conds, unsigned lists, const NodusTensor *x, float sigma, const PatchRun *patch, int patches,
                           NodusTensor *prediction[CONDS_LISTS])
{
    Step step;
    NodusTensor *scaled = NULL;
    for (int i = 0; i < CONDS_LISTS; i++) prediction[i] = NULL;
    NodusStatus status = step_open(conds, lists, sigma, patch, patches, conds->setup.random, &step);
    if (!status)
        status =
            nodus_tensor_affine(conds->math, &scaled, x, model_sampling_input_scale(&conds->setup.model->sampling, sigma), 0);
    step.x = x;
    step.scaled = scaled;
    if (!status) status = step_run(conds, &step, prediction);
    nodus_tensor_release(conds->math, scaled);
    step_close(&step);
    return status;
}

NodusStatus conds_blend(const Conds *conds, NodusTensor **x)
{
    NodusTensor *mask, *first;
    int i = 0;
    while (i < conds->entries && !(conds->entry[i].edit && conds->entry[i].edit->mask)) i++;
    if (i == conds->entries) return NULL;
    NODUS_TRY(area_mask(conds->math, conds->entry[i].edit->mask, &conds->picture, &mask));
    NODUS_TRY(nodus_tensor_slice(conds->math, &first, mask, 0, 0, 1));
    NODUS_TRY(edit_blend(conds->math, first, x));
    nodus_tensor_release(conds->math, first);
    nodus_tensor_release(conds->math, mask);
    return NULL;
}

static NodusStatus step_flop(Conds *conds, Step *step, double *flop)
{
    for (;;) {
        const Batch *batch;
        NODUS_TRY(step_next(conds, step, &batch));
        if (!batch) return NULL;
        *flop += plan_flop(step->plan);
        const NetworkShape shape = batch_shape(conds, batch);
        NODUS_TRY(controls_flop(&conds->controls, conds->math, control_of(conds, batch), conds->setup.model, step->sigma, &shape, flop));
    }
}

NodusStatus conds_flop(Conds *conds, unsigned lists, float sigma, const PatchRun *patch, int patches, double *flop)
{
    Step step;
    Generator apart = {.next = 0}; /* drawing ahead draws nothing */
    *flop = 0;
    if (conds->setup.random) apart = *conds->setup.random;
    NodusStatus status = step_open(conds, lists, sigma, patch, patches, conds->setup.random ? &apart : NULL, &step);
    if (!status) status = step_flop(conds, &step, flop);
    step_close(&step);
    return status;
}

NodusStatus conds_open(const CondsSetup *setup, Conds **out)
{
    const NodusTensor *latent = setup->latent;
    Conds *conds = nodus_alloc(setup->call, sizeof *conds);
    if (!conds) return status_memory();
    *out = conds;
    conds->setup = *setup;
    conds->math = nodus_math(setup->call);
    conds->batch = nodus_tensor_dim(latent, 0);
    conds->picture = (Box){nodus_tensor_dim(latent, 2), nodus_tensor_dim(latent, 3), 0, 0};
    conds->weights = weights_ref(setup->model->weights);
    NODUS_TRY(conds_entries(conds));
    if (!conds->boxes_file) return NULL;
    WeightSet *joined;
    NODUS_TRY(boxes_weights(conds->weights, setup->model->unet.prefix, conds->boxes_file->weights, &joined));
    weights_unref(conds->weights);
    conds->weights = joined;
    return NULL;
}

void conds_close(Conds *conds)
{
    if (!conds) return;
    for (int i = 0; i < conds->plans; i++) plan_unref(conds->plan[i]);
    plan_unref(conds->drawn);
    controls_free(conds->controls);
    weights_unref(conds->weights);
    memory_free(conds->plan);
    memory_free(conds->batches);
}
