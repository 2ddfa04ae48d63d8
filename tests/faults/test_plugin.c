/* A plug-in loaded with the n-th allocation failing: it is loaded whole, or left out with a reason, or the answer is "out of
 * memory"; nothing of it is registered then, and nothing is left behind. The dynamic linker's own allocations count too, and what
 * it keeps of an attempt that it could not finish is its own: the library is opened once before. */
#include "tests/faults/faults.h"
#include "engine/graph/plugin.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static char folder[] = "/tmp/nodus-plugin-XXXXXX", file[64], broken[64];

/* This program exports nothing, so the plug-in is told the functions that it calls. */
static const char source[] =
    "#include <nodus/node.h>\n"
    "typedef struct { int64_t n; } Args;\n"
    "static NodusStatus run(NodusCall *call, const void *args) { return NULL; }\n"
    "static const NodusInput inputs[] = {NODUS_IN_INT(\"n\", Args, n, \"A number.\", .def = 1)};\n"
    "static const NodusOutput outputs[] = {{.name = \"INT\", .type = \"INT\"}};\n"
    "static NodusNode node = {NODUS_NODE(\"FaultNode\", \"Fault\", \"tests\", Args, inputs, outputs), .run = RUN};\n"
    "static void type_free(void *payload) { }\n"
    "static const NodusType type = {.struct_size = sizeof(NodusType), .name = \"FAULT\", .free = type_free};\n"
    "NODUS_API struct { void (*type)(NodusPlugin *, const NodusType *); void (*node)(NodusPlugin *, const NodusNode *); } "
    "calls;\n"
    "NODUS_PLUGIN(\"fault\", \"1\", \"For tests.\") { calls.type(plugin, &type); calls.node(plugin, &node); return NULL; }\n";
typedef struct Calls {
    void (*type)(NodusPlugin *plugin, const NodusType *type);
    void (*node)(NodusPlugin *plugin, const NodusNode *node);
} Calls;

/* A new registry each time, so that it can be seen what was registered. */
static NodusStatus load(void *context)
{
    const char *path = context;
    Registry *registry = NULL;
    NodusPlugin *plugin = NULL;
    NodusStatus status = registry_new(&registry);
    if (!status) status = plugin_open(registry, path, &plugin);
    if (status) nodus_error_message(status);
    const bool whole = !status && !faults_any(&plugin->faults);
    if (whole && !registry_node(registry, "FaultNode")) fail_msg("it is good, but its node is not there");
    if (!status && !whole && registry_node(registry, "FaultNode")) fail_msg("it is left out, but its node is there");
    if (!status && path == file && !whole && !strstr(plugin->faults.item[0], "memory"))
        fail_msg("left out for: %s", plugin->faults.item[0]);
    if (!status && path == broken && whole) fail_msg("a broken plug-in was loaded");
    registry_free(registry);
    plugin_free(plugin);
    return status;
}

TEST(a_plug_in_is_loaded_whole_or_not_at_all)
{
    (void)state_;
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, load, file) > 10);
}

TEST(a_broken_plug_in_is_never_loaded)
{
    (void)state_;
    assert_true(faults_each(FAULT_OF_ALLOCATION, NODUS_ERROR_MEMORY, load, broken) > 10);
}

static int compile(const char *path, const char *run)
{
    char command[512];
    snprintf(command, sizeof command, "cc -std=gnu11 -w -fPIC -shared -Iinclude -DRUN=%s -o %s -x c - 2>&1", run, path);
    FILE *compiler = popen(command, "w");
    if (!compiler) return -1;
    fputs(source, compiler);
    return pclose(compiler);
}

static int prepare(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    Calls *calls = library ? dlsym(library, "calls") : NULL;
    if (calls) *calls = (Calls){nodus_plugin_type, nodus_plugin_node};
    return !calls;
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(file, sizeof file, "%s/good.so", folder);
    snprintf(broken, sizeof broken, "%s/broken.so", folder);
    if (compile(file, "run") || compile(broken, "NULL")) return -1;
    return prepare(file) || prepare(broken);
}

static int tear_down(void **state)
{
    (void)state;
    remove(file);
    remove(broken);
    return remove(folder);
}

int main(void)
{
    if (system("cc --version > /dev/null 2>&1")) {
        puts("skipped: there is no C compiler");
        return 0;
    }
    const struct CMUnitTest cases[] = {CASE(a_plug_in_is_loaded_whole_or_not_at_all), CASE(a_broken_plug_in_is_never_loaded)};
    return cmocka_run_group_tests(cases, set_up, tear_down);
}
