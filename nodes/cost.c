/* cost.c: see cost.h. The plan that a `cost` makes is the one that the run will use, so nothing is done twice. */
#include "nodes/cost.h"
#include "nodes/model_file.h"

NodusStatus cost_open(const NodusFacts *facts, WeightSet **weights, Checkpoint *checkpoint)
{
    *weights = NULL;
    if (!facts->file) return NULL;
    NODUS_TRY(model_file_open(facts->file, weights));
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

size_t cost_bytes(int64_t n, int64_t channels, int64_t height, int64_t width)
{
    const int64_t dim[] = {n, channels, height, width};
    size_t bytes;
    return dims_bytes(NODUS_F32, 4, dim, &bytes) ? bytes : SIZE_MAX / 2;
}
