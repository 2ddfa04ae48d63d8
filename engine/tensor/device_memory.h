/* device_memory.h: memory, copies and turns of a device, for the files of this room.
 *
 * One idea: a device computes for one thread at a time, and device.c is where that is kept: eager calls, copies and launches take
 * turns. Memory is allocated and released from any thread. */
#ifndef TENSOR_DEVICE_MEMORY_H
#define TENSOR_DEVICE_MEMORY_H
#include "engine/base/status.h"
#include "engine/tensor/device.h"

NodusStatus device_allocate(Device *device, size_t bytes, void **memory);
void device_release(Device *device, void *memory);
NodusStatus device_copy(Device *device, const View *to, const View *from);
NodusStatus device_launch(Device *device, void *program, void *arena, void *const *inputs, const void *const *packed, const Cancel *cancel);
bool device_is_host(const Device *device);       /* its memory can be read through pointers */
bool storage_on_host(const Storage *storage);
#endif
