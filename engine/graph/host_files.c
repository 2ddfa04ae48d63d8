/* host_files.c: pictures, arrays and texts of the engine's folders, for hosts (nodus.h).
 *
 * One idea: a name comes from a script, so it is checked once, here, and can only lead into the folder that it is for. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/npy.h"
#include "engine/formats/picture.h"
#include "engine/graph/engine.h"
#include <nodus/nodus.h>
#include <string.h>

enum { PNG_LEVEL = 4, LARGEST_TEXT = 64 << 20 };

/* The path of a name below a folder, which is made if it is missing; memory_free. */
static NodusStatus path_below(NodusEngine *engine, const char *folder, const char *name, char **path)
{
    const char *root;
    if (strcmp(folder, "input") && strcmp(folder, "output") && strcmp(folder, "temp"))
        return nodus_error(NODUS_ERROR_INPUT, "\"%s\" is no folder that files may be in: input, output, temp", folder);
    if (!file_name_is_inside(name)) return nodus_error(NODUS_ERROR_INPUT, "\"%s\" is not a name in the %s folder", name, folder);
    NODUS_TRY(folders_directory(engine->folders, folder, &root));
    *path = file_join(root, name);
    return *path ? NULL : status_memory();
}

static NodusStatus path_for_writing(NodusEngine *engine, const char *folder, const char *name, char **path)
{
    NODUS_TRY(path_below(engine, folder, name, path));
    char *slash = strrchr(*path, '/');
    *slash = 0;
    NodusStatus status = file_make_folders(*path);
    *slash = '/';
    if (status) memory_free(*path);
    return status;
}

/* ---- Pictures ------------------------------------------------------------------------------------------------------ */

static NodusStatus encode(NodusMath *math, const NodusTensor *image, uint8_t **png, size_t *size)
{
    const int rank = nodus_tensor_rank(image);
    const int64_t height = nodus_tensor_dim(image, -3), width = nodus_tensor_dim(image, -2), channels = nodus_tensor_dim(image, -1);
    const float *data;
    if ((rank != 3 && !(rank == 4 && nodus_tensor_dim(image, 0) == 1)) || (channels != 1 && channels != 3 && channels != 4))
        return nodus_error(NODUS_ERROR_INPUT, "a picture is [height, width, channels] of 1, 3 or 4 channels; slice one off a batch");
    if (height < 1 || width < 1 || height > PICTURE_MAX_SIDE || width > PICTURE_MAX_SIDE)
        return nodus_error(NODUS_ERROR_INPUT, "the sides of a picture are 1 to %d pixels", PICTURE_MAX_SIDE);
    NODUS_TRY(nodus_tensor_map_f32(math, image, &data));
    const size_t count = (size_t)(height * width * channels);
    uint8_t *bytes = memory_array(count, 1);
    if (!bytes) return status_memory();
    for (size_t i = 0; i < count; i++) bytes[i] = picture_byte(data[i]);
    NodusStatus status = png_encode(bytes, (int)width, (int)height, (int)channels, PNG_LEVEL, false, NULL, 0, png, size);
    memory_free(bytes);
    return status;
}

NodusStatus nodus_picture_save(NodusEngine *engine, const char *folder, const char *name, const NodusTensor *image)
{
    NodusMath *math;
    char *path;
    uint8_t *png = NULL;
    size_t size;
    NODUS_TRY(path_for_writing(engine, folder, name, &path));
    NodusStatus status = nodus_math_new(engine, &math);
    if (!status) {
        status = encode(math, image, &png, &size);
        if (!status) status = file_write_whole(path, png, size);
        nodus_math_free(math);
    }
    memory_free(png);
    memory_free(path);
    return status;
}

static NodusStatus picture_tensor(NodusMath *math, const Picture *picture, size_t limit, NodusTensor **out)
{
    const size_t pixels = (size_t)picture->width * (size_t)picture->height * (size_t)picture->frames;
    if (limit && pixels > limit / 3 / sizeof(float)) return nodus_error(NODUS_ERROR_MEMORY, "this picture is larger than the limit allows");
    float *data = memory_array(pixels, 3 * sizeof(float));
    if (!data) return status_memory();
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++) data[3 * i + c] = (float)picture->rgba[4 * i + c] / 255.0f;
    NodusStatus status =
        nodus_tensor_from_f32(math, out, 4, (int64_t[]){picture->frames, picture->height, picture->width, 3}, data);
    memory_free(data);
    return status;
}

NodusStatus nodus_picture_load(NodusEngine *engine, NodusMath *math, const char *folder, const char *name, size_t limit, NodusTensor **out)
{
    char *path;
    Picture picture;
    NODUS_TRY(path_below(engine, folder, name, &path));
    NodusStatus status = picture_read(path, &picture);
    memory_free(path);
    if (status) return status;
    status = picture_tensor(math, &picture, limit, out);
    picture_free(&picture);
    return status;
}

/* ---- Arrays and texts ---------------------------------------------------------------------------------------------- */

NodusStatus nodus_array_save(NodusEngine *engine, const char *folder, const char *name, const NodusTensor *tensor)
{
    NodusMath *math;
    char *path;
    const float *data;
    int64_t dim[NODUS_MAX_RANK];
    const int rank = nodus_tensor_rank(tensor);
    for (int i = 0; i < rank; i++) dim[i] = nodus_tensor_dim(tensor, i);
    NODUS_TRY(path_for_writing(engine, folder, name, &path));
    NodusStatus status = nodus_math_new(engine, &math);
    if (!status) {
        status = nodus_tensor_map_f32(math, tensor, &data);
        if (!status) status = npy_write(path, "<f4", rank, dim, data, sizeof *data);
        nodus_math_free(math);
    }
    memory_free(path);
    return status;
}

NodusStatus nodus_array_load(NodusEngine *engine, NodusMath *math, const char *folder, const char *name, size_t limit, NodusTensor **out)
{
    char *path;
    uint8_t *bytes;
    size_t size;
    NpyArray array = {0};
    NODUS_TRY(path_below(engine, folder, name, &path));
    NodusStatus status = file_read(path, limit ? limit : SIZE_MAX / 2, &bytes, &size);
    if (!status) {
        status = npy_decode(bytes, size, limit, &array);
        if (!status) status = nodus_tensor_from_f32(math, out, array.rank, array.dim, array.data);
        if (status) status = nodus_error_prefix(status, "%s", path);
        memory_free(array.data);
        memory_free(bytes);
    }
    memory_free(path);
    return status;
}

NodusStatus nodus_file_load(NodusEngine *engine, const char *root, const char *name, size_t limit, char **data, size_t *size)
{
    char *path = NULL;
    uint8_t *bytes;
    if (!root) NODUS_TRY(path_below(engine, "input", name, &path));
    else if (!file_name_is_inside(name)) return nodus_error(NODUS_ERROR_INPUT, "\"%s\" is not a name below the script's folder", name);
    else if (!(path = file_join(root, name))) return status_memory();
    NodusStatus status = file_read(path, limit ? limit : LARGEST_TEXT, &bytes, size);
    if (!status) *data = (char *)bytes;
    memory_free(path);
    return status;
}

NodusStatus nodus_file_save(NodusEngine *engine, const char *name, const char *data, size_t size)
{
    char *path;
    NODUS_TRY(path_for_writing(engine, "output", name, &path));
    NodusStatus status = file_write_whole(path, data, size);
    memory_free(path);
    return status;
}
