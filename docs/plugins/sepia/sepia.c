/* sepia.c: a plug-in for nodus with one node: pictures in the brown of old photographs.
 *
 * A node is a table and a function. The function works with nodus_tensor_* operations, so it runs on whatever device nodus runs on; for
 * work that no operation covers, nodus_tensor_map_f32 gives the numbers. What it makes is freed when it returns, unless it was emitted. */
#include <nodus/node.h>

/* The inputs, as they arrive: one field each, of the C type that its row below asks for. */
typedef struct {
    const NodusTensor *image; /* IMAGE: [pictures, height, width, 3], 0 … 1 */
    double strength;
} SepiaArgs;

/* One channel of the result: what each channel of the source adds to it. */
static NodusStatus sepia_channel(NodusMath *math, const NodusTensor *const source[3], const float share[3], int channel, float strength,
                                 NodusTensor **out)
{
    float mixed[3];
    for (int i = 0; i < 3; i++) mixed[i] = strength * share[i] + (i == channel ? 1 - strength : 0);
    NODUS_TRY(nodus_tensor_lincomb(math, out, 3, mixed, source));
    return nodus_tensor_clamp(math, out, *out, 0, 1);
}

static NodusStatus sepia_run(NodusCall *call, const void *args)
{
    static const float shares[3][3] = {{0.393f, 0.769f, 0.189f}, {0.349f, 0.686f, 0.168f}, {0.272f, 0.534f, 0.131f}};
    const SepiaArgs *in = args;
    NodusMath *math = nodus_math(call);
    NodusTensor *source[3], *result[3], *whole;
    if (nodus_tensor_dim(in->image, 3) != 3)
        return nodus_input_error(call, "image", "has %d channels, 3 are wanted", (int)nodus_tensor_dim(in->image, 3));
    for (int i = 0; i < 3; i++) NODUS_TRY(nodus_tensor_slice(math, &source[i], in->image, 3, i, 1));
    for (int i = 0; i < 3; i++)
        NODUS_TRY(sepia_channel(math, (const NodusTensor *const *)source, shares[i], i, (float)in->strength, &result[i]));
    NODUS_TRY(nodus_tensor_concat(math, &whole, 3, 3, (const NodusTensor *const *)result));
    return nodus_emit_tensor(call, 0, "IMAGE", whole);
}

/* The table: editors, `nodus nodes Sepia`, validation and the cache read it. */
static const NodusInput sepia_inputs[] = {
    NODUS_IN_LINK("image", SepiaArgs, image, "IMAGE", "The pictures to tint."),
    NODUS_IN_FLOAT("strength", SepiaArgs, strength, "0 leaves them as they are.", .def = 1, .min = 0, .max = 1, .step = 0.05),
};
static const NodusOutput sepia_outputs[] = {{.name = "IMAGE", .type = "IMAGE", .tooltip = "The tinted pictures."}};
static const NodusNode node_sepia = {
    NODUS_NODE("Sepia", "Sepia", "plug-ins", SepiaArgs, sepia_inputs, sepia_outputs),
    .version = 1, /* raise it when the same inputs give another result */
    .help = "Tints pictures in the brown of old photographs.",
    .run = sepia_run,
};

NODUS_PLUGIN("sepia", "0.1", "Pictures in the brown of old photographs.")
{
    nodus_plugin_node(plugin, &node_sepia);
    return NULL;
}
