/* node.h: write nodes. The one node ABI: built-in nodes, plug-ins and nodes made in Lua all use it.
 *
 * One idea: a node is a static table plus a function. The table says everything about the node — inputs with type, default,
 * range and help; outputs; flags — and validation, the command line, /object_info, Lua and the reference docs read it. At run
 * time the inputs land in a plain struct of the node's own, so the function is ordinary typed C:
 *
 *     static NodusStatus image_invert(NodusCall *call, const void *args)
 *     {
 *         const ImageInvertArgs *in = args;
 *         NodusTensor *out;
 *         NODUS_TRY(nodus_tensor_affine(nodus_math(call), &out, in->image, -1, 1));
 *         return nodus_emit_tensor(call, 0, "IMAGE", out);
 *     }
 *
 * What a function allocates through its call (nodus_alloc, eager math) is freed when it returns, unless it was emitted; so an
 * early return leaks nothing. A function may run on any thread, and for several calls at once: it keeps no state. */
#ifndef NODUS_NODE_H
#define NODUS_NODE_H

#include <nodus/diffusion.h>
#include <nodus/op.h>
#include <nodus/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NODUS_NODE_ABI 1 /* rises when a layout below changes other than by appending */

typedef struct NodusCall NodusCall;       /* one call of one node */
typedef struct NodusValue NodusValue;     /* an emitted value: immutable, reference-counted */
typedef struct NodusAccount NodusAccount; /* collects the memory that a value holds */
typedef struct NodusText NodusText;       /* collects text */
typedef struct NodusWriter NodusWriter;   /* a value on its way to disk, and back */
typedef struct NodusReader NodusReader;
typedef struct NodusGraph NodusGraph;     /* nodes that a node returns instead of a result */
typedef struct NodusPending NodusPending; /* a result that is still to come */

/* ---- Types -------------------------------------------------------------------------------------------------------- */

/* The type of values on a socket. Static; registered once an engine. Any function may be NULL except `free`. */
typedef struct NodusType {
    uint32_t struct_size;
    const char *name; /* "LATENT"; upper case */
    void (*free)(void *payload);
    /* Reports each piece of memory by its identity, so that shared storage counts once: nodus_account. */
    void (*account)(const void *payload, NodusAccount *account);
    /* A short text for people. NULL: the type's name. */
    NodusStatus (*print)(const void *payload, NodusText *text);
    /* To disk and back. NULL: the value is never on disk and never in another process. */
    NodusStatus (*store)(const void *payload, NodusWriter *writer);
    NodusStatus (*load)(NodusReader *reader, void **payload);
    /* The array that `--dump` writes; `part` is NULL or the text after the dot ("pooled", "noise_mask"). The tensor is
     * borrowed from the payload. NULL: the type has none. */
    NodusStatus (*array)(const void *payload, const char *part, const NodusTensor **out);
    uint32_t version; /* of what `store` writes: raise it when that changes */
} NodusType;

/* What `store` writes and `load` reads, in the same order. The form is the engine's: little-endian, checked by a hash, so a
 * reader sees exactly what was written by the same `version` of the type; sizes are checked all the same. A NULL tensor or text is
 * written as absent and read as NULL. What is read belongs to the caller: tensors (nodus_tensor_unref), texts
 * (nodus_free). Format: engine/graph/record.h. */
NODUS_API NodusStatus nodus_write_u64(NodusWriter *writer, uint64_t value);
NODUS_API NodusStatus nodus_write_double(NodusWriter *writer, double value);
NODUS_API NodusStatus nodus_write_text(NodusWriter *writer, const char *text);
NODUS_API NodusStatus nodus_write_tensor(NodusWriter *writer, const NodusTensor *tensor);
NODUS_API NodusStatus nodus_read_u64(NodusReader *reader, uint64_t *value);
NODUS_API NodusStatus nodus_read_double(NodusReader *reader, double *value);
NODUS_API NodusStatus nodus_read_text(NodusReader *reader, char **text);
NODUS_API NodusStatus nodus_read_tensor(NodusReader *reader, NodusTensor **tensor);

/* `bytes` of memory at `identity` on `device` ("cpu"). Reported twice, it counts once. */
NODUS_API void nodus_account(NodusAccount *account, const void *identity, const char *device, size_t bytes);
NODUS_API void nodus_account_tensor(NodusAccount *account, const NodusTensor *tensor); /* NULL is allowed */
NODUS_API NodusStatus nodus_print(NodusText *text, const char *format, ...) NODUS_PRINTF(2, 3);

