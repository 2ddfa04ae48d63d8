/* plugin.c: `nodus plugin`: makes and checks plug-ins.
 *
 * One idea: `check` never loads a stranger's code into this process. It runs this program again as `nodus plugin probe FILE`, which
 * loads it and prints a report, or dies; nodus_plugin_check makes a report of either. */
#include "engine/cli/plugin.h"
#include "engine/cli/commands.h"
#include "engine/cli/report.h"
#include "engine/cli/say.h"
#include "engine/cli/session.h"
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

/* ---- check --------------------------------------------------------------------------------------------------------- */

static void show_names(const cJSON *report, const char *list, const char *title)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(report, list), *name;
    if (!cJSON_GetArraySize(names)) return;
    printf("  %s:", title);
    cJSON_ArrayForEach(name, names) printf(" %s%s", cJSON_GetStringValue(name), name->next ? "," : "");
    putchar('\n');
}

static void show_sentences(const cJSON *report, const char *list, const char *title)
{
    const cJSON *sentence;
    cJSON_ArrayForEach(sentence, cJSON_GetObjectItemCaseSensitive(report, list))
        printf("  %s: %s\n", title, cJSON_GetStringValue(sentence));
}

static void show_report(const char *text, bool good)
{
    cJSON *report = cJSON_Parse(text);
    const cJSON *abi = cJSON_GetObjectItemCaseSensitive(report, "abi");
    printf("%s: %s\n", report_text(report, "file"), good ? "good" : "cannot be used");
    if (abi)
        printf("  %s %s, ABI %d. %s\n", report_text(report, "name"), report_text(report, "version"), abi->valueint,
               report_text(report, "about"));
    show_names(report, "types", "types");
    show_names(report, "nodes", "nodes");
    show_names(report, "samplers", "samplers");
    show_names(report, "schedulers", "schedulers");
    show_names(report, "operations", "operations");
    show_names(report, "patches", "patches");
    show_sentences(report, "faults", "fault");
    show_sentences(report, "remarks", "remark");
    cJSON_Delete(report);
}

static int check_one(const Options *options, const char *file, const char *cache)
{
    char *report = NULL;
    bool good = false;
    const NodusPluginCheck check = {
        .struct_size = sizeof check, .file = file, .program = PROGRAM, .cache_directory = cache, .timeout = options->timeout};
    NodusStatus status = nodus_plugin_check(&check, &report, &good);
    if (status) return refuse_status(status);
    if (options->json) puts(report);
    else show_report(report, good);
    nodus_free(report);
    return good ? EXIT_GOOD : EXIT_REFUSED;
}

static int check(const Options *options)
{
    int code = EXIT_GOOD;
    char *cache = session_cache(options);
    if (options->words.count < 2) code = refuse("nodus plugin check takes the files of plug-ins: nodus plugin check FILE.so");
    for (int i = 1; i < options->words.count; i++) code = worst_exit(code, check_one(options, options->words.item[i], cache));
    free(cache);
    return code;
}

/* ---- probe: the child ---------------------------------------------------------------------------------------------- */

/* Standard output is the report's alone: whatever the plug-in prints goes to standard error. No core file, no life after the parent. */
static FILE *settle(void)
{
    const struct rlimit none = {0, 0};
    const int report = dup(STDOUT_FILENO);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    return report < 0 ? NULL : fdopen(report, "w");
}

static int probe(const Options *options)
{
    char *report = NULL;
    bool good = false;
    if (options->words.count != 2) return refuse("nodus plugin probe takes one file");
    FILE *out = settle();
    NodusStatus status = nodus_plugin_report(options->words.item[1], &report, &good);
    if (status) return refuse_status(status);
    if (out) fprintf(out, "%s\n", report);
    if (!out || fflush(out)) return EXIT_REFUSED;
    _exit(good ? EXIT_GOOD : EXIT_REFUSED); /* what the plug-in would do at the end of a process is not our question */
}

/* ---- host: the process of an isolated plug-in ------------------------------------------------------------------------- */

static int host(const Options *options)
{
    enum { SOCKET = 3 };
    const struct rlimit none = {0, 0};
    struct stat info;
    if (options->words.count != 2) return refuse("nodus plugin host takes one file");
    if (fstat(SOCKET, &info) || !S_ISSOCK(info.st_mode)) return refuse("nodus plugin host is started by nodus itself, for --isolate");
    setrlimit(RLIMIT_CORE, &none);
    NodusStatus status = nodus_plugin_host(SOCKET, options->words.item[1]);
    const int code = status ? refuse_status(status) : EXIT_GOOD;
    _exit(code);
}

/* ---- The command --------------------------------------------------------------------------------------------------- */

int command_plugin(const Options *options)
{
    const char *what = options->words.count ? options->words.item[0] : "";
    if (!strcmp(what, "check")) return check(options);
    if (!strcmp(what, "probe")) return probe(options);
    if (!strcmp(what, "host")) return host(options);
    if (strcmp(what, "new")) return refuse("nodus plugin takes new NAME or check FILE.so; nodus plugin --help shows more");
    if (options->words.count != 2) return refuse("nodus plugin new takes one name: nodus plugin new sepia");
    return plugin_new(options->words.item[1], options->output);
}
