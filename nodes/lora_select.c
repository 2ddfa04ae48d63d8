/* lora_select.c: see lora_select.h. Lines are read again for each layer: there are few of both. */
#include "nodes/lora_select.h"
#include "engine/base/status.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_ROOM = 256, LONGEST = 1 << 15 };

/* ---- Words ------------------------------------------------------------------------------------------------------------ */

static bool contains(const char *layer, const char *piece)
{
    return strstr(layer, piece) != NULL;
}

static bool ends(const char *layer, const char *tail)
{
    const size_t length = strlen(layer), size = strlen(tail);
    return length >= size && !strcmp(layer + length - size, tail);
}

/* "in4" for layers of input_blocks.4: the word's number is that behind `stage` in the name. */
static bool is_block(const char *layer, const char *stage, const char *number)
{
    const size_t length = strlen(stage);
    if (strncmp(layer, stage, length) != 0) return false;
    char *end;
    return !*number || strtol(layer + length, &end, 10) == strtol(number, NULL, 10);
}

/* A word of letters with digits behind it, such as in4. */
static bool is_numbered(const char *word, const char *letters)
{
    const size_t length = strlen(letters);
    if (strncmp(word, letters, length) != 0) return false;
    for (const char *at = word + length; *at; at++)
        if (!isdigit((unsigned char)*at)) return false;
    return true;
}

