/* known.c: all tables of this room. */
#include "nodes/known/known.h"
#include "nodes/register.h"

const NodusNode *const known_nodes[] = {
    known_load,     known_text,          known_cond,     known_control, known_sample,
    known_modelsampling, known_merge,  known_train, known_hooks,  NULL};
