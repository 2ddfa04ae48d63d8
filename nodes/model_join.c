/* model_join.c: see model_join.h.
 *
 * One idea: networks find their parts by prefix, so files that were split are put together again by giving each the prefix that
 * it would have in a checkpoint. */
#include "nodes/model_join.h"
#include "engine/base/hash.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <stdio.h>
#include <string.h>

enum { NAME_ROOM = 1024 };

static void release_set(void *set)
{
    weights_unref(set);
}

static NodusStatus join_add(WeightSet *into, const JoinPart *part)
{
    char name[NAME_ROOM];
    const size_t skip = strlen(part->from);
    NODUS_TRY(weights_own(into, release_set, weights_ref(part->set)));
    for (int i = 0; i < weights_count(part->set); i++) {
        const Weight *weight = weights_at(part->set, i);
        if (strncmp(weight->name, part->from, skip) != 0) continue;
        if (snprintf(name, sizeof name, "%s%s", part->to, weight->name + skip) >= (int)sizeof name)
            return nodus_error(NODUS_ERROR_FILE, "the name \"%.60s…\" is too long", weight->name);
        NODUS_TRY(weights_add_like(into, name, 0, NULL, part->set, i));
    }
    return NULL;
}

static NodusStatus join_identify(WeightSet *into, const JoinPart *part, int count)
{
    NodusHash *hash = hash_new();
    if (!hash) return status_memory();
    for (int i = 0; i < count; i++) {
        const Hash128 identity = weights_identity(part[i].set);
        nodus_hash_bytes(hash, &identity, sizeof identity);
        nodus_hash_text(hash, part[i].from);
        nodus_hash_text(hash, part[i].to);
    }
    weights_set_identity(into, hash_value(hash));
    hash_free(hash);
    return NULL;
}

NodusStatus model_join(const JoinPart *part, int count, WeightSet **out)
{
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = join_identify(set, part, count);
    for (int i = 0; i < count && !status; i++) status = join_add(set, &part[i]);
    if (status) weights_unref(set);
    else *out = set;
    return status;
}