typedef struct Kind {
    const char *word, *unet[4], *text[3]; /* endings or (with a dot behind) pieces of the names */
} Kind;
static const Kind kinds[] = {
    {"q", {".to_q"}, {".q_proj"}},
    {"k", {".to_k"}, {".k_proj"}},
    {"v", {".to_v"}, {".v_proj"}},
    {"o", {".to_out.0"}, {".out_proj"}},
    {"self", {".attn1."}, {".self_attn."}},
    {"cross", {".attn2."}, {NULL}},
    {"ff", {".ff."}, {".mlp."}},
    {"conv", {".in_layers.", ".out_layers.", ".op", ".skip_connection"}, {NULL}},
    {"proj", {".proj_in", ".proj_out"}, {"text_projection"}},
    {"emb", {"time_embed.", ".emb_layers.", "label_emb."}, {"embeddings."}},
    {"norm", {".norm"}, {"layer_norm"}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool fits_kind(const Kind *kind, const char *layer, bool text)
{
    const char *const *piece = text ? kind->text : kind->unet;
    for (int i = 0; i < (text ? 3 : 4) && piece[i]; i++)
        if (piece[i][strlen(piece[i]) - 1] == '.' || !strncmp(piece[i], ".norm", 5) ? contains(layer, piece[i])
                                                                                    : ends(layer, piece[i]))
            return true;
    return !strcmp(kind->word, "conv") && !text && (!strcmp(layer, "input_blocks.0.0") || !strcmp(layer, "out.2") || ends(layer, ".conv"));
}

/* Behind a star that was too short the comparison begins again one letter later; only the last star needs that. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *from = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            from = name;
        } else if (*pattern == *name) {
            pattern++, name++;
        } else if (star) {
            pattern = star + 1;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

typedef enum Sort { SORT_ALL, SORT_NETWORK, SORT_PLACE, SORT_ATTENTION, SORT_KIND, SORT_NAME, SORTS } Sort;

/* Of what sort a word is, and whether the layer fits it; false: it is no word. */
static bool read_word(const char *word, const char *layer, bool text, Sort *sort, bool *fits)
{
    *sort = SORT_PLACE;
    *fits = true;
    if (!strcmp(word, "all")) *sort = SORT_ALL;
    else if (!strcmp(word, "unet")) *sort = SORT_NETWORK, *fits = !text;
    else if (!strcmp(word, "text")) *sort = SORT_NETWORK, *fits = text;
    else if (is_numbered(word, "text")) *fits = text && is_block(layer, "encoder.layers.", word + 4);
    else if (!strcmp(word, "mid")) *fits = !text && is_block(layer, "middle_block.", "");
    else if (is_numbered(word, "in")) *fits = !text && is_block(layer, "input_blocks.", word + 2);
    else if (is_numbered(word, "out")) *fits = !text && is_block(layer, "output_blocks.", word + 3);
    else if (strchr(word, '*') || strchr(word, '.')) *sort = SORT_NAME, *fits = matches(word, layer);
    else {
        const Kind *kind = kinds;
        while (kind < kinds + KINDS && strcmp(word, kind->word) != 0) kind++;
        if (kind == kinds + KINDS) return false;
        *sort = !strcmp(word, "self") || !strcmp(word, "cross") ? SORT_ATTENTION : SORT_KIND;
        *fits = fits_kind(kind, layer, text);
    }
    return true;
}

/* ---- Lines ------------------------------------------------------------------------------------------------------------ */

/* The next word of a line before `end`; its length, 0 at the end. */
static size_t next_word(const char **at, const char *end)
{
    while (*at < end && isspace((unsigned char)**at)) ++*at;
    size_t length = 0;
    while (*at + length < end && !isspace((unsigned char)(*at)[length])) length++;
    return length;
}

/* One line of [from, end): whether it has a rule, and whether the rule fits the layer. */
static NodusStatus read_line(const char *from, const char *end, int number, const char *layer, bool text, bool *rule, bool *fits,
                             double *factor)
{
    const char *comment = memchr(from, '#', (size_t)(end - from));
    if (comment) end = comment;
    const char *equals = memchr(from, '=', (size_t)(end - from)), *at = from;
    char word[WORD_ROOM], *stop;
    *rule = next_word(&at, end) > 0;
    if (!*rule) return NULL;
    if (!equals) return nodus_error(NODUS_ERROR_INPUT, "line %d has no \"=\": a rule is \"in4 v = 0.5\"", number);
    bool mentioned[SORTS] = {false}, fitted[SORTS] = {false};
    int words = 0;
    at = from;
    for (size_t length; (length = next_word(&at, equals)) > 0; at += length, words++) {
        if (length >= sizeof word) return nodus_error(NODUS_ERROR_INPUT, "line %d: a word is too long", number);
        memcpy(word, at, length);
        word[length] = 0;
        Sort sort;
        bool one;
        if (!read_word(word, layer, text, &sort, &one))
            return nodus_error(
                NODUS_ERROR_INPUT,
                "line %d: \"%s\" is no word of a rule: all, unet, text, in, mid, out (in4 …), self, cross, q, k, v, o, "
                "ff, conv, proj, emb, norm, or a name with * or .",
                number, word);
        mentioned[sort] = true;
        fitted[sort] = fitted[sort] || one;
    }
    *fits = true;
    for (int i = 0; i < SORTS; i++) *fits = *fits && (!mentioned[i] || fitted[i]);
    if (!words) return nodus_error(NODUS_ERROR_INPUT, "line %d has nothing before \"=\"", number);
    at = equals + 1;
    const size_t length = next_word(&at, end);
    if (!length || length >= sizeof word) return nodus_error(NODUS_ERROR_INPUT, "line %d: the factor behind \"=\" is missing", number);
    memcpy(word, at, length);
    word[length] = 0;
    *factor = strtod(word, &stop);
    at += length;
    if (*stop || !(*factor >= -100 && *factor <= 100) || next_word(&at, end))
        return nodus_error(NODUS_ERROR_INPUT, "line %d: \"%s\" is no factor from -100 to 100", number, word);
    return NULL;
}

static NodusStatus read_rules(const char *rules, const char *layer, bool text, double *out)
{
    int number = 1;
    *out = 1;
    for (const char *from = rules; *from; number++) {
        const char *feed = strchr(from, '\n'), *end = feed ? feed : from + strlen(from);
        bool rule, fits;
        double factor;
        NODUS_TRY(read_line(from, end, number, layer, text, &rule, &fits, &factor));
        if (rule && fits) *out = factor;
        from = feed ? feed + 1 : end;
    }
    return NULL;
}

NodusStatus lora_select_check(const char *rules)
{
    double factor;
    if (strlen(rules) > LONGEST)
        return nodus_error(NODUS_ERROR_INPUT, "the rules are %zu letters long: at most %d are read, for each layer anew",
                           strlen(rules), LONGEST);
    return read_rules(rules, "", false, &factor);
}

double lora_select_factor(const char *rules, const char *layer, bool text)
{
    double factor = 1;
    nodus_error_free(read_rules(rules, layer, text, &factor));
    return factor;
}
