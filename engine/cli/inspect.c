/* inspect.c: `nodus inspect`: what a file holds, from its headers; pixels and weights are not read, but for the alphas of a LoRA. */
#include "engine/cli/inspect.h"
#include "engine/cli/commands.h"
#include "engine/cli/say.h"
#include "engine/formats/weights_file.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LARGEST_PICTURE = 512 << 20, LARGEST_HEADER = 100 * 1000 * 1000, LENGTH = 8 /* before a header */, FIRST = 12 };

typedef struct Input {
    FILE *file;
    const char *path;
    char *data; /* what was read */
    size_t size;
} Input;

/* Reads on until `size` bytes are there, or the file ends. */
static NodusStatus read_up_to(Input *input, size_t size)
{
    while (input->size < size) {
        const size_t step = size - input->size < 1 << 20 ? size - input->size : 1 << 20;
        input->data = need(realloc(input->data, input->size + step + 1));
        const size_t got = fread(input->data + input->size, 1, step, input->file);
        input->size += got;
        if (got < step) break;
    }
    if (ferror(input->file)) return nodus_error(NODUS_ERROR_FILE, "cannot read it: %s", strerror(errno));
    return NULL;
}

static uint64_t header_length(const char *data)
{
    uint64_t length = 0;
    for (int i = LENGTH - 1; i >= 0; i--) length = length << 8 | (unsigned char)data[i];
    return length;
}

/* 0: it is no file. */
static uint64_t bytes_of(const Input *input)
{
    struct stat info;
    return !fstat(fileno(input->file), &info) && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
}

static NodusStatus inspect_header(Input *input, cJSON *found)
{
    const uint64_t length = header_length(input->data);
    NODUS_TRY(read_up_to(input, LENGTH + length));
    if (input->size < LENGTH + length)
        return nodus_error(NODUS_ERROR_FILE,
                           "its header is longer than the file: the file is cut off, copy or download it again");
    return inspect_model(input->data + LENGTH, length, bytes_of(input), "safetensors", found);
}

static NodusStatus inspect_input(Input *input, cJSON *found)
{
    NODUS_TRY(read_up_to(input, FIRST));
    if (nodus_is_picture(input->data, input->size)) {
        NODUS_TRY(read_up_to(input, LARGEST_PICTURE));
        return inspect_picture(input->data, input->size, found);
    }
    if (input->size >= FIRST && input->data[LENGTH] == '{' && header_length(input->data) <= LARGEST_HEADER)
        return inspect_header(input, found);
    const uint8_t *data = (const uint8_t *)input->data;
    const char *format = gguf_is(data, input->size) ? "GGUF" : torch_is(data, input->size) ? "torch" : NULL;
    if (!format)
        return nodus_error(NODUS_ERROR_FILE, "nodus inspect reads PNG and WebP pictures and files of weights (.safetensors, .latent, "
                                             ".gguf, .ckpt, .pt, .pth, .bin); this is none of them");
    if (input->file == stdin) return nodus_error(NODUS_ERROR_FILE, "a file of this format (%s) is read from disk only: name it", format);
    return inspect_weights(input->path, bytes_of(input), format, found);
}

static NodusStatus inspect_path(const char *path, cJSON *found)
{
    struct stat info;
    const bool standard = !strcmp(path, "-");
    if (!standard && !stat(path, &info) && S_ISDIR(info.st_mode)) return nodus_error(NODUS_ERROR_FILE, "it is a folder");
    Input input = {.file = standard ? stdin : fopen(path, "rb"), .path = path};
    if (!input.file) return nodus_error(NODUS_ERROR_FILE, "cannot read it: %s", strerror(errno));
    NodusStatus status = inspect_input(&input, found);
    cJSON *lora = cJSON_GetObjectItemCaseSensitive(found, "lora");
    if (!status && !standard && lora) inspect_alphas(path, lora);
    if (!standard) fclose(input.file);
    free(input.data);
    return status;
}

static int show(const cJSON *found, const Options *options)
{
    if (!options->json) {
        inspect_show(found, options->all, stdout);
        return EXIT_GOOD;
    }
    Text text = {0};
    char *line;
    json_print(&text, found, false, true);
    NodusStatus status = text_take(&text, &line);
    if (status) return refuse_status(status);
    printf("%s\n", line);
    nodus_free(line);
    return EXIT_GOOD;
}

int command_inspect(const Options *options)
{
    if (options->words.count != 1) return refuse("nodus inspect takes one file, or - for standard input");
    const char *path = options->words.item[0];
    cJSON *found = need(cJSON_CreateObject());
    need(cJSON_AddStringToObject(found, "file", path));
    NodusStatus status = inspect_path(path, found);
    const int code = status ? refuse_status(nodus_error_prefix(status, "'%s'", path)) : show(found, options);
    cJSON_Delete(found);
    return code;
}