/* ---- Inputs ------------------------------------------------------------------------------------------------------- */

/* `kind` decides the C type of the field at `offset`. */
typedef enum NodusInputKind {
    NODUS_INT,     /* int64_t */
    NODUS_SEED,    /* uint64_t: an INT of 0 … 2^64−1 */
    NODUS_FLOAT,   /* double */
    NODUS_BOOLEAN, /* bool */
    NODUS_STRING,  /* const char *, UTF-8 */
    NODUS_COMBO,   /* const char *: the name, never an index */
    NODUS_LINK,    /* const Payload *: NULL when not given, or lazy and not asked for. With NODUS_WHOLE_LIST: NodusList */
    NODUS_ANY,     /* NodusValue *: a link or a literal of any type ("*") */
    NODUS_HIDDEN   /* const char *, by `type`: "PROMPT" and "EXTRA_PNGINFO" as JSON text with Python's separators
                    * (NULL when absent), "UNIQUE_ID" the node's id */
} NodusInputKind;

enum { /* NodusInput.flags */
    NODUS_OPTIONAL = 1,
    NODUS_LAZY = 2,        /* evaluated only when `wants` asks */
    NODUS_FORCE_INPUT = 4, /* a socket although the type has a widget */
    NODUS_WHOLE_LIST = 8,  /* the whole list of the slot (NodusList), in a node that TAKES_LISTS */
    NODUS_RAW_LINK = 16,   /* the link itself, not its value */
    NODUS_CONTROL = 32,    /* the widget has a companion "control after generate" */
    NODUS_UPLOAD = 64      /* a combo of input pictures: clients offer an upload, and a file may appear after listing */
};

typedef struct NodusList {
    NodusValue *const *item;
    uint32_t count;
} NodusList;

/* Where a value comes from. An input with NODUS_RAW_LINK gets one (`const NodusRawLink *`, NULL when it is not given) instead of a
 * value; with NODUS_LAZY the source does not run for it. Meant for nodes that expand: nodus_graph_outside passes it on. */
typedef struct NodusRawLink {
    const char *node; /* NULL: no link, but a literal, or nothing */
    uint32_t slot;
    bool child;       /* `node` is a child of the graph at hand */
    NodusList list;   /* of a literal, its value; of a link, its values, unless it is lazy */
    const char *name; /* of a literal: what its payload goes by, for the engine */
    const char *json; /* of a literal without a list: its text, as in a prompt */
} NodusRawLink;

#define NODUS_NO_ROUND (-1.0) /* clients keep a typed number as it is */

typedef struct NodusInput {
    const char *name, *type, *tooltip;
    uint32_t kind, flags;
    size_t offset;
    union {
        struct { int64_t def, min, max, step; } i;
        struct { uint64_t def, min, max, step; } u;
        struct { double def, min, max, step, round; } f; /* min = max = 0: no limits; round: or NODUS_NO_ROUND */
        struct { const char *def; bool multiline, dynamic; } s;
        /* `names`: a NULL-terminated list; or `folder`: a model folder ("checkpoints"), "input", "@samplers" or "@schedulers".
         * `def` NULL: the first. */
        struct { const char *def, *folder; const char *const *names; } c;
        bool b;
        uint64_t reserved[8]; /* fixes the stride for the life of the ABI */
    } as;
} NodusInput;

#define NODUS_FIELD_(Args, field) .offset = offsetof(Args, field)
#define NODUS_FLAG_INT(f_, n_, A_, m_, h_, ...) \
    { .name = n_, .type = "INT", .tooltip = h_, .kind = NODUS_INT, .flags = f_, NODUS_FIELD_(A_, m_), .as.i = {__VA_ARGS__} }
#define NODUS_FLAG_SEED(f_, n_, A_, m_, h_, ...) \
    { .name = n_, .type = "INT", .tooltip = h_, .kind = NODUS_SEED, .flags = f_, NODUS_FIELD_(A_, m_), .as.u = {__VA_ARGS__} }
#define NODUS_FLAG_FLOAT(f_, n_, A_, m_, h_, ...) \
    { .name = n_, .type = "FLOAT", .tooltip = h_, .kind = NODUS_FLOAT, .flags = f_, NODUS_FIELD_(A_, m_), .as.f = {__VA_ARGS__} }
