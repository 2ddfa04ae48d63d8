/* isolate_frame.h: what passes between the engine and the child process of a plug-in (docs/design/isolate.md).
 *
 * One idea: the other side is a stranger. A frame is one packet of a socket that keeps packets apart, so a reader never loses its place;
 * a body too long for a packet is a memory file that comes with it, and is copied out of it, never mapped: whoever cuts the file short
 * later makes nobody crash. Bodies are the items of cache records (record_items.h), whose reader believes no size.
 *
 *   bytes   what (in the machine's order: both ends run the same program)
 *   0..3    "nfrm" as one number;  4..7  kind;  8..15  bytes of the body
 *   16..    the body, if it has at most FRAME_INLINE bytes; else nothing, and one descriptor beside the packet */
#ifndef GRAPH_ISOLATE_FRAME_H
#define GRAPH_ISOLATE_FRAME_H
#include "engine/graph/record_items.h"
#include "engine/graph/registry.h"

typedef enum FrameKind {
    FRAME_END,  /* never sent: the other side has closed */
    FRAME_OPEN, /* from the engine: how to open; the answer is TABLES */
    FRAME_CALL, /* a function of a node is called; the answer is DONE */
    FRAME_LOAD, /* a value of the plug-in's own type is read; DONE */
    FRAME_SAMPLE, /* a sampler is called; DONE */
    FRAME_ANSWER, /* to one of those below */
    FRAME_TABLES, /* from the child: what the plug-in brings */
    FRAME_DONE,
    FRAME_WARN, /* has no answer */
    FRAME_PROGRESS,
    FRAME_EXPECT,
    FRAME_FIND,
    FRAME_FOLDER,
    FRAME_MANIFEST,
    FRAME_DENOISE,
    FRAME_NOISE,
    FRAME_ADD_NOISE,
    FRAME_STEP,
    FRAME_PERCENT,
    FRAME_DRAW,
    FRAME_KINDS
} FrameKind;

enum { FRAME_INLINE = 32 << 10, FRAME_HEAD = 16 };

typedef struct Frame {
    FrameKind kind;
    uint8_t *body; /* frame_free's */
    size_t size;
} Frame;

/* `body` NULL: empty. */
NodusStatus frame_send(int socket, FrameKind kind, const NodusWriter *body);
/* Waits for a packet. A body of more than `limit` bytes is refused. The other side has closed: FRAME_END. */
NodusStatus frame_receive(int socket, size_t limit, Frame *out);
void frame_free(Frame *frame);
/* Head and body of a packet; *file: the body is in a memory file of *size bytes. Any bytes may come. */
NodusStatus frame_check(const uint8_t *packet, size_t length, size_t limit, FrameKind *kind, size_t *size, bool *file);

NodusReader frame_reader(const Frame *frame, Device *device);
/* A value with its length, so that it ends where its reader does. Not a blocker. */
NodusStatus frame_put_value(NodusWriter *writer, const NodusValue *value);
NodusStatus frame_get_value(NodusReader *reader, const Registry *registry, NodusValue **out);
/* An error, or none; writing consumes it. */
NodusStatus frame_put_status(NodusWriter *writer, NodusStatus status);
NodusStatus frame_get_status(NodusReader *reader, NodusStatus *out);
/* A text that must be there; memory_free's. */
NodusStatus frame_get_text(NodusReader *reader, char **out);
/* A count of at most `most`, of things of at least one byte each. */
NodusStatus frame_get_count(NodusReader *reader, size_t most, size_t *out);
#endif
