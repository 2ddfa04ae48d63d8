/* vision.h: looking at pictures through a vision tower. */
#ifndef NODES_VISION_H
#define NODES_VISION_H
#include "nodes/values.h"

/* What the tower says of each picture [b, h, w, c]; `centre`: of its middle square, else of all of it, squeezed. The tensors of `out` are
 * on the scratch list. */
NodusStatus vision_see(NodusCall *call, const ClipVision *vision, const NodusTensor *image, bool centre, ClipVisionOutput *out);
#endif
