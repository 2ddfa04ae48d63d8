/* known.h: tables of nodes that workflows use and this build cannot run yet.
 *
 * One idea: a node is known as soon as its table is. With it a saved workflow converts, `nodus nodes --all` shows it, and a check
 * says "known, not built yet" instead of guessing at a misspelt name. Such a table has no function and no struct of arguments.
 * When a node is built, its row here goes: no name is in both lists (tests/unit/test_known.c).
 *
 * The words below make a row short. Where a macro of node.h takes flags first, its FLAG_ twin here does too. */
#ifndef NODES_KNOWN_H
#define NODES_KNOWN_H
#include <nodus/node.h>

extern const NodusNode known_load[], known_text[], known_cond[], known_control[], known_sample[],
    known_modelsampling[], known_merge[], known_train[],
    known_hooks[];

#define MAXR 16384 /* the largest side of a picture */

/* NODE("Class", "Title", "category", flags, "Help.", IN(…), OUT(…)) */
#define NODE(name_, title_, category_, flags_, help_, ...)                                                                  \
    {                                                                                                                      \
        .struct_size = sizeof(NodusNode), .name = name_, .title = title_, .category = category_, .flags = flags_,          \
        .help = help_, __VA_ARGS__                                                                                         \
    }
#define IN(...)  .inputs = (const NodusInput[]){__VA_ARGS__}, .input_count = NODUS_COUNT_(((const NodusInput[]){__VA_ARGS__}))
#define OUT(...) .outputs = (const NodusOutput[]){__VA_ARGS__}, .output_count = NODUS_COUNT_(((const NodusOutput[]){__VA_ARGS__}))

/* An output named after its type, or by a name of its own. */
#define SLOT(type_)         {.name = type_, .type = type_}
#define NAMED(type_, name_) {.name = name_, .type = type_}

#define INPUT_(flags_, name_, type_, kind_, ...) {.name = name_, .type = type_, .kind = kind_, .flags = flags_, __VA_ARGS__}
#define FLAG_LINK(flags_, name_, type_)          INPUT_(flags_, name_, type_, NODUS_LINK)
#define FLAG_INT(flags_, name_, ...)             INPUT_(flags_, name_, "INT", NODUS_INT, .as.i = {__VA_ARGS__})
#define FLAG_SEED(flags_, name_)                 INPUT_(flags_, name_, "INT", NODUS_SEED, .as.u = {.max = UINT64_MAX})
#define FLAG_FLOAT(flags_, name_, ...)           INPUT_(flags_, name_, "FLOAT", NODUS_FLOAT, .as.f = {__VA_ARGS__})
#define FLAG_BOOLEAN(flags_, name_, def_)        INPUT_(flags_, name_, "BOOLEAN", NODUS_BOOLEAN, .as.b = def_)
#define FLAG_COMBO(flags_, name_, ...) \
    INPUT_(flags_, name_, "COMBO", NODUS_COMBO, .as.c = {.names = (const char *const[]){__VA_ARGS__, NULL}})
#define FLAG_FILES(flags_, name_, folder_) INPUT_(flags_, name_, "COMBO", NODUS_COMBO, .as.c = {.folder = folder_})

#define LINK(...)    FLAG_LINK(0, __VA_ARGS__)
#define INT(...)     FLAG_INT(0, __VA_ARGS__) /* name, default, min, max, step */
#define SEED(name_)  FLAG_SEED(NODUS_CONTROL, name_)
#define FLOAT(...)   FLAG_FLOAT(0, __VA_ARGS__) /* name, default, min, max, step, round */
#define BOOLEAN(...) FLAG_BOOLEAN(0, __VA_ARGS__)
#define COMBO(...)   FLAG_COMBO(0, __VA_ARGS__)
#define FILES(...)   FLAG_FILES(0, __VA_ARGS__)
/* A text of one line, and one that is a prompt. */
#define STRING(name_, def_) INPUT_(0, name_, "STRING", NODUS_STRING, .as.s = {.def = def_})
#define PROMPT(name_, def_) INPUT_(0, name_, "STRING", NODUS_STRING, .as.s = {.def = def_, .multiline = true, .dynamic = true})
#define HIDDEN(name_, type_) INPUT_(NODUS_OPTIONAL, name_, type_, NODUS_HIDDEN)
/* What nodes that write files get without being asked. */
#define METADATA HIDDEN("prompt", "PROMPT"), HIDDEN("extra_pnginfo", "EXTRA_PNGINFO")
/* How much of something: 0 … 1. */
#define RATIO(name_, def_) FLOAT(name_, def_, 0, 1, 0.01)

#endif
