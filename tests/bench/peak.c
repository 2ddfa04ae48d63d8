/* peak.c: the f32 multiply-add peak of the cores that a benchmark uses, so that speeds can be told as a share of it.
 *
 * One idea: twelve independent chains of FMA in registers, written as one asm block, so that no compiler can spill or drop them. Prints GFLOP/s
 * (best of many short rounds, all threads at once) as one number. Usage: peak THREADS */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 40, LOOPS = 400000, CHAINS = 12 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define FMA_CHAINS(register_, zero_)                                                                                         \
    zero_ "1:\n"                                                                                                             \
          "vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "0\n vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "1\n"   \
          "vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "2\n vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "3\n"   \
          "vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "4\n vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "5\n"   \
          "vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "6\n vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "7\n"   \
          "vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "8\n vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "9\n"   \
          "vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "10\n vfmadd231ps %%" register_ "12,%%" register_ "13,%%" register_ "11\n" \
          "dec %0\n jnz 1b\n vzeroupper\n"

static void chains_avx2(long loops)
{
    __asm__ volatile(FMA_CHAINS("ymm", "vzeroall\n") : "+r"(loops)::"cc", "memory");
}

static void chains_avx512(long loops)
{
    __asm__ volatile(FMA_CHAINS("zmm", "vzeroall\n") : "+r"(loops)::"cc", "memory");
}

typedef struct Worker {
    void (*chains)(long);
    double width, best;
} Worker;

static void *work(void *state)
{
    Worker *worker = state;
    for (int i = 0; i < ROUNDS; i++) {
        const double start = now();
        worker->chains(LOOPS);
        const double rate = (double)LOOPS * CHAINS * worker->width * 2 / (now() - start) * 1e-9;
        if (rate > worker->best) worker->best = rate;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > 256) return 2;
    Worker workers[256];
    pthread_t ids[256];
    __builtin_cpu_init();
    const int wide = __builtin_cpu_supports("avx512f");
    if (!wide && !__builtin_cpu_supports("fma")) {
        fprintf(stderr, "peak: this CPU has no FMA\n");
        return 1;
    }
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        workers[i] = (Worker){wide ? chains_avx512 : chains_avx2, wide ? 16 : 8, 0};
        if (pthread_create(&ids[i], NULL, work, &workers[i])) return 1;
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum += workers[i].best;
    }
    printf("%.1f\n", sum);
    return 0;
}
