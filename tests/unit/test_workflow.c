/* test_workflow.c: prompts as JSON becomes nodes; edits; the hidden texts; Python's way to print values; folders. */
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/graph/folders.h"
#include "engine/graph/python.h"
#include "engine/graph/workflow.h"
#include "tests/support_graph.h"
#include "tests/test.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static NodusEngine *engine;

static int open_engine(void **state)
{
    (void)state;
    return toy_engine(NULL, &engine) != NULL;
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(engine);
    return 0;
}

/* What the output node "show" shows when the prompt is run with these edits. */
static char *shown(const char *prompt, const NodusRunOptions *options)
{
    ToyLog log = {0};
    toy_run(engine, prompt, options, &log);
    const ToyEvent *event = toy_find(&log, NODUS_EVENT_DONE, "show");
    if (!event) event = toy_find(&log, NODUS_EVENT_CACHED, "show");
    char *ui = event ? memory_text(event->ui) : NULL;
    toy_log_free(&log);
    return ui;
}

static void expect_shown(const char *prompt, const NodusRunOptions *options, const char *text)
{
    char *ui = shown(prompt, options);
    assert_non_null(ui);
    if (!strstr(ui, text)) fail_msg("%s does not contain %s", ui, text);
    memory_free(ui);
}

static void expect_refused(const char *prompt, const char *set, const char *message)
{
    NodusRun *run = NULL;
    const NodusRunOptions options = {.struct_size = sizeof options, .set = &set, .set_count = 1};
    NodusStatus status = run_new(engine, prompt, strlen(prompt), &options, &run);
    if (!status) fail_msg("%s was accepted", set);
    if (!strstr(nodus_error_message(status), message))
        fail_msg("%s: \"%s\" lacks \"%s\"", set, nodus_error_message(status), message);
    nodus_error_free(status);
}

#define PROMPT                                                                                                        \
    "{\"1\": {\"class_type\": \"Widgets\", \"inputs\": {\"i\": 1, \"u\": 2, \"s\": \"old\"}, \"_meta\": {\"title\": " \
    "\"first\"}}, "                                                                                                   \
    "\"2\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 1}, \"_meta\": {\"title\": \"twin\"}}, "                \
    "\"a.b\": {\"class_type\": \"Int\", \"inputs\": {\"value\": 2}, \"_meta\": {\"title\": \"twin\"}}, "              \
    "\"show\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"1\", 0]}}}"

TEST(set_changes_a_literal_by_id_or_title)
{
    (void)state_;
    const char *by_id[] = {"1.i=-7"}, *by_title[] = {"first.i=8"}, *added[] = {"1.c=blue", "1.f=0.25"};
    expect_shown(PROMPT, &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions), .set = by_id, .set_count = 1}, "-7 2 ");
    expect_shown(PROMPT, &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions), .set = by_title, .set_count = 1}, "8 2 ");
    expect_shown(PROMPT, &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions), .set = added, .set_count = 2},
                 "0.25 1 old blue");
}

TEST(set_leaves_a_text_a_text)
{
    (void)state_;
    const char *set[] = {"1.s=007"};
    expect_shown(PROMPT, &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions), .strict = true, .set = set, .set_count = 1},
                 " 007 ");
}

TEST(set_can_link)
{
    (void)state_;
    const char *set[] = {"1.i=[\"a.b\", 0]"};
    expect_shown(PROMPT, &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions), .set = set, .set_count = 1}, "\"2 2 ");
}

TEST(set_splits_at_the_last_dot)
{
    (void)state_;
    const char *set[] = {"a.b.value=9", "1.i=[\"a.b\", 0]"};
    expect_shown(PROMPT, &(NodusRunOptions){.struct_size = sizeof(NodusRunOptions), .set = set, .set_count = 2}, "\"9 2 ");
}

TEST(set_says_what_it_could_not_find)
{
    (void)state_;
    expect_refused(PROMPT, "1.i", "NODE.input=value");
    expect_refused(PROMPT, "=5", "NODE.input=value");
    expect_refused(PROMPT, "firts.i=5", "did you mean \"first\"");
    expect_refused(PROMPT, "twin.value=5", "2, a.b");
    expect_refused(PROMPT, "1.nope=5", "has no input \"nope\"; it has i, u, f");
}

