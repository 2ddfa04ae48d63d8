/* zipped.c: a plug-in for nodus with a node that calls a library, zlib: how small a picture can be packed tells how much is in it.
 *
 * zlib knows nothing of tensors, so the node asks for the numbers in host memory (nodus_tensor_map_f32). The library is linked to the
 * plug-in (Makefile); if it is missing, the plug-in is left out with a message and everything else works. */
#include <nodus/node.h>
#include <zlib.h>

typedef struct {
    const NodusTensor *image; /* IMAGE: [pictures, height, width, channels], 0 … 1 */
    int64_t level;
} ZippedArgs;

/* The first picture in bytes, as a PNG file would have them. */
static unsigned char *zipped_bytes(NodusCall *call, const NodusTensor *image, const float *pixels, uLong *count)
{
    *count = (uLong)(nodus_tensor_count(image) / nodus_tensor_dim(image, 0));
    unsigned char *bytes = nodus_alloc(call, *count); /* freed when the node returns */
    for (uLong i = 0; bytes && i < *count; i++) {
        const float x = pixels[i] > 0 ? pixels[i] < 1 ? pixels[i] : 1 : 0; /* NaN becomes 0 */
        bytes[i] = (unsigned char)(x * 255 + 0.5f);
    }
    return bytes;
}

static NodusStatus zipped_run(NodusCall *call, const void *args)
{
    const ZippedArgs *in = args;
    const float *pixels;
    uLong count;
    if (!nodus_tensor_count(in->image)) return nodus_input_error(call, "image", "is empty");
    NODUS_TRY(nodus_tensor_map_f32(nodus_math(call), in->image, &pixels));
    unsigned char *bytes = zipped_bytes(call, in->image, pixels, &count);
    uLongf size = compressBound(count);
    unsigned char *packed = nodus_alloc(call, size);
    if (!bytes || !packed) return nodus_error(NODUS_ERROR_MEMORY, "no memory for packing %lu bytes", count);
    const int result = compress2(packed, &size, bytes, count, (int)in->level);
    if (result != Z_OK) return nodus_error(NODUS_ERROR_DEVICE, "zlib says: %s", zError(result));
    NODUS_TRY(nodus_emit_int(call, 0, (int64_t)size));
    return nodus_emit_float(call, 1, (double)size / (double)count);
}

static const NodusInput zipped_inputs[] = {
    NODUS_IN_LINK("image", ZippedArgs, image, "IMAGE", "The picture to measure; of several, the first."),
    NODUS_IN_INT("level", ZippedArgs, level, "How hard zlib tries.", .def = 6, .min = 1, .max = 9, .step = 1),
};
static const NodusOutput zipped_outputs[] = {
    {.name = "bytes", .type = "INT", .tooltip = "The size of the packed picture."},
    {.name = "share", .type = "FLOAT", .tooltip = "That size as a share of the plain one: 0 nothing in it, 1 noise."},
};
static const NodusNode node_zipped = {
    NODUS_NODE("ZippedSize", "Zipped Size", "plug-ins", ZippedArgs, zipped_inputs, zipped_outputs),
    .version = 1,
    .help = "Packs a picture with zlib and tells how small it became: a measure of how much detail it has.",
    .run = zipped_run,
};

NODUS_PLUGIN("zipped", "0.1", "How small zlib makes a picture.")
{
    nodus_plugin_node(plugin, &node_zipped);
    return NULL;
}
