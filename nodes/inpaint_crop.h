/* inpaint_crop.h: STITCH: where a part was cut out of a picture, and how it goes back. */
#ifndef NODES_INPAINT_CROP_H
#define NODES_INPAINT_CROP_H
#include <nodus/node.h>

extern const NodusType type_stitch;
#endif
