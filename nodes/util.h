/* util.h: literals as nodes, and values as text: the functions of util.c, which nodes of other packs share under their own names. */
#ifndef NODES_UTIL_H
#define NODES_UTIL_H
#include <nodus/node.h>

#define UTIL_LIMIT 9223372036854775807

typedef struct {
    int64_t value;
} PrimitiveIntArgs;
typedef struct {
    double value;
} PrimitiveFloatArgs;
typedef struct {
    const char *value;
} PrimitiveStringArgs;
typedef struct {
    bool value;
} PrimitiveBooleanArgs;
typedef struct {
    NodusValue *source;
} PreviewAnyArgs;

/* `run` and `infer` of a node that gives its one value; the names of its input and output are its own. */
NodusStatus util_int(NodusCall *call, const void *args);
NodusStatus util_int_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
NodusStatus util_float(NodusCall *call, const void *args);
NodusStatus util_float_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
NodusStatus util_string(NodusCall *call, const void *args);
NodusStatus util_string_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
NodusStatus util_boolean(NodusCall *call, const void *args);
NodusStatus util_boolean_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
/* Shows a value to clients as text, as PreviewAny does; util_preview: `run` of a node that shows its PreviewAnyArgs. */
NodusStatus util_show(NodusCall *call, const NodusValue *value);
NodusStatus util_preview(NodusCall *call, const void *args);
#endif
