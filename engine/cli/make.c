/* make.c: `nodus make`: words to a picture.
 *
 * One idea: it writes the workflow that a person would have drawn, and runs it like any other; so a picture of `make` holds a
 * workflow that `run` and every client understand, and nothing about sampling is known here. */
#include "engine/cli/checkpoint.h"
#include "engine/cli/commands.h"
#include "engine/cli/dumps.h"
#include "engine/cli/initial.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/loras.h"
#include "engine/cli/save.h"
#include "engine/cli/say.h"
#include "engine/cli/session.h"
#include "engine/cli/sweep.h"
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SIDE = 512, DEFAULT_STEPS = 20, MOST_COPIES = 64 /* of RepeatLatentBatch */ };
#define DEFAULT_CFG    7.0
#define DEFAULT_REDRAW 0.75

/* ---- The graph, a node a line -------------------------------------------------------------------------------------- */

/* Adds `"id": {"class_type": …, "inputs": {…}, "_meta": {"title": …}}`; takes the inputs over. */
static void put_node(FILE *to, const char *id, const char *class_type, const char *title, cJSON *inputs)
{
    cJSON *node = need(cJSON_CreateObject());
    need(cJSON_AddStringToObject(node, "class_type", class_type));
    cJSON_AddItemToObject(node, "inputs", inputs);
    need(cJSON_AddStringToObject(need(cJSON_AddObjectToObject(node, "_meta")), "title", title));
    char *text = need(cJSON_PrintUnformatted(node));
    fprintf(to, "%s\n  \"%s\": %s", strcmp(id, "1") ? "," : "", id, text);
    cJSON_free(text);
    cJSON_Delete(node);
}

static cJSON *inputs_new(void)
{
    return need(cJSON_CreateObject());
}

static void put_text(cJSON *inputs, const char *name, const char *text)
{
    need(cJSON_AddStringToObject(inputs, name, text));
}

static void put_number(cJSON *inputs, const char *name, double number)
{
    need(cJSON_AddNumberToObject(inputs, name, number));
}

static void put_link(cJSON *inputs, const char *name, const char *node, int slot)
{
    cJSON *link = need(cJSON_AddArrayToObject(inputs, name));
    cJSON_AddItemToArray(link, need(cJSON_CreateString(node)));
    cJSON_AddItemToArray(link, need(cJSON_CreateNumber(slot)));
}

enum { FIRST_LORA = 11, NODE_ID = 16 };
/* The node that model and text encoder come from: the checkpoint, or the last LoRA on it. */
static const char *model_node(int loras, char id[NODE_ID])
{
    snprintf(id, NODE_ID, "%d", loras ? FIRST_LORA + loras - 1 : 1);
    return id;
}

static void put_loras(FILE *to, const Loras *loras)
{
    char before[NODE_ID], id[NODE_ID];
    for (int i = 0; i < loras->count; i++) {
        cJSON *inputs = inputs_new();
        put_link(inputs, "model", model_node(i, before), 0);
        put_link(inputs, "clip", before, 1);
        put_text(inputs, "lora_name", loras->item[i].name);
        put_number(inputs, "strength_model", loras->item[i].strength);
        put_number(inputs, "strength_clip", loras->item[i].strength);
        put_node(to, model_node(i + 1, id), "LoraLoader", "A LoRA", inputs);
    }
}

static void put_prompt(FILE *to, const char *id, const char *title, const char *text, int loras)
{
    char model[NODE_ID];
    cJSON *inputs = inputs_new();
    put_text(inputs, "text", text);
    put_link(inputs, "clip", model_node(loras, model), 1);
    put_node(to, id, "CLIPTextEncode", title, inputs);
}

/* The picture of --init in the size of --size: what the new shape does not show is cut off. */
static void put_scale(FILE *to, const Options *options)
{
    cJSON *inputs = inputs_new();
    put_link(inputs, "image", "8", 0);
    put_text(inputs, "upscale_method", "lanczos");
    put_number(inputs, "width", options->width);
    put_number(inputs, "height", options->height);
    put_text(inputs, "crop", "center");
    put_node(to, "9", "ImageScale", "Size", inputs);
}

