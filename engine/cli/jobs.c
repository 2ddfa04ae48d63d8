/* jobs.c: reading workflows and scripts, and the file steps of a script; see jobs.h. */
#include "engine/cli/jobs.h"
#include "engine/cli/save.h"
#include "engine/cli/say.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_WORKFLOW = 256 << 20, MOST_STEPS = 100000, COPY_BLOCK = 1 << 16 };

/* ---- One workflow -------------------------------------------------------------------------------------------------- */

static NodusStatus cannot(const char *verb, const char *path)
{
    return nodus_error(NODUS_ERROR_FILE, "cannot %s '%s': %s", verb, path, strerror(errno));
}

static NodusStatus read_all(FILE *file, const char *path, char **text, size_t *length)
{
    size_t room = 1 << 16;
    *text = need(malloc(room));
    *length = 0;
    for (size_t got; (got = fread(*text + *length, 1, room - *length, file)) > 0;) {
        *length += got;
        if (*length > LARGEST_WORKFLOW)
            return nodus_error(NODUS_ERROR_FILE, "'%s' is too large for a workflow (more than 256 MB)", path);
        if (*length == room) *text = need(realloc(*text, room *= 2));
    }
    return ferror(file) ? cannot("read", path) : NULL;
}

static bool begins(const char *text, size_t length, const char *mark, size_t size)
{
    return length >= size && !memcmp(text, mark, size);
}

/* What is no workflow, by its content. */
static NodusStatus check_kind(const char *path, const char *text, size_t length)
{
    const bool model = length > 9 && text[8] == '{' && !text[7];
    const char *dot = strrchr(path, '.');
    if (model)
        return nodus_error(NODUS_ERROR_FILE, "'%s' is a model file, not a workflow: name it in a loader node, or nodus make -m",
                           path);
    if (dot && !strcmp(dot, ".lua"))
        return nodus_error(NODUS_ERROR_INPUT, "'%s' is a Lua script, not a workflow: nodus run script.lua [arguments]", path);
    if (begins(text, length, "\xff\xd8\xff", 3))
        return nodus_error(NODUS_ERROR_FILE, "'%s' is a JPEG picture: workflows are kept in PNG and WebP files only", path);
    return NULL;
}

/* A picture is replaced by the workflow in it; *key names which of the two, else it stays NULL. */
static NodusStatus open_picture(const char *path, bool saved, char **text, size_t *length, const char **key)
{
    char *inside;
    if (!nodus_is_picture(*text, *length)) return NULL;
    NodusStatus status = nodus_picture_workflow(*text, *length, saved, &inside, key);
    if (status) return nodus_error_prefix(status, "'%s'", path);
    free(*text);
    *text = copy_text(inside);
    *length = strlen(*text);
    nodus_free(inside);
    return NULL;
}

static NodusStatus read_workflow(const char *path, bool saved, char **text, size_t *length, const char **key)
{
    struct stat info;
    const bool standard = !strcmp(path, "-");
    *text = NULL;
    *length = 0;
    *key = NULL;
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (!file) return cannot("read", path);
    NodusStatus status = NULL;
    if (!fstat(fileno(file), &info) && S_ISDIR(info.st_mode))
        status = nodus_error(NODUS_ERROR_FILE, "'%s' is a folder, not a workflow", path);
    if (!status) status = read_all(file, path, text, length);
    if (!standard) fclose(file);
    if (!status) status = check_kind(path, *text, *length);
    if (!status) status = open_picture(path, saved, text, length, key);
    if (status) {
        free(*text);
        *text = NULL;
        *length = 0;
    }
    return status;
}

static void say_which(const char *path, const char *key)
{
    if (!key) return;
    if (!strcmp(key, "prompt")) say("%s: a picture; taking what ran (its text \"prompt\")", path);
    else say("%s: a picture; taking what the editor saved (its text \"workflow\")", path);
}

NodusStatus jobs_read_workflow(const char *path, char **text, size_t *length)
{
    const char *key;
    NODUS_TRY(read_workflow(path, false, text, length, &key));
    say_which(path, key);
    return NULL;
}

NodusStatus jobs_read_saved(const char *path, char **text, size_t *length)
{
    const char *key;
    NODUS_TRY(read_workflow(path, true, text, length, &key));
    say_which(path, key);
    return NULL;
}

/* ---- Scripts ------------------------------------------------------------------------------------------------------- */

static Job *add_job(Jobs *jobs, JobKind kind)
{
    jobs->item = need(realloc(jobs->item, (size_t)(jobs->count + 1) * sizeof *jobs->item));
    Job *job = &jobs->item[jobs->count++];
    *job = (Job){.kind = kind};
    return job;
}

static void add_workflow(Jobs *jobs, const char *path)
{
    Job *job = add_job(jobs, JOB_RUN);
    const char *key;
    job->file = copy_text(path);
    NodusStatus status = read_workflow(path, false, &job->text, &job->length, &key);
    if (!jobs->quiet) say_which(path, key);
    if (status) job->problem = copy_text(nodus_error_message(status));
    nodus_error_free(status);
}

/* A name below the input folder: no way out of it. */
static bool stays_inside(const char *name)
{
    if (!*name || *name == '/') return false;
    for (const char *part = name; *part;) {
        const size_t length = strcspn(part, "/");
        if (!length || (length == 1 && *part == '.') || (length == 2 && !memcmp(part, "..", 2))) return false;
        part += length;
        if (*part == '/' && !*++part) return false;
    }
    return true;
}

static char *beside(const char *script, const char *name)
{
    const char *slash = strrchr(script, '/');
    if (*name == '/' || !slash) return copy_text(name);
    return format_text("%.*s/%s", (int)(slash - script), script, name);
}

