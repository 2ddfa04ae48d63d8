#include "tests/support_lab.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/graph/engine.h"
#include "nodes/register.h"
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NodusStatus fill(Registry *registry, void *user)
{
    for (const NodusType *const *type = builtin_types; *type; type++) NODUS_TRY(registry_add_type(registry, *type));
    for (const NodusNode *const *node = builtin_nodes; *node; node++) NODUS_TRY(registry_add_node(registry, *node));
    for (const NodusNode *const *node = user; node && *node; node++) NODUS_TRY(registry_add_node(registry, *node));
    for (const NodusSamplerDef *def = builtin_samplers(); def->name; def++) NODUS_TRY(registry_add_sampler(registry, def));
    for (const NodusPatchClass *const *patch = builtin_patches; *patch; patch++) NODUS_TRY(registry_add_patch(registry, *patch));
    for (const NodusSchedulerDef *def = builtin_schedulers(); def->name; def++) NODUS_TRY(registry_add_scheduler(registry, def));
    return NULL;
}

const char *lab_path(const Lab *lab, const char *name)
{
    static char buffer[4][512];
    static int turn;
    char *path = buffer[turn++ % 4];
    snprintf(path, sizeof buffer[0], "%s/%s", lab->folder, name);
    return path;
}

NodusStatus lab_open(Lab *lab, const NodusNode *const *nodes)
{
    memset(lab, 0, sizeof *lab);
    strcpy(lab->folder, "/tmp/nodus-lab-XXXXXX");
    if (!mkdtemp(lab->folder)) return nodus_error(NODUS_ERROR_FILE, "no temporary folder");
    NODUS_TRY(file_make_folders(lab_path(lab, "models/checkpoints")));
    NODUS_TRY(file_make_folders(lab_path(lab, "input")));
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 2, .memory = (size_t)2 << 30, .base_directory = lab->folder, .system_models = "models"};
    lab->options = (NodusRunOptions){.struct_size = sizeof lab->options};
    return engine_open(&options, fill, (void *)(uintptr_t)nodes, &lab->engine);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

void lab_close(Lab *lab)
{
    engine_close(lab->engine);
    nftw(lab->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_event(void *user, const NodusEvent *event)
{
    Lab *lab = user;
    const size_t used = strlen(lab->ui);
    if (event->ui_json) snprintf(lab->ui + used, sizeof lab->ui - used, "%s\n", event->ui_json);
    if (event->kind == NODUS_EVENT_ERROR) snprintf(lab->error, sizeof lab->error, "%s", event->message);
    if (event->kind == NODUS_EVENT_WARNING) snprintf(lab->warning, sizeof lab->warning, "%s", event->message);
    if (event->kind == NODUS_EVENT_FINISHED && !lab->error[0]) snprintf(lab->error, sizeof lab->error, "%s", event->json);
}

NodusOutcome lab_run(Lab *lab, const char *json)
{
    NodusRun *run;
    lab->ui[0] = lab->error[0] = lab->warning[0] = '\0';
    lab->options.event = on_event;
    lab->options.user = lab;
    NodusStatus status = nodus_run_new(lab->engine, json, strlen(json), &lab->options, &run);
    if (status) {
        snprintf(lab->error, sizeof lab->error, "%s", nodus_error_message(status));
        nodus_error_free(status);
        return NODUS_REFUSED;
    }
    const NodusOutcome outcome = nodus_run_execute(run);
    nodus_run_free(run);
    return outcome;
}

/* The numbers behind an npy header of version 1.0: "(2, 3)" in it is the shape. */
NodusStatus lab_recorded(const char *path, LabArray *out)
{
    uint8_t *data;
    size_t size;
    NODUS_TRY(file_read(path, (size_t)1 << 30, &data, &size));
    const size_t start = 10 + data[8] + 256u * data[9];
    const char *shape = strchr((const char *)data + 10, '(');
    memset(out, 0, sizeof *out);
    for (int i = 0; shape && *++shape && *shape != ')' && i < NODUS_MAX_RANK; shape = strpbrk(shape, ",)"))
        if ((out->dim[i] = strtoll(shape, NULL, 10)) > 0) i++;
        else break;
    out->count = (size - start) / sizeof(float);
    out->data = malloc(size);
    if (out->data) memcpy(out->data, data + start, size - start);
    memory_free(data);
    return NULL;
}

NodusStatus lab_array(Lab *lab, const char *json, const char *node, uint32_t slot, const char *part, LabArray *out)
{
    const char *file = lab_path(lab, "dump.npy");
    const NodusDump dump = {node, slot, part, file};
    lab->options.dumps = &dump;
    lab->options.dump_count = 1;
    const NodusOutcome outcome = lab_run(lab, json);
    lab->options.dumps = NULL;
    lab->options.dump_count = 0;
    if (outcome != NODUS_SUCCESS) return nodus_error(NODUS_ERROR_INTERNAL, "the run failed: %s", lab->error);
    return lab_recorded(file, out);
}

int lab_told(NodusStatus status)
{
    if (!status) return 0;
    fprintf(stderr, "%s\n", nodus_error_message(status));
    nodus_error_free(status);
    return -1;
}

double lab_farthest(LabArray a, LabArray b)
{
    double most = 0;
    for (size_t i = 0; i < a.count && i < b.count; i++) most = fmax(most, fabs((double)a.data[i] - (double)b.data[i]));
    free(a.data);
    free(b.data);
    return a.count == b.count ? most : NAN;
}

double lab_apart(const float *got, const float *want, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        size += (double)want[i] * (double)want[i];
    }
    return sqrt(difference / size);
}
