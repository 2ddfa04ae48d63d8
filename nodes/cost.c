/* cost.c: see cost.h. The plan that a `cost` makes is the one that the run will use, so nothing is done twice. */
#include "nodes/cost.h"
#include "engine/base/hash.h"
#include "engine/base/status.h"
#include "engine/formats/weights_file.h"
#include "nodes/model_file.h"
#include <limits.h>
#include <string.h>

const char *cost_files(NodusCall *call, const char *first, const char *second)
{
    NodusText *both = first && second ? nodus_text(call) : NULL;
    if (!both) return first ? first : second;
    NodusStatus status = nodus_print(both, "%s%s", first, second);
    nodus_error_free(status);
    return status ? NULL : nodus_text_get(both);
}

static NodusStatus open_first(const char *files, WeightSet **weights)
{
    char path[PATH_MAX];
    const size_t length = strcspn(files, "\n");
    if (!length || length >= sizeof path) return NULL;
    memcpy(path, files, length);
    path[length] = 0;
    return model_file_open(path, weights);
}

NodusStatus cost_open(const NodusFacts *facts, WeightSet **weights, Checkpoint *checkpoint)
{
    *weights = NULL;
    if (!facts->file) return NULL;
    NODUS_TRY(open_first(facts->file, weights));
    if (!*weights) return NULL;
    NodusStatus status = family_any(*weights, facts->file, checkpoint);
    if (!status) return NULL;
    weights_unref(*weights);
    *weights = NULL;
    return status;
}

NodusStatus cost_open_vae(const NodusFacts *facts, WeightSet **weights, VaeConfig *config)
{
    *weights = NULL;
    if (!facts->file) return NULL;
    NODUS_TRY(model_file_open(facts->file, weights));
    NodusStatus status = family_vae(*weights, facts->file, config);
    if (!status) return NULL;
    weights_unref(*weights);
    *weights = NULL;
    return status;
}

void cost_add_plan(NodusMath *math, const Plan *plan, NodusCost *out)
{
    out->weights += plan_missing_bytes(math, plan);
    out->work += plan_arena_bytes(plan);
    out->flop += plan_flop(plan);
    out->network = plan_network(plan);
}

NodusStatus cost_file(NodusCall *call, const char *folder, const char *name, NodusCost *out)
{
    const char *path;
    WeightSet *weights;
    NODUS_TRY(nodus_find_file(call, folder, name, &path));
    NODUS_TRY(checkpoint_open(path, &weights));
    for (int i = 0; i < weights_count(weights); i++) out->weights += weights_at(weights, i)->bytes;
    out->network = hash_of(path, strlen(path)).low;
    weights_unref(weights);
    return NULL;
}

size_t cost_borrow(CostArenas *arenas, size_t bytes)
{
    const size_t more = bytes > arenas->lent ? bytes - arenas->lent : 0;
    arenas->lent += more;
    return more;
}

size_t cost_bytes(int64_t n, int64_t channels, int64_t height, int64_t width)
{
    const int64_t dim[] = {n, channels, height, width};
    size_t bytes;
    return dims_bytes(NODUS_F32, 4, dim, &bytes) ? bytes : SIZE_MAX / 2;
}
