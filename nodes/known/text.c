/* text.c: known, not built yet: nodes that make conditioning out of words and pictures.
 *
 * A prompt is a text of several lines with {a|b} choices. */
#include "nodes/known/known.h"

/* clang-format off */
const NodusNode known_text[] = {
    NODE("CLIPTextEncodeSD3", "CLIPTextEncodeSD3", "advanced/conditioning", 0,
         "Encode one prompt for each of the three encoders of SD3.",
         IN(LINK("clip", "CLIP"), PROMPT("clip_l", ""), PROMPT("clip_g", ""), PROMPT("t5xxl", ""),
            COMBO("empty_padding", "none", "empty_prompt")),
         OUT(SLOT("CONDITIONING"))),
    NODE("CLIPTextEncodeFlux", "CLIPTextEncodeFlux", "advanced/conditioning/flux", 0,
         "Encode the prompts of Flux, with its guidance.",
         IN(LINK("clip", "CLIP"), PROMPT("clip_l", ""), PROMPT("t5xxl", ""), FLOAT("guidance", 3.5, 0, 100, 0.1)),
         OUT(SLOT("CONDITIONING"))),
    NODE("T5TokenizerOptions", "T5TokenizerOptions", "_for_testing/conditioning", NODUS_EXPERIMENTAL,
         "Set how many tokens a T5 prompt is padded to.",
         IN(LINK("clip", "CLIP"), INT("min_padding", 0, 0, 10000), INT("min_length", 0, 0, 10000)),
         OUT(SLOT("CLIP"))),
    NODE("CLIPTextEncodePixArtAlpha", "CLIPTextEncodePixArtAlpha", "advanced/conditioning", 0,
         "Encode a prompt for PixArt, with the size of the picture.",
         IN(INT("width", 1024, 0, MAXR), INT("height", 1024, 0, MAXR), PROMPT("text", ""), LINK("clip", "CLIP")),
         OUT(SLOT("CONDITIONING"))),
    NODE("CLIPTextEncodeLumina2", "CLIP Text Encode for Lumina2", "conditioning", 0,
         "Encode a prompt for Lumina 2 behind one of its system prompts.",
         IN(COMBO("system_prompt", "superior", "alignment"), PROMPT("user_prompt", ""), LINK("clip", "CLIP")),
         OUT(SLOT("CONDITIONING"))),
    {0}
};
/* clang-format on */
