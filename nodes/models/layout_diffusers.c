/* layout_diffusers.c: UNet and VAE of the diffusers library under ldm's names.
 *
 * One idea: diffusers counts levels and what is in them; ldm counts a UNet's blocks straight through, and a decoder's levels from
 * the picture's side. Both libraries cut the networks at the same places, so a weight only moves. A UNet is a file of its own and
 * gets no prefix; a VAE's may be there. A ControlNet is half a UNet with layers of its own; a T2I-Adapter's blocks are counted alike. */
#include "nodes/models/keys.h"
#include "nodes/models/layout_inside.h"
#include <stdio.h>
#include <string.h>

enum { MOST_LEVELS = 8, MOST_BLOCKS = 64, ADAPTER_BLOCKS = 2 };

static const LayoutRow unet_outer[] = {
    {"time_embedding.linear_1.", "time_embed.0."},
    {"time_embedding.linear_2.", "time_embed.2."},
    {"conv_in.", "input_blocks.0.0."},
    {"add_embedding.linear_1.", "label_emb.0.0."},
    {"add_embedding.linear_2.", "label_emb.0.2."},
    {"conv_norm_out.", "out.0."},
    {"class_embedding.linear_1.", "label_emb.0.0."},
    {"class_embedding.linear_2.", "label_emb.0.2."},
    {"conv_out.", "out.2."},
    {"controlnet_cond_embedding.conv_in.", "input_hint_block.0."},
    {"controlnet_cond_embedding.conv_out.", "input_hint_block.14."},
    {"controlnet_mid_block.", "middle_block_out.0."},
    {NULL, NULL},
};
static const LayoutRow unet_resnet[] = {
    {"norm1.", "in_layers.0."},
    {"conv1.", "in_layers.2."},
    {"time_emb_proj.", "emb_layers.1."},
    {"norm2.", "out_layers.0."},
    {"conv2.", "out_layers.3."},
    {"conv_shortcut.", "skip_connection."},
    {NULL, NULL},
};
static const LayoutRow vae_attention[] = {
    {"group_norm.", "norm."},    {"to_q.", "q."},  {"to_k.", "k."}, {"to_v.", "v."},
    {"to_out.0.", "proj_out."},  {"query.", "q."}, {"key.", "k."},  {"value.", "v."},
    {"proj_attn.", "proj_out."}, {NULL, NULL},
};

void layout_find_diffusers(Layout *layout)
{
    const WeightSet *file = layout->file;
    layout->unet = weights_get(file, "conv_in.weight") && weights_get(file, "down_blocks.0.resnets.0.conv1.weight");
    layout->adapter = keys_any_piece(file, "body.0.resnets.0.block1.");
    layout->light = layout->adapter && !keys_any_piece(file, "conv_in.");
    layout->vae =
        keys_any_piece(file, "decoder.up_blocks.0.resnets.0.") || keys_any_piece(file, "encoder.down_blocks.0.resnets.0.");
    for (int i = 0; i < MOST_LEVELS; i++) {
        char piece[64];
        snprintf(piece, sizeof piece, "up_blocks.%d.attentions.0.", i);
        layout->up_attention[i] = layout->unet && keys_any_prefix(file, piece);
        snprintf(piece, sizeof piece, "decoder.up_blocks.%d.resnets.0.", i);
        if (layout->vae && keys_any_piece(file, piece)) layout->up_levels = i + 1;
    }
    while (layout->unet && layout->block_count < MOST_BLOCKS &&
           keys_get(file, "", "down_blocks.0.resnets.%d.conv1.weight", layout->block_count))
        layout->block_count++;
}

/* ---- UNet -------------------------------------------------------------------------------------------------------------- */

static bool say(LayoutChange *out, const char *stage, int block, int layer, const char *name, const char *rest)
{
    return snprintf(out->name, LAYOUT_NAME, "%s.%d.%d.%s%s", stage, block, layer, name, rest) < LAYOUT_NAME;
}

/* What is in block `block`, its parts at places 0 and 1. */
static bool unet_part(const char *stage, int block, const char *part, LayoutChange *out)
{
    const char *rest;
    if (!strncmp(part, "attentions.", 11)) return say(out, stage, block, 1, part + strcspn(part + 11, ".") + 12, "");
    const LayoutRow *row = layout_row(unet_resnet, part + strcspn(part + 8, ".") + 9, &rest);
    return row && say(out, stage, block, 0, row->ours, rest);
}

