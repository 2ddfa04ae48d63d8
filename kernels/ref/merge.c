/* merge.c: tokens that are alike become one: who goes into whom, and their means.
 *
 * One idea: the tokens that stay are numbered, and every token has the number of the one that it became; so undoing is a look-up
 * (EMBED). */
#include <math.h>
#include <stdlib.h>
#include "kernels/ref/ref.h"

/* A token that may go, and the centre that it is most like. */
typedef struct Goer {
    double likeness;
    int64_t token, into;
} Goer;

/* All that one item needs. */
typedef struct Match {
    double *inverse; /* 1/|x| by token */
    int32_t *place;  /* by token: 1 for a centre; then its number; −1: it goes */
    Goer *goer;
} Match;

static int most_alike_first(const void *a, const void *b)
{
    const Goer *x = a, *y = b;
    if (x->likeness != y->likeness) return x->likeness > y->likeness ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static void measure(const View *x, double *inverse)
{
    for (int64_t t = 0; t < x->dim[0]; t++) {
        const float *row = ref_row(x, t);
        double squares = 0;
        for (int64_t c = 0; c < x->dim[1]; c++) squares += (double)row[c * x->stride[1]] * row[c * x->stride[1]];
        inverse[t] = 1 / sqrt(squares);
    }
}

/* `scores` [T, D], `centre` D tokens of this item. */
static Goer find_centre(const View *scores, int64_t token, const int64_t *centre, const double *inverse)
{
    Goer goer = {-INFINITY, token, centre[0]};
    const float *row = ref_row(scores, token);
    for (int64_t d = 0; d < scores->dim[1]; d++) {
        const double likeness = row[d * scores->stride[1]] * inverse[centre[d]] * inverse[token];
        if (likeness > goer.likeness) goer = (Goer){likeness, token, centre[d]};
    }
    return goer;
}

static void match_item(const View *x, const View *scores, const int64_t *centre, int64_t merged, const Match *match)
{
    int64_t goers = 0;
    int32_t left = 0;
    measure(x, match->inverse);
    for (int64_t t = 0; t < x->dim[0]; t++) match->place[t] = 0;
    for (int64_t d = 0; d < scores->dim[1]; d++) match->place[centre[d]] = 1;
    for (int64_t t = 0; t < x->dim[0]; t++)
        if (!match->place[t]) match->goer[goers++] = find_centre(scores, t, centre, match->inverse);
    qsort(match->goer, (size_t)goers, sizeof *match->goer, most_alike_first);
    for (int64_t i = 0; i < merged; i++) match->place[match->goer[i].token] = -1;
    for (int64_t t = 0; t < x->dim[0]; t++)
        if (match->place[t] >= 0) match->place[t] = left++;
    for (int64_t i = 0; i < merged; i++) match->place[match->goer[i].token] = match->place[match->goer[i].into];
}

static Fault match_tokens(const Op *op)
{
    const View *x = &op->in[0], *centres = &op->in[2];
    const int64_t tokens = x->dim[1], merged = ((const MatchTokensAttrs *)op->attributes)->merged, count = centres->dim[1];
    const Match match = {ref_scratch(tokens), calloc((size_t)tokens + 1, sizeof(int32_t)),
                         calloc((size_t)tokens + 1, sizeof(Goer))};
    int64_t *centre = calloc((size_t)count + 1, sizeof *centre);
    const bool enough = match.inverse && match.place && match.goer && centre;
    for (int64_t n = 0; n < x->dim[0] && enough; n++) {
        const View item = ref_item(x, n), heads = ref_item(&op->in[1], n), scores = ref_item(&heads, 0);
        const int32_t *id = ref_row(centres, n);
        int32_t *y = ref_row(&op->out, n);
        for (int64_t d = 0; d < count; d++) centre[d] = id[d * centres->stride[1]] - n * tokens;
        match_item(&item, &scores, centre, merged, &match);
        for (int64_t t = 0; t < tokens; t++) y[t * op->out.stride[1]] = match.place[t] + (int32_t)(n * (tokens - merged));
    }
    free(match.inverse);
    free(match.place);
    free(match.goer);
    free(centre);
    return enough ? FAULT_NONE : FAULT_MEMORY;
}

/* One item: the sums of all numbers that stay, side by side, with how many they are of. */
static void merge_item(const View *x, const int32_t *number, int64_t stride, int64_t first, double *sums, double *count,
                       const View *y)
{
    const int64_t left = y->dim[0], width = y->dim[1];
    for (int64_t i = 0; i < left * width; i++) sums[i] = 0;
    for (int64_t j = 0; j < left; j++) count[j] = 0;
    for (int64_t t = 0; t < x->dim[0]; t++) {
        const int64_t j = number[t * stride] - first;
        const float *from = ref_row(x, t);
        for (int64_t c = 0; c < width; c++) sums[j * width + c] += from[c * x->stride[1]];
        count[j]++;
    }
    for (int64_t j = 0; j < left; j++) {
        float *to = ref_row(y, j);
        for (int64_t c = 0; c < width; c++) to[c * y->stride[1]] = (float)(sums[j * width + c] / count[j]);
    }
}

static Fault merge_tokens(const Op *op)
{
    const View *x = &op->in[0], *numbers = &op->in[1], *y = &op->out;
    double *sums = ref_scratch(y->dim[1] * (y->dim[2] + 1));
    if (!sums) return FAULT_MEMORY;
    for (int64_t n = 0; n < x->dim[0]; n++) {
        const View from = ref_item(x, n), to = ref_item(y, n);
        merge_item(&from, ref_row(numbers, n), numbers->stride[1], n * y->dim[1], sums, sums + y->dim[1] * y->dim[2], &to);
    }
    free(sums);
    return FAULT_NONE;
}

const RefKernel ref_merge[] = {{OP_MATCH_TOKENS, match_tokens}, {OP_MERGE_TOKENS, merge_tokens}, {OP_COUNT, NULL}};
