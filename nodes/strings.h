/* strings.h: what the nodes that make texts share. */
#ifndef NODES_STRINGS_H
#define NODES_STRINGS_H
#include "engine/base/text.h"
#include <nodus/node.h>

/* Emits the text into slot 0 and empties it; an error if it is longer than any text may become. */
NodusStatus strings_emit(NodusCall *call, Text *text);
bool strings_too_long(const Text *text);
#endif
