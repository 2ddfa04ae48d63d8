/* layout_openclip.c: OpenCLIP's towers under the names of CLIPTextModel and CLIPVisionModel.
 *
 *   P transformer.resblocks.N.attn.in_proj_weight → P text_model.encoder.layers.N.self_attn.{q,k,v}_proj.weight
 *
 * The last projection multiplies from the other side, so it is transposed. A tower whose prefix P ends in "visual." is a vision
 * tower. Style adapters are built of the same layers, under a name with a slip of the pen. */
#include "nodes/models/layout_inside.h"
#include <stdio.h>
#include <string.h>

static const LayoutRow text_rows[] = {
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.", "text_model.final_layer_norm."},
    {"text_projection", "text_projection.weight"},
    {NULL, NULL},
};
static const LayoutRow vision_rows[] = {
    {"class_embedding", "vision_model.embeddings.class_embedding"},
    {"positional_embedding", "vision_model.embeddings.position_embedding.weight"},
    {"conv1.", "vision_model.embeddings.patch_embedding."},
    {"ln_pre.", "vision_model.pre_layrnorm."},
    {"ln_post.", "vision_model.post_layernorm."},
    {"proj", "visual_projection.weight"},
    {NULL, NULL},
};
static const LayoutRow style_rows[] = {
    {"style_embedding", "style_model.style_embedding"},
    {"ln_pre.", "style_model.pre_layer_norm."},
    {"ln_post.", "style_model.post_layer_norm."},
    {"proj", "style_projection.weight"},
    {NULL, NULL},
};
static const LayoutRow inner[] = {
    {"ln_1.", "layer_norm1."}, {"ln_2.", "layer_norm2."},   {"attn.out_proj.", "self_attn.out_proj."},
    {"mlp.c_fc.", "mlp.fc1."}, {"mlp.c_proj.", "mlp.fc2."}, {NULL, NULL},
};

/* Kinds of towers: bit i of Layout.towers. The first that fits a name is meant. */
typedef struct Tower {
    const char *layers, *tail, *model; /* how layers' names start, and prefixes end; what we say */
    const LayoutRow *outer;
} Tower;
static const Tower towers[] = {
    {"transformer.resblocks.", "visual.", "vision_model", vision_rows},
    {"transformer.resblocks.", "", "text_model", text_rows},
    {"transformer_layes.", "", "style_model", style_rows},
};
enum { TOWERS = sizeof towers / sizeof *towers };

/* Whether the first `length` characters of a name end as prefixes of the tower do. */
static bool tower_fits(const Tower *tower, const char *name, size_t length)
{
    const size_t tail = strlen(tower->tail);
    return length >= tail && !strncmp(name + length - tail, tower->tail, tail);
}

/* The tower whose layer's name it is; its prefix ends where those names start. NULL: no layer's. */
static const Tower *tower_of(const char *name, size_t *prefix)
{
    for (int i = 0; i < TOWERS; i++) {
        const char *at = strstr(name, towers[i].layers);
        if (!at || (at != name && at[-1] != '.')) continue;
        *prefix = (size_t)(at - name);
        if (tower_fits(&towers[i], name, *prefix)) return &towers[i];
    }
    return NULL;
}

void layout_find_openclip(Layout *layout)
{
    size_t prefix;
    for (int i = 0; i < weights_count(layout->file); i++) {
        const Tower *tower = tower_of(weights_at(layout->file, i)->name, &prefix);
        if (tower) layout->towers |= 1U << (tower - towers);
    }
}

static bool layer_change(const Tower *tower, const char *name, size_t prefix, LayoutChange *out)
{
    static const char thirds[3] = {'q', 'k', 'v'};
    const char *rest, *at = name + prefix + strlen(tower->layers);
    int layer, used = 0;
    if (sscanf(at, "%4d.%n", &layer, &used) != 1 || !used || layer < 0) return false;
    const char *part = at + used;
    const bool weight = !strcmp(part, "attn.in_proj_weight");
    if (weight || !strcmp(part, "attn.in_proj_bias")) {
        for (int i = 0; i < 3; i++)
            if (snprintf(out->thirds[i], LAYOUT_NAME, "%.*s%s.encoder.layers.%d.self_attn.%c_proj.%s", (int)prefix, name,
                         tower->model, layer, thirds[i], weight ? "weight" : "bias") >= LAYOUT_NAME)
                return false;
        return true;
    }
    const LayoutRow *row = layout_row(inner, part, &rest);
    return row && snprintf(out->name, LAYOUT_NAME, "%.*s%s.encoder.layers.%d.%s%s", (int)prefix, name, tower->model, layer,
                           row->ours, rest) < LAYOUT_NAME;
}

/* The tower whose layers stand under the first `length` characters of the name, or NULL. */
static const Tower *tower_under(const Layout *layout, const char *name, size_t length)
{
    char key[LAYOUT_NAME];
    for (int i = 0; i < TOWERS; i++)
        if (tower_fits(&towers[i], name, length) &&
            snprintf(key, sizeof key, "%.*s%s0.ln_1.weight", (int)length, name, towers[i].layers) < LAYOUT_NAME &&
            weights_get(layout->file, key))
            return &towers[i];
    return NULL;
}

bool layout_openclip(const Layout *layout, const char *name, LayoutChange *out)
{
    size_t prefix;
    const char *rest;
    if (strlen(name) >= LAYOUT_NAME) return false;
    const Tower *tower = tower_of(name, &prefix);
    if (tower) return layer_change(tower, name, prefix, out);
    for (const char *at = name; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        tower = tower_under(layout, name, (size_t)(at - name));
        const LayoutRow *row = tower ? layout_row(tower->outer, at, &rest) : NULL;
        if (!row) continue;
        out->transpose = strstr(row->theirs, "proj") != NULL;
        if (out->transpose && *rest) return false; /* a matrix as we have it */
        return snprintf(out->name, LAYOUT_NAME, "%.*s%s%s", (int)(at - name), name, row->ours, rest) < LAYOUT_NAME;
    }
    return false;
}