TEST(seed_replaces_literals_called_seed)
{
    (void)state_;
    static const char prompt[] =
        "{\"1\": {\"class_type\": \"Prompt\", \"inputs\": {\"seed\": 5, \"noise_seed\": \"6\", \"other\": 7}}, "
        "\"show\": {\"class_type\": \"Show\", \"inputs\": {\"value\": [\"1\", 0]}}}";
    const NodusRunOptions options = {.struct_size = sizeof options, .seed_given = true, .seed = UINT64_MAX};
    expect_shown(prompt, &options,
                 "\\\"seed\\\": 18446744073709551615, \\\"noise_seed\\\": 18446744073709551615, \\\"other\\\": 7");
}

TEST(the_hidden_prompt_holds_converted_literals_in_pythons_layout)
{
    (void)state_;
    static const char prompt[] =
        "{\"prompt\": {\"p\":{\"class_type\":\"Prompt\",\"inputs\":{}},\"2\":{\"class_type\":\"Widgets\",\"inputs\":{\"i\":\" +7 "
        "\",\"f\":1,\"s\":5,\"b\":\"x\","
        "\"any\":{\"__value__\":[1]}},\"_meta\":{\"title\":\"é\"}},\"4\":{\"class_type\":\"Show\",\"inputs\":{\"value\":[\"2\",0]"
        "}},"
        "\"show\":{\"class_type\":\"Show\",\"inputs\":{\"value\":[\"p\",0]}}},\"extra_data\":{\"extra_pnginfo\":{\"workflow\":{"
        "\"nodes\":[1,2.50]}}}}";
    expect_shown(prompt, NULL,
                 "{\\\"i\\\": 7, \\\"f\\\": 1.0, \\\"s\\\": \\\"5\\\", \\\"b\\\": true, \\\"any\\\": [1]}, \\\"_meta\\\": "
                 "{\\\"title\\\": \\\"\\\\u00e9\\\"}}");
}

TEST(the_hidden_extra_pnginfo_is_passed_on)
{
    (void)state_;
    static const char prompt[] = "{\"prompt\":{\"q\":{\"class_type\":\"Prompt\",\"inputs\":{}},\"show\":{\"class_type\":\"Show\","
                                 "\"inputs\":{\"value\":[\"q\",1]}}},"
                                 "\"extra_data\":{\"extra_pnginfo\":{\"workflow\":{\"id\":1}}}}";
    expect_shown(prompt, NULL, "{\\\"workflow\\\": {\\\"id\\\": 1}}");
}

TEST(of_duplicate_keys_the_last_counts)
{
    (void)state_;
    static const char prompt[] = "{\"1\":{\"class_type\":\"Int\",\"inputs\":{\"value\":1}},\"show\":{\"class_type\":\"Show\","
                                 "\"inputs\":{\"value\":[\"1\",0]}},"
                                 "\"1\":{\"class_type\":\"Int\",\"inputs\":{\"value\":4,\"value\":5}}}";
    expect_shown(prompt, NULL, "[\"5\"]");
}

TEST(floats_print_as_in_python)
{
    (void)state_;
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0.1, "0.1"},
                {2, "2.0"},
                {1e-7, "1e-07"},
                {1e15, "1000000000000000.0"},
                {1e16, "1e+16"},
                {0.0001, "0.0001"},
                {0.00001, "1e-05"},
                {-0.0, "-0.0"},
                {1.0 / 3, "0.3333333333333333"},
                {123456789.125, "123456789.125"},
                {1e22, "1e+22"},
                {5e-324, "5e-324"},
                {1.7976931348623157e308, "1.7976931348623157e+308"},
                {100, "100.0"},
                {9007199254740993.0, "9007199254740992.0"},
                {INFINITY, "inf"},
                {NAN, "nan"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Text text = {0};
        python_float(&text, rows[i].value);
        assert_string_equal(text_get(&text), rows[i].text);
        text_free(&text);
    }
}

TEST(values_print_as_pythons_repr)
{
    (void)state_;
    static const char json[] = "[1, -0, 2.50, true, null, \"a'b\", \"q\\\"'\", {\"k\": \"x\\n\"}]";
    Json *parsed;
    assert_ok(json_parse(json, strlen(json), &parsed));
    Text text = {0};
    python_repr(&text, json_root(parsed));
    assert_string_equal(text_get(&text), "[1, 0, 2.5, True, None, \"a'b\", 'q\"\\'', {'k': 'x\\n'}]");
    text_free(&text);
    json_free(parsed);
}

