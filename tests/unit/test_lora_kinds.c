/* Kinds of LoRA on one weight: recorded values of ComfyUI (numerics.md §16) and of LyCORIS (tests/golden/lora_kinds.py); entries of
 * other shapes are left out. */
#include "nodes/lora_patch.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>

enum { MOST_PARTS = 6, MOST_NUMBERS = 512 };

/* One entry of the file: numbers of the formula number `n`, times `factor`, plus `offset`. */
typedef struct Entry {
    const char *tail;
    int rank;
    int64_t dim[5];
    int n;
    float factor, offset;
} Entry;

typedef struct Row {
    const char *name;
    int rank; /* of the weight */
    int64_t dim[4];
    double strength;
    Entry entry[MOST_PARTS];
    double first[6], sum;
} Row;

#define MATRIX 2, {4, 6}
#define KERNEL 4, {4, 6, 3, 3}
#define ALPHA(value_) {".alpha", 1, {1}, 0, 0, value_}
#define E(tail_, n_, rank_, ...) {tail_, rank_, {__VA_ARGS__}, n_, 1, 0}
static const Row rows[] = {
    {"LoRA", MATRIX, 0.7, {E(".lora_up.weight", 1, 2, 4, 2), E(".lora_down.weight", 2, 2, 2, 6), ALPHA(4)},
     {1.724459, -2.094904, -1.184625, 2.400169, 0.566128, -2.546054}, 1.053853},
    {"LoRA without alpha", MATRIX, 0.7, {E(".lora_up.weight", 1, 2, 4, 2), E(".lora_down.weight", 2, 2, 2, 6)},
     {1.358062, -1.175223, -1.055220, 1.447141, 0.682308, -1.622964}, 0.976156},
    {"LoCon", KERNEL, 0.7, {E(".lora_up.weight", 1, 4, 4, 2, 1, 1), E(".lora_down.weight", 2, 4, 2, 6, 3, 3), ALPHA(4)},
     {1.791404, -2.105716, -1.248784, 2.427514, 0.623240, -2.588116}, 1.187386},
    {"LoCon with a kernel between", KERNEL, 0.7,
     {E(".lora_up.weight", 1, 4, 4, 2, 1, 1), E(".lora_down.weight", 2, 4, 2, 6, 1, 1), E(".lora_mid.weight", 3, 4, 2, 2, 3, 3),
     ALPHA(4)},
     {0.765217, -0.688539, -0.587788, 0.840006, 0.371328, -0.935693}, 0.305801},
    {"LoHa", MATRIX, 0.7,
     {E(".hada_w1_a", 1, 2, 4, 2), E(".hada_w1_b", 2, 2, 2, 6), E(".hada_w2_a", 3, 2, 4, 2), E(".hada_w2_b", 4, 2, 2, 6), ALPHA(4)},
     {0.460792, 1.393436, -1.173100, 1.733584, 1.059435, -0.033615}, 7.629830},
    {"LoKr, one side factored", MATRIX, 0.7,
     {E(".lokr_w1", 1, 2, 2, 2), E(".lokr_w2_a", 2, 2, 2, 1), E(".lokr_w2_b", 3, 2, 1, 3), ALPHA(4)},
     {1.508205, -1.809828, -1.041832, 0.148254, 1.839189, -0.622193}, 1.033051},
    {"LoKr, both whole", MATRIX, 0.7, {E(".lokr_w1", 1, 2, 2, 2), E(".lokr_w2", 2, 2, 2, 3), ALPHA(4)},
     {1.388333, -0.772159, -1.189356, 0.228517, 1.144398, -0.523416}, 0.782857},
    {"LoKr with a kernel in the right factor", KERNEL, 0.7,
     {E(".lokr_w1", 1, 2, 2, 2), E(".lokr_w2_a", 2, 2, 2, 2), E(".lokr_w2_b", 3, 2, 2, 3), E(".lokr_t2", 4, 4, 2, 2, 3, 3), ALPHA(4)},
     {1.062941, 0.136928, -1.098226, 0.146073, 1.060584, -0.419373}, 0.951467},
    {"LoKr with a kernel in the right factor, the left one in two", KERNEL, 0.7,
     {E(".lokr_w1_a", 1, 2, 2, 2), E(".lokr_w1_b", 5, 2, 2, 2), E(".lokr_w2_a", 2, 2, 2, 2), E(".lokr_w2_b", 3, 2, 2, 3),
     E(".lokr_t2", 4, 4, 2, 2, 3, 3), ALPHA(4)},
     {0.933841, -0.573938, -0.785943, 0.776467, 0.585856, -0.927436}, 1.015600},
    {"DoRA, a magnitude a row", MATRIX, 0.7,
     {E(".lora_up.weight", 1, 2, 4, 2), E(".lora_down.weight", 2, 2, 2, 6), ALPHA(4), {".dora_scale", 2, {4, 1}, 5, 0.5f, 2}},
     {1.717420, -2.084949, -1.180152, 2.389061, 0.564517, -2.534531}, 0.812517},
    {"DoRA, a magnitude a column", MATRIX, 0.7,
     {E(".lora_up.weight", 1, 2, 4, 2), E(".lora_down.weight", 2, 2, 2, 6), ALPHA(4), {".dora_scale", 2, {1, 6}, 5, 0.5f, 2}},
     {1.289190, -0.558699, -1.339612, 0.950944, 0.447801, -0.869345}, 0.350110},
    {"DoRA as PEFT writes it, a magnitude for the norm of the changed rows (numpy, float64)", MATRIX, 0.7,
     {E(".lora_B.weight", 1, 2, 4, 2), E(".lora_A.weight", 2, 2, 2, 6), ALPHA(4), {".lora_magnitude_vector", 1, {4}, 5, 0.5f, 2}},
     {0.726814, -0.683870, -0.550588, 0.825750, 0.337801, -0.912798}, 0.597417},
    {"OFT", MATRIX, 0.7, {E(".oft_blocks", 1, 3, 2, 2, 2), ALPHA(0)},
     {1.055733, -0.365336, -0.961590, 0.613127, 0.803593, -0.820204}, 1.873316},
    {"difference", MATRIX, 0.7, {E(".diff", 3, 2, 4, 6)}, {1.219549, -0.941254, -0.976999, 1.193015, 0.669572, -1.365557}, 0.562595},
    {"GLoRA", MATRIX, 0.7,
     {E(".a1.weight", 1, 2, 6, 2), E(".a2.weight", 2, 2, 2, 6), E(".b1.weight", 3, 2, 4, 2), E(".b2.weight", 4, 2, 2, 6), ALPHA(3)},
     {0.365604, -2.392015, 0.250792, 2.327389, -0.850535, -2.108216}, -0.827867},
    {"GLoRA on a kernel", KERNEL, 0.7,
     {E(".a1.weight", 1, 4, 6, 2, 1, 1), E(".a2.weight", 2, 4, 2, 6, 1, 1), E(".b1.weight", 3, 4, 4, 2, 1, 1),
     E(".b2.weight", 4, 4, 2, 6, 3, 3), ALPHA(3)},
     {1.599274, -1.352853, -1.250659, 1.675134, 0.818995, -1.886180}, -4.772186},
    {"GLoRA as older files have it, its factors the other way round", MATRIX, 0.7,
     {E(".a2.weight", 1, 2, 6, 2), E(".a1.weight", 2, 2, 2, 6), E(".b2.weight", 3, 2, 4, 2), E(".b1.weight", 4, 2, 2, 6), ALPHA(3)},
     {0.365604, -2.392015, 0.250792, 2.327389, -0.850535, -2.108216}, -0.827867},
    {"OFT at 1", MATRIX, 1, {E(".oft_blocks", 1, 3, 2, 2, 2)}, {1.122416, -0.479613, -0.998825, 0.736999, 0.808908, -0.945446}, 2.887962},
    {"OFT with a cap", MATRIX, 1, {E(".oft_blocks", 1, 3, 2, 2, 2), ALPHA(0.5f)},
     {1.074874, -0.384531, -0.975785, 0.635980, 0.811899, -0.845198}, 2.281248},
    {"BOFT", 2, {8, 3}, 1, {{".oft_blocks", 4, {2, 2, 4, 4}, 1, 0.3f, 0}},
     {-0.241827, -0.203194, 0.294188, 1.350832, -0.877042, -1.124827}, -0.208328},
    {"BOFT of three stages", 2, {8, 3}, 1, {{".oft_blocks", 4, {3, 4, 2, 2}, 1, 0.3f, 0}},
     {0.234095, -0.774811, -0.034434, 1.132924, -0.084242, -1.111216}, -0.094111},
    {"BOFT with a cap, at half", 2, {8, 3}, 0.5, {{".oft_blocks", 4, {2, 2, 4, 4}, 1, 0.3f, 0}, ALPHA(0.4f)},
     {0.902514, -0.300739, -0.825016, 0.555098, 0.723486, -0.741533}, 0.780648},
};
#define ROWS (sizeof rows / sizeof *rows)

