/* dumps.c: --dump against the ids of a prompt; see dumps.h. */
#include "engine/cli/dumps.h"
#include "engine/cli/say.h"
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SLOT_DIGITS = 4 };
static const char *const parts[] = {"pooled", "noise_mask", NULL};

/* What follows the id: "[:SLOT][.PART]=FILE". */
typedef struct Tail {
    uint32_t slot;
    const char *part, *file;
} Tail;

static bool read_tail(const char *text, Tail *out)
{
    *out = (Tail){0};
    if (*text == ':') {
        const size_t digits = strspn(text + 1, "0123456789");
        if (!digits || digits > MOST_SLOT_DIGITS) return false;
        out->slot = (uint32_t)strtoul(text + 1, NULL, 10);
        text += 1 + digits;
    }
    for (int i = 0; *text == '.' && parts[i]; i++) {
        const size_t length = strlen(parts[i]);
        if (strncmp(text + 1, parts[i], length) || text[1 + length] != '=') continue;
        out->part = parts[i];
        text += 1 + length;
        break;
    }
    out->file = text + 1;
    return *text == '=' && text[1];
}

bool dumps_well_formed(const char *text)
{
    Tail tail;
    for (const char *at = text; *at; at++)
        if (at > text && read_tail(at, &tail)) return true;
    return false;
}

/* NULL too for a workflow in the editor's format: which nodes it becomes, only the engine knows. */
static cJSON *parse(const char *prompt, size_t length, const cJSON **nodes)
{
    cJSON *json = cJSON_ParseWithLength(prompt, length);
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(json, "prompt");
    *nodes = cJSON_IsObject(inner) && !cJSON_GetObjectItemCaseSensitive(inner, "class_type") ? inner : json;
    if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*nodes, "nodes"))) return json;
    cJSON_Delete(json);
    *nodes = NULL;
    return NULL;
}

/* The longest id that the text begins with, followed by a tail; NULL when there is none. */
static const char *find_id(const char *text, const cJSON *nodes, Tail *tail)
{
    const char *best = NULL;
    const cJSON *node;
    Tail found;
    cJSON_ArrayForEach(node, nodes)
    {
        const size_t length = node->string ? strlen(node->string) : 0;
        if (!length || strncmp(text, node->string, length) || !read_tail(text + length, &found)) continue;
        if (best && strlen(best) >= length) continue;
        best = node->string;
        *tail = found;
    }
    return best;
}

bool dumps_has_node(const char *text, const char *prompt, size_t length)
{
    const cJSON *nodes;
    Tail tail;
    cJSON *json = parse(prompt, length, &nodes);
    const bool found = !json || find_id(text, nodes, &tail);
    cJSON_Delete(json);
    return found;
}

/* A prompt that cJSON does not read (NaN, say) may still be one: the shortest id that the form allows then. */
static char *guess_id(const char *text, Tail *tail)
{
    for (const char *at = text + 1; *at; at++)
        if (read_tail(at, tail)) return need(strndup(text, (size_t)(at - text)));
    return NULL;
}

void dumps_resolve(Dumps *dumps, const TextList *given, const char *prompt, size_t length)
{
    *dumps = (Dumps){0};
    if (!given->count) return;
    const cJSON *nodes;
    cJSON *json = parse(prompt, length, &nodes);
    dumps->item = need(calloc((size_t)given->count, sizeof *dumps->item));
    dumps->texts = need(calloc((size_t)given->count, sizeof *dumps->texts));
    for (int i = 0; i < given->count; i++) {
        Tail tail;
        const char *known = json ? find_id(given->item[i], nodes, &tail) : NULL;
        char *id = known ? copy_text(known) : json ? NULL : guess_id(given->item[i], &tail);
        if (!id) continue;
        dumps->texts[dumps->text_count++] = id;
        dumps->item[dumps->count++] = (NodusDump){.node = id, .slot = tail.slot, .part = tail.part, .file = tail.file};
    }
    cJSON_Delete(json);
}

void dumps_free(Dumps *dumps)
{
    for (int i = 0; i < dumps->text_count; i++) free(dumps->texts[i]);
    free(dumps->texts);
    free(dumps->item);
    *dumps = (Dumps){0};
}
