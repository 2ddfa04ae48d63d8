/* resize.c: pictures and masks to another size.
 *
 * One idea: a filter is a row of a table; all but lanczos are the eager operation on [b, c, h, w], which a picture is under
 * another order of axes. A centred crop is a view made before. */
#include "nodes/resize.h"
#include "engine/base/status.h"
#include <string.h>

const char *const resize_methods[] = {"nearest-exact", "bilinear", "area", "bicubic", "lanczos", NULL};
static const NodusResize filters[] = {NODUS_NEAREST_EXACT, NODUS_BILINEAR, NODUS_AREA, NODUS_BICUBIC};
enum { FILTERS = 4 /* after them: lanczos */ };

static int filter_index(const char *method)
{
    int i = 0;
    while (i < FILTERS && strcmp(resize_methods[i], method) != 0) i++;
    return i;
}

/* How much to cut off on either side of an axis of `size` that is too long by the factor `excess`; something always stays. */
static int64_t margin(int64_t size, double excess)
{
    const int64_t cut = pixels_round(((double)size - (double)size / excess) / 2);
    return cut < (size + 1) / 2 ? cut : (size - 1) / 2;
}

void resize_margins(int64_t w, int64_t h, int64_t width, int64_t height, int64_t *left, int64_t *top)
{
    const double old = (double)w / (double)h, new = (double)width / (double)height;
    *left = old > new ? margin(w, old / new) : 0;
    *top = old < new ? margin(h, new / old) : 0;
}

NodusStatus resize_crop(NodusCall *call, const NodusTensor *x, int64_t width, int64_t height, NodusTensor **out)
{
    const int64_t w = nodus_tensor_dim(x, 2), h = nodus_tensor_dim(x, 1);
    int64_t left, top;
    resize_margins(w, h, width, height, &left, &top);
    return pixels_crop(call, x, top, left, h - 2 * top, w - 2 * left, out);
}

static NodusStatus resize_lanczos(NodusCall *call, const NodusTensor *image, int64_t width, int64_t height, NodusTensor **out)
{
    Pixels from, to;
    NODUS_TRY(pixels_map(call, "image", image, &from));
    to = (Pixels){.batch = from.batch, .height = height, .width = width, .channels = from.channels};
    float *data = pixels_new(call, &to);
    if (!data) return status_memory();
    NODUS_TRY(lanczos_resize(call, &from, width, height, data));
    return pixels_tensor(call, &to, data, out);
}

NodusStatus resize_image(NodusCall *call, const NodusTensor *image, int64_t width, int64_t height, const char *method,
                         bool centre, NodusTensor **out)
{
    NodusMath *math = nodus_math(call);
    const int filter = filter_index(method);
    NodusTensor *part, *planes, *resized;
    if (width < 1 || height < 1)
        return nodus_error(NODUS_ERROR_INPUT, "a picture of %lld × %lld pixels", (long long)width, (long long)height);
    if (centre) NODUS_TRY(resize_crop(call, image, width, height, &part));
    else NODUS_TRY(nodus_tensor_slice(math, &part, image, 0, 0, nodus_tensor_dim(image, 0)));
    if (filter == FILTERS) return resize_lanczos(call, part, width, height, out);
    NODUS_TRY(nodus_tensor_permute(math, &planes, part, (int[]){0, 3, 1, 2}));
    NODUS_TRY(nodus_tensor_resize(math, &resized, planes, height, width, filters[filter]));
    return nodus_tensor_permute(math, out, resized, (int[]){0, 2, 3, 1});
}

NodusStatus resize_mask(NodusCall *call, const NodusTensor *mask, int64_t width, int64_t height, const char *method, bool centre,
                        NodusTensor **out)
{
    NodusTensor *grey, *resized;
    NODUS_TRY(pixels_grey(call, mask, 1, &grey));
    NODUS_TRY(resize_image(call, grey, width, height, method, centre, &resized));
    return nodus_tensor_reshape(nodus_math(call), out, resized, 3, (int64_t[]){nodus_tensor_dim(mask, 0), height, width});
}