static float weight_numbers[MOST_NUMBERS], entry_numbers[MOST_PARTS][MOST_NUMBERS];

static void sure(NodusStatus status)
{
    if (status) fail_msg("%s", nodus_error_message(status));
}

/* sin(1.7·i + 0.37·n), i from 1 */
static size_t formula(float *out, int rank, const int64_t *dim, const Entry *entry)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dim[i];
    assert_true(count <= MOST_NUMBERS);
    for (size_t i = 0; i < count; i++)
        out[i] = entry->factor * (float)sin(1.7 * (double)(i + 1) + 0.37 * entry->n) + entry->offset;
    return count;
}

static WeightSet *set_of(const char *stem, int rank, const int64_t *dim, const Entry *entry, int count, float (*numbers)[MOST_NUMBERS])
{
    char name[128];
    WeightSet *set;
    sure(weights_new(&set));
    weights_set_identity(set, (Hash128){(uint64_t)count, 1});
    for (int i = 0; i < count && entry[i].tail; i++) {
        const int axes = rank ? rank : entry[i].rank;
        const int64_t *sizes = rank ? dim : entry[i].dim;
        const size_t n = formula(numbers[i], axes, sizes, &entry[i]);
        snprintf(name, sizeof name, "%s%s", stem, entry[i].tail);
        sure(weights_add(set, name, DTYPE_F32, axes, sizes, numbers[i], n * sizeof(float), false));
    }
    return set;
}

