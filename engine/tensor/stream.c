/* stream.c: see stream.h.
 *
 * The helper and the run share one lock and two numbers: how many segments are fetched, and how many are done with. The helper fetches segment
 * n when it is less than `buffers` ahead of the computing. The weights of a segment are handed out one by one, so that the run helps when it
 * has to wait. */
#include <pthread.h>
#include "engine/base/memory.h"
#include "engine/tensor/budget.h"
#include "engine/tensor/stream.h"

enum { STREAM_BUFFERS = 2, RESERVE_SHARE = 16, RESERVE_MOST = 64 << 20 };

struct Stream {
    NodusMath *math;
    const Plan *plan;
    const void **packed;
    int resident; /* segments whose weights stay in the store */
    int buffers;  /* 0: all are resident */
    size_t buffer_bytes;
    Loan *window;
    int asked; /* segments that stream_next was called for */
    bool threaded;
    pthread_t helper;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    int fetched, computed; /* segments */
    size_t taken, left;    /* of the segment being fetched: weights handed out, weights not there yet */
    bool stop;
    NodusStatus status; /* the first failure */
};

/* ---- What stays ---- */

/* What this run may pin: the limit, less what others have pinned, less a reserve for what the budget does not see. */
static size_t stream_room(NodusMath *math)
{
    Budget *budget = weight_store_budget(math->weights);
    const size_t limit = budget_limit(budget), pinned = budget_pinned(budget), share = limit / RESERVE_SHARE;
    const size_t reserve = share < RESERVE_MOST ? share : RESERVE_MOST;
    return pinned + reserve < limit ? limit - reserve - pinned : 0;
}

static size_t stream_largest(const Plan *plan, int from)
{
    size_t largest = 0;
    for (int i = from; i < plan->segment_count; i++)
        if (plan->segments[i].bytes > largest) largest = plan->segments[i].bytes;
    return largest;
}

NodusStatus stream_check(NodusMath *math, const Plan *plan)
{
    const size_t room = stream_room(math), weights = stream_largest(plan, 0), mega = 1000000;
    if (plan->arena_bytes <= room && weights <= room - plan->arena_bytes) return NULL;
    return nodus_error(NODUS_ERROR_MEMORY,
                       "out of memory: this needs %zu MB at once (%zu MB of work space, %zu MB of weights), but of the memory limit of %zu MB only %zu MB "
                       "are free; raise the limit (--memory), or make picture or batch smaller",
                       (plan->arena_bytes + weights) / mega + 1, plan->arena_bytes / mega, weights / mega, budget_limit(weight_store_budget(math->weights)) / mega,
                       room / mega);
}

/* The longest prefix that leaves room for the buffers of the rest. */
static void stream_decide(Stream *stream, size_t room)
{
    const Plan *plan = stream->plan;
    size_t prefix = 0;
    stream->resident = 0;
    stream->buffers = 1;
    stream->buffer_bytes = stream_largest(plan, 0);
    for (int i = 0; i <= plan->segment_count; i++) {
        const size_t largest = stream_largest(plan, i);
        if (prefix + STREAM_BUFFERS * largest <= room) {
            stream->resident = i;
            stream->buffers = largest ? STREAM_BUFFERS : 0;
            stream->buffer_bytes = largest;
        }
        if (i < plan->segment_count) prefix += plan->segments[i].bytes;
    }
}

/* ---- Fetching ---- */

static NodusStatus stream_weight(Stream *stream, int segment, size_t number)
{
    const Plan *plan = stream->plan;
    const PlanWeight *weight = &plan->packed[number];
    const Op *op = &plan->ops[weight->op];
    if (segment < stream->resident || !weight->bytes)
        return weights_pin(stream->math->weights, plan->weights, weight->index, plan->device, op, weight->input, &stream->packed[number]);
    char *to = (char *)loan_memory(stream->window) + (size_t)(segment % stream->buffers) * stream->buffer_bytes + weight->at;
    stream->packed[number] = to;
    return weights_pack(plan->weights, weight->index, plan->device, op, weight->input, to);
}

