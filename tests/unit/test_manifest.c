/* test_manifest.c: what files tell of their making: which nodes count, how values and models are named. */
#include "engine/base/memory.h"
#include "engine/formats/json.h"
#include "tests/support_lab.h"
#include "tests/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static Lab lab;

/* ---- Nodes --------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *file;
    uint64_t seed;
    int64_t count;
    double strength;
    bool on;
    const char *note;
} SourceArgs;
typedef struct {
    NodusValue *value;
} TellArgs;

static NodusStatus run_source(NodusCall *call, const void *args)
{
    const SourceArgs *in = args;
    return nodus_emit_int(call, 0, in->count);
}

static const NodusInput source_inputs[] = {
    NODUS_FLAG_COMBO(NODUS_OPTIONAL, "file", SourceArgs, file, "A file.", .folder = "vae"),
    NODUS_FLAG_SEED(NODUS_OPTIONAL, "seed", SourceArgs, seed, "Seed.", .max = UINT64_MAX),
    NODUS_FLAG_INT(NODUS_OPTIONAL, "count", SourceArgs, count, "Count."),
    NODUS_FLAG_FLOAT(NODUS_OPTIONAL, "strength", SourceArgs, strength, "Strength."),
    NODUS_FLAG_BOOLEAN(NODUS_OPTIONAL, "on", SourceArgs, on, "On.", false),
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "note", SourceArgs, note, "Note.", .def = ""),
};
static const NodusOutput int_outputs[] = {{.name = "INT", .type = "INT", .tooltip = "A number."}};
static const NodusNode node_source = {NODUS_NODE("Source", "Source", "test", SourceArgs, source_inputs, int_outputs),
                                      .run = run_source};

/* Shows the manifest of what is linked. */
static NodusStatus run_tell(NodusCall *call, const void *args)
{
    (void)args;
    NodusText *text = nodus_text(call);
    NODUS_TRY(nodus_print(text, "{"));
    NODUS_TRY(nodus_manifest(call, text));
    NODUS_TRY(nodus_print(text, "}"));
    return nodus_ui(call, "manifest", nodus_text_get(text));
}

/* Never from the cache: each run tells anew. */
static NodusStatus tell_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    static uint64_t runs;
    (void)call;
    (void)args;
    nodus_hash_u64(hash, ++runs);
    return NULL;
}

static const NodusInput tell_inputs[] = {NODUS_IN_ANY("value", TellArgs, value, "Any.")};
static const NodusNode node_tell = {NODUS_NODE_END("Tell", "Tell", "test", TellArgs, tell_inputs), .flags = NODUS_OUTPUT,
                                    .run = run_tell, .fingerprint = tell_fingerprint};

static const NodusNode *const nodes[] = {&node_source, &node_tell, NULL};

static int setup(void **state)
{
    (void)state;
    if (lab_open(&lab, nodes)) return -1;
    return mkdir(lab_path(&lab, "models/vae"), 0777);
}
static int teardown(void **state)
{
    (void)state;
    lab_close(&lab);
    return 0;
}

/* ---- Looking ------------------------------------------------------------------------------------------------------- */

#define NODE(id_, class_, inputs_) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}"
#define TELL(id_)                  NODE("T", "Tell", "\"value\": [\"" id_ "\", 0]")

/* The manifest of a run; json_free. */
static Json *manifest_of(const char *json)
{
    Json *ui = NULL;
    if (lab_run(&lab, json) != NODUS_SUCCESS) fail_msg("%s", lab.error);
    const char *told = strstr(lab.ui, "{\"manifest\"");
    if (!told) fail_msg("no manifest in %s", lab.ui);
    NodusStatus status = json_parse(told, strcspn(told, "\n"), &ui);
    if (status) fail_msg("%s in %s", nodus_error_message(status), lab.ui);
    return ui;
}

static const cJSON *member(const Json *ui, const char *name)
{
    return json_get(json_get(json_root(ui), "manifest")->child, name);
}

static void assert_json(const cJSON *item, const char *want)
{
    Text text = {0};
    json_print(&text, item, false, true);
    assert_string_equal(text_get(&text), want);
    text_free(&text);
}

