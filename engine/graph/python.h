/* python.h: values as Python shows them: str() and repr(), which STRING conversion, messages and PreviewAny follow. */
#ifndef GRAPH_PYTHON_H
#define GRAPH_PYTHON_H
#include "engine/base/text.h"
#include "engine/formats/json.h"

void python_float(Text *out, double value);     /* the shortest digits that read back equal: 0.1, 1e-07, 2.0, nan */
void python_quote(Text *out, const char *text); /* 'text' */
void python_repr(Text *out, const cJSON *item); /* [1, 'a', None] */
void python_str(Text *out, const cJSON *item);  /* a string as it is, others as repr */
#endif
