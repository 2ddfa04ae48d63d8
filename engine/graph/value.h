/* value.h: what passes along links: values, lists of values, and the result of a node.
 *
 * One idea: a value never changes once it exists and is counted, so threads, cache and runs share it without a copy. A result is
 * what one node gave: a list of values a slot, and what clients see. It is counted too: cache and run hold the same one. */
#ifndef GRAPH_VALUE_H
#define GRAPH_VALUE_H
#include "engine/base/hash.h"
#include "engine/base/text.h"
#include <nodus/node.h>
#include <stdatomic.h>

typedef enum ValueKind {
    VALUE_INT, /* sign and magnitude: the whole range of int64_t and uint64_t */
    VALUE_FLOAT,
    VALUE_BOOLEAN,
    VALUE_STRING,
    VALUE_JSON, /* a literal that is none of these (null, a list, an object): compact JSON text */
    VALUE_PAYLOAD,
    VALUE_BLOCKER /* whoever depends on it does not run; text: NULL or the reason */
} ValueKind;

struct NodusValue {
    atomic_int references;
    uint8_t kind;
    bool negative, wide; /* VALUE_INT; wide: a uint64_t by type (a seed) */
    const NodusType *type;
    union {
        uint64_t magnitude;
        double number;
        bool truth;
        char *text;
        void *payload;
    } as;
};

extern const NodusType value_type_int, value_type_float, value_type_boolean, value_type_string, value_type_combo, value_type_any;

NodusStatus value_integer(bool negative, uint64_t magnitude, bool wide, NodusValue **out);
NodusStatus value_float(double number, NodusValue **out);
NodusStatus value_boolean(bool truth, NodusValue **out);
NodusStatus value_text(ValueKind kind, const char *text, NodusValue **out);        /* STRING, JSON, BLOCKER */
NodusStatus value_payload(const NodusType *type, void *payload, NodusValue **out); /* owns the payload, also on failure */
NodusValue *value_ref(NodusValue *value);
void value_unref(NodusValue *value); /* NULL is allowed */

void value_print(const NodusValue *value, Text *out); /* as PreviewAny shows it */
void value_short(const NodusValue *value, Text *out); /* JSON for messages: numbers as they are, texts cut, others printed */
void value_hash(const NodusValue *value, NodusHash *hash);

/* A text buffer that belongs to a call. */
struct NodusText {
    Text text;
    NodusText *next;
};

/* The storages that a result holds, each once. */
typedef struct AccountItem {
    const void *identity;
    size_t bytes;
} AccountItem;
struct NodusAccount {
    AccountItem *item;
    size_t count, capacity, own; /* own: bytes of the values themselves */
    double seconds;              /* what it took to make them */
    bool failed;
};
void account_free(NodusAccount *account);

typedef struct Slot {
    NodusValue **item; /* `one` while there is a single value: most slots need no array */
    NodusValue *one;
    uint32_t count, capacity;
} Slot;

typedef struct Result {
    atomic_int references;
    double seconds;
    char *ui; /* JSON object, or NULL */
    bool local; /* never on disk: making it did something that each process is to do */
    uint32_t slots;
    Slot slot[];
} Result;

NodusStatus result_new(uint32_t slots, Result **out);
Result *result_ref(Result *result);
void result_unref(Result *result);                                           /* NULL is allowed */
NodusStatus result_append(Result *result, uint32_t slot, NodusValue *value); /* takes the reference over, also on failure */
NodusStatus result_account(const Result *result, NodusAccount *account);
NodusList slot_list(const Slot *slot);
#endif
