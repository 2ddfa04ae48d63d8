/* measure_clip.c: MeasureCLIPScore: how well a picture fits a text, by a CLIP model that was trained on just that.
 *
 * One idea: the vision tower and the text tower end in projections into one space; the score is the cosine of the angle between the two
 * (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021; Hessel et al., "CLIPScore", 2021, scale
 * it by 2.5 and cut it at 0). A text tower alone, as diffusion models carry it, may lack the projection: then there is no score. */
#include "engine/base/status.h"
#include "nodes/pixels.h"
#include "nodes/text_encode.h"
#include <math.h>

typedef struct {
    const Clip *clip;
    const ClipVisionOutput *seen;
    const char *text;
} ClipScoreArgs;

/* The same encoder with its projection, which CLIP-L has no use for elsewhere. */
static NodusStatus with_projection(NodusCall *call, const Clip *clip, Clip *out)
{
    *out = *clip;
    ClipTextConfig *tower = out->second.layers ? &out->second : &out->text;
    if (!tower->projection[0]) clip_text_find_projection(clip->weights, tower);
    if (tower->projection[0]) return NULL;
    return nodus_input_error(call, "clip",
                             "'%s' has no text_projection.weight, without which texts cannot be compared with pictures: load the text "
                             "encoder of a whole CLIP model",
                             clip->origin ? clip->origin : "the file");
}

static double cosine(const float *a, const float *b, int64_t n)
{
    double product = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        product += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return product / sqrt(aa * bb);
}

static NodusStatus clip_score(NodusCall *call, const void *args)
{
    const ClipScoreArgs *in = args;
    const NodusTensor *embeds = in->seen->embeds;
    const int64_t count = nodus_tensor_dim(embeds, 0), width = nodus_tensor_dim(embeds, 1);
    NODUS_TRY(values_require(call, "clip", in->clip->weights, in->clip->origin, "text encoder"));
    Clip clip;
    NodusTensor *text, *pooled;
    const float *pictures, *words;
    double sum = 0;
    NODUS_TRY(with_projection(call, in->clip, &clip));
    NODUS_TRY(text_encode(call, &clip, in->text, NULL, &text, &pooled));
    if (nodus_tensor_dim(pooled, 1) != width)
        return nodus_input_error(call, "clip_vision_output",
                                 "its embeddings have %d numbers, those of the text %d: both must come from one CLIP model", (int)width,
                                 (int)nodus_tensor_dim(pooled, 1));
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), embeds, &pictures));
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), pooled, &words));
    for (int64_t i = 0; i < count; i++) sum += cosine(pictures + i * width, words, width);
    return nodus_emit_float(call, 0, sum / (double)count);
}

static NodusStatus clip_score_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const ClipScoreArgs *in = args;
    return text_fingerprint(call, in->text, hash);
}

static const NodusInput clip_score_inputs[] = {
    NODUS_IN_LINK("clip", ClipScoreArgs, clip, "CLIP", "A text encoder with its projection, of the same CLIP model as the vision tower."),
    NODUS_IN_LINK("clip_vision_output", ClipScoreArgs, seen, "CLIP_VISION_OUTPUT", "The encoded pictures; of several, the mean counts."),
    NODUS_IN_STRING("text", ClipScoreArgs, text, "What the picture should show; the first 75 words or pieces of words count.", .def = "",
                    .multiline = true, .dynamic = true),
};
static const NodusOutput clip_score_outputs[] = {
    {.name = "score", .type = "FLOAT", .tooltip = "The cosine: 1 at most; real CLIP models give 0.2 to 0.35 where both fit."}};
const NodusNode node_measure_clip_score = {
    NODUS_NODE("MeasureCLIPScore", "CLIP score", "measure", ClipScoreArgs, clip_score_inputs, clip_score_outputs),
    .help = "How well pictures fit a text, by a CLIP model of your choice.",
    .example = "graphs/clip_score.json",
    .run = clip_score,
    .fingerprint = clip_score_fingerprint,
};
