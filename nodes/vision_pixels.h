/* vision_pixels.h: pictures as a vision tower looks at them. */
#ifndef NODES_VISION_PIXELS_H
#define NODES_VISION_PIXELS_H
#include <nodus/node.h>

/* A picture [b, h, w, c] as [b, 3, side, side], normalised. `centre`: its middle square; else all of it, squeezed. */
NodusStatus vision_pixels(NodusCall *call, const NodusTensor *image, int side, bool centre, NodusTensor **out);
#endif
