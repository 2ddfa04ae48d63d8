/* expected.h: what an input takes, in words for people: "a whole number from 1 to 10000", "a link to a LATENT". */
#ifndef GRAPH_EXPECTED_H
#define GRAPH_EXPECTED_H
#include "engine/formats/json.h"
#include "engine/graph/object_info.h"

/* `options`: those of a combo, made by the caller; few are listed, of many the number is said. */
void expected_put(const NodusInput *input, const Options *options, Text *out);
/* What a literal is, without an article: "text", "null", "number with a fraction". */
const char *expected_kind(const cJSON *item);
#endif