#define NODUS_FLAG_BOOLEAN(f_, n_, A_, m_, h_, d_) \
    { .name = n_, .type = "BOOLEAN", .tooltip = h_, .kind = NODUS_BOOLEAN, .flags = f_, NODUS_FIELD_(A_, m_), .as.b = d_ }
#define NODUS_FLAG_STRING(f_, n_, A_, m_, h_, ...) \
    { .name = n_, .type = "STRING", .tooltip = h_, .kind = NODUS_STRING, .flags = f_, NODUS_FIELD_(A_, m_), .as.s = {__VA_ARGS__} }
#define NODUS_FLAG_COMBO(f_, n_, A_, m_, h_, ...) \
    { .name = n_, .type = "COMBO", .tooltip = h_, .kind = NODUS_COMBO, .flags = f_, NODUS_FIELD_(A_, m_), .as.c = {__VA_ARGS__} }
#define NODUS_FLAG_LINK(f_, n_, A_, m_, t_, h_) \
    { .name = n_, .type = t_, .tooltip = h_, .kind = NODUS_LINK, .flags = f_, NODUS_FIELD_(A_, m_) }
#define NODUS_FLAG_ANY(f_, n_, A_, m_, h_) \
    { .name = n_, .type = "*", .tooltip = h_, .kind = NODUS_ANY, .flags = f_, NODUS_FIELD_(A_, m_) }
/* Without flags: NODUS_IN_INT("width", Args, width, "Width in pixels.", .def = 512, .min = 16, .max = 16384, .step = 8). */
#define NODUS_IN_INT(...) NODUS_FLAG_INT(0, __VA_ARGS__)
#define NODUS_IN_SEED(...) NODUS_FLAG_SEED(NODUS_CONTROL, __VA_ARGS__)
#define NODUS_IN_FLOAT(...) NODUS_FLAG_FLOAT(0, __VA_ARGS__)
#define NODUS_IN_BOOLEAN(...) NODUS_FLAG_BOOLEAN(0, __VA_ARGS__)
#define NODUS_IN_STRING(...) NODUS_FLAG_STRING(0, __VA_ARGS__)
#define NODUS_IN_COMBO(...) NODUS_FLAG_COMBO(0, __VA_ARGS__)
#define NODUS_IN_LINK(...) NODUS_FLAG_LINK(0, __VA_ARGS__)
#define NODUS_IN_ANY(...) NODUS_FLAG_ANY(0, __VA_ARGS__)
#define NODUS_IN_HIDDEN(n_, A_, m_, t_) \
    { .name = n_, .type = t_, .tooltip = "", .kind = NODUS_HIDDEN, .flags = NODUS_OPTIONAL, NODUS_FIELD_(A_, m_) }

/* ---- Outputs and nodes -------------------------------------------------------------------------------------------- */

enum { NODUS_OUT_LIST = 1 }; /* NodusOutput.flags: the node emits a list into this slot */
typedef struct NodusOutput {
    const char *name, *type, *tooltip;
    uint32_t flags;
} NodusOutput;

enum { /* NodusNode.flags */
    NODUS_OUTPUT = 1,         /* a root of execution: writes a file, shows something */
    NODUS_TAKES_LISTS = 2,    /* one call with whole lists, instead of one call an element */
    NODUS_VARIADIC = 4,       /* takes undeclared links and literals */
    NODUS_NOT_IDEMPOTENT = 8, /* equal inputs may give different results: never shared */
    NODUS_IO = 16,            /* waits for files rather than computes: runs beside compute nodes */
    NODUS_EXPERIMENTAL = 32,
    NODUS_DEPRECATED = 64
};

/* What is known of a value before anything runs. 0 or NULL: unknown. */
typedef struct NodusFacts {
    uint32_t struct_size;
    int rank;
    int64_t dim[NODUS_MAX_RANK]; /* of samples, pixels, mask */
    const char *family;          /* "sd1", "sdxl", … of a model, clip, vae or conditioning */
    int channels;                /* of the latents that a model or VAE works on */
    int scale;                   /* pixels a latent cell, of a model or VAE */
    const char *file;            /* where the weights of a model, clip or vae are, then "\nPATH" for each network that guides; the
                                  * engine copies what `infer` sets */
    uint64_t reserved[4];        /* fixes the stride for the life of the ABI */
} NodusFacts;

