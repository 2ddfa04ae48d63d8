/* pool.h: the engine's worker threads. A parallel section is a number of parts handed out by an atomic counter; the caller works
 * too. Parts are cut by shape, so results never depend on the number of threads. Workers flush denormals (FTZ, DAZ); on a
 * caller's thread that mode is saved and restored around a section. Workers spin about 50 µs for more work, then sleep. */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include <nodus/tensor.h>

typedef struct Pool Pool;
NodusStatus pool_new(int threads, Pool **out); /* threads ≥ 1, the caller included */
void pool_free(Pool *pool);
int pool_threads(const Pool *pool);
/* body(state, 0 … parts−1); returns when all are done. Sections of one pool do not overlap: a second caller waits its turn.
 * Called from inside a part it runs inline. */
void pool_each(void *pool, int64_t parts, void (*body)(void *state, int64_t part), void *state);
/* The CPUs that this process may use: affinity and cgroup quota. */
int pool_cpus(void);
#endif