/* ---- Folders ------------------------------------------------------------------------------------------------------- */

static char base[64];

static void put_file(const char *path)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", base, path);
    char *slash = strrchr(full, '/');
    *slash = '\0';
    assert_null(file_make_folders(full));
    *slash = '/';
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs("x", file);
    fclose(file);
}

static void open_folders(Folders **folders)
{
    static char user[96], system_models[96];
    strcpy(base, "/tmp/nodus-folders-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(user, sizeof user, "%s/user", base);
    snprintf(system_models, sizeof system_models, "%s/system", base);
    put_file("user/checkpoints/b.safetensors");
    put_file("user/checkpoints/sub/a.CKPT");
    put_file("user/checkpoints/notes.txt");
    put_file("user/checkpoints/.git/x.safetensors");
    put_file("models/checkpoints/b.safetensors");
    put_file("models/t2i_adapter/pose.pth");
    put_file("system/checkpoints/demo.safetensors");
    put_file("input/cat.png");
    put_file("input/sub/dog.png");
    put_file("input/list.txt");
    put_file("output/out.png");
    put_file("secret.png");
    put_file("user/secret.safetensors");
    put_file("models/secret.safetensors");
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .base_directory = base, .models = user, .system_models = system_models};
    assert_null(folders_new(&options, folders));
}

static void close_folders(Folders *folders)
{
    char command[128];
    folders_free(folders);
    snprintf(command, sizeof command, "rm -rf %s", base);
    assert_int_equal(system(command), 0);
}

static void expect_found(Folders *folders, const char *folder, const char *name, const char *end)
{
    char *path = NULL;
    assert_null(folders_find(folders, folder, name, &path));
    if (!end) {
        if (path) fail_msg("%s was found at %s", name, path);
        return;
    }
    assert_non_null(path);
    const size_t length = strlen(path), cut = strlen(end);
    assert_true(length > cut && !strcmp(path + length - cut, end));
    memory_free(path);
}

TEST(model_folders_list_by_code_point_without_duplicates)
{
    (void)state_;
    Folders *folders;
    FolderList list;
    open_folders(&folders);
    assert_ok(folders_list(folders, "checkpoints", &list));
    assert_int_equal(list.count, 3);
    assert_string_equal(list.name[0], "b.safetensors");
    assert_string_equal(list.name[1], "demo.safetensors");
    assert_string_equal(list.name[2], "sub/a.CKPT");
    folders_list_free(&list);
    assert_ok(folders_list(folders, "controlnet", &list));
    assert_int_equal(list.count, 1);
    folders_list_free(&list);
    assert_ok(folders_list(folders, "input", &list));
    assert_int_equal(list.count, 1); /* pictures of the top level */
    folders_list_free(&list);
    assert_ok(folders_list(folders, "loras", &list));
    assert_int_equal(list.count, 0);
    close_folders(folders);
}

TEST(the_users_folder_comes_before_the_installations)
{
    (void)state_;
    Folders *folders;
    open_folders(&folders);
    expect_found(folders, "checkpoints", "b.safetensors", "/user/checkpoints/b.safetensors");
    expect_found(folders, "checkpoints", "sub\\a.CKPT", "/user/checkpoints/sub/a.CKPT");
    expect_found(folders, "checkpoints", "demo.safetensors", "/system/checkpoints/demo.safetensors");
    expect_found(folders, "controlnet", "pose.pth", "/models/t2i_adapter/pose.pth");
    expect_found(folders, "checkpoints", "notes.txt", NULL);
    close_folders(folders);
}

TEST(no_name_leaves_its_folder)
{
    (void)state_;
    Folders *folders;
    open_folders(&folders);
    static const char *const names[] = {"../secret.png", "sub/../../secret.png",  "/etc/hostname", "..\\secret.png", "", ".",
                                        "sub//dog.png",  "../secret.png [output]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        expect_found(folders, "input", names[i], NULL);
        expect_found(folders, "checkpoints", names[i], NULL);
    }
    close_folders(folders);
}