/* What a node will need, for the estimate before a run. Bytes of host memory. */
typedef struct NodusCost {
    uint32_t struct_size;
    size_t weights; /* packed weights that it uses and that are not in memory yet, if all stay */
    size_t work;    /* arenas and temporaries at the peak of its function, without the weights */
    size_t result;  /* of the values it emits */
    double flop;
    uint64_t network; /* equal for nodes that use the same weights: they count once */
} NodusCost;

typedef struct NodusNode {
    uint32_t struct_size, version, flags; /* version: raise it when results change */
    const char *name, *title, *category, *help, *example;
    const NodusInput *inputs;
    uint32_t input_count;
    const NodusOutput *outputs;
    uint32_t output_count;
    size_t args_size;
    /* Does the work. NULL: the node is known but not built. */
    NodusStatus (*run)(NodusCall *call, const void *args);
    /* Literals only, before anything runs: nodus_input_error for a value that no range can express. Links are NULL. */
    NodusStatus (*check)(NodusCall *call, const void *args);
    /* Adds files and other outside state to the node's signature. */
    NodusStatus (*fingerprint)(NodusCall *call, const void *args, NodusHash *hash);
    /* Lazy inputs: sets the bits (by input index) that are still needed. */
    NodusStatus (*wants)(NodusCall *call, const void *args, uint64_t *inputs);
    /* Facts of the outputs from those of the inputs (`in`: one a declared input, struct_size 0 where it is not linked), literals and file
     * headers. Sockets are NULL in `args`; a linked number, text or choice has its value there, else the function is not called; a linked
     * seed is its default. nodus_input_error for what would certainly fail refuses the node before anything runs; other errors are left
     * to the run. Numbers and texts may be emitted: they are then known to readers. */
    NodusStatus (*infer)(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
    /* What the function will need, as far as facts tell; fields that are not known stay 0. NULL: no more than its values. */
    NodusStatus (*cost)(NodusCall *call, const void *args, const NodusFacts *in, NodusCost *out);
    /* For tables that a program makes (nodes in another language): what nodus_call_data gives the functions above. */
    const void *data;
} NodusNode;

/* NODUS_NODE(name, title, category, Args, inputs array, outputs array): the fixed part of a node's table. */
#define NODUS_COUNT_(a_) ((uint32_t)(sizeof(a_) / sizeof((a_)[0])))
#define NODUS_NODE(n_, t_, c_, A_, in_, out_)                                                                       \
    .struct_size = sizeof(NodusNode), .name = n_, .title = t_, .category = c_, .inputs = in_,                       \
    .input_count = NODUS_COUNT_(in_), .outputs = out_, .output_count = NODUS_COUNT_(out_), .args_size = sizeof(A_)
/* The same for an output node without output slots. */
#define NODUS_NODE_END(n_, t_, c_, A_, in_)                                                                         \
    .struct_size = sizeof(NodusNode), .name = n_, .title = t_, .category = c_, .inputs = in_,                       \
    .input_count = NODUS_COUNT_(in_), .args_size = sizeof(A_)

/* ---- Within a call ------------------------------------------------------------------------------------------------ */

/* Emits `payload` into `slot`; the value owns it from now on, also when this fails. Called again it appends to the list. */
NODUS_API NodusStatus nodus_emit(NodusCall *call, uint32_t slot, const NodusType *type, void *payload);
/* The same for the types that every engine has. nodus_emit_tensor takes a reference of its own; `type` is "IMAGE", "MASK",
 * "SIGMAS" or another registered type whose payload is a tensor. */
NODUS_API NodusStatus nodus_emit_tensor(NodusCall *call, uint32_t slot, const char *type, const NodusTensor *tensor);
/* The payload of a LATENT (a link into a const void *): its samples [b, c, h, w], borrowed. And a LATENT of
 * other samples, which it references: its noise mask is that of `like`, a payload or NULL, and so are the numbers of its noises where
 * the batch is as large. */
NODUS_API const NodusTensor *nodus_latent_samples(const void *latent);
NODUS_API NodusStatus nodus_emit_latent(NodusCall *call, uint32_t slot, const void *like, const NodusTensor *samples);
NODUS_API NodusStatus nodus_emit_int(NodusCall *call, uint32_t slot, int64_t value);
NODUS_API NodusStatus nodus_emit_uint(NodusCall *call, uint32_t slot, uint64_t value);
NODUS_API NodusStatus nodus_emit_float(NodusCall *call, uint32_t slot, double value);
NODUS_API NodusStatus nodus_emit_boolean(NodusCall *call, uint32_t slot, bool value);
NODUS_API NodusStatus nodus_emit_string(NodusCall *call, uint32_t slot, const char *text);
/* A GUIDER with a rule of its own (diffusion.h): `model` is the payload of a MODEL, `conditioning` has those of 1 to 3
 * CONDITIONINGs; both are shared. `def` lives as long as the engine; `self` belongs to the value, also when this fails. */
NODUS_API NodusStatus nodus_emit_guider(NodusCall *call, uint32_t slot, const NodusGuiderDef *def, void *self, const void *model,
                                        const void *const *conditioning, int count);
/* Passes an input value on unchanged. */
NODUS_API NodusStatus nodus_emit_value(NodusCall *call, uint32_t slot, NodusValue *value);
/* Emits a blocker: what depends on it does not run. message NULL: silently. */
NODUS_API NodusStatus nodus_block(NodusCall *call, uint32_t slot, const char *message);
/* Adds to the result that clients see: under `key`, `json` (one JSON value) is appended to a list. */
NODUS_API NodusStatus nodus_ui(NodusCall *call, const char *key, const char *json);

/* Reports progress (and what the result looks like so far: [h, w, 3] f32, 0…1, or NULL; worth making when the option "previews" is set);
 * answers NODUS_ERROR_CANCELLED when the run is to end. */
NODUS_API NodusStatus nodus_progress(NodusCall *call, double value, double max, const NodusTensor *preview);
/* Announces `flop` floating-point operations of work of one kind ("unet f32"): the engine makes an ETA of it from the rate that
 * such work last had on this machine. The rate is measured from this call to the node's end. */
NODUS_API NodusStatus nodus_expect(NodusCall *call, const char *kind, double flop);
/* A warning for people: shown once, beside the run's events. */
NODUS_API void nodus_warn(NodusCall *call, const char *format, ...) NODUS_PRINTF(2, 3);
/* The result depends on what a signature does not tell, such as the memory that was free: it, and what is made from it, stays in this
 * process and is not kept on disk. */
NODUS_API void nodus_keep_local(NodusCall *call);

/* Runs body(state, 0 … parts−1) on the engine's workers and waits. Cut work by shape, never by thread count. */
NODUS_API void nodus_parallel(NodusCall *call, int64_t parts, void (*body)(void *state, int64_t part), void *state);
/* The device and scratch list for eager math. */
NODUS_API NodusMath *nodus_math(NodusCall *call);
/* `data` of the table of the node that is called. */
NODUS_API const void *nodus_call_data(NodusCall *call);
/* What a declared input, by its place in the table, is bound to in this call; borrowed. NULL: nothing, or a whole list. */
NODUS_API NodusValue *nodus_input_value(NodusCall *call, uint32_t input);
/* Zeroed memory that lives until the call returns; NULL when out of memory. */
NODUS_API void *nodus_alloc(NodusCall *call, size_t bytes);
/* An error that blames an input, by name. */
NODUS_API NodusStatus nodus_input_error(NodusCall *call, const char *input, const char *format, ...) NODUS_PRINTF(3, 4);

/* The path of a file in a model folder ("checkpoints") or of an input picture ("input": suffixes " [output]", " [temp]" are
 * understood; leaving the folder is an error). Lives until the call returns. */
NODUS_API NodusStatus nodus_find_file(NodusCall *call, const char *folder, const char *name, const char **path);
/* "output", "temp", "input": that folder, made if it is missing. */
NODUS_API NodusStatus nodus_folder(NodusCall *call, const char *which, const char **path);
/* Adds the content (by size, time and, where cheap, hash) of a file to a signature. */
NODUS_API NodusStatus nodus_hash_file(NodusCall *call, NodusHash *hash, const char *path);
/* A run option that nodes may see: "disable_metadata", "png_fast", "noise_compat" … NULL when not set. */
NODUS_API const char *nodus_option(NodusCall *call, const char *name);
/* Registered samplers and schedulers by name; NULL when there is none. */
NODUS_API const NodusSamplerDef *nodus_sampler(NodusCall *call, const char *name);
NODUS_API const NodusSchedulerDef *nodus_scheduler(NodusCall *call, const char *name);
/* Runs the operation that is registered as `name` (nodus_plugin_op, by any plug-in) on f32 tensors: nodus_op_apply by name. A result
 * that another plug-in's operation has a part in is not kept on disk. */
NODUS_API NodusStatus nodus_op_run(NodusCall *call, const char *name, uint32_t inputs, const NodusTensor *const *in,
                                   const double *parameter, NodusTensor **out);
/* Registered operations and patch classes by name; NULL when there is none. `origin` (NULL: not wanted) gets the plug-in's file added. */
NODUS_API const NodusOpDef *nodus_op(NodusCall *call, const char *name, NodusHash *origin);
NODUS_API const NodusPatchClass *nodus_patch_class(NodusCall *call, const char *name, NodusHash *origin);

/* Looking at values of any type. The payload of INT, FLOAT, BOOLEAN, STRING: read it with nodus_value_print. */
NODUS_API const char *nodus_value_type(const NodusValue *value);
NODUS_API const void *nodus_value_payload(const NodusValue *value);
/* The value as ComfyUI's PreviewAny shows it: a string as it is, others as JSON or their printed form. */
NODUS_API NodusStatus nodus_value_print(const NodusValue *value, NodusText *text);
/* How the inputs of this call came about, for the files that a node writes: the members of a JSON object, without braces: version, device,
 * models with hashes, settings, seeds, seconds so far (engine/graph/manifest.h). */
NODUS_API NodusStatus nodus_manifest(NodusCall *call, NodusText *text);
/* A text buffer that lives until the call returns, and its content. */
NODUS_API NodusText *nodus_text(NodusCall *call);
NODUS_API const char *nodus_text_get(const NodusText *text);

/* The undeclared inputs of a VARIADIC node, in the order of the prompt. In a call of a node that takes no lists a list has one value. */
NODUS_API uint32_t nodus_extra_count(NodusCall *call);
NODUS_API const char *nodus_extra_name(NodusCall *call, uint32_t index);
NODUS_API NodusList nodus_extra_list(NodusCall *call, uint32_t index);

/* ---- Expansion: nodes instead of a result --------------------------------------------------------------------------- */

/* An empty graph of the call; NULL when out of memory. Children are named within it; the engine makes their ids unique and the
 * same in every run ("PARENT.CALL.CHILD"). */
NODUS_API NodusGraph *nodus_graph(NodusCall *call);
NODUS_API NodusStatus nodus_graph_node(NodusGraph *graph, const char *child, const char *class_type);
/* A child of a class that no prompt can name: a helper of the node that expands. The table must live as long as the engine. */
NODUS_API NodusStatus nodus_graph_helper(NodusGraph *graph, const char *child, const NodusNode *node);
/* An input of a child: a value (a reference is taken), a JSON literal, a link to a child of this graph, or a link from outside:
 * what a raw link or nodus_graph_input says. Literals are taken as they are: children are not validated, only bound. */
NODUS_API NodusStatus nodus_graph_value(NodusGraph *graph, const char *child, const char *input, NodusValue *value);
NODUS_API NodusStatus nodus_graph_literal(NodusGraph *graph, const char *child, const char *input, const char *json);
NODUS_API NodusStatus nodus_graph_link(NodusGraph *graph, const char *child, const char *input, const char *from, uint32_t slot);
NODUS_API NodusStatus nodus_graph_outside(NodusGraph *graph, const char *child, const char *input, const NodusRawLink *link);
/* Copies of a part of the run's graph, for loops. A body is the nodes on all ways from node `from` to node `to` (NULL: the node
 * that is called), without the two; it lives as long as the graph. */
typedef struct NodusBody NodusBody;
NODUS_API NodusStatus nodus_graph_between(NodusGraph *graph, const char *from, const char *to, const NodusBody **body);
NODUS_API const char *nodus_graph_self(NodusCall *call); /* the id of the node that is called */
/* What an input of any node of the run is bound to. Of an input that is not given, node, list and json are empty. */
NODUS_API NodusStatus nodus_graph_input(NodusGraph *graph, const char *node, const char *input, NodusRawLink *link);
/* Adds a copy of the body; its nodes are the children "PREFIX.ID". Whatever reads slot s of `from` takes feed[s] instead, unless
 * that is empty or s ≥ feeds. */
NODUS_API NodusStatus nodus_graph_copy(NodusGraph *graph, const NodusBody *body, const char *prefix, const NodusRawLink *feed,
                                       uint32_t feeds);
/* What a link of the original leads to in that copy: turns *link into it. */
NODUS_API NodusStatus nodus_graph_copied(NodusGraph *graph, const NodusBody *body, const char *prefix, const NodusRawLink *feed,
                                         uint32_t feeds, NodusRawLink *link);
/* Replaces the result of this call by those children: output nodes among them run too. Slots take values (nodus_emit …) or links
 * to children (nodus_emit_link); a link contributes that child's whole list. At most once a call. */
NODUS_API NodusStatus nodus_expand(NodusCall *call, NodusGraph *children);
NODUS_API NodusStatus nodus_emit_link(NodusCall *call, uint32_t slot, const char *child, uint32_t child_slot);
/* The same for whatever a raw link means: a child, a node from outside, a literal. Needs no nodus_expand where no child is
 * meant. */
NODUS_API NodusStatus nodus_emit_outside(NodusCall *call, uint32_t slot, const NodusRawLink *link);

/* ---- Deferred results ----------------------------------------------------------------------------------------------- */

/* Keeps the call open after its function returned NULL: the result is completed later, from any thread, through
 * nodus_pending_call (emit, block, ui, progress; its arguments stay valid) and ended by nodus_pending_finish, exactly once,
 * which consumes the status. Meanwhile other nodes run. A cancelled run still waits for that end: look at nodus_progress. A
 * function that returns an error after all has deferred nothing: then `pending` is gone. */
NODUS_API NodusStatus nodus_defer(NodusCall *call, NodusPending **pending);
NODUS_API NodusCall *nodus_pending_call(NodusPending *pending);
NODUS_API void nodus_pending_finish(NodusPending *pending, NodusStatus status);

/* ---- Plug-ins ------------------------------------------------------------------------------------------------------- */

/* A plug-in is a shared library (.so) in plugins/ of the base folder, or named by --plugin. It begins with NODUS_PLUGIN, whose
 * body hands the tables over:
 *
 *     NODUS_PLUGIN("hello", "1.0", "Says hello.")
 *     {
 *         nodus_plugin_node(plugin, &node_hello);
 *         return NULL;
 *     }
 *
 * It links with nothing of nodus: the program that loads it has the nodus_* functions. The tables are copied; what they point to
 * stays where it is, for a plug-in is never unloaded. A table that cannot be right is noted with its reason, and the plug-in is
 * refused as a whole once the body has returned: it registers everything or nothing. The body may return an error of its own:
 * "no such device". It runs when an engine opens, before any run, on one thread.
 *
 * What a build promises: tables that begin with struct_size only ever grow at their end, other structs never change while
 * NODUS_NODE_ABI stays (tests/golden/layout.txt is the record). So a plug-in loads in every later nodus of the same ABI number,
 * and in an earlier one as long as it leaves alone what that one lacks. */
typedef struct NodusPlugin NodusPlugin; /* a plug-in that is being loaded */
typedef struct NodusPluginInfo {
    uint32_t struct_size, abi;
    const char *name, *version, *about; /* `about`: one line for people */
} NodusPluginInfo;

NODUS_API void nodus_plugin_type(NodusPlugin *plugin, const NodusType *type);
NODUS_API void nodus_plugin_node(NodusPlugin *plugin, const NodusNode *node);
NODUS_API void nodus_plugin_sampler(NodusPlugin *plugin, const NodusSamplerDef *sampler);
NODUS_API void nodus_plugin_scheduler(NodusPlugin *plugin, const NodusSchedulerDef *scheduler);
NODUS_API void nodus_plugin_op(NodusPlugin *plugin, const NodusOpDef *op);               /* nodus/op.h */
NODUS_API void nodus_plugin_patch(NodusPlugin *plugin, const NodusPatchClass *patch);    /* nodus/patch.h */

#ifdef __cplusplus
#define NODUS_PLUGIN_SYMBOL_ extern "C" NODUS_API
#else
#define NODUS_PLUGIN_SYMBOL_ NODUS_API
#endif
#define NODUS_PLUGIN(name_, version_, about_)                                                      \
    NODUS_PLUGIN_SYMBOL_ const NodusPluginInfo nodus_plugin_info;                                  \
    const NodusPluginInfo nodus_plugin_info = {sizeof(NodusPluginInfo), NODUS_NODE_ABI, name_, version_, about_}; \
    NODUS_PLUGIN_SYMBOL_ NodusStatus nodus_plugin_init(NodusPlugin *plugin);                       \
    NodusStatus nodus_plugin_init(NodusPlugin *plugin)

#ifdef __cplusplus
}
#endif
#endif