/* Parts are numbered: "resnets.1.norm1.weight". Returns −1 for others. */
static int part_number(const char *part)
{
    int number, used = 0;
    const bool known =
        sscanf(part, "resnets.%2d.%n", &number, &used) == 1 || sscanf(part, "attentions.%2d.%n", &number, &used) == 1;
    return known && used && number >= 0 ? number : -1;
}

static bool unet_down(const Layout *layout, int level, const char *part, LayoutChange *out)
{
    const int first = 1 + level * (layout->block_count + 1), number = part_number(part);
    if (!strncmp(part, "downsamplers.0.conv.", 20))
        return say(out, "input_blocks", first + layout->block_count, 0, "op.", part + 20);
    return number >= 0 && unet_part("input_blocks", first + number, part, out);
}

static bool unet_up(const Layout *layout, int level, const char *part, LayoutChange *out)
{
    const int each = layout->block_count + 1, number = part_number(part);
    if (!strncmp(part, "upsamplers.0.conv.", 18))
        return say(out, "output_blocks", level * each + each - 1, layout->up_attention[level] ? 2 : 1, "conv.", part + 18);
    return number >= 0 && unet_part("output_blocks", level * each + number, part, out);
}

static bool unet_middle(const char *part, LayoutChange *out)
{
    const char *rest;
    const int number = part_number(part);
    if (number < 0) return false;
    const char *layer = strchr(strchr(part, '.') + 1, '.') + 1;
    if (part[0] == 'a') return snprintf(out->name, LAYOUT_NAME, "middle_block.1.%s", layer) < LAYOUT_NAME;
    const LayoutRow *row = layout_row(unet_resnet, layer, &rest);
    return row && snprintf(out->name, LAYOUT_NAME, "middle_block.%d.%s%s", number ? 2 : 0, row->ours, rest) < LAYOUT_NAME;
}

/* What a ControlNet has that is counted and that no UNet has. */
static bool control_change(const char *name, LayoutChange *out)
{
    int number, used = 0;
    if (sscanf(name, "controlnet_cond_embedding.blocks.%1d.%n", &number, &used) == 1 && used && number >= 0)
        return snprintf(out->name, LAYOUT_NAME, "input_hint_block.%d.%s", 2 + 2 * number, name + used) < LAYOUT_NAME;
    if (sscanf(name, "controlnet_down_blocks.%2d.%n", &number, &used) == 1 && used && number >= 0)
        return snprintf(out->name, LAYOUT_NAME, "zero_convs.%d.0.%s", number, name + used) < LAYOUT_NAME;
    return false;
}

static bool unet_change(const Layout *layout, const char *name, LayoutChange *out)
{
    const char *rest;
    int level, used = 0;
    const LayoutRow *row = layout_row(unet_outer, name, &rest);
    if (row) return snprintf(out->name, LAYOUT_NAME, "%s%s", row->ours, rest) < LAYOUT_NAME;
    if (sscanf(name, "down_blocks.%1d.%n", &level, &used) == 1 && used && level < MOST_LEVELS)
        return unet_down(layout, level, name + used, out);
    if (sscanf(name, "up_blocks.%1d.%n", &level, &used) == 1 && used && level < MOST_LEVELS)
        return unet_up(layout, level, name + used, out);
    return (!strncmp(name, "mid_block.", 10) && unet_middle(name + 10, out)) || control_change(name, out);
}

/* ---- T2I-Adapter --------------------------------------------------------------------------------------------------------- */

