/* initial.h: the picture that `nodus make --init` starts from, under a name that LoadImage takes.
 *
 * One idea: workflows load pictures from the input folder only. A picture that lies in input, output or temp already has a name
 * there; any other is copied into the input folder, under a name that no other picture has. */
#ifndef CLI_INITIAL_H
#define CLI_INITIAL_H
#include "engine/cli/session.h"

/* free(*name). */
NodusStatus initial_name(const Session *session, const char *given, char **name);
#endif
