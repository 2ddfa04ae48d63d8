/* test_registry.c: names are unique, tables are checked, a sealed registry is closed; /object_info comes from the tables. */
#include "engine/base/memory.h"
#include "engine/graph/object_info.h"
#include "engine/graph/registry.h"
#include "engine/graph/value.h"
#include "tests/support_graph.h"
#include "tests/test.h"

typedef struct {
    int64_t value;
} Args;
static const NodusInput inputs[] = {NODUS_IN_INT("value", Args, value, "A number.", .def = 1)};
static const NodusOutput outputs[] = {{"INT", "INT", ""}};
#define NODE(name_)                                             \
    {                                                           \
        NODUS_NODE(name_, name_, "test", Args, inputs, outputs) \
    }

TEST(every_engine_knows_the_scalar_and_tensor_types)
{
    Registry *registry;
    assert_ok(registry_new(&registry));
    static const char *const names[] = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO", "*", "IMAGE", "MASK", "SIGMAS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_non_null(registry_type(registry, names[i]));
    assert_null(registry_type(registry, "LATENT"));
    assert_true(registry_is_tensor(registry_type(registry, "IMAGE")));
    assert_false(registry_is_tensor(registry_type(registry, "INT")));
    registry_free(registry);
}

TEST(a_name_is_registered_once)
{
    static const NodusNode node = NODE("Twice");
    static const NodusType type = {.struct_size = sizeof type, .name = "TWICE"};
    Registry *registry;
    assert_ok(registry_new(&registry));
    assert_ok(registry_add_node(registry, &node));
    assert_error(registry_add_node(registry, &node), "node Twice is registered twice");
    assert_ok(registry_add_type(registry, &type));
    assert_error(registry_add_type(registry, &type), "TWICE");
    assert_error(registry_add_tensor_type(registry, "IMAGE"), "IMAGE");
    registry_free(registry);
}

TEST(a_sealed_registry_takes_nothing_more)
{
    static const NodusNode b = NODE("B"), a = NODE("A"), c = NODE("C");
    Registry *registry;
    assert_ok(registry_new(&registry));
    assert_ok(registry_add_node(registry, &b));
    assert_ok(registry_add_node(registry, &a));
    registry_seal(registry);
    assert_error(registry_add_node(registry, &c), "before the engine's first run");
    assert_string_equal(registry_node_at(registry, 0)->name, "A");
    assert_string_equal(registry_node_at(registry, 1)->name, "B");
    assert_ptr_equal(registry_node(registry, "A"), &a);
    assert_ptr_equal(registry_node(registry, "B"), &b);
    assert_null(registry_node(registry, "C"));
    registry_free(registry);
}

TEST(tables_that_cannot_be_right_are_refused)
{
    static const NodusInput outside[] = {{.name = "x", .type = "INT", .kind = NODUS_INT, .offset = 4}};
    static const NodusInput twice[] = {NODUS_IN_INT("x", Args, value, ""), NODUS_IN_INT("x", Args, value, "")};
    static const NodusInput whole[] = {NODUS_FLAG_LINK(NODUS_WHOLE_LIST, "x", Args, value, "INT", "")};
    static const NodusInput nameless[] = {{.type = "INT"}};
    static const NodusNode rows[] = {{NODUS_NODE("A", "A", "", Args, outside, outputs)},
                                     {NODUS_NODE("A", "A", "", Args, twice, outputs)},
                                     {NODUS_NODE("A", "A", "", Args, whole, outputs)},
                                     {NODUS_NODE("A", "A", "", Args, nameless, outputs)},
                                     {.struct_size = 8, .name = "A"}};
    static const char *const messages[] = {"outside its struct", "two inputs called x", "outside its struct", "no name",
                                           "another version"};
    Registry *registry;
    assert_ok(registry_new(&registry));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_error(registry_add_node(registry, &rows[i]), messages[i]);
    registry_free(registry);
}

TEST(object_info_follows_the_table)
{
    NodusEngine *engine;
    Text text = {0};
    Json *json;
    assert_ok(toy_engine(NULL, &engine));
    assert_ok(object_info_print(engine->registry, engine->folders, registry_node(engine->registry, "Widgets"), &text));
    assert_ok(json_parse(text_get(&text), text.length, &json));
    const cJSON *root = json_root(json), *input = json_get(root, "input"), *optional = json_get(input, "optional");
    assert_int_equal(cJSON_GetArraySize(json_get(input, "required")), 0);
    assert_int_equal(cJSON_GetArraySize(optional), 8);
    assert_string_equal(json_string(json_get(optional, "i")->child), "INT");
    assert_int_equal((int)json_double(json_get(json_get(optional, "i")->child->next, "min")), -10);
    assert_string_equal(json_get(json_get(optional, "u")->child->next, "max")->valuestring, "18446744073709551615");
    assert_true(cJSON_IsTrue(json_get(json_get(optional, "u")->child->next, "control_after_generate")));
    assert_int_equal(cJSON_GetArraySize(json_get(optional, "c")->child), 3);
    assert_string_equal(json_string(json_get(json_get(input, "hidden"), "id")), "UNIQUE_ID");
    assert_int_equal(cJSON_GetArraySize(json_get(json_get(root, "input_order"), "optional")), 8);
    assert_string_equal(json_string(json_get(root, "output")->child), "STRING");
    assert_string_equal(json_string(json_get(root, "display_name")), "All Widgets");
    assert_true(cJSON_IsFalse(json_get(root, "output_node")));
    assert_true(cJSON_IsArray(json_get(root, "output_is_list")));
    json_free(json);
    text_free(&text);
    engine_close(engine);
}

TEST(engines_share_nothing)
{
    NodusEngine *first, *second;
    static const NodusNode node = NODE("OnlyHere");
    assert_ok(toy_engine(NULL, &first));
    assert_ok(toy_engine(NULL, &second));
    assert_ok(registry_add_node(first->registry, &node));
    assert_non_null(registry_node(first->registry, "OnlyHere"));
    assert_null(registry_node(second->registry, "OnlyHere"));
    engine_close(first);
    engine_close(second);
}

TEST_MAIN(CASE(every_engine_knows_the_scalar_and_tensor_types), CASE(a_name_is_registered_once),
          CASE(a_sealed_registry_takes_nothing_more), CASE(tables_that_cannot_be_right_are_refused),
          CASE(object_info_follows_the_table), CASE(engines_share_nothing))