static void put_copies(FILE *to, const Options *options)
{
    cJSON *inputs = inputs_new();
    put_link(inputs, "samples", "4", 0);
    put_number(inputs, "amount", options->batch);
    put_node(to, "10", "RepeatLatentBatch", "How many", inputs);
}

static void put_start(FILE *to, const Options *options, const char *picture)
{
    cJSON *inputs = inputs_new();
    if (!picture) {
        put_number(inputs, "width", options->width);
        put_number(inputs, "height", options->height);
        put_number(inputs, "batch_size", options->batch);
        put_node(to, "4", "EmptyLatentImage", "Size", inputs);
        return;
    }
    put_link(inputs, "pixels", options->size_given ? "9" : "8", 0);
    put_link(inputs, "vae", "1", 2);
    put_node(to, "4", "VAEEncode", "To a latent", inputs);
    cJSON *load = inputs_new();
    put_text(load, "image", picture);
    put_node(to, "8", "LoadImage", "The picture to start from", load);
    if (options->size_given) put_scale(to, options);
    if (options->batch > 1) put_copies(to, options);
}

/* Where the sampling starts. */
static const char *start_node(const Options *options)
{
    return options->init && options->batch > 1 ? "10" : "4";
}

static void put_sampler(FILE *to, const Options *options, uint64_t seed)
{
    char model[NODE_ID];
    cJSON *inputs = inputs_new();
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, seed); /* a double would lose bits */
    put_link(inputs, "model", model_node(options->lora.count, model), 0);
    need(cJSON_AddRawToObject(inputs, "seed", digits));
    put_number(inputs, "steps", options->steps);
    put_number(inputs, "cfg", options->cfg);
    put_text(inputs, "sampler_name", options->sampler);
    put_text(inputs, "scheduler", options->scheduler);
    put_link(inputs, "positive", "2", 0);
    put_link(inputs, "negative", "3", 0);
    put_link(inputs, "latent_image", start_node(options), 0);
    put_number(inputs, "denoise", options->denoise);
    put_node(to, "5", "KSampler", "Remove the noise", inputs);
}

static void put_picture(FILE *to)
{
    cJSON *decode = inputs_new(), *save = inputs_new();
    put_link(decode, "samples", "5", 0);
    put_link(decode, "vae", "1", 2);
    put_node(to, "6", "VAEDecode", "To pixels", decode);
    put_link(save, "images", "6", 0);
    put_text(save, "filename_prefix", "nodus");
    put_node(to, "7", "SaveImage", "Write it", save);
}

static char *write_graph(const Options *options, const char *checkpoint, const Loras *loras, const char *picture, uint64_t seed)
{
    Growing text;
    cJSON *load = inputs_new();
    text_begin(&text);
    fputc('{', text.file);
    put_text(load, "ckpt_name", checkpoint);
    put_node(text.file, "1", "CheckpointLoaderSimple", "The model", load);
    put_loras(text.file, loras);
    put_prompt(text.file, "2", "What to paint", options->words.item[0], loras->count);
    put_prompt(text.file, "3", "What not to paint", options->negative ? options->negative : "", loras->count);
    put_start(text.file, options, picture);
    put_sampler(text.file, options, seed);
    put_picture(text.file);
    fputs("\n}\n", text.file);
    return text_end(&text);
}

/* ---- Choices ------------------------------------------------------------------------------------------------------- */

static bool is_utf8(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        const int more = *c < 0x80 ? 0 : *c >= 0xc2 && *c < 0xe0 ? 1 : (*c & 0xf0) == 0xe0 ? 2 : *c >= 0xf0 && *c < 0xf5 ? 3 : -1;
        if (more < 0) return false;
        if ((*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] >= 0xa0) || (*c == 0xf0 && c[1] < 0x90) ||
            (*c == 0xf4 && c[1] >= 0x90))
            return false;
        for (int i = 1; i <= more; i++)
            if ((c[i] & 0xc0) != 0x80) return false;
        c += 1 + more;
    }
    return true;
}

