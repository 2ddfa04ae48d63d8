/* Every reader with every allocation and every read failing in turn: an error each time, nothing left behind, no crash. */
#include "tests/faults/faults.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json.h"
#include "engine/formats/metadata.h"
#include "engine/formats/picture.h"
#include "engine/formats/safetensors.h"
#include "engine/formats/weights_file.h"
#include "nodes/models/clip_tokenizer.h"
#include <stdio.h>
#include <stdlib.h>

static char path[] = "/tmp/nodus-test-faults-XXXXXX";

TEST(allocations_of_libraries_count)
{
    if (!FAULTS_COUNT_LIVE) skip();
    const long live = atomic_load(&faults.live);
    cJSON *item = cJSON_CreateObject();
    assert_int_equal(atomic_load(&faults.live), live + 1);
    cJSON_Delete(item);
    assert_int_equal(atomic_load(&faults.live), live);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------------ */

static const char prompt[] = "{\"3\": {\"class_type\": \"KSampler\", \"inputs\": {\"seed\": 18446744073709551615, \"cfg\": 7.50, "
                             "\"model\": [\"4\", 0]}}, \"x\": \"\\u00e4\"}";

static NodusStatus parse_and_print(void *context)
{
    (void)context;
    Json *json;
    Text text = {0};
    char *printed;
    NODUS_TRY(json_parse(prompt, sizeof prompt - 1, &json));
    json_print(&text, json_root(json), true, true);
    json_free(json);
    NODUS_TRY(text_take(&text, &printed));
    if (strcmp(printed, prompt)) return nodus_error(NODUS_ERROR_INTERNAL, "printed %s", printed);
    memory_free(printed);
    return NULL;
}

TEST(json)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, parse_and_print, NULL) > 10);
}

static NodusStatus parse_wrong(void *context)
{
    (void)context;
    Json *json;
    NodusStatus status = json_parse("{\"a\": [1, 2, }", 14, &json);
    if (!status) return nodus_error(NODUS_ERROR_INTERNAL, "accepted");
    if (nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    nodus_error_free(status);
    return NULL;
}

TEST(errors_about_wrong_json)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, parse_wrong, NULL) > 1);
}

/* ---- State dicts ----------------------------------------------------------------------------------------------------- */

static NodusStatus open_state_dict(void *context)
{
    (void)context;
    WeightSet *set;
    NODUS_TRY(safetensors_open(path, &set));
    const Weight *x = weights_get(set, "x");
    const bool right =
        weights_count(set) == 2 && x && x->dim[0] == 3 && ((const float *)x->data)[2] == 3 && weights_metadata(set, "k");
    weights_unref(set);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "wrong content");
}

TEST(safetensors)
{
    const SafetensorsItem items[] = {{"pad", DTYPE_U8, 1, {1}, "a"},
                                     {"x", DTYPE_F32, 1, {3}, (float[]){1, 2, 3}}}; /* x is misaligned: copied */
    const SafetensorsText text = {"k", "v"};
    assert_ok(safetensors_write(path, true, NULL, items, 2, &text, 1));
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, open_state_dict, NULL) > 10);
}

static NodusStatus write_state_dict(void *context)
{
    (void)context;
    const SafetensorsItem item = {"x", DTYPE_F32, 1, {3}, (float[]){1, 2, 3}};
    return safetensors_write(path, true, NULL, &item, 1, NULL, 0);
}

TEST(writing_safetensors)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, write_state_dict, NULL) > 3);
}

/* A file of torch.save of before 1.6: {"a": [1, 2]} as two f32, and GGUF with a block of Q8_0. */
static const char old_torch[] =
    "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}.\x80\2}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n"
    "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "7X\3\0\0\0cpuK\2tQK\0K\2\x85K\1\x85\x89}tRs.\x80\2]X\1\0\0\0" "7a."
    "\2\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\x40";
static const char gguf[] = "GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0k\5\0\0\0\7\0\0\0" /* a number of metadata */
                           "\1\0\0\0\0\0\0\0a\1\0\0\0\x20\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0"; /* 32 numbers of type 8 at 0 */
static const char block[34] = "\0\x3c\1\2";

static NodusStatus open_any(void *context)
{
    WeightSet *set;
    float numbers[32] = {0};
    NODUS_TRY(checkpoint_open(path, &set));
    const Weight *a = weights_get(set, "a");
    NodusStatus status = a && weights_count(set) == 1 ? weights_read_f32(a, numbers) : nodus_error(NODUS_ERROR_INTERNAL, "no tensor");
    weights_unref(set);
    if (!status && (numbers[0] != 1 || numbers[1] != 2)) status = nodus_error(NODUS_ERROR_INTERNAL, "wrong numbers");
    (void)context;
    return status;
}

