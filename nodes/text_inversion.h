/* text_inversion.h: textual inversions: vectors from files that stand for words of a prompt ("embedding:name"). */
#ifndef NODES_TEXT_INVERSION_H
#define NODES_TEXT_INVERSION_H
#include "nodes/models/clip_text.h"
#include "nodes/models/clip_tokenizer.h"
#include <nodus/node.h>

/* What a prompt's names stand for, for one tower. Start with {.call, .tower}. */
typedef struct Inversion { char *name; int first, count; } Inversion;
typedef struct Inversions {
    NodusCall *call;
    const ClipTextConfig *tower;
    Inversion *item;
    float **vector; /* of the tower's width each; NULL: made for a tower of another width, it is left out */
    size_t items, item_room, vectors, vector_room;
} Inversions;

/* For clip_tokenize; reads what a prompt names. */
ClipInversions inversions_finder(Inversions *inversions);
void inversions_free(Inversions *inversions);

/* The path of a textual inversion: the name as it is, or with an ending; *path NULL when there is no such file. */
NodusStatus inversion_find(NodusCall *call, const char *name, const char **path);
#endif
