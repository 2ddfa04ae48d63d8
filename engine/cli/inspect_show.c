/* inspect_show.c: what inspect found, for people: the important first, and no more of it than fits a screen.
 *
 * One idea: every text comes from a stranger's file, so control characters never reach the terminal, and a text is cut between
 * characters. */
#include "engine/cli/inspect.h"
#include "engine/cli/say.h"
#include <string.h>

enum { SHOWN_TEXT = 160, SHOWN_ROWS = 20 };

/* ---- Pieces ------------------------------------------------------------------------------------------------------------- */

static void put_text(const char *text, bool all, FILE *to)
{
    size_t length = strlen(text);
    const bool cut = !all && length > SHOWN_TEXT;
    if (cut)
        for (length = SHOWN_TEXT; length && ((unsigned char)text[length] & 0xc0) == 0x80;) length--;
    put_plain(text, length, ' ', false, to);
    if (cut) fputs(" …", to);
}

static void put_value(const cJSON *item, bool all, FILE *to)
{
    if (json_string(item)) {
        put_text(json_string(item), all, to);
        return;
    }
    Text text = {0};
    json_print(&text, item, false, true);
    put_text(text_get(&text), all, to);
    text_free(&text);
}

static const cJSON *rows_of(const cJSON *object, const char *name)
{
    const cJSON *list = json_get(object, name);
    return list ? list->child : NULL;
}

/* "5 KSampler: seed 7, steps 20": what a row of the prompt's summary holds besides node, class and title. */
static void put_row(const cJSON *row, bool all, FILE *to)
{
    const char *between = ": ";
    fputs("    ", to);
    put_value(json_get(row, "node"), all, to);
    putc(' ', to);
    put_value(json_get(row, "class_type"), all, to);
    for (const cJSON *item = row->child; item; item = item->next) {
        if (!strcmp(item->string, "node") || !strcmp(item->string, "class_type") || !strcmp(item->string, "title")) continue;
        fputs(between, to);
        put_text(item->string, all, to);
        putc(' ', to);
        put_value(item, all, to);
        between = ", ";
    }
    putc('\n', to);
}

static void put_rows(const char *heading, const cJSON *row, bool all, FILE *to)
{
    int left = all ? -1 : SHOWN_ROWS, more = 0;
    if (row) fprintf(to, "  %s\n", heading);
    for (; row; row = row->next) {
        if (left == 0) more++;
        else put_row(row, all, to);
        left -= left > 0;
    }
    if (more) fprintf(to, "    … and %d more (--all)\n", more);
}

static void put_prompt(const cJSON *prompt, bool all, FILE *to)
{
    if (!prompt) return;
    fputs("  made by a prompt of ", to);
    put_value(json_get(prompt, "nodes"), all, to);
    fputs(" nodes\n", to);
    put_rows("models", rows_of(prompt, "models"), all, to);
    put_rows("sampling", rows_of(prompt, "samplers"), all, to);
    put_rows("texts", rows_of(prompt, "texts"), all, to);
}

static void put_members(const char *heading, const cJSON *item, bool all, FILE *to)
{
    if (item) fprintf(to, "  %s\n", heading);
    int left = all ? -1 : SHOWN_ROWS, more = 0;
    for (; item; item = item->next) {
        if (left == 0) more++;
        else {
            fputs("    ", to);
            put_text(item->string, all, to);
            fputs(": ", to);
            put_value(item, all, to);
            putc('\n', to);
        }
        left -= left > 0;
    }
    if (more) fprintf(to, "    … and %d more (--all)\n", more);
}

/* ---- Pictures ----------------------------------------------------------------------------------------------------------- */

static void show_texts(const cJSON *found, bool all, FILE *to)
{
    const cJSON *texts = rows_of(found, "texts");
    fputs(texts ? "  its texts\n" : "  it holds no texts\n", to);
    for (; texts; texts = texts->next) {
        fputs("    ", to);
        put_value(json_get(texts, "key"), all, to);
        fputs(": ", to);
        put_value(json_get(texts, "bytes"), all, to);
        fputs(" bytes", to);
        if (all || json_string(json_get(texts, "value"))) {
            fputs(": ", to);
            put_value(json_get(texts, "value"), all, to);
        }
        putc('\n', to);
    }
}

static void show_picture(const cJSON *found, bool all, FILE *to)
{
    put_value(json_get(found, "format"), all, to);
    fputs(" picture, ", to);
    put_value(json_get(found, "width"), all, to);
    fputs(" x ", to);
    put_value(json_get(found, "height"), all, to);
    putc('\n', to);
    put_prompt(json_get(found, "prompt"), all, to);
    for (const cJSON *text = rows_of(found, "texts"); text; text = text->next) {
        const char *key = json_string(json_get(text, "key"));
        const cJSON *value = json_get(text, "value");
        if (!strcmp(key, "nodus") && cJSON_IsObject(value)) put_members("made by nodus", value->child, all, to);
    }
    show_texts(found, all, to);
    if (json_double(json_get(found, "damaged")) > 0) fputs("  damaged: parts of the file were left out\n", to);
}