static NodusStatus check_words(const Options *options)
{
    if (!options->words.count) return nodus_error(NODUS_ERROR_INPUT, "what shall it paint? nodus make \"a red star, night sky\"");
    if (options->words.count > 1)
        return nodus_error(NODUS_ERROR_INPUT, "put the text into quotes: nodus make \"%s %s …\"", options->words.item[0],
                           options->words.item[1]);
    if (!is_utf8(options->words.item[0]) || (options->negative && !is_utf8(options->negative)))
        return nodus_error(NODUS_ERROR_INPUT, "the text is not valid UTF-8");
    if (options->init && options->batch > MOST_COPIES)
        return nodus_error(NODUS_ERROR_INPUT, "--batch %d with --init: at most %d; run it again with another --seed", options->batch,
                           MOST_COPIES);
    for (int i = 0; i < options->dump.count; i++)
        if (!dumps_well_formed(options->dump.item[i]))
            return nodus_error(NODUS_ERROR_INPUT, "--dump %s: takes NODE[:SLOT][.pooled|.noise_mask]=FILE.npy",
                               options->dump.item[i]);
    return NULL;
}

static void fill_defaults(Options *options)
{
    if (!options->steps) options->steps = DEFAULT_STEPS;
    if (!options->batch) options->batch = 1;
    if (!options->cfg_given) options->cfg = DEFAULT_CFG;
    if (!options->denoise_given) options->denoise = options->init ? DEFAULT_REDRAW : 1;
    if (!options->sampler) options->sampler = "dpmpp_2m";
    if (!options->scheduler) options->scheduler = "karras";
}

static void choose_size(Options *options, const char *checkpoint)
{
    if (options->init || options->size_given) return;
    if (checkpoint_size(checkpoint, &options->width, &options->height)) return;
    options->width = options->height = DEFAULT_SIDE;
}

/* ---- The command --------------------------------------------------------------------------------------------------- */

static void announce(const Options *options, const char *name, const char *path)
{
    if (options->quiet) return;
    say("model: %s (%s)", name, strncmp(path, "./", 2) ? path : path + 2);
    if (options->save_workflow && options->model && strchr(options->model, '/') && strcmp(options->model, name))
        say("note: %s lies outside the model folders; to run the saved workflow, put it into models/checkpoints", path);
}

static NodusStatus make_graph(Session *session, Options *options, char **text)
{
    char *path = NULL, *name = NULL, *picture = NULL;
    Loras loras = {0};
    NODUS_TRY(nodus_engine_find(session->engine, "checkpoints", options->model, &path, &name));
    choose_size(options, path);
    announce(options, name, path);
    NodusStatus status = loras_find(session->engine, &options->lora, &loras);
    if (!status && options->init) status = initial_name(session, options->init, &picture);
    if (!status) *text = write_graph(options, name, &loras, picture, session->seed);
    if (!status && options->save_workflow) status = save_text(options->save_workflow, *text);
    nodus_free(path);
    nodus_free(name);
    free(picture);
    loras_free(&loras);
    return status;
}

int command_make(const Options *given)
{
    Options options = *given;
    Session session;
    char *text = NULL;
    Sweep sweep = {0};
    NodusStatus status = check_words(&options);
    if (!status && options.sweep.count) status = sweep_parse(&options, &sweep);
    fill_defaults(&options);
    int code = status ? refuse_status(status) : session_open(&session, &options);
    if (code) {
        sweep_free(&sweep);
        return code;
    }
    status = make_graph(&session, &options, &text);
    for (int i = 0; i < options.dump.count && !status; i++)
        if (!dumps_has_node(options.dump.item[i], text, strlen(text)))
            status = nodus_error(NODUS_ERROR_INPUT, "--dump %s: the graph has no such node (--save-workflow shows it)",
                                 options.dump.item[i]);
    const Prompt prompt = {.text = text, .length = text ? strlen(text) : 0};
    if (status) code = refuse_status(status);
    else code = sweep.axes ? sweep_run(&session, &sweep, &prompt) : session_run(&session, &prompt);
    if (interrupt_came()) code = EXIT_CANCELLED;
    free(text);
    session_close(&session);
    sweep_free(&sweep);
    return code;
}
