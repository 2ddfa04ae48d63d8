/* support_lab.h: an engine in a folder of its own, for tests of nodes: run a workflow, look at what clients see, at values and files. */
#ifndef TESTS_SUPPORT_LAB_H
#define TESTS_SUPPORT_LAB_H
#include <nodus/nodus.h>

typedef struct Lab {
    char folder[64]; /* holds input/, output/, temp/, models/; removed by lab_close */
    NodusEngine *engine;
    NodusRunOptions options; /* of the next runs */
    char ui[4096], error[1024], warning[1024]; /* of the last run; errors and warnings: the last one */
} Lab;

/* `nodes`: NULL, or further nodes, NULL-terminated. The demo model is in reach. */
NodusStatus lab_open(Lab *lab, const NodusNode *const *nodes);
void lab_close(Lab *lab);
NodusOutcome lab_run(Lab *lab, const char *json);
/* Runs a workflow and gives the array of a node's slot. */
typedef struct LabArray { int64_t dim[NODUS_MAX_RANK]; size_t count; float *data; } LabArray; /* free(data) */
NodusStatus lab_array(Lab *lab, const char *json, const char *node, uint32_t slot, const char *part, LabArray *out);
/* A NumPy file of the repository, such as tests/golden/x.npy. */
NodusStatus lab_recorded(const char *path, LabArray *out);
/* max |a - b|; arrays of different sizes are not compared, NAN; frees both. */
double lab_farthest(LabArray a, LabArray b);
double lab_apart(const float *got, const float *want, size_t count); /* |got - want| / |want| */
/* lab->folder/name, in a buffer that the fourth call after it reuses. */
const char *lab_path(const Lab *lab, const char *name);

/* setup and teardown of a program with one static `lab`; `open_`: a NodusStatus, of lab_open and what the tests need besides. */
#define LAB_FIXTURE(open_)            \
    static int setup(void **state)    \
    {                                 \
        (void)state;                  \
        return lab_told(open_);       \
    }                                 \
    static int teardown(void **state) \
    {                                 \
        (void)state;                  \
        lab_close(&lab);              \
        return 0;                     \
    }
int lab_told(NodusStatus status); /* 0, or −1 when it is an error, which is printed and freed */
#endif
