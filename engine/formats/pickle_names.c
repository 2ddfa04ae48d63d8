/* pickle_names.c: the functions and classes that a pickle of tensors names, and what "calling" them means here.
 *
 * One idea: a table of names with a role each. A role is a few lines of C that look at the arguments; no name leads to anything
 * else. torch.save writes a tensor as _rebuild_tensor_v2(storage, offset, size, stride, …), a parameter as
 * _rebuild_parameter(tensor, …). Names that old training programs left behind and that hold no weights are ignored, whatever they
 * are called with. */
#include "engine/formats/pickle_inside.h"
#include <string.h>

typedef enum Role {
    ROLE_STORAGE,
    ROLE_DTYPE,
    ROLE_TENSOR,
    ROLE_TENSOR_TYPED,
    ROLE_PARAMETER,
    ROLE_DICT,
    ROLE_SIZE,
    ROLE_IGNORED
} Role;

struct PickleName {
    const char *module, *name;
    Role role;
    int dtype;
};

static const PickleName names[] = {
    {"collections", "OrderedDict", ROLE_DICT, 0},
    {"torch", "BFloat16Storage", ROLE_STORAGE, DTYPE_BF16},
    {"torch", "BoolStorage", ROLE_STORAGE, DTYPE_U8},
    {"torch", "ByteStorage", ROLE_STORAGE, DTYPE_U8},
    {"torch", "CharStorage", ROLE_STORAGE, DTYPE_I8},
    {"torch", "DoubleStorage", ROLE_STORAGE, DTYPE_F64},
    {"torch", "FloatStorage", ROLE_STORAGE, DTYPE_F32},
    {"torch", "HalfStorage", ROLE_STORAGE, DTYPE_F16},
    {"torch", "IntStorage", ROLE_STORAGE, DTYPE_I32},
    {"torch", "LongStorage", ROLE_STORAGE, DTYPE_I64},
    {"torch", "ShortStorage", ROLE_STORAGE, DTYPE_I16},
    {"torch", "UntypedStorage", ROLE_STORAGE, DTYPE_U8},
    {"torch.storage", "UntypedStorage", ROLE_STORAGE, DTYPE_U8},
    {"torch", "bfloat16", ROLE_DTYPE, DTYPE_BF16},
    {"torch", "bool", ROLE_DTYPE, DTYPE_U8},
    {"torch", "float16", ROLE_DTYPE, DTYPE_F16},
    {"torch", "float32", ROLE_DTYPE, DTYPE_F32},
    {"torch", "float64", ROLE_DTYPE, DTYPE_F64},
    {"torch", "float8_e4m3fn", ROLE_DTYPE, DTYPE_F8_E4M3},
    {"torch", "float8_e5m2", ROLE_DTYPE, DTYPE_F8_E5M2},
    {"torch", "int16", ROLE_DTYPE, DTYPE_I16},
    {"torch", "int32", ROLE_DTYPE, DTYPE_I32},
    {"torch", "int64", ROLE_DTYPE, DTYPE_I64},
    {"torch", "int8", ROLE_DTYPE, DTYPE_I8},
    {"torch", "uint8", ROLE_DTYPE, DTYPE_U8},
    {"torch", "Size", ROLE_SIZE, 0},
    {"torch", "device", ROLE_IGNORED, 0},
    {"torch._utils", "_rebuild_parameter", ROLE_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", ROLE_PARAMETER, 0},
    {"torch._utils", "_rebuild_tensor", ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v3", ROLE_TENSOR_TYPED, 0},
    {"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", ROLE_IGNORED, 0},
    {"numpy", "dtype", ROLE_IGNORED, 0},
    {"numpy.core.multiarray", "scalar", ROLE_IGNORED, 0},
    {"numpy._core.multiarray", "scalar", ROLE_IGNORED, 0},
    {"_codecs", "encode", ROLE_IGNORED, 0},
};
enum { NAMES = sizeof names / sizeof *names, NAME_SHOWN = 100, TYPED_ARGUMENT = 6 };

static bool same(const char *word, const char *text, size_t length)
{
    return strlen(word) == length && !memcmp(word, text, length);
}

NodusStatus pickle_name_find(const char *module, size_t module_length, const char *name, size_t name_length,
                             const PickleName **out)
{
    for (int i = 0; i < NAMES; i++)
        if (same(names[i].module, module, module_length) && same(names[i].name, name, name_length)) {
            *out = &names[i];
            return NULL;
        }
    const int shown = (int)(module_length < NAME_SHOWN ? module_length : NAME_SHOWN);
    return nodus_error(
        NODUS_ERROR_FILE,
        "it asks for '%.*s.%.*s', which a file of tensors does not need: it is refused, and nothing of it was run; "
        "use a safetensors file",
        shown, module, (int)(name_length < NAME_SHOWN ? name_length : NAME_SHOWN), name);
}

/* ---- Storages and tensors ------------------------------------------------------------------------------------------- */

NodusStatus pickle_storage(Pickle *pickle, const PickleValue *id, PickleValue **out)
{
    if (id->kind != PICKLE_LIST || id->count < 5) return pickle_damaged("a storage has no proper id");
    PickleValue *const *item = id->item;
    if (item[0]->kind != PICKLE_TEXT || strcmp(item[0]->text, "storage") || item[1]->kind != PICKLE_NAME ||
        item[1]->name->role != ROLE_STORAGE || item[2]->kind != PICKLE_TEXT || strlen(item[2]->text) != item[2]->length ||
        item[4]->kind != PICKLE_INT || item[4]->integer < 0)
        return pickle_damaged("a storage has no proper id");
    if (id->count > 5 && item[5]->kind != PICKLE_NONE)
        return nodus_error(NODUS_ERROR_FILE,
                           "a storage of it is a part of another (written by PyTorch before 0.4); save it again");
    PickleStorage *storage = arena_alloc(pickle->arena, sizeof *storage);
    *out = pickle_new(pickle, PICKLE_STORAGE);
    if (!storage || !*out) return status_memory();
    *storage =
        (PickleStorage){.key = item[2]->text, .dtype = item[1]->name->dtype, .count = item[4]->integer, .next = pickle->storages};
    pickle->storages = storage;
    (*out)->storage = storage;
    return NULL;
}

/* Dimensions or strides. */
static NodusStatus read_numbers(const PickleValue *list, int64_t out[VIEW_RANK], int *count)
{
    if (list->kind != PICKLE_LIST) return pickle_damaged("a tensor's size is no list");
    if (list->count > VIEW_RANK) return nodus_error(NODUS_ERROR_FILE, "a tensor of it has more than %d dimensions", VIEW_RANK);
    for (size_t i = 0; i < list->count; i++) {
        if (list->item[i]->kind != PICKLE_INT || list->item[i]->integer < 0)
            return pickle_damaged("a tensor's size is no number");
        out[i] = list->item[i]->integer;
    }
    *count = (int)list->count;
    return NULL;
}

/* (storage, offset, size, stride, …); the typed kind names its dtype, its storage being plain bytes. */
static NodusStatus make_tensor(Pickle *pickle, bool typed, const PickleValue *arguments, PickleValue **out)
{
    PickleValue *const *item = arguments->item;
    int strides;
    if (arguments->count < (typed ? TYPED_ARGUMENT + 1 : 4) || item[0]->kind != PICKLE_STORAGE || item[1]->kind != PICKLE_INT ||
        item[1]->integer < 0)
        return pickle_damaged("a tensor is called with wrong arguments");
    if (typed && (item[TYPED_ARGUMENT]->kind != PICKLE_NAME || item[TYPED_ARGUMENT]->name->role != ROLE_DTYPE))
        return pickle_damaged("a tensor has no dtype");
    PickleTensor *tensor = arena_alloc(pickle->arena, sizeof *tensor);
    *out = pickle_new(pickle, PICKLE_TENSOR);
    if (!tensor || !*out) return status_memory();
    tensor->storage = item[0]->storage;
    tensor->dtype = typed ? item[TYPED_ARGUMENT]->name->dtype : tensor->storage->dtype;
    tensor->offset = item[1]->integer;
    NODUS_TRY(read_numbers(item[2], tensor->dim, &tensor->rank));
    NODUS_TRY(read_numbers(item[3], tensor->stride, &strides));
    if (strides != tensor->rank) return pickle_damaged("a tensor has not as many strides as dimensions");
    (*out)->tensor = tensor;
    return NULL;
}

/* ---- Calls ---------------------------------------------------------------------------------------------------------- */

/* OrderedDict(), or of a list of pairs (written by Python 2). */
static NodusStatus make_dict(Pickle *pickle, const PickleValue *arguments, PickleValue **out)
{
    *out = pickle_new(pickle, PICKLE_DICT);
    if (!*out) return status_memory();
    const PickleValue *pairs = arguments->count ? arguments->item[0] : NULL;
    if (!pairs) return NULL;
    if (pairs->kind != PICKLE_LIST) return pickle_damaged("an OrderedDict is made of something else than pairs");
    for (size_t i = 0; i < pairs->count; i++) {
        const PickleValue *pair = pairs->item[i];
        if (pair->kind != PICKLE_LIST || pair->count != 2)
            return pickle_damaged("an OrderedDict is made of something else than pairs");
        if (!pickle_append(pickle, *out, pair->item[0]) || !pickle_append(pickle, *out, pair->item[1])) return status_memory();
    }
    return NULL;
}

NodusStatus pickle_name_call(Pickle *pickle, const PickleName *name, const PickleValue *arguments, PickleValue **out)
{
    switch (name->role) {
    case ROLE_DICT: return make_dict(pickle, arguments, out);
    case ROLE_TENSOR: return make_tensor(pickle, false, arguments, out);
    case ROLE_TENSOR_TYPED: return make_tensor(pickle, true, arguments, out);
    case ROLE_IGNORED: *out = pickle_new(pickle, PICKLE_IGNORED); return *out ? NULL : status_memory();
    case ROLE_PARAMETER:
        if (!arguments->count || arguments->item[0]->kind != PICKLE_TENSOR) return pickle_damaged("a parameter is no tensor");
        *out = arguments->item[0];
        return NULL;
    case ROLE_SIZE:
        if (!arguments->count) return pickle_damaged("a Size without numbers");
        *out = arguments->item[0];
        return NULL;
    default:
        return nodus_error(NODUS_ERROR_FILE, "it calls '%s.%s', which is no function of a file of tensors", name->module,
                           name->name);
    }
}