/* A file of `size` bytes, all 0 but one at `at`. */
static void write_file(const char *name, off_t size, off_t at)
{
    const int file = open(lab_path(&lab, name), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(file >= 0 && !ftruncate(file, size) && pwrite(file, "x", 1, at) == 1 && !close(file));
}

static void hash_of_file(const char *name, char out[80])
{
    char json[300];
    snprintf(json, sizeof json, "{" NODE("1", "Source", "\"file\": \"%s\"") ", " TELL("1") "}", name);
    Json *ui = manifest_of(json);
    snprintf(out, 80, "%s", json_string(json_get(member(ui, "models")->child, "hash")));
    json_free(ui);
}

/* ---- Claims -------------------------------------------------------------------------------------------------------- */

TEST(settings_are_numbers_and_choices_exactly)
{
    (void)state_;
    Json *ui = manifest_of("{" NODE("1", "Source",
                                    "\"seed\": 18446744073709551615, \"count\": -3, \"strength\": 0.1, \"on\": true, \"note\": "
                                    "\"secret\"") ", " TELL("1") "}");
    assert_json(
        member(ui, "settings"),
        "[{\"node\":\"1\",\"class_type\":\"Source\",\"seed\":18446744073709551615,\"count\":-3,\"strength\":0.1,\"on\":true}]");
    assert_json(member(ui, "seeds"), "[18446744073709551615]");
    assert_json(member(ui, "models"), "[]");
    assert_true(json_double(member(ui, "seconds")) >= 0);
    json_free(ui);
}

TEST(a_setting_that_is_linked_is_its_value_or_the_link)
{
    (void)state_;
    Json *ui = manifest_of("{" NODE("p", "PrimitiveInt", "\"value\": 6") ", " NODE("l", "Source", "") ", " NODE(
        "1", "Source", "\"seed\": [\"p\", 0], \"count\": [\"l\", 0]") ", " TELL("1") "}");
    assert_json(member(ui, "settings"), "[{\"node\":\"l\",\"class_type\":\"Source\"},"
                                        "{\"node\":\"1\",\"class_type\":\"Source\",\"seed\":6,\"count\":[\"l\",0]}]");
    assert_json(member(ui, "seeds"), "[6]");
    json_free(ui);
}

TEST(only_what_the_file_depends_on_is_told)
{
    (void)state_;
    Json *ui = manifest_of("{" NODE("1", "Source", "\"seed\": 1") ", " NODE("2", "Source", "\"seed\": 2") ", " NODE(
        "S", "PreviewAny", "\"source\": [\"2\", 0]") ", " TELL("1") "}");
    assert_json(member(ui, "seeds"), "[1]");
    json_free(ui);
}

TEST(a_model_is_named_with_size_and_hash_of_its_content)
{
    (void)state_;
    char first[80], second[80], third[80];
    write_file("models/vae/a.safetensors", 1000, 500);
    write_file("models/vae/b.safetensors", 1000, 501);
    write_file("models/vae/c.safetensors", 1000, 500);
    hash_of_file("a.safetensors", first);
    hash_of_file("b.safetensors", second);
    hash_of_file("c.safetensors", third);
    assert_int_equal(strncmp(first, "xxh128:", 7), 0);
    assert_int_equal(strlen(first), 7 + 32);
    assert_string_not_equal(first, second);
    assert_string_equal(first, third);
    Json *ui = manifest_of("{" NODE("1", "Source", "\"file\": \"a.safetensors\"") ", " TELL("1") "}");
    const cJSON *model = member(ui, "models")->child;
    assert_string_equal(json_string(json_get(model, "folder")), "vae");
    assert_string_equal(json_string(json_get(model, "file")), "a.safetensors");
    assert_int_equal((int)json_double(json_get(model, "bytes")), 1000);
    json_free(ui);
}

TEST(of_a_large_model_size_and_ends_are_hashed)
{
    (void)state_;
    enum { LARGE = (64 << 20) + 1 };
    char first[80], same[80], other[80];
    write_file("models/vae/large.safetensors", LARGE, 10);
    hash_of_file("large.safetensors", first);
    assert_int_equal(strncmp(first, "xxh128-ends:", 12), 0);
    write_file("models/vae/copy.safetensors", LARGE, 10); /* another time, the same bytes */
    hash_of_file("copy.safetensors", same);
    assert_string_equal(first, same);
    write_file("models/vae/copy.safetensors", LARGE, LARGE - 10);
    hash_of_file("copy.safetensors", other);
    assert_string_not_equal(first, other);
    write_file("models/vae/copy.safetensors", LARGE + 1, 10);
    hash_of_file("copy.safetensors", other);
    assert_string_not_equal(first, other);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(settings_are_numbers_and_choices_exactly),  CASE(a_setting_that_is_linked_is_its_value_or_the_link),
        CASE(only_what_the_file_depends_on_is_told),     CASE(a_model_is_named_with_size_and_hash_of_its_content),
        CASE(of_a_large_model_size_and_ends_are_hashed),
    };
    return cmocka_run_group_tests(cases, setup, teardown);
}
