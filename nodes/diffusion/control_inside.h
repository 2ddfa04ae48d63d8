/* control_inside.h: the places where guides speak, between control.c and control_patch.c. */
#ifndef DIFFUSION_CONTROL_INSIDE_H
#define DIFFUSION_CONTROL_INSIDE_H
#include "nodes/diffusion/control.h"

/* Of ControlSignals.at: input blocks, output blocks, the middle. */
enum { SIGNAL_INPUT = 0, SIGNAL_OUTPUT = UNET_MAX_BLOCKS, SIGNAL_MIDDLE = 2 * UNET_MAX_BLOCKS };
void control_signal_name(int at, char *out, size_t room); /* of the plan's input */
#endif
