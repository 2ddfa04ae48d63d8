/* diffusers_names.c: see diffusers_names.h.
 *
 * One idea: ldm counts blocks straight through, diffusers counts levels and then what is in them; a level ends where the picture
 * is halved or doubled, which the file tells. */
#include "nodes/models/diffusers_names.h"
#include "nodes/models/keys.h"
#include <stdio.h>
#include <string.h>

typedef struct Row {
    const char *ldm, *diffusers;
} Row;

static const Row outer[] = {
    {"time_embed.0", "time_embedding.linear_1"},
    {"time_embed.2", "time_embedding.linear_2"},
    {"input_blocks.0.0", "conv_in"},
    {"label_emb.0.0", "add_embedding.linear_1"},
    {"label_emb.0.2", "add_embedding.linear_2"},
    {"out.0", "conv_norm_out"},
    {"out.2", "conv_out"},
};
static const Row resnet[] = {
    {"in_layers.0", "norm1"},  {"in_layers.2", "conv1"},  {"emb_layers.1", "time_emb_proj"},
    {"out_layers.0", "norm2"}, {"out_layers.3", "conv2"}, {"skip_connection", "conv_shortcut"},
};

static const char *row_find(const Row *rows, size_t count, const char *ldm)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(rows[i].ldm, ldm)) return rows[i].diffusers;
    return NULL;
}

/* Whether the picture is halved or doubled in a block: at position 0 on the way down, at 1 or 2 on the way up. */
static bool block_resizes(const WeightSet *weights, const UnetConfig *config, bool down, int block)
{
    if (down) return keys_get(weights, config->prefix, "input_blocks.%d.0.op.weight", block);
    return keys_get(weights, config->prefix, "output_blocks.%d.1.conv.weight", block) ||
           keys_get(weights, config->prefix, "output_blocks.%d.2.conv.weight", block);
}

/* The level of a block, and its number in the level. */
static void block_place(const WeightSet *weights, const UnetConfig *config, bool down, int block, int *level, int *number)
{
    *level = *number = 0;
    for (int i = down ? 1 : 0; i < block; i++) {
        if (block_resizes(weights, config, down, i)) ++*level, *number = 0;
        else ++*number;
    }
}

/* `rest` of a layer in a block's part: "0.in_layers.2", "1.proj_in". */
static bool block_part(const char *block, int number, const char *rest, char *out, size_t room)
{
    const char *layer = rest + 2;
    int used = -1;
    if (rest[0] && rest[1] == '.') {
        const char *name = rest[0] == '0' ? row_find(resnet, sizeof resnet / sizeof *resnet, layer) : layer;
        if (rest[0] == '0' && name) used = snprintf(out, room, "%s.resnets.%d.%s", block, number, name);
        if (rest[0] == '1') used = snprintf(out, room, "%s.attentions.%d.%s", block, number, name);
    }
    return used > 0 && (size_t)used < room;
}

static bool block_name(const WeightSet *weights, const UnetConfig *config, bool down, int block, const char *rest, char *out,
                       size_t room)
{
    const char *stage = down ? "down_blocks" : "up_blocks";
    char name[64];
    int level, number, used;
    if (block < 0 || block >= UNET_MAX_BLOCKS) return false;
    block_place(weights, config, down, block, &level, &number);
    if (down && !strcmp(rest, "0.op")) used = snprintf(out, room, "%s.%d.downsamplers.0.conv", stage, level);
    else if (!down && (!strcmp(rest, "1.conv") || !strcmp(rest, "2.conv")))
        used = snprintf(out, room, "%s.%d.upsamplers.0.conv", stage, level);
    else {
        snprintf(name, sizeof name, "%s.%d", stage, level);
        return block_part(name, number, rest, out, room);
    }
    return used > 0 && (size_t)used < room;
}

bool diffusers_name(const WeightSet *weights, const UnetConfig *config, const char *layer, char *out, size_t room)
{
    const char *fixed = row_find(outer, sizeof outer / sizeof *outer, layer);
    int block, used = 0;
    if (fixed) return snprintf(out, room, "%s", fixed) < (int)room;
    if (sscanf(layer, "input_blocks.%3d.%n", &block, &used) == 1 && used)
        return block_name(weights, config, true, block, layer + used, out, room);
    if (sscanf(layer, "output_blocks.%3d.%n", &block, &used) == 1 && used)
        return block_name(weights, config, false, block, layer + used, out, room);
    if (!strncmp(layer, "middle_block.", 13)) { /* residual block, transformer, residual block */
        const char *rest = layer + 13;
        char second[256];
        if (rest[0] != '2') return block_part("mid_block", 0, rest, out, room);
        return snprintf(second, sizeof second, "0%s", rest + 1) < (int)sizeof second &&
               block_part("mid_block", 1, second, out, room);
    }
    return false;
}