/* ---- Models ------------------------------------------------------------------------------------------------------------- */

static void show_tensors(const cJSON *found, bool all, FILE *to)
{
    int left = all ? -1 : SHOWN_ROWS, more = 0;
    for (const cJSON *row = rows_of(found, "tensors"); row; row = row->next) {
        if (left == 0) more++;
        else {
            fputs("    ", to);
            put_value(json_get(row, "dtype"), all, to);
            putc(' ', to);
            put_value(json_get(row, "shape"), all, to);
            fputs("  ", to);
            put_value(json_get(row, "name"), all, to);
            putc('\n', to);
        }
        left -= left > 0;
    }
    if (more) fprintf(to, "    … and %d more (--all)\n", more);
}

/* "264 layers of rank 16 (72 in the text encoder), for sd_1.5, alpha 8, named as by kohya". */
static void show_lora(const cJSON *lora, bool all, FILE *to)
{
    const double low = json_double(json_get(lora, "lowest_rank")), high = json_double(json_get(lora, "highest_rank"));
    const double text = json_double(json_get(lora, "text_layers"));
    if (!lora) return;
    fprintf(to, "  %.0f layers of rank %.0f", json_double(json_get(lora, "layers")), low);
    if (high > low) fprintf(to, " to %.0f", high);
    if (text > 0) fprintf(to, " (%.0f in the text encoder)", text);
    if (json_string(json_get(lora, "family"))) {
        fputs(", for ", to);
        put_value(json_get(lora, "family"), all, to);
    }
    const cJSON *alpha = json_get(lora, "lowest_alpha"), *most = json_get(lora, "highest_alpha");
    if (cJSON_IsNumber(alpha)) fprintf(to, ", alpha %g", json_double(alpha));
    if (cJSON_IsNumber(alpha) && json_double(most) > json_double(alpha)) fprintf(to, " to %g", json_double(most));
    if (json_string(json_get(lora, "naming"))) fprintf(to, ", named as by %s", json_string(json_get(lora, "naming")));
    putc('\n', to);
}

/* "8 tokens of width 768 and 1280, for Stable Diffusion XL". */
static void show_embedding(const cJSON *embedding, FILE *to)
{
    const double tokens = json_double(json_get(embedding, "tokens"));
    const char *between = " of width ", *family = json_string(json_get(embedding, "family"));
    if (!embedding) return;
    fprintf(to, "  %.0f token%s", tokens, tokens == 1 ? "" : "s");
    for (const cJSON *width = rows_of(embedding, "widths"); width; width = width->next) {
        fprintf(to, "%s%.0f", between, json_double(width));
        between = " and ";
    }
    if (family) fprintf(to, ", for %s", family);
    putc('\n', to);
}

static void show_model(const cJSON *found, bool all, FILE *to)
{
    const char *what = json_string(json_get(found, "what"));
    fprintf(to, "%s\n", what ? what : "tensors of a kind that nodus does not know");
    fprintf(to, "  %d tensors, ", cJSON_GetArraySize(json_get(found, "tensors")));
    const double parameters = json_double(json_get(found, "parameters"));
    if (parameters >= 1e6) fprintf(to, "%.1f million parameters", parameters / 1e6);
    else fprintf(to, "%.0f parameters", parameters);
    if (json_get(found, "bytes")) fprintf(to, ", %.1f MB", json_double(json_get(found, "bytes")) / 1e6);
    for (const cJSON *type = rows_of(found, "dtypes"); type; type = type->next) {
        fputs(", ", to);
        put_value(type, all, to);
        fputs(" in ", to);
        put_text(type->string, all, to);
    }
    putc('\n', to);
    show_lora(json_get(found, "lora"), all, to);
    show_embedding(json_get(found, "embedding"), to);
    put_prompt(json_get(found, "prompt"), all, to);
    put_members("metadata", rows_of(found, "metadata"), all, to);
    fputs("  tensors\n", to);
    show_tensors(found, all, to);
}

void inspect_show(const cJSON *found, bool all, FILE *to)
{
    put_value(json_get(found, "file"), true, to);
    fputs(": ", to);
    const char *kind = json_string(json_get(found, "kind"));
    if (kind && !strcmp(kind, "picture")) show_picture(found, all, to);
    else show_model(found, all, to);
}
