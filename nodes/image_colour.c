/* image_colour.c: pictures between RGB and YUV: brightness and two differences of colour, each as a grey picture. */
#include "engine/base/status.h"
#include "nodes/pixels.h"

typedef struct {
    const NodusTensor *image;
} ToYuvArgs;

/* One value of a pixel, from its red, green and blue. */
static float yuv(int which, const float *p)
{
    const float y = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
    return which == 0 ? y : which == 1 ? (p[2] - y) * 0.564f + 0.5f : (p[0] - y) * 0.713f + 0.5f;
}

static NodusStatus colour_to_yuv(NodusCall *call, const void *args)
{
    const ToYuvArgs *in = args;
    Pixels from;
    NODUS_TRY(pixels_map(call, "image", in->image, &from));
    if (from.channels < 3)
        return nodus_input_error(call, "image", "a picture of %lld channels has no colours", (long long)from.channels);
    const Pixels to = {from.batch, from.height, from.width, 3, NULL};
    float *grey = pixels_new(call, &to);
    if (!grey) return status_memory();
    for (uint32_t slot = 0; slot < 3; slot++) {
        for (int64_t i = 0; i < from.batch * from.height * from.width; i++)
            grey[3 * i] = grey[3 * i + 1] = grey[3 * i + 2] = yuv((int)slot, from.data + i * from.channels);
        NODUS_TRY(pixels_emit(call, slot, &to, grey));
    }
    return NULL;
}

static NodusStatus colour_to_yuv_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out)
{
    Pixels size = pixels_known(&in[0]);
    (void)call;
    (void)args;
    size.channels = 3;
    for (int slot = 0; slot < 3; slot++) pixels_fact(&out[slot], &size);
    return NULL;
}

static const NodusInput to_yuv_inputs[] = {
    NODUS_IN_LINK("image", ToYuvArgs, image, "IMAGE", "The picture to take apart."),
};
static const NodusOutput to_yuv_outputs[] = {
    {.name = "Y", .type = "IMAGE", .tooltip = "Brightness."},
    {.name = "U", .type = "IMAGE", .tooltip = "Blue against brightness; grey where there is no difference."},
    {.name = "V", .type = "IMAGE", .tooltip = "Red against brightness; grey where there is no difference."},
};
const NodusNode node_image_rgb_to_yuv = {
    NODUS_NODE("ImageRGBToYUV", "ImageRGBToYUV", "image/batch", ToYuvArgs, to_yuv_inputs, to_yuv_outputs),
    .help = "Take a picture apart into brightness and two differences of colour.",
    .example = "graphs/filters.json",
    .run = colour_to_yuv,
    .infer = colour_to_yuv_infer,
};

typedef struct {
    const NodusTensor *y, *u, *v;
} ToRgbArgs;

/* The mean of the channels of pixel i. */
static float grey_of(const Pixels *p, int64_t i)
{
    const float *pixel = p->data + i * p->channels;
    float sum = 0;
    for (int64_t c = 0; c < p->channels; c++) sum += pixel[c];
    return sum / (float)p->channels;
}

static NodusStatus same_size(NodusCall *call, const char *input, const Pixels *p, const Pixels *first)
{
    if (p->batch == first->batch && p->height == first->height && p->width == first->width) return NULL;
    return nodus_input_error(call, input, "%lld pictures of %lld × %lld, Y has %lld of %lld × %lld: they belong to one picture",
                             (long long)p->batch, (long long)p->width, (long long)p->height, (long long)first->batch,
                             (long long)first->width, (long long)first->height);
}

static NodusStatus colour_to_rgb(NodusCall *call, const void *args)
{
    const ToRgbArgs *in = args;
    Pixels y, u, v;
    NODUS_TRY(pixels_map(call, "Y", in->y, &y));
    NODUS_TRY(pixels_map(call, "U", in->u, &u));
    NODUS_TRY(pixels_map(call, "V", in->v, &v));
    NODUS_TRY(same_size(call, "U", &u, &y));
    NODUS_TRY(same_size(call, "V", &v, &y));
    const Pixels to = {y.batch, y.height, y.width, 3, NULL};
    float *rgb = pixels_new(call, &to);
    if (!rgb) return status_memory();
    for (int64_t i = 0; i < y.batch * y.height * y.width; i++) {
        const float bright = grey_of(&y, i), blue = grey_of(&u, i) - 0.5f, red = grey_of(&v, i) - 0.5f;
        rgb[3 * i] = bright + red / 0.713f;
        rgb[3 * i + 1] = bright - 0.714404f * red - 0.344340f * blue; /* what the other two leave of 0.587 */
        rgb[3 * i + 2] = bright + blue / 0.564f;
    }
    return pixels_emit(call, 0, &to, rgb);
}

static const NodusInput to_rgb_inputs[] = {
    NODUS_IN_LINK("Y", ToRgbArgs, y, "IMAGE", "Brightness."),
    NODUS_IN_LINK("U", ToRgbArgs, u, "IMAGE", "Blue against brightness."),
    NODUS_IN_LINK("V", ToRgbArgs, v, "IMAGE", "Red against brightness."),
};
const NodusNode node_image_yuv_to_rgb = {
    NODUS_NODE("ImageYUVToRGB", "ImageYUVToRGB", "image/batch", ToRgbArgs, to_rgb_inputs, pixels_image_outputs),
    .help = "Put a picture together from brightness and two differences of colour.",
    .example = "graphs/filters.json",
    .run = colour_to_rgb,
    .infer = pixels_infer_rgb,
};
