/* The conversion of workflows and the texts of pictures, with every allocation failing in turn: an error each time, nothing left
 * behind. */
#include "tests/faults/faults.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/formats/metadata.h"
#include <nodus/nodus.h>
#include <zlib.h>

static NodusEngine *engine;

static int open_engine(void **state)
{
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .device = "ref", .base_directory = "/nonexistent"};
    (void)state;
    return nodus_engine_new(&options, &engine) != NULL;
}

static int close_engine(void **state)
{
    (void)state;
    nodus_engine_free(engine);
    return 0;
}

/* Reroute, sub-graph with a promoted box, seed, unknown class, a list, a link from nowhere. */
static const char workflow[] =
    "{\"nodes\": [{\"id\": 1, \"type\": \"EmptyImage\", \"outputs\": [{\"type\": \"IMAGE\"}]},"
    "{\"id\": 2, \"type\": \"Reroute\", \"inputs\": [{\"name\": \"\", \"type\": \"*\", \"link\": 1}], \"outputs\": [{\"type\": "
    "\"*\"}]},"
    "{\"id\": 3, \"type\": \"sub\", \"inputs\": [{\"name\": \"a\", \"type\": \"IMAGE\", \"link\": 2}], \"outputs\": [{\"type\": "
    "\"IMAGE\"}], "
    "\"widgets_values\": [0.5]},"
    "{\"id\": 4, \"type\": \"Foo\", \"inputs\": [{\"name\": \"x\", \"type\": \"IMAGE\", \"link\": 3}, {\"name\": \"y\", "
    "\"type\": \"IMAGE\", "
    "\"link\": 9}], \"widgets_values\": {\"list\": [1, 2]}},"
    "{\"id\": 5, \"type\": \"KSampler\", \"widgets_values\": [1, \"fixed\", 2, 3, \"sample_euler\"]}],"
    "\"links\": [[1, 1, 0, 2, 0], [2, 2, 0, 3, 0], [3, 3, 0, 4, 0]], \"definitions\": {\"subgraphs\": [{\"id\": \"sub\", "
    "\"inputs\": [{\"name\": \"a\"}, {\"name\": \"b\"}], \"outputs\": [{\"name\": \"c\"}], \"nodes\": [{\"id\": 1, \"type\": "
    "\"ImageScaleBy\", "
    "\"inputs\": [{\"name\": \"image\", \"type\": \"IMAGE\", \"link\": 1}, {\"name\": \"scale_by\", \"type\": \"FLOAT\", "
    "\"link\": 2}]}], "
    "\"links\": [[1, -10, 0, 1, 0], [2, -10, 1, 1, 1], [3, 1, 0, -20, 0]]}]}}";

static NodusStatus convert(void *context)
{
    (void)context;
    const NodusConvertOptions options = {.struct_size = sizeof options, .fill_defaults = true};
    char *prompt, *warnings;
    NODUS_TRY(nodus_convert(engine, workflow, sizeof workflow - 1, &options, &prompt, &warnings));
    const bool right = strstr(prompt, "\"3:1\"") && strstr(prompt, "\"scale_by\": 0.5") &&
                       strstr(prompt, "\"__value__\": [1, 2]") && strstr(warnings, "link 9") &&
                       strstr(warnings, "1 of 4 nodes unknown: Foo");
    nodus_free(prompt);
    nodus_free(warnings);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "wrong content");
}

TEST(converting)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, convert, NULL) > 100);
}

static NodusStatus check(void *context)
{
    (void)context;
    char *report;
    bool valid;
    NODUS_TRY(nodus_engine_check(engine, workflow, sizeof workflow - 1, false, &report, &valid));
    nodus_free(report);
    return NULL;
}

TEST(checking_a_workflow)
{
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, check, NULL) > 100);
}

static void put_chunk(Text *file, const char *letters, const char *data, size_t size)
{
    const uint32_t sum = (uint32_t)crc32(crc32(0, (const uint8_t *)letters, 4), (const uint8_t *)data, (uInt)size);
    const uint32_t length = (uint32_t)size;
    for (int shift = 24; shift >= 0; shift -= 8) text_char(file, (char)(length >> shift));
    text_add_n(file, letters, 4);
    text_add_n(file, data, size);
    for (int shift = 24; shift >= 0; shift -= 8) text_char(file, (char)(sum >> shift));
}

static NodusStatus read_picture(void *context)
{
    const Text *file = context;
    char *json;
    const char *key;
    NODUS_TRY(nodus_picture_workflow(file->data, file->length, false, &json, &key));
    const bool right = !strcmp(json, "{\"prompt\": {}, \"extra_data\": {\"extra_pnginfo\": {\"workflow\": {\"nodes\": []}}}}");
    nodus_free(json);
    return right ? NULL : nodus_error(NODUS_ERROR_INTERNAL, "wrong content");
}

TEST(reading_the_workflow_of_a_picture)
{
    static const char packed[] =
        "workflow\0\0\x78\x9c\xab\x56\xca\xcb\x4f\x49\x2d\x56\xb2\x52\x88\x8e\xad\x05\x00\x1f\x7b\x04\x68";
    Text file = {0};
    text_add_n(&file, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(&file, "IHDR", "\0\0\0\1\0\0\0\1\10\0\0\0\0", 13);
    put_chunk(&file, "tEXt", "prompt\0{}", 9);
    put_chunk(&file, "zTXt", packed, sizeof packed - 1);
    put_chunk(&file, "IEND", "", 0);
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, read_picture, &file) > 10);
    text_free(&file);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(converting), CASE(checking_a_workflow), CASE(reading_the_workflow_of_a_picture)};
    return cmocka_run_group_tests(cases, open_engine, close_engine);
}