TEST(other_files_of_weights)
{
    static const struct { const char *head, *tail; size_t head_size, tail_at, tail_size; } files[] = {
        {old_torch, "", sizeof old_torch - 1, 0, 0}, {gguf, block, sizeof gguf - 1, 96, sizeof block}};
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(path, "w");
        fwrite(files[i].head, 1, files[i].head_size, file);
        for (size_t k = files[i].head_size; k < files[i].tail_at; k++) fputc(0, file);
        fwrite(files[i].tail, 1, files[i].tail_size, file);
        fclose(file);
        assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, open_any, NULL) > 10);
    }
}

/* ---- Pictures -------------------------------------------------------------------------------------------------------- */

typedef struct Bytes {
    const void *data;
    size_t size;
    int width, frames;
} Bytes;

static NodusStatus decode(void *context)
{
    const Bytes *file = context;
    Picture picture;
    NODUS_TRY(picture_decode("x", file->data, file->size, &picture));
    const bool right = picture.width == file->width && picture.frames == file->frames;
    picture_free(&picture);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "wrong size");
}

static NodusStatus encode(void *context)
{
    const PictureText text = {"prompt", "{}"};
    uint8_t *file;
    size_t size;
    NODUS_TRY(png_encode((const uint8_t *)"abcdef", 2, 1, 3, 4, false, &text, 1, &file, &size));
    if (context) *(Bytes *)context = (Bytes){file, size, 2, 1};
    else memory_free(file);
    return NULL;
}

static NodusStatus read_text(void *context)
{
    const Bytes *file = context;
    Metadata metadata;
    NODUS_TRY(metadata_read(file->data, file->size, &metadata));
    const char *value = metadata_get(&metadata, "prompt");
    const bool right = value && !strcmp(value, "{}");
    metadata_free(&metadata);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "wrong text");
}

TEST(png)
{
    Bytes file;
    assert_ok(encode(&file));
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, decode, &file) > 3);
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, read_text, &file) > 3);
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, encode, NULL) > 3);
    memory_free((void *)(uintptr_t)file.data);
}

TEST(other_pictures)
{
    static const char frame[] = "\x21\xf9\x04\0\0\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0";
    char gif[19 + 2 * sizeof frame] = "GIF89a\1\0\1\0\x80\0\0\1\2\3\4\5\6";
    memcpy(gif + 19, frame, sizeof frame - 1);
    memcpy(gif + 18 + sizeof frame, frame, sizeof frame - 1);
    gif[17 + 2 * sizeof frame] = ';';
    Bytes files[] = {
        {gif, 18 + 2 * sizeof frame, 1, 2},
        {"P6 1 1 255\nabc", 14, 1, 1},
        {"\0\0\2\0\0\0\0\0\0\0\0\0\1\0\1\0\x20\x28\3\2\1\x80", 22, 1, 1},
    };
    for (int i = 0; i < 3; i++) assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, decode, &files[i]) > 1);
}

static NodusStatus read_picture(void *context)
{
    (void)context;
    Picture picture;
    NODUS_TRY(picture_read(path, &picture));
    picture_free(&picture);
    return NULL;
}

TEST(files_with_failing_reads)
{
    FILE *file = fopen(path, "w");
    fputs("P6 100 100 255\n", file);
    for (int i = 0; i < 30000; i++) fputc(i, file);
    fclose(file);
    assert_true(faults_each(FAULT_OF_READ, NODUS_ERROR_FILE, read_picture, NULL) >= 2);
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, read_picture, NULL) >= 2);
}

/* ---- Prompts --------------------------------------------------------------------------------------------------------- */

static NodusStatus tokenize(void *context)
{
    ClipPrompt out;
    NODUS_TRY(clip_tokenize(context, "a (red:1.3) st\xc3\xa4r, embedding:x ((blue)) circle", CLIP_END, NULL, &out));
    const bool right = out.chunks == 1 && out.weighted && out.embedding_count == 1 && out.length > 8;
    clip_prompt_free(&out);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "wrong tokens");
}

static NodusStatus make_tokenizer(void *context)
{
    (void)context;
    ClipTokenizer *tokenizer;
    NODUS_TRY(clip_tokenizer_new(&tokenizer));
    clip_tokenizer_free(tokenizer);
    return NULL;
}

TEST(tokenizer)
{
    ClipTokenizer *words;
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, make_tokenizer, NULL) >= 1);
    assert_ok(clip_tokenizer_new(&words));
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, tokenize, words) > 10);
    clip_tokenizer_free(words);
}

static int set_up(void **state)
{
    (void)state;
    const int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(allocations_of_libraries_count),
                                       CASE(json),
                                       CASE(errors_about_wrong_json),
                                       CASE(safetensors),
                                       CASE(writing_safetensors),
                                       CASE(other_files_of_weights),
                                       CASE(png),
                                       CASE(other_pictures),
                                       CASE(files_with_failing_reads),
                                       CASE(tokenizer)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