/* The weight "l.weight" with the patch "x": its numbers; what was left out is *used 0. */
static void patched(const Row *row, float *out, int *used)
{
    const Entry plain = {".weight", 0, {0}, 0, 1, 0};
    WeightSet *base = set_of("l", row->rank, row->dim, &plain, 1, &weight_numbers), *set;
    WeightSet *file = set_of("x", 0, NULL, row->entry, MOST_PARTS, entry_numbers);
    Derived *derived;
    Lora lora;
    bool found = false;
    sure(lora_read(file, &lora));
    assert_int_equal(lora.parts, 1);
    sure(derived_new(base, false, &derived));
    sure(derived_keep(derived, file));
    sure(lora_patch(&lora, derived, base, 0, "x", row->strength, &found));
    assert_true(found);
    sure(derived_finish(derived, &set));
    sure(derived_read(set, weights_find(set, "l.weight"), out));
    *used = lora.used;
    weights_unref(set);
    weights_unref(base);
    weights_unref(file);
}

TEST(every_kind_gives_the_recorded_numbers)
{
    static float out[MOST_NUMBERS];
    for (size_t r = 0; r < ROWS; r++) {
        int used;
        double sum = 0;
        size_t count = 1;
        patched(&rows[r], out, &used);
        if (used != 1) fail_msg("%s: it was left out", rows[r].name);
        for (int i = 0; i < rows[r].rank; i++) count *= (size_t)rows[r].dim[i];
        for (size_t i = 0; i < count; i++) sum += (double)out[i];
        for (int i = 0; i < 6; i++)
            if (!(fabs((double)out[i] - rows[r].first[i]) < 2e-5))
                fail_msg("%s: number %d is %f, not %f", rows[r].name, i, (double)out[i], rows[r].first[i]);
        if (!(fabs(sum - rows[r].sum) < 2e-4)) fail_msg("%s: the sum is %f, not %f", rows[r].name, sum, rows[r].sum);
    }
}

/* Each axis of each entry made longer, shorter, or gone: left out or used, never read beyond its end (under ASan), and what is left out
 * changes nothing. */
TEST(entries_of_other_shapes_change_nothing)
{
    static float out[MOST_NUMBERS], plain[MOST_NUMBERS];
    int left_out = 0;
    for (size_t r = 0; r < ROWS; r++)
        for (int e = 0; e < MOST_PARTS && rows[r].entry[e].tail; e++)
            for (int axis = 0; axis < rows[r].entry[e].rank; axis++)
                for (int by = -1; by <= 2; by++) {
                    Row row = rows[r];
                    int used;
                    if (by == 2) row.entry[e].rank--;
                    else row.entry[e].dim[axis] += by;
                    if (!row.entry[e].rank || row.entry[e].dim[axis] < 1) continue;
                    if (!strcmp(row.entry[e].tail, ".alpha")) continue; /* of more than one number it is an error */
                    patched(&row, out, &used);
                    if (used) continue;
                    left_out++;
                    const Entry formula_0 = {".weight", 0, {0}, 0, 1, 0};
                    const size_t count = formula(plain, row.rank, row.dim, &formula_0);
                    assert_memory_equal(out, plain, count * sizeof *out);
                }
    assert_true(left_out > 60);
}

TEST_MAIN(CASE(every_kind_gives_the_recorded_numbers), CASE(entries_of_other_shapes_change_nothing))
