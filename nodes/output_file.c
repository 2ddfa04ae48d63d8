/* output_file.c: how the files that nodes write are named, and what is noted in them.
 *
 * One idea: a name is never taken from another file. The folder is searched for the highest number in use, and the file appears
 * under its name only if nobody took it meanwhile; else the next number is tried. A prefix comes from strangers' workflows, so it
 * is resolved as text, before any folder is touched, and may not lead out of the output folder. */
#include "nodes/output_file.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/formats/json.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_LIMIT = 79 /* of a PNG text */, DIGITS = 15 };
static const char batch_token[] = "%batch_num%", manifest_key[] = "nodus";

/* A finished text, moved to the call, which frees it. */
static NodusStatus keep(NodusCall *call, Text *text, const char **out)
{
    char *copy = text->failed ? NULL : nodus_alloc(call, text->length + 1);
    if (copy && text->length) memcpy(copy, text->data, text->length);
    text_free(text);
    *out = copy;
    return copy ? NULL : status_memory();
}

/* `from` with every `token` replaced. */
static void replace(Text *out, const char *from, const char *token, const char *by)
{
    for (const char *at; (at = strstr(from, token)); from = at + strlen(token)) {
        text_add_n(out, from, (size_t)(at - from));
        text_add(out, by);
    }
    text_add(out, from);
}

/* The tokens of a prefix: size of the first picture, local time. */
static NodusStatus replace_tokens(NodusCall *call, const char *prefix, int64_t width, int64_t height, const char **out)
{
    struct tm now = {0};
    const time_t seconds = time(NULL);
    localtime_r(&seconds, &now);
    const struct {
        const char *token;
        int64_t value;
        int digits;
    } tokens[] = {
        {"%width%", width, 1},     {"%height%", height, 1},    {"%year%", now.tm_year + 1900, 1}, {"%month%", now.tm_mon + 1, 2},
        {"%day%", now.tm_mday, 2}, {"%hour%", now.tm_hour, 2}, {"%minute%", now.tm_min, 2},       {"%second%", now.tm_sec, 2},
    };
    *out = prefix;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        Text text = {0};
        char number[24];
        snprintf(number, sizeof number, "%0*" PRId64, tokens[i].digits, tokens[i].value);
        replace(&text, *out, tokens[i].token, number);
        NODUS_TRY(keep(call, &text, out));
    }
    return NULL;
}

/* Resolves "a//b/./c/../d/" to "a/b/d" in place; false when it is absolute or leaves its root. */
static bool resolve(char *path)
{
    if (path[0] == '/') return false;
    char *end = path;
    for (char *part = path; *part;) {
        const size_t length = strcspn(part, "/");
        char *next = part + length + (part[length] == '/');
        if (length == 2 && !memcmp(part, "..", 2)) {
            if (end == path) return false;
            while (end > path && *--end != '/') {}
        } else if (length && !(length == 1 && *part == '.')) {
            if (end != path) *end++ = '/';
            memmove(end, part, length);
            end += length;
        }
        part = next;
    }
    *end = '\0';
    return true;
}

/* The number in a file name behind "base_", 0 if there is none. */
static int64_t number_in(const char *name, const char *base)
{
    const size_t length = strlen(base);
    if (strncmp(name, base, length) || name[length] != '_') return 0;
    const char *digits = name + length + 1;
    const size_t count = strspn(digits, "0123456789");
    if (!count || count > DIGITS || digits[count] != '_') return 0;
    return strtoll(digits, NULL, 10);
}

static NodusStatus highest_number(const char *folder, const char *base, int64_t *out)
{
    DIR *list = opendir(folder);
    *out = 0;
    if (!list) return nodus_error(NODUS_ERROR_FILE, "cannot list the folder '%s': %s", folder, strerror(errno));
    for (const struct dirent *entry; (entry = readdir(list));) {
        const int64_t number = number_in(entry->d_name, base);
        if (number > *out) *out = number;
    }
    closedir(list);
    return NULL;
}

static NodusStatus base_of(const OutputSeries *series, int64_t batch, const char **out)
{
    Text text = {0};
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, batch);
    replace(&text, series->base, batch_token, number);
    return keep(series->call, &text, out);
}

static NodusStatus make_folder(OutputSeries *series)
{
    const char *root;
    NODUS_TRY(nodus_folder(series->call, series->type, &root));
    Text path = {0};
    text_format(&path, series->subfolder[0] ? "%s/%s" : "%s", root, series->subfolder);
    NODUS_TRY(keep(series->call, &path, &series->folder));
    return file_make_folders(series->folder);
}

NodusStatus output_series(NodusCall *call, const char *type, const char *prefix, int64_t width, int64_t height, OutputSeries *out)
{
    const char *replaced, *first;
    *out = (OutputSeries){.call = call, .type = type, .subfolder = ""};
    NODUS_TRY(replace_tokens(call, prefix, width, height, &replaced));
    char *path = nodus_alloc(call, strlen(replaced) + 1);
    if (!path) return status_memory();
    strcpy(path, replaced);
    if (!resolve(path))
        return nodus_input_error(call, "filename_prefix",
                                 "'%s' leads out of the %s folder: give a name, or a sub-folder of it and a name", prefix, type);
    char *slash = strrchr(path, '/');
    out->base = !path[0] ? "." : slash ? slash + 1 : path; /* an empty prefix names files "._00001_", as in ComfyUI */
    if (slash) {
        *slash = '\0';
        out->subfolder = path;
    }
    NODUS_TRY(make_folder(out));
    NODUS_TRY(base_of(out, 0, &first));
    NODUS_TRY(highest_number(out->folder, first, &out->number));
    out->number++;
    return NULL;
}