static NodusStatus add_step(Jobs *jobs, const cJSON *step, const char *script, int number)
{
    const char *run = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(step, "run"));
    const cJSON *copy = cJSON_GetObjectItemCaseSensitive(step, "copy");
    const char *from = cJSON_GetStringValue(cJSON_GetArrayItem(copy, 0)), *to = cJSON_GetStringValue(cJSON_GetArrayItem(copy, 1));
    const char *removed = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(step, "remove"));
    const char *target = removed ? removed : to;
    if (cJSON_GetArraySize(step) != 1 || !(run || removed || (from && to && cJSON_GetArraySize(copy) == 2)))
        return nodus_error(
            NODUS_ERROR_INPUT,
            "%s: step %d must be {\"run\": \"A.json\"}, {\"copy\": [\"from.png\", \"in.png\"]} or {\"remove\": \"in.png\"}",
            script, number);
    if (!run && !stays_inside(target))
        return nodus_error(NODUS_ERROR_INPUT, "%s: step %d: \"%s\" is not a name in the input folder", script, number, target);
    if (run) {
        char *path = beside(script, run);
        add_workflow(jobs, path);
        free(path);
        return NULL;
    }
    Job *job = add_job(jobs, removed ? JOB_REMOVE : JOB_COPY);
    job->target = copy_text(target);
    if (!removed) job->file = beside(script, from);
    return NULL;
}

static NodusStatus read_script(const char *script, Jobs *out)
{
    char *text;
    size_t length;
    NODUS_TRY(jobs_read_workflow(script, &text, &length));
    cJSON *json = cJSON_ParseWithLength(text, length);
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(json, "steps"), *step;
    NodusStatus status = NULL;
    int number = 0;
    if (!json) status = nodus_error(NODUS_ERROR_INPUT, "%s is not JSON", script);
    else if (!cJSON_IsArray(steps) || cJSON_GetArraySize(steps) > MOST_STEPS)
        status = nodus_error(NODUS_ERROR_INPUT, "%s has no list \"steps\": {\"steps\": [{\"run\": \"A.json\"}]}", script);
    cJSON_ArrayForEach(step, steps)
    {
        if (status) break;
        status = add_step(out, step, script, ++number);
    }
    cJSON_Delete(json);
    free(text);
    return status;
}

NodusStatus jobs_read(const Options *options, Jobs *out)
{
    *out = (Jobs){.quiet = options->quiet};
    if (options->script && options->words.count)
        return nodus_error(NODUS_ERROR_INPUT, "give workflows or --script, not both (a script names its workflows itself)");
    if (options->script) return read_script(options->script, out);
    if (!options->words.count)
        return nodus_error(NODUS_ERROR_INPUT, "nothing to run: name a workflow file, or - for standard input");
    for (int i = 0; i < options->words.count; i++) add_workflow(out, options->words.item[i]);
    return NULL;
}

void jobs_free(Jobs *jobs)
{
    for (int i = 0; i < jobs->count; i++) {
        free(jobs->item[i].file);
        free(jobs->item[i].target);
        free(jobs->item[i].text);
        free(jobs->item[i].problem);
    }
    free(jobs->item);
    *jobs = (Jobs){0};
}

/* ---- File steps ---------------------------------------------------------------------------------------------------- */

/* The folder that holds `name` below the input folder, opened part by part, so that a link cannot lead out of it. */
static int open_parent(const char *input, const char **name, bool make)
{
    if (make) save_folders(input);
    int folder = open(input, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (const char *slash; folder >= 0 && (slash = strchr(*name, '/')); *name = slash + 1) {
        char *part = need(strndup(*name, (size_t)(slash - *name)));
        if (make) mkdirat(folder, part, 0777);
        const int inner = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        free(part);
        close(folder);
        folder = inner;
    }
    return folder;
}

static bool copy_bytes(int from, int to)
{
    char block[COPY_BLOCK];
    for (ssize_t got; (got = read(from, block, sizeof block)) != 0;) {
        if (got < 0) return false;
        for (ssize_t done = 0, wrote; done < got; done += wrote)
            if ((wrote = write(to, block + done, (size_t)(got - done))) < 0) return false;
    }
    return true;
}

static NodusStatus do_copy(const Job *job, const char *input)
{
    const char *name = job->target;
    const int from = open(job->file, O_RDONLY | O_CLOEXEC);
    if (from < 0) return cannot("read", job->file);
    const int folder = open_parent(input, &name, true);
    const int to = folder < 0 ? -1 : openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    const bool copied = to >= 0 && copy_bytes(from, to);
    NodusStatus status =
        copied ? NULL
               : nodus_error(NODUS_ERROR_FILE, "cannot copy '%s' to '%s/%s': %s", job->file, input, job->target, strerror(errno));
    if (to >= 0 && close(to) && !status) status = cannot("write", job->target);
    if (folder >= 0) close(folder);
    close(from);
    return status;
}

static NodusStatus do_remove(const Job *job, const char *input)
{
    const char *name = job->target;
    const int folder = open_parent(input, &name, false);
    NodusStatus status = NULL;
    if (folder < 0 || unlinkat(folder, name, 0))
        status = nodus_error(NODUS_ERROR_FILE, "cannot remove '%s/%s': %s", input, job->target, strerror(errno));
    if (folder >= 0) close(folder);
    return status;
}

NodusStatus jobs_do_file(const Job *job, const char *input)
{
    return job->kind == JOB_COPY ? do_copy(job, input) : do_remove(job, input);
}