/* With the lock: fetches one weight of the segment that is on, if one is left to be handed out. */
static bool stream_take(Stream *stream)
{
    const int segment = stream->fetched;
    const PlanSegment *at = &stream->plan->segments[segment];
    if (segment >= stream->plan->segment_count || stream->status || stream->taken >= at->weight_count) return false;
    const size_t number = at->first_weight + stream->taken++;
    pthread_mutex_unlock(&stream->lock);
    NodusStatus status = math_cancelled(stream->math);
    if (!status) status = stream_weight(stream, segment, number);
    pthread_mutex_lock(&stream->lock);
    if (stream->status) nodus_error_free(status);
    else stream->status = status;
    stream->left--;
    return true;
}

/* With the lock: may the next segment be fetched? Its buffer must be free. */
static bool stream_may_fetch(const Stream *stream)
{
    const int next = stream->fetched;
    return next < stream->plan->segment_count && (next < stream->resident || next - stream->computed < stream->buffers);
}

/* With the lock: fetches what may be fetched; true if something came of it. */
static bool stream_fetch(Stream *stream)
{
    if (stream->status || !stream_may_fetch(stream)) return false;
    if (stream_take(stream)) return true;
    if (stream->left || stream->status) return false; /* another thread has the last one in hand */
    stream->fetched++;
    stream->taken = 0;
    stream->left = stream->fetched < stream->plan->segment_count ? stream->plan->segments[stream->fetched].weight_count : 0;
    pthread_cond_broadcast(&stream->changed);
    return true;
}

static void *stream_help(void *state)
{
    Stream *stream = state;
    pthread_mutex_lock(&stream->lock);
    while (!stream->stop && !stream->status && stream->fetched < stream->plan->segment_count)
        if (!stream_fetch(stream)) pthread_cond_wait(&stream->changed, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
    return NULL;
}

/* ---- For the run ---- */

NodusStatus stream_open(NodusMath *math, const Plan *plan, Stream **out)
{
    Stream *stream = memory_alloc(sizeof *stream);
    if (!stream) return status_memory();
    stream->math = math;
    stream->plan = plan;
    stream->left = plan->segment_count ? plan->segments[0].weight_count : 0;
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->changed, NULL);
    stream_decide(stream, stream_room(math));
    stream->packed = memory_array(plan->packed_count + 1, sizeof *stream->packed);
    NodusStatus status = stream->packed ? NULL : status_memory();
    if (!status && stream->buffers)
        status = lender_borrow(plan_cache_lender(math->plans), plan->device, (size_t)stream->buffers * stream->buffer_bytes, &stream->window);
    if (status) {
        stream_close(stream);
        return status;
    }
    /* Without a helper the run fetches all by itself, which is slower and the same. */
    stream->threaded = stream->buffers && pthread_create(&stream->helper, NULL, stream_help, stream) == 0;
    *out = stream;
    return NULL;
}

NodusStatus stream_next(Stream *stream, const void *const **packed)
{
    pthread_mutex_lock(&stream->lock);
    const int wanted = stream->asked++;
    stream->computed = wanted;
    pthread_cond_broadcast(&stream->changed);
    while (stream->fetched <= wanted && !stream->status)
        if (!stream_fetch(stream)) pthread_cond_wait(&stream->changed, &stream->lock);
    NodusStatus status = stream->fetched <= wanted ? stream->status : NULL;
    if (status) stream->status = NULL, stream->stop = true;
    pthread_mutex_unlock(&stream->lock);
    *packed = stream->packed;
    return status;
}

void stream_close(Stream *stream)
{
    if (!stream) return;
    pthread_mutex_lock(&stream->lock);
    stream->stop = true;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
    if (stream->threaded) pthread_join(stream->helper, NULL);
    const Plan *plan = stream->plan;
    for (int i = 0; i < plan->segment_count && stream->packed; i++) {
        const PlanSegment *segment = &plan->segments[i];
        for (size_t k = segment->first_weight; k < segment->first_weight + segment->weight_count; k++)
            if (i < stream->resident && stream->packed[k]) weights_unpin(stream->math->weights, stream->packed[k]);
    }
    lender_return(stream->window);
    nodus_error_free(stream->status);
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->lock);
    memory_free(stream->packed);
    memory_free(stream);
}
