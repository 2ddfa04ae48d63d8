/* given.c: the node that stands for a value of the host (NodusGiven in nodus.h).
 *
 * One idea: the value goes by a name in the prompt and by its identity in signatures, so the cache treats it as any other. A
 * prompt that is read without the values, such as one in a picture, says what is missing. */
#include "engine/graph/given.h"
#include "engine/base/hash.h"
#include "engine/base/status.h"
#include "engine/graph/call.h"
#include <string.h>

/* ---- Tensors of the host --------------------------------------------------------------------------------------------- */

static NodusStatus hash_content(NodusEngine *engine, const char *type, const NodusTensor *tensor, const NodusTensor *mask,
                                uint64_t identity[2])
{
    NodusMath *math = NULL;
    NodusHash *hash = hash_new();
    NodusStatus status = hash ? nodus_math_new(engine, &math) : status_memory();
    if (!status) nodus_hash_text(hash, type);
    for (int k = 0; k < 2 && !status; k++) {
        const NodusTensor *x = k ? mask : tensor;
        const float *data;
        if (!x) continue;
        status = nodus_tensor_map_f32(math, x, &data);
        if (status) break;
        for (int i = 0; i < nodus_tensor_rank(x); i++) nodus_hash_u64(hash, (uint64_t)nodus_tensor_dim(x, i));
        nodus_hash_bytes(hash, data, (size_t)nodus_tensor_count(x) * sizeof *data);
    }
    if (!status) {
        identity[0] = hash_value(hash).low;
        identity[1] = hash_value(hash).high;
    }
    nodus_math_free(math);
    hash_free(hash);
    return status;
}

static NodusStatus check_shape(const char *type, const NodusTensor *tensor, const NodusTensor *mask)
{
    static const struct {
        const char *type, *shape;
        int rank;
    } rows[] = {{"IMAGE", "[batch, height, width, 3 or 4]", 4},
                {"MASK", "[batch, height, width]", 3},
                {"SIGMAS", "[steps + 1]", 1},
                {"LATENT", "[batch, channels, height, width]", 4}};
    const int rank = nodus_tensor_rank(tensor);
    const int64_t last = nodus_tensor_dim(tensor, rank - 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].type, type)) continue;
        if (rank != rows[i].rank || !nodus_tensor_count(tensor) || (!i && last != 3 && last != 4))
            return nodus_error(NODUS_ERROR_INPUT, "%s is a tensor of shape %s", type, rows[i].shape);
        const int mask_rank = mask ? nodus_tensor_rank(mask) : 3;
        if (mask_rank != 3 && mask_rank != 4)
            return nodus_error(NODUS_ERROR_INPUT, "a noise mask is a tensor of shape [batch, height, width]");
        return NULL;
    }
    return nodus_error(NODUS_ERROR_INPUT, "a tensor cannot be a %s: it may be an IMAGE, MASK, SIGMAS or LATENT", type);
}

NodusStatus given_tensor(NodusEngine *engine, const char *type, const NodusTensor *tensor, const NodusTensor *mask,
                         uint64_t identity[2])
{
    NODUS_TRY(check_shape(type, tensor, mask));
    return hash_content(engine, type, tensor, mask, identity);
}

/* ---- The node -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
} GivenArgs;

static const NodusGiven *find(const NodusCall *call, const char *name)
{
    const Workflow *workflow = call->workflow;
    for (int i = 0; name && i < workflow->given_count; i++)
        if (!strcmp(workflow->given[i].name, name)) return &workflow->given[i];
    return NULL;
}

static NodusStatus missing(NodusCall *call)
{
    return nodus_input_error(
        call, "name",
        "this value existed only within the script that made the workflow: run the script, or put a node that "
        "makes the value in the place of this one");
}

static NodusStatus given_check(NodusCall *call, const void *args)
{
    const GivenArgs *in = args;
    return find(call, in->name) ? NULL : missing(call);
}

static NodusStatus given_fingerprint(NodusCall *call, const void *args, NodusHash *hash)
{
    const GivenArgs *in = args;
    const NodusGiven *given = find(call, in->name);
    if (!given) return missing(call);
    nodus_hash_u64(hash, given->identity[0]);
    nodus_hash_u64(hash, given->identity[1]);
    if (given->local) nodus_hash_u64(hash, call->engine->own);
    return NULL;
}

static NodusStatus given_run(NodusCall *call, const void *args)
{
    const GivenArgs *in = args;
    const NodusGiven *given = find(call, in->name);
    if (!given) return missing(call);
    if (given->local) nodus_keep_local(call);
    return nodus_emit_value(call, 0, given->value);
}

static const NodusInput given_inputs[] = {
    NODUS_IN_STRING("name", GivenArgs, name, "What the script that runs this workflow calls the value.", .def = "")};
static const NodusOutput given_outputs[] = {{.name = "value", .type = "*", .tooltip = "The value, as the script gave it."}};
const NodusNode given_node = {
    NODUS_NODE(GIVEN_CLASS, "Value of a script", "_internal", GivenArgs, given_inputs, given_outputs),
    .help = "Stands for a value that a script gave to its workflow.",
    .check = given_check,
    .fingerprint = given_fingerprint,
    .run = given_run,
};
