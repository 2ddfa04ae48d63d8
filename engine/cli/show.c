/* show.c: what people and programs see while a workflow runs; see show.h. */
#include "engine/cli/show.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/report.h"
#include "engine/cli/say.h"
#include <stdlib.h>
#include <string.h>

void show_begin(Show *show, const Options *options, const char *input, const char *output, const char *temp)
{
    *show = (Show){.options = options, .input = input, .output = output, .temp = temp};
    progress_begin(&show->progress, options);
}

static bool chatty(const Show *show)
{
    return !show->options->quiet && !show->options->json;
}

/* ---- Results ------------------------------------------------------------------------------------------------------- */

static char *file_path(const Show *show, const cJSON *file)
{
    const char *type = report_text(file, "type"), *folder = report_text(file, "subfolder"), *name = report_text(file, "filename");
    const char *root = !strcmp(type, "temp") ? show->temp : !strcmp(type, "input") ? show->input : show->output;
    return format_text("%s/%s%s%s", root, folder, *folder ? "/" : "", name);
}

static void show_result(const Show *show, const char *ui_json, const char *note)
{
    cJSON *ui = cJSON_Parse(ui_json);
    const cJSON *list, *item;
    cJSON_ArrayForEach (list, ui) {
        cJSON_ArrayForEach (item, list) {
            char *path = cJSON_IsObject(item) ? file_path(show, item) : NULL;
            if (path) printf("%s%s\n", path, note);
            else if (cJSON_IsString(item)) printf("%s\n", item->valuestring);
            free(path);
        }
    }
    cJSON_Delete(ui);
    fflush(stdout);
}

/* ---- What is kept of a prompt --------------------------------------------------------------------------------------- */

static void forget_taken(ShowTaken *taken)
{
    for (int i = 0; i < taken->count; i++) free(taken->file[i]);
    free(taken->file);
    free(taken->problem);
    *taken = (ShowTaken){.status = "invalid"};
}

static void take_files(Show *show, const char *ui_json)
{
    ShowTaken *taken = &show->taken;
    cJSON *ui = cJSON_Parse(ui_json);
    const cJSON *list, *item;
    cJSON_ArrayForEach (list, ui) {
        cJSON_ArrayForEach (item, list) {
            if (!cJSON_IsObject(item)) continue;
            taken->file = need(realloc(taken->file, (size_t)(taken->count + 1) * sizeof *taken->file));
            taken->file[taken->count++] = file_path(show, item);
        }
    }
    cJSON_Delete(ui);
}

static void take(Show *show, const NodusEvent *event)
{
    ShowTaken *taken = &show->taken;
    if (event->kind == NODUS_EVENT_BEGIN) forget_taken(taken);
    if (event->ui_json) take_files(show, event->ui_json);
    if (event->kind == NODUS_EVENT_ERROR && !taken->problem) taken->problem = copy_text(event->message);
    if (event->kind != NODUS_EVENT_FINISHED) return;
    taken->seconds = event->seconds;
    if (!strcmp(event->message, "invalid")) show_refused(show, "the workflow was refused");
    taken->status = !strcmp(event->message, "success")     ? "success"
                    : !strcmp(event->message, "error")     ? "error"
                    : !strcmp(event->message, "cancelled") ? "cancelled"
                                                           : "invalid";
}

void show_refused(Show *show, const char *problem)
{
    forget_taken(&show->taken);
    show->taken.problem = copy_text(problem);
}

void show_end(Show *show)
{
    forget_taken(&show->taken);
}

/* ---- Where the time went ------------------------------------------------------------------------------------------- */

static Stage stage_of(const char *class_type)
{
    if (!strncmp(class_type, "CLIPTextEncode", 14)) return STAGE_TEXT;
    if (strstr(class_type, "Sampler") || !strncmp(class_type, "SampleWith", 10)) return STAGE_SAMPLING;
    if (!strncmp(class_type, "VAEDecode", 9)) return STAGE_DECODING;
    return !strncmp(class_type, "VAEEncode", 9) ? STAGE_ENCODING : STAGE_OTHER;
}