TEST(annotated_names_choose_the_folder)
{
    (void)state_;
    Folders *folders;
    open_folders(&folders);
    expect_found(folders, "input", "cat.png", "/input/cat.png");
    expect_found(folders, "input", "cat.png [input]", "/input/cat.png");
    expect_found(folders, "input", "sub/dog.png", "/input/sub/dog.png");
    expect_found(folders, "input", "out.png [output]", "/output/out.png");
    expect_found(folders, "input", "out.png", NULL);
    expect_found(folders, "input", "cat.png [temp]", NULL);
    close_folders(folders);
}

TEST(without_a_name_the_users_newest_file_is_chosen)
{
    (void)state_;
    Folders *folders;
    char *path, *listed;
    open_folders(&folders);
    char full[256];
    snprintf(full, sizeof full, "%s/user/checkpoints/b.safetensors", base);
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    utimensat(AT_FDCWD, full, old, 0);
    assert_ok(folders_choose(folders, "checkpoints", NULL, &path, &listed));
    assert_string_equal(listed, "sub/a.CKPT");
    memory_free(path);
    memory_free(listed);
    assert_error(folders_choose(folders, "loras", "", &path, &listed), "put one into");
    assert_error(folders_choose(folders, "checkpoints", "zzz.safetensors", &path, &listed), "searched");
    close_folders(folders);
}

TEST(a_path_is_listed_for_the_life_of_the_engine)
{
    (void)state_;
    Folders *folders;
    char *path, *listed, full[256];
    open_folders(&folders);
    put_file("elsewhere/my.safetensors");
    snprintf(full, sizeof full, "%s/elsewhere/my.safetensors", base);
    assert_ok(folders_choose(folders, "checkpoints", full, &path, &listed));
    assert_string_equal(listed, "my.safetensors");
    expect_found(folders, "checkpoints", listed, "/elsewhere/my.safetensors");
    memory_free(path);
    memory_free(listed);
    snprintf(full, sizeof full, "%s/user/checkpoints/sub/a.CKPT", base); /* its own name is free */
    assert_ok(folders_choose(folders, "checkpoints", full, &path, &listed));
    assert_string_equal(listed, "a.CKPT");
    memory_free(path);
    memory_free(listed);
    put_file("elsewhere/b.safetensors"); /* a name that is taken */
    snprintf(full, sizeof full, "%s/elsewhere/b.safetensors", base);
    assert_ok(folders_choose(folders, "checkpoints", full, &path, &listed));
    assert_string_equal(listed, "elsewhere/b.safetensors");
    expect_found(folders, "checkpoints", listed, "/elsewhere/b.safetensors");
    memory_free(path);
    memory_free(listed);
    close_folders(folders);
}

TEST(a_folder_that_links_to_itself_ends)
{
    (void)state_;
    Folders *folders;
    FolderList list;
    char link[256], target[256];
    open_folders(&folders);
    snprintf(target, sizeof target, "%s/user/checkpoints", base);
    snprintf(link, sizeof link, "%s/user/checkpoints/loop", base);
    assert_int_equal(symlink(target, link), 0);
    assert_ok(folders_list(folders, "checkpoints", &list));
    assert_int_equal(list.count, 3);
    folders_list_free(&list);
    close_folders(folders);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(set_changes_a_literal_by_id_or_title),
                                       CASE(set_leaves_a_text_a_text),
                                       CASE(set_can_link),
                                       CASE(set_splits_at_the_last_dot),
                                       CASE(set_says_what_it_could_not_find),
                                       CASE(seed_replaces_literals_called_seed),
                                       CASE(the_hidden_prompt_holds_converted_literals_in_pythons_layout),
                                       CASE(the_hidden_extra_pnginfo_is_passed_on),
                                       CASE(of_duplicate_keys_the_last_counts),
                                       CASE(floats_print_as_in_python),
                                       CASE(values_print_as_pythons_repr),
                                       CASE(model_folders_list_by_code_point_without_duplicates),
                                       CASE(the_users_folder_comes_before_the_installations),
                                       CASE(no_name_leaves_its_folder),
                                       CASE(annotated_names_choose_the_folder),
                                       CASE(without_a_name_the_users_newest_file_is_chosen),
                                       CASE(a_path_is_listed_for_the_life_of_the_engine),
                                       CASE(a_folder_that_links_to_itself_ends)};
    return cmocka_run_group_tests(cases, open_engine, close_engine);
}
