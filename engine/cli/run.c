/* run.c: `nodus run`: workflows and script steps, one after the other; a failure does not stop what follows, Ctrl-C does. */
#include "engine/cli/commands.h"
#include "engine/cli/dumps.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/jobs.h"
#include "engine/cli/say.h"
#include "engine/cli/script.h"
#include "engine/cli/session.h"
#include "engine/cli/sweep.h"
#include <string.h>

/* A dump that no workflow can give is a slip of the pen: told before anything runs. */
static NodusStatus check_dumps(const Options *options, const Jobs *jobs)
{
    for (int i = 0; i < options->dump.count; i++) {
        const char *text = options->dump.item[i];
        bool found = false;
        if (!dumps_well_formed(text))
            return nodus_error(NODUS_ERROR_INPUT, "--dump %s: takes NODE[:SLOT][.pooled|.noise_mask]=FILE.npy", text);
        for (int j = 0; j < jobs->count && !found; j++) {
            const Job *job = &jobs->item[j];
            found = job->kind == JOB_RUN && (job->problem || dumps_has_node(text, job->text, job->length));
        }
        if (!found) return nodus_error(NODUS_ERROR_INPUT, "--dump %s: no workflow has that node", text);
    }
    return NULL;
}

/* A sweep's values are of one workflow's nodes. */
static NodusStatus read_sweep(const Options *options, const Jobs *jobs, Sweep *sweep)
{
    *sweep = (Sweep){0};
    if (!options->sweep.count) return NULL;
    if (jobs->count != 1 || options->script)
        return nodus_error(NODUS_ERROR_INPUT, "--sweep takes one workflow, and no script");
    return sweep_parse(options, sweep);
}

static int run_job(Session *session, const Job *job, const Sweep *sweep)
{
    if (job->kind != JOB_RUN) {
        NodusStatus status = jobs_do_file(job, session->input);
        return status ? refuse_status(status) : EXIT_GOOD;
    }
    if (job->problem) return session_refuse(session, "unreadable_file", job->problem);
    const Prompt prompt = {.file = job->file, .text = job->text, .length = job->length};
    return sweep->axes ? sweep_run(session, sweep, &prompt) : session_run(session, &prompt);
}

static int run_all(const Options *options, const Jobs *jobs, const Sweep *sweep)
{
    Session session;
    int worst = session_open(&session, options);
    if (worst) return worst;
    for (int i = 0; i < jobs->count && !interrupt_came(); i++) worst = worst_exit(worst, run_job(&session, &jobs->item[i], sweep));
    if (interrupt_came()) worst = EXIT_CANCELLED;
    session_close(&session);
    return worst;
}

int command_run(const Options *options)
{
    Jobs jobs;
    if (script_is_named(options)) return script_run(options);
    if (script_check_unused(options)) return EXIT_REFUSED;
    NodusStatus status = jobs_read(options, &jobs);
    if (!status) status = check_dumps(options, &jobs);
    Sweep sweep = {0};
    if (!status) status = read_sweep(options, &jobs, &sweep);
    const int code = status ? refuse_status(status) : run_all(options, &jobs, &sweep);
    sweep_free(&sweep);
    jobs_free(&jobs);
    return code;
}