static void show_done(Show *show, const NodusEvent *event)
{
    const Stage stage = stage_of(event->class_type);
    char seconds[32];
    show->seconds[stage] += event->seconds;
    if (stage == STAGE_SAMPLING) show->steps += show->progress.max > 1 ? show->progress.max : 0;
    if (chatty(show) && show->options->verbose)
        say("%-12s %s (%s)", text_of_seconds(event->seconds, seconds), event->title, event->class_type);
    if (event->ui_json) show_result(show, event->ui_json, "");
}

static void show_times(const Show *show, double total)
{
    static const char *const names[STAGE_COUNT] = {"text encoding", "sampling", "decoding", "encoding", "the rest"};
    char seconds[32];
    Growing text;
    text_begin(&text);
    for (int stage = 0; stage < STAGE_OTHER; stage++) {
        if (show->seconds[stage] <= 0) continue;
        fprintf(text.file, "%s %s", names[stage], text_of_seconds(show->seconds[stage], seconds));
        if (stage == STAGE_SAMPLING && show->steps > 0)
            fprintf(text.file, " (%.0f steps, %.2f it/s)", show->steps, show->steps / show->seconds[stage]);
        fputs(", ", text.file);
    }
    fprintf(text.file, "in all %s", text_of_seconds(total, seconds));
    char *line = text_end(&text);
    say("%s", line);
    free(line);
}

/* ---- The end ------------------------------------------------------------------------------------------------------- */

static void show_finished(Show *show, const NodusEvent *event)
{
    cJSON *whole = cJSON_Parse(event->json);
    const char *status = event->message;
    if (!strcmp(status, "invalid")) {
        if (!show->script) refuse("%s%sthe workflow was refused", show->file ? show->file : "", show->file ? ": " : "");
        if (!show->script) report_print_problems(whole, stderr);
    } else if (!strcmp(status, "cancelled")) {
        if (interrupt_came()) say("cancelled");
        else say("cancelled: it took longer than --timeout allows");
    } else if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(whole, "node_errors"))) {
        say("warning: some outputs were refused and did not run:");
        report_print_problems(whole, stderr);
    }
    if (chatty(show) && !strcmp(status, "success")) show_times(show, event->seconds);
    cJSON_Delete(whole);
}

/* Named as in the lines of report.c. */
static void show_error(const NodusEvent *event)
{
    if (!event->node) {
        say("error: %s", event->message);
        return;
    }
    const bool titled = event->title && *event->title && strcmp(event->title, event->class_type) != 0;
    say("error: node %s%s%s%s (%s): %s", event->node, titled ? " \"" : "", titled ? event->title : "", titled ? "\"" : "",
        event->class_type, event->message);
}

static void show_to_people(Show *show, const NodusEvent *event)
{
    Progress *progress = &show->progress;
    if (event->kind == NODUS_EVENT_PROGRESS) {
        if (event->preview && progress->previews)
            progress_preview(progress, event->preview, event->preview_width, event->preview_height);
        progress_step(progress, event->value, event->max, event->eta);
        return;
    }
    progress_hide(progress);
    switch (event->kind) {
    case NODUS_EVENT_BEGIN:
        memset(show->seconds, 0, sizeof show->seconds);
        show->steps = 0;
        break;
    case NODUS_EVENT_START: progress_node(progress, event->title && *event->title ? event->title : event->class_type); break;
    case NODUS_EVENT_DONE: show_done(show, event); break;
    case NODUS_EVENT_CACHED:
        if (event->ui_json) show_result(show, event->ui_json, " (unchanged, from before)");
        break;
    case NODUS_EVENT_ERROR:
        if (!show->script) show_error(event);
        break;
    case NODUS_EVENT_WARNING:
        if (event->node) say("warning: node %s: %s", event->node, event->message);
        else say("warning: %s", event->message);
        break;
    case NODUS_EVENT_FINISHED: show_finished(show, event); break;
    case NODUS_EVENT_PROGRESS: break;
    }
}

/* With --json too, what went wrong is told on stderr. */
void show_event(void *user, const NodusEvent *event)
{
    Show *show = user;
    if (show->options->sweep.count) take(show, event);
    if (show->options->json) {
        puts(event->json);
        fflush(stdout);
        if (event->kind != NODUS_EVENT_ERROR && event->kind != NODUS_EVENT_WARNING && event->kind != NODUS_EVENT_FINISHED) return;
    }
    show_to_people(show, event);
}
