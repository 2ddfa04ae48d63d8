/* derived.h: state dicts made from others: patched, merged.
 *
 * One idea: a derived set holds no numbers of its own. What nobody changed is the base's weight, with its packed form; what was
 * changed is a recipe that is carried out whenever the weight is packed: the base's value, then change after change, in f32. So
 * there is never a second copy of a base. A product of two thin matrices (LoRA) need not even be added: it stands beside its
 * weight under the names "….lora.N.down", "….lora.N.scale" and "….lora.N.up", and layers (ops.c) add up·(scale·(down·x)); so the
 * base's packed form serves all.
 *
 *   derived_new ► derived_change, derived_beside … ► derived_finish; any error leaves derived_free to be called. */
#ifndef TENSOR_DERIVED_H
#define TENSOR_DERIVED_H
#include "engine/tensor/weights.h"

typedef struct Derived Derived;

/* One step of a recipe; embedded in the maker's own struct, which lies in derived_alloc's memory. */
typedef struct WeightChange WeightChange;
struct WeightChange {
    NodusStatus (*apply)(const WeightChange *change, const Weight *weight, float *values); /* in place; from any thread */
    Hash128 identity;                                                                      /* of all that it depends on */
};

/* `round_f16`: changed weights are rounded to f16, as text encoders are stored. */
NodusStatus derived_new(WeightSet *base, bool round_f16, Derived **out);
void *derived_alloc(Derived *derived, size_t bytes);           /* zeroed; lives as long as the set */
NodusStatus derived_keep(Derived *derived, WeightSet *source); /* a reference for as long as the set lives */
/* Adds a step to the recipe of weight `index` of the base. Products that the base has beside it become part of the value. */
NodusStatus derived_change(Derived *derived, int index, const WeightChange *change);
/* W += scale·up·down beside weight `index`, a matrix or kernel "….weight"; false in *fits when shapes or dtypes do not allow it.
 * `gate` above 0: times the scalar "lora.gate.GATE", which is bound when a plan runs. */
typedef struct BesidePair { WeightSet *source; int down, up; float scale; int gate; } BesidePair;
NodusStatus derived_beside(Derived *derived, int index, const BesidePair *pair, bool *fits);
/* Another set's weight under a name of its own, among the base's; the derived set must keep that set. A single number
 * becomes an f32 [1], for operations between tensors. */
NodusStatus derived_join(Derived *derived, const char *name, WeightSet *source, int index);
NodusStatus derived_finish(Derived *derived, WeightSet **out); /* frees `derived` */
void derived_free(Derived *derived);                           /* NULL is allowed */

/* Whether a name is of a product beside a weight. */
bool derived_is_beside(const char *name);
/* Whether a product stands beside a weight. */
bool derived_has_beside(const WeightSet *set, int index);
/* Whether a weight has a recipe: its value is not that of the file. What stands beside it is none. */
bool derived_is_changed(const WeightSet *set, int index);
/* A weight's value as f32: with the products beside it, and not rounded. */
NodusStatus derived_read(const WeightSet *set, int index, float *out);
/* values[rows·columns] += scale·up·down, up [rows, rank], down [rank, columns], as f32; sums in f32, the scale applied to the
 * sum. */
void derived_add_product(float *values, int64_t rows, int64_t columns, int64_t rank, const float *up, const float *down,
                         float scale);
/* W ← keep·W + share·V for weight `index`: V is `other`'s weight `other_index` as derived_read sees it, of as many numbers. */
NodusStatus derived_mix(Derived *derived, int index, float keep, WeightSet *other, int other_index, float share);
#endif