/* "body.1.resnets.0.block1.weight" → "body.2.block1.weight", of a light one "body.1.body.0.block1.weight". */
static bool adapter_change(const Layout *layout, const char *name, LayoutChange *out)
{
    const char *body = strstr(name, "body.");
    int stage, number, used = 0, more = 0;
    if (!body || (body != name && body[-1] != '.') || sscanf(body, "body.%1d.%n", &stage, &used) != 1 || !used || stage < 0) return false;
    const int head = (int)(body - name);
    const char *part = body + used;
    if (sscanf(part, "resnets.%1d.%n", &number, &more) != 1 || !more || number < 0) number = more = 0;
    if (!layout->light)
        return snprintf(out->name, LAYOUT_NAME, "%.*sbody.%d.%s", head, name, ADAPTER_BLOCKS * stage + number, part + more) < LAYOUT_NAME;
    return more && snprintf(out->name, LAYOUT_NAME, "%.*sbody.%d.body.%d.%s", head, name, stage, number, part + more) < LAYOUT_NAME;
}

/* ---- VAE --------------------------------------------------------------------------------------------------------------- */

/* `rest` of a residual block, whose names are alike but for one. */
static bool vae_block(LayoutChange *out, int head, const char *name, const char *block, const char *rest)
{
    const char *layer = rest;
    const bool shortcut = !strncmp(rest, "conv_shortcut.", 14);
    if (shortcut) layer += 14;
    return snprintf(out->name, LAYOUT_NAME, "%.*s%s.%s%s", head, name, block, shortcut ? "nin_shortcut." : "", layer) <
           LAYOUT_NAME;
}

static bool vae_middle(LayoutChange *out, int head, const char *name, const char *part)
{
    const char *rest;
    char block[32];
    const int number = part_number(part);
    if (number < 0) return false;
    const char *layer = strchr(strchr(part, '.') + 1, '.') + 1;
    snprintf(block, sizeof block, "mid.block_%d", number + 1);
    if (part[0] == 'r') return vae_block(out, head, name, block, layer);
    const LayoutRow *row = layout_row(vae_attention, layer, &rest);
    out->kernel = row && strcmp(row->ours, "norm.") != 0;
    return row && snprintf(out->name, LAYOUT_NAME, "%.*smid.attn_1.%s%s", head, name, row->ours, rest) < LAYOUT_NAME;
}

static bool vae_level(LayoutChange *out, int head, const char *name, const char *stage, int level, const char *part)
{
    char block[64];
    const char *down = "downsamplers.0.conv.", *up = "upsamplers.0.conv.";
    const int number = part_number(part);
    snprintf(block, sizeof block, "%s.%d.block.%d", stage, level, number);
    if (number >= 0) return vae_block(out, head, name, block, strchr(strchr(part, '.') + 1, '.') + 1);
    if (!strncmp(part, down, strlen(down)))
        return snprintf(out->name, LAYOUT_NAME, "%.*s%s.%d.downsample.conv.%s", head, name, stage, level, part + strlen(down)) <
               LAYOUT_NAME;
    if (!strncmp(part, up, strlen(up)))
        return snprintf(out->name, LAYOUT_NAME, "%.*s%s.%d.upsample.conv.%s", head, name, stage, level, part + strlen(up)) <
               LAYOUT_NAME;
    return false;
}

static bool vae_change(const Layout *layout, const char *name, LayoutChange *out)
{
    const char *tower = strstr(name, "encoder."), *other = strstr(name, "decoder.");
    int level, used = 0;
    if (!tower) tower = other;
    if (!tower || (tower != name && tower[-1] != '.')) return false;
    const char *part = tower + 8;
    const int head = (int)(part - name);
    if (!strncmp(part, "conv_norm_out.", 14))
        return snprintf(out->name, LAYOUT_NAME, "%.*snorm_out.%s", head, name, part + 14) < LAYOUT_NAME;
    if (!strncmp(part, "mid_block.", 10)) return vae_middle(out, head, name, part + 10);
    if (sscanf(part, "down_blocks.%1d.%n", &level, &used) == 1 && used)
        return vae_level(out, head, name, "down", level, part + used);
    if (sscanf(part, "up_blocks.%1d.%n", &level, &used) == 1 && used && level < layout->up_levels)
        return vae_level(out, head, name, "up", layout->up_levels - 1 - level, part + used);
    return false;
}

bool layout_diffusers(const Layout *layout, const char *name, LayoutChange *out)
{
    if (strlen(name) >= LAYOUT_NAME) return false;
    return (layout->unet && unet_change(layout, name, out)) || (layout->vae && vae_change(layout, name, out)) ||
           (layout->adapter && adapter_change(layout, name, out));
}
