/* layout_openclip.c: OpenCLIP's text tower under the names of CLIPTextModel.
 *
 *   P transformer.resblocks.N.attn.in_proj_weight → P text_model.encoder.layers.N.self_attn.{q,k,v}_proj.weight
 *
 * Its last projection multiplies from the other side, so it is transposed. Vision towers have names that end alike and stay as
 * they are. */
#include "nodes/models/layout_inside.h"
#include <stdio.h>
#include <string.h>

static const char LAYERS[] = "transformer.resblocks.";

static const LayoutRow outer[] = {
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.", "text_model.final_layer_norm."},
    {"text_projection", "text_projection.weight"},
    {NULL, NULL},
};
static const LayoutRow inner[] = {
    {"ln_1.", "layer_norm1."}, {"ln_2.", "layer_norm2."},   {"attn.out_proj.", "self_attn.out_proj."},
    {"mlp.c_fc.", "mlp.fc1."}, {"mlp.c_proj.", "mlp.fc2."}, {NULL, NULL},
};

/* The tower's prefix ends where its layers' names start; false if the name is no layer's of a text tower. */
static bool tower_of(const char *name, size_t *prefix)
{
    const char *at = strstr(name, LAYERS);
    if (!at || (at != name && at[-1] != '.')) return false;
    *prefix = (size_t)(at - name);
    return *prefix < 7 || strncmp(at - 7, "visual.", 7) != 0;
}

void layout_find_openclip(Layout *layout)
{
    size_t prefix;
    for (int i = 0; i < weights_count(layout->file) && !layout->openclip; i++)
        layout->openclip = tower_of(weights_at(layout->file, i)->name, &prefix);
}

static bool layer_change(const char *name, size_t prefix, LayoutChange *out)
{
    static const char thirds[3] = {'q', 'k', 'v'};
    const char *rest;
    int layer, used = 0;
    if (sscanf(name + prefix + sizeof LAYERS - 1, "%4d.%n", &layer, &used) != 1 || !used || layer < 0) return false;
    const char *part = name + prefix + sizeof LAYERS - 1 + used;
    const bool weight = !strcmp(part, "attn.in_proj_weight");
    if (weight || !strcmp(part, "attn.in_proj_bias")) {
        for (int i = 0; i < 3; i++)
            if (snprintf(out->thirds[i], LAYOUT_NAME, "%.*stext_model.encoder.layers.%d.self_attn.%c_proj.%s", (int)prefix, name,
                         layer, thirds[i], weight ? "weight" : "bias") >= LAYOUT_NAME)
                return false;
        return true;
    }
    const LayoutRow *row = layout_row(inner, part, &rest);
    return row && snprintf(out->name, LAYOUT_NAME, "%.*stext_model.encoder.layers.%d.%s%s", (int)prefix, name, layer, row->ours,
                           rest) < LAYOUT_NAME;
}

/* Whether a tower's layers stand under the first `length` characters of the name. */
static bool is_tower(const Layout *layout, const char *name, size_t length)
{
    char key[LAYOUT_NAME];
    return length < 7 || strncmp(name + length - 7, "visual.", 7) != 0
               ? snprintf(key, sizeof key, "%.*s%s0.ln_1.weight", (int)length, name, LAYERS) < LAYOUT_NAME &&
                     weights_get(layout->file, key)
               : false;
}

bool layout_openclip(const Layout *layout, const char *name, LayoutChange *out)
{
    size_t prefix;
    const char *rest;
    if (strlen(name) >= LAYOUT_NAME) return false;
    if (tower_of(name, &prefix)) return layer_change(name, prefix, out);
    for (const char *at = name; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        const LayoutRow *row = layout_row(outer, at, &rest);
        if (!row || !is_tower(layout, name, (size_t)(at - name))) continue;
        out->transpose = !strcmp(row->theirs, "text_projection") && !*rest;
        if (!strcmp(row->theirs, "text_projection") && *rest) return false; /* a matrix as we have it */
        return snprintf(out->name, LAYOUT_NAME, "%.*s%s%s", (int)(at - name), name, row->ours, rest) < LAYOUT_NAME;
    }
    return false;
}