NodusStatus output_name(const OutputSeries *series, int64_t batch, const char *suffix, const char **name, const char **path)
{
    const char *base;
    Text text = {0}, whole = {0};
    NODUS_TRY(base_of(series, batch, &base));
    text_format(&text, "%s_%05" PRId64 "_%s", base, series->number, suffix);
    NODUS_TRY(keep(series->call, &text, name));
    text_format(&whole, "%s/%s", series->folder, *name);
    return keep(series->call, &whole, path);
}

NodusStatus output_done(OutputSeries *series, const char *key, const char *name)
{
    const char *json;
    Text text = {0};
    text_add(&text, "{\"filename\": ");
    json_put_string(&text, name, false);
    text_add(&text, ", \"subfolder\": ");
    json_put_string(&text, series->subfolder, false);
    text_format(&text, ", \"type\": \"%s\"}", series->type);
    NODUS_TRY(keep(series->call, &text, &json));
    series->number++;
    return nodus_ui(series->call, key, json);
}

NodusStatus output_write(OutputSeries *series, int64_t batch, const char *suffix, const void *data, size_t size, const char *key)
{
    const char *name, *path;
    FileWriter *file;
    NODUS_TRY(output_name(series, batch, suffix, &name, &path));
    NODUS_TRY(file_create(path, &file));
    NodusStatus status = file_write(file, data, size);
    if (status) {
        file_abandon(file);
        return status;
    }
    for (bool exists = true;; series->number++) {
        status = output_name(series, batch, suffix, &name, &path);
        if (status) {
            file_abandon(file);
            return status;
        }
        NODUS_TRY(file_commit_as(file, path, &exists));
        if (!exists) return output_done(series, key, name);
    }
}

/* A key that every file format can hold. */
static bool key_fits(const char *key)
{
    const size_t length = strlen(key);
    for (size_t i = 0; i < length; i++)
        if (key[i] < 0x20 || key[i] > 0x7e) return false;
    return length && length <= KEY_LIMIT;
}

/* Size, and what the engine knows of the making. */
static NodusStatus metadata_manifest(NodusCall *call, int64_t width, int64_t height, OutputText *out)
{
    NodusText *text = nodus_text(call);
    if (width && height) NODUS_TRY(nodus_print(text, "{\"width\": %" PRId64 ", \"height\": %" PRId64 ", ", width, height));
    else NODUS_TRY(nodus_print(text, "{"));
    NODUS_TRY(nodus_manifest(call, text));
    NODUS_TRY(nodus_print(text, "}"));
    *out = (OutputText){manifest_key, nodus_text_get(text)};
    return NULL;
}

static NodusStatus metadata_members(NodusCall *call, const cJSON *object, OutputText *texts, int *count)
{
    for (const cJSON *item = object->child; item; item = item->next) {
        if (!strcmp(item->string, "prompt") || !strcmp(item->string, manifest_key)) continue;
        if (!key_fits(item->string)) {
            nodus_warn(call, "metadata '%.100s' is left out: a key has 1 to %d printable ASCII characters", item->string,
                       KEY_LIMIT);
            continue;
        }
        Text key = {0}, value = {0};
        OutputText *text = &texts[*count];
        text_add(&key, item->string);
        NODUS_TRY(keep(call, &key, &text->key));
        json_print(&value, item, true, true);
        NODUS_TRY(keep(call, &value, &text->value));
        (*count)++;
    }
    return NULL;
}

NodusStatus output_metadata(NodusCall *call, const char *prompt, const char *extra_pnginfo, OutputText **texts, int *count)
{
    return output_metadata_sized(call, prompt, extra_pnginfo, 0, 0, texts, count);
}

NodusStatus output_metadata_sized(NodusCall *call, const char *prompt, const char *extra_pnginfo, int64_t width, int64_t height,
                                  OutputText **texts, int *count)
{
    *texts = NULL;
    *count = 0;
    if (nodus_option(call, "disable_metadata")) return NULL;
    Json *json = NULL;
    if (extra_pnginfo) NODUS_TRY(json_parse(extra_pnginfo, strlen(extra_pnginfo), &json));
    const cJSON *object = json ? json_root(json) : NULL;
    *texts = nodus_alloc(call, (size_t)(2 + (object ? cJSON_GetArraySize(object) : 0)) * sizeof **texts);
    NodusStatus status = *texts ? NULL : status_memory();
    if (!status && prompt) (*texts)[(*count)++] = (OutputText){"prompt", prompt};
    if (!status && cJSON_IsObject(object)) status = metadata_members(call, object, *texts, count);
    json_free(json);
    if (!status) status = metadata_manifest(call, width, height, &(*texts)[*count]);
    if (!status) ++*count;
    return status;
}
