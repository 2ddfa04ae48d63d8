/* pickle.h: the values in a Python pickle, as far as files of tensors need them. Nothing is ever run: a pickle asks for functions
 * by name, and a name that is not among the few below is refused by that name. Hostile input: values, stack and memo are bounded.
 */
#ifndef FORMATS_PICKLE_H
#define FORMATS_PICKLE_H
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "kernels/ops.h"

typedef enum PickleKind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_LIST, /* and tuples */
    PICKLE_DICT, /* its items are key, value, key, value, … */
    PICKLE_NAME, /* a function or class */
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_IGNORED, /* something without tensors */
    PICKLE_MARK
} PickleKind;

typedef struct PickleName PickleName;
typedef struct PickleValue PickleValue;
typedef struct PickleStorage {
    const char *key;
    int dtype;
    int64_t count;
    const uint8_t *data; /* for the caller to fill in */
    size_t bytes;
    struct PickleStorage *next;
} PickleStorage;
typedef struct PickleTensor {
    PickleStorage *storage;
    int dtype, rank;
    int64_t offset, dim[VIEW_RANK], stride[VIEW_RANK]; /* in elements, none negative */
} PickleTensor;
struct PickleValue {
    PickleKind kind;
    union {
        int64_t integer; /* and 0 or 1 for BOOL */
        double number;
        struct {
            const char *text;
            size_t length;
        };
        struct {
            PickleValue **item;
            size_t count, capacity;
        };
        const PickleName *name;
        PickleStorage *storage;
        PickleTensor *tensor;
    };
};

typedef struct Pickle {
    Arena *arena; /* owns all values */
    PickleValue *root;
    PickleStorage *storages; /* all that were named, the last first; a key may be there more than once */
    size_t used;             /* bytes up to and with the STOP */
} Pickle;
NodusStatus pickle_read(const uint8_t *data, size_t size, Pickle *out);
void pickle_free(Pickle *pickle);
/* The value of a text key, the last one given; NULL when absent or `value` is no dictionary. */
const PickleValue *pickle_get(const PickleValue *value, const char *key);
#endif
