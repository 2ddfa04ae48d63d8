/* regex_inside.h: what the files of the regular expressions share: the tree that a pattern is, and the program that it becomes. */
#ifndef NODES_REGEX_INSIDE_H
#define NODES_REGEX_INSIDE_H
#include "engine/base/memory.h"
#include "nodes/regex.h"

/* Part of a character set: a range, or a class by its letter (d, D, w, W, s, S), 0 for a range. */
typedef struct SetItem {
    uint32_t first, last;
    char class;
    struct SetItem *next;
} SetItem;

typedef enum PieceKind {
    PIECE_CHAR,   /* `point`, folded if case does not count */
    PIECE_ANY,    /* . */
    PIECE_SET,    /* `set`, or what is not in it */
    PIECE_ROW,    /* children one after the other */
    PIECE_EITHER, /* one of the children */
    PIECE_REPEAT, /* `child`, min to max times */
    PIECE_GROUP,  /* `child`, captured as `group` */
    PIECE_SUB,    /* `child` tried by itself: look-around, or atomic */
    PIECE_BACK,   /* what `group` matched */
    PIECE_IF,     /* child if `group` took part, else its sibling */
    PIECE_FLAGS,  /* nothing: it changed the flags */
    PIECE_PLACE   /* `point` is '^', '$', 'A', 'Z', 'b' or 'B' */
} PieceKind;
typedef enum SubKind { SUB_ATOMIC, SUB_AHEAD, SUB_BEHIND } SubKind;

enum { REGEX_NO_MOST = -1, REGEX_DEEPEST = 200 /* nested groups */, REGEX_MOST_GROUPS = 1000, REGEX_LONGEST = 1 << 16 };

typedef struct Piece {
    PieceKind kind;
    SubKind sub;
    uint32_t flags; /* those in force where it stands */
    bool negated, lazy;
    uint32_t point;
    int group;
    int64_t min, max; /* max: or REGEX_NO_MOST */
    SetItem *set;
    struct Piece *child, *next; /* next: of the same parent */
} Piece;

typedef enum Code {
    CODE_ONE,   /* one character that fits `piece` */
    CODE_RUN,   /* as many of them as there are, `piece` being the repetition */
    CODE_SPLIT, /* go on; if that fails at `to` */
    CODE_JUMP,  /* to `to` */
    CODE_SAVE,  /* the position, as number `index` */
    CODE_BEGIN, /* loop `index` is at 0 turns */
    CODE_LOOP,  /* another turn of loop `index`, or on at `to`, by piece->min, max, lazy */
    CODE_TURN,  /* counts a turn; of those that need not be, where it begins */
    CODE_SUB,   /* what follows up to its CODE_END by itself, then on at `to` */
    CODE_BACK,
    CODE_IF, /* on, or at `to` if the group took no part */
    CODE_PLACE,
    CODE_END
} Code;
typedef struct Instruction {
    Code code;
    int index, to;
    const Piece *piece;
    int64_t width; /* of a SUB that looks behind */
} Instruction;

typedef struct GroupName {
    const char *name;
    int group;
    struct GroupName *next;
} GroupName;

struct Regex {
    Arena *arena;
    Piece *tree;
    Instruction *code;
    size_t count, capacity;
    int groups, loops; /* loop n keeps its turns and where the last one began behind the groups' bounds */
    GroupName *names;
};

/* regex_parse.c, regex_set.c */
typedef struct Parser {
    Regex *regex;
    const uint32_t *at, *start, *end;
    uint32_t flags;
    int depth, most_wanted; /* most_wanted: the highest group that a condition asks for */
    bool open[REGEX_MOST_GROUPS + 1];
    NodusStatus error; /* the first one stays */
} Parser;
NodusStatus regex_parse(Regex *regex, const uint32_t *pattern, size_t count, uint32_t flags);
Piece *regex_piece(Parser *p, PieceKind kind); /* NULL after an error */
Piece *regex_fail(Parser *p, const uint32_t *where, const char *what); /* NULL */
Piece *regex_set(Parser *p);                   /* behind the '[' */
/* An escape that stands for a character (true) or a class (false: *class). Behind the backslash. */
bool regex_escape(Parser *p, bool in_set, uint32_t *point, char *class);
Piece *regex_class(Parser *p, char class);
/* Whether a character fits a CHAR, ANY or SET. */
bool regex_fits(const Piece *piece, uint32_t point);
bool regex_in_class(char class, uint32_t point, bool ascii);
uint32_t regex_fold(uint32_t point, uint32_t flags);

/* regex_code.c */
NodusStatus regex_compile(Regex *regex);
#endif
