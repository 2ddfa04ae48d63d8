/* tokens.inc.h: MATCH_TOKENS, MERGE_TOKENS.
 *
 * One idea: what costs time, to look for each token's centre and to add rows, is done token by token on all threads; to sort and to
 * number is little, and done item by item. All sums are ref's, so the bits are too. */

typedef struct TokenMatch {
    double likeness;
    int64_t token, into;
} TokenMatch;

/* Tokens of all items, in the scratch area. */
typedef struct MatchTokens {
    const View *x, *scores, *centres, *y;
    int64_t tokens, merged;
    TokenMatch *match;
    double *inverse; /* 1/|x| */
    int32_t *place;  /* 1 for a centre; then the number; −1: it goes */
} MatchTokens;

static int64_t centre_token(const MatchTokens *m, int64_t item, int64_t d)
{
    const View *c = m->centres;
    return ((const int32_t *)c->data)[item * c->stride[0] + d * c->stride[1]]; /* counted through all items */
}

static void match_measure(void *state, int64_t part)
{
    const MatchTokens *m = state;
    const View *x = m->x;
    const float *row = (const float *)x->data + part / m->tokens * x->stride[0] + part % m->tokens * x->stride[1];
    double squares = 0;
    for (int64_t c = 0; c < x->dim[2]; c++) squares += (double)row[c * x->stride[2]] * row[c * x->stride[2]];
    m->inverse[part] = 1 / sqrt(squares);
    m->place[part] = 0;
}

static void match_find(void *state, int64_t part)
{
    const MatchTokens *m = state;
    const View *s = m->scores;
    const int64_t item = part / m->tokens;
    const float *row = (const float *)s->data + item * s->stride[0] + part % m->tokens * s->stride[2];
    TokenMatch best = {-INFINITY, part, centre_token(m, item, 0)};
    for (int64_t d = 0; d < s->dim[3] && !m->place[part]; d++) {
        const int64_t centre = centre_token(m, item, d);
        const double likeness = row[d * s->stride[3]] * m->inverse[centre] * m->inverse[part];
        if (likeness > best.likeness) best = (TokenMatch){likeness, part, centre};
    }
    m->match[part] = best;
}

static int match_order(const void *a, const void *b)
{
    const TokenMatch *x = a, *y = b;
    if (x->likeness != y->likeness) return x->likeness > y->likeness ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static void match_number(void *state, int64_t item)
{
    const MatchTokens *m = state;
    TokenMatch *goer = m->match + item * m->tokens;
    int32_t *place = m->place + item * m->tokens, left = (int32_t)(item * (m->tokens - m->merged));
    int64_t goers = 0;
    for (int64_t t = 0; t < m->tokens; t++)
        if (!place[t]) goer[goers++] = goer[t];
    qsort(goer, (size_t)goers, sizeof *goer, match_order);
    for (int64_t i = 0; i < m->merged; i++) m->place[goer[i].token] = -1;
    for (int64_t t = 0; t < m->tokens; t++)
        if (place[t] >= 0) place[t] = left++;
    for (int64_t i = 0; i < m->merged; i++) m->place[goer[i].token] = m->place[goer[i].into];
    int32_t *y = (int32_t *)m->y->data + item * m->y->stride[0];
    for (int64_t t = 0; t < m->tokens; t++) y[t * m->y->stride[1]] = place[t];
}

static size_t match_tokens_scratch(const Op *op, int threads)
{
    (void)threads;
    return (size_t)(op->in[0].dim[0] * op->in[0].dim[1]) * (sizeof(TokenMatch) + sizeof(double) + sizeof(int32_t));
}

static void match_tokens_run(const Call *call)
{
    const int64_t items = call->in[0].dim[0], tokens = call->in[0].dim[1], all = items * tokens;
    MatchTokens m = {.x = &call->in[0], .scores = &call->in[1], .centres = &call->in[2], .y = &call->op.out, .tokens = tokens};
    m.merged = ((const MatchTokensAttrs *)call->op.attributes)->merged;
    m.match = call->scratch;
    m.inverse = (double *)(m.match + all);
    m.place = (int32_t *)(m.inverse + all);
    cpu_each(call, all, match_measure, &m);
    if (call->cancel && atomic_load(&call->cancel->set)) return; /* then parts were left out */
    for (int64_t n = 0; n < items; n++)
        for (int64_t d = 0; d < m.centres->dim[1]; d++) m.place[centre_token(&m, n, d)] = 1;
    cpu_each(call, all, match_find, &m);
    if (call->cancel && atomic_load(&call->cancel->set)) return;
    cpu_each(call, items, match_number, &m);
}

/* ---- Means --------------------------------------------------------------------------------------------------------- */

enum { MERGE_CHANNELS = 64 };

/* For each number the first of its tokens, for each token the next one; −1: none. */
typedef struct MergeTokens {
    const View *x, *y;
    int32_t *first, *next;
} MergeTokens;

static void merge_part(void *state, int64_t part)
{
    const MergeTokens *m = state;
    const View *x = m->x, *y = m->y;
    const int64_t item = part / y->dim[1], tokens = x->dim[1], width = x->dim[2];
    float *to = (float *)y->data + item * y->stride[0] + part % y->dim[1] * y->stride[1];
    for (int64_t c = 0; c < width; c += MERGE_CHANNELS) {
        const int64_t channels = smaller(MERGE_CHANNELS, width - c);
        double sums[MERGE_CHANNELS] = {0}, count = 0;
        for (int64_t t = m->first[part]; t >= 0; t = m->next[item * tokens + t], count++) {
            const float *from = (const float *)x->data + item * x->stride[0] + t * x->stride[1] + c * x->stride[2];
            for (int64_t i = 0; i < channels; i++) sums[i] += from[i * x->stride[2]];
        }
        for (int64_t i = 0; i < channels; i++) to[(c + i) * y->stride[2]] = (float)(sums[i] / count);
    }
}

static size_t merge_tokens_scratch(const Op *op, int threads)
{
    (void)threads;
    return (size_t)(op->out.dim[0] * (op->out.dim[1] + op->in[0].dim[1])) * sizeof(int32_t);
}

static void merge_tokens_run(const Call *call)
{
    const View *x = &call->in[0], *ids = &call->in[1], *y = &call->op.out;
    const int64_t all = y->dim[0] * y->dim[1];
    MergeTokens m = {.x = x, .y = y, .first = call->scratch, .next = (int32_t *)call->scratch + all};
    for (int64_t i = 0; i < all; i++) m.first[i] = -1;
    for (int64_t n = 0; n < x->dim[0]; n++)
        for (int64_t t = x->dim[1] - 1; t >= 0; t--) {
            int32_t *first = &m.first[((const int32_t *)ids->data)[n * ids->stride[0] + t * ids->stride[1]]];
            m.next[n * x->dim[1] + t] = *first;
            *first = (int32_t)t;
        }
    cpu_each(call, all, merge_part, &m);
}
