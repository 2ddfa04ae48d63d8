/* isolate_frame.c: see isolate_frame.h. */
#include "engine/graph/isolate_frame.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/record.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x6d72666eu /* "nfrm" */
typedef struct Head {
    uint32_t magic, kind;
    uint64_t size;
} Head;
_Static_assert(sizeof(Head) == FRAME_HEAD, "the head has no gaps");

static NodusStatus wrong(const char *what)
{
    return nodus_error(NODUS_ERROR_FILE, "%s", what);
}

static NodusStatus failed(const char *what)
{
    return nodus_error(NODUS_ERROR_DEVICE, "%s: %s", what, strerror(errno));
}

/* ---- Memory files -------------------------------------------------------------------------------------------------- */

static NodusStatus write_file(int file, const uint8_t *data, size_t size)
{
    while (size) {
        const ssize_t wrote = write(file, data, size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return failed("shared memory cannot be filled");
        data += wrote;
        size -= (size_t)wrote;
    }
    return NULL;
}

/* Only files in memory: of others, reading might wait for ever. */
static NodusStatus read_file(int file, uint8_t *data, size_t size)
{
    struct stat info;
    if (fcntl(file, F_GET_SEALS) < 0 || fstat(file, &info) || info.st_size < 0 || (uint64_t)info.st_size != size)
        return wrong("a body whose memory file is none, or has another size");
    for (size_t at = 0; at < size;) {
        const ssize_t got = pread(file, data + at, size - at, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return wrong("a body whose memory file ends early");
        at += (size_t)got;
    }
    return NULL;
}

/* ---- Packets ------------------------------------------------------------------------------------------------------- */

static NodusStatus send_packet(int socket, struct iovec *piece, int pieces, int file)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr message = {.msg_iov = piece, .msg_iovlen = (size_t)pieces};
    if (file >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof file), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), &file, sizeof file);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? failed("nothing can be sent") : NULL;
}

NodusStatus frame_send(int socket, FrameKind kind, const NodusWriter *body)
{
    const size_t size = body ? body->size : 0;
    Head head = {MAGIC, kind, size};
    struct iovec piece[2] = {{&head, sizeof head}, {body ? body->data : NULL, size}};
    if (size <= FRAME_INLINE) return send_packet(socket, piece, size ? 2 : 1, -1);
    const int file = memfd_create("nodus-frame", MFD_CLOEXEC);
    if (file < 0) return failed("there is no shared memory");
    NodusStatus status = write_file(file, body->data, size);
    if (!status) status = send_packet(socket, piece, 1, file);
    close(file);
    return status;
}

NodusStatus frame_check(const uint8_t *packet, size_t length, size_t limit, FrameKind *kind, size_t *size, bool *file)
{
    Head head;
    if (length < sizeof head) return wrong("a packet too short for a frame");
    memcpy(&head, packet, sizeof head);
    if (head.magic != MAGIC) return wrong("a packet that is no frame");
    if (!head.kind || head.kind >= FRAME_KINDS) return wrong("a frame of an unknown kind");
    if (head.size > limit) return wrong("a frame with more than it may hold");
    *file = head.size > FRAME_INLINE;
    if (length - sizeof head != (*file ? 0 : head.size)) return wrong("a frame with another size than it says");
    *kind = head.kind;
    *size = (size_t)head.size;
    return NULL;
}

/* The one descriptor that came with a packet, or −1; others do not fit into the room that there is for them. */
static int take_file(struct msghdr *message)
{
    int file = -1;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at))
        if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_RIGHTS && at->cmsg_len == CMSG_LEN(sizeof file))
            memcpy(&file, CMSG_DATA(at), sizeof file);
    return file;
}

/* Receives the packet that waits; NULL body with kind END when the other side has closed. */
static NodusStatus receive_packet(int socket, uint8_t *packet, size_t room, size_t *length, int *file)
{
    char control[CMSG_LEN(sizeof(int))] __attribute__((aligned(__alignof__(struct cmsghdr))));
    struct iovec piece = {packet, room};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got;
    do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    *length = got < 0 ? 0 : (size_t)got;
    if (got < 0 && errno != ECONNRESET) return failed("nothing can be received");
    if (got >= 0) *file = take_file(&message);
    return message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? wrong("a packet with more than a frame has") : NULL;
}

static NodusStatus unpack(uint8_t *packet, size_t length, int file, size_t limit, Frame *out)
{
    bool in_file;
    NODUS_TRY(frame_check(packet, length, limit, &out->kind, &out->size, &in_file));
    if (in_file != (file >= 0)) return wrong("a frame with a memory file that it does not need, or without one");
    uint8_t *body = in_file ? memory_aligned(out->size) : memory_alloc(out->size);
    if (!body) return status_memory();
    NodusStatus status = in_file ? read_file(file, body, out->size) : NULL;
    if (!in_file) memcpy(body, packet + FRAME_HEAD, out->size);
    if (status) memory_free(body);
    else out->body = body;
    return status;
}

NodusStatus frame_receive(int socket, size_t limit, Frame *out)
{
    int file = -1;
    size_t length = 0;
    *out = (Frame){FRAME_END, NULL, 0};
    uint8_t *packet = memory_alloc(FRAME_HEAD + FRAME_INLINE);
    if (!packet) return status_memory();
    NodusStatus status = receive_packet(socket, packet, FRAME_HEAD + FRAME_INLINE, &length, &file);
    if (!status && length) status = unpack(packet, length, file, limit, out);
    if (status) out->kind = FRAME_END;
    if (file >= 0) close(file);
    memory_free(packet);
    return status;
}

void frame_free(Frame *frame)
{
    memory_free(frame->body);
    *frame = (Frame){FRAME_END, NULL, 0};
}

/* ---- What bodies are made of --------------------------------------------------------------------------------------- */

NodusReader frame_reader(const Frame *frame, Device *device)
{
    return (NodusReader){.data = frame->body, .size = frame->size, .device = device};
}

NodusStatus frame_get_text(NodusReader *reader, char **out)
{
    NODUS_TRY(nodus_read_text(reader, out));
    return *out ? NULL : record_items_wrong(reader, "a text is missing");
}

NodusStatus frame_get_count(NodusReader *reader, size_t most, size_t *out)
{
    uint64_t count;
    NODUS_TRY(nodus_read_u64(reader, &count));
    if (count > most || count > record_items_left(reader)) return record_items_wrong(reader, "a list longer than it may be");
    *out = (size_t)count;
    return NULL;
}

NodusStatus frame_put_value(NodusWriter *writer, const NodusValue *value)
{
    const size_t at = writer->size;
    NODUS_TRY(nodus_write_u64(writer, 0));
    const size_t begin = writer->size;
    NODUS_TRY(record_write_value(writer, value));
    const uint64_t length = writer->size - begin;
    memcpy(writer->data + at + 1, &length, sizeof length); /* behind the letter */
    return NULL;
}

NodusStatus frame_get_value(NodusReader *reader, const Registry *registry, NodusValue **out)
{
    size_t length;
    NODUS_TRY(frame_get_count(reader, SIZE_MAX, &length));
    NodusReader alone = {.data = reader->data + reader->at, .size = length, .device = reader->device, .alone = true};
    reader->at += length;
    NODUS_TRY(record_read_value(&alone, registry, out));
    if (!record_items_left(&alone)) return NULL;
    value_unref(*out);
    *out = NULL;
    return record_items_wrong(reader, "a value longer than its type's load reads");
}

NodusStatus frame_put_status(NodusWriter *writer, NodusStatus status)
{
    NodusStatus end = nodus_write_u64(writer, status ? 1 + (uint64_t)nodus_error_kind(status) : 0);
    if (!end && status) end = nodus_write_text(writer, nodus_error_message(status));
    if (!end && status) end = nodus_write_text(writer, nodus_error_input(status));
    nodus_error_free(status);
    return end;
}

NodusStatus frame_get_status(NodusReader *reader, NodusStatus *out)
{
    uint64_t kind;
    char *message, *input = NULL;
    *out = NULL;
    NODUS_TRY(nodus_read_u64(reader, &kind));
    if (!kind) return NULL;
    if (kind > 1 + (uint64_t)NODUS_ERROR_INTERNAL) return record_items_wrong(reader, "an error of an unknown kind");
    NODUS_TRY(frame_get_text(reader, &message));
    NodusStatus status = nodus_read_text(reader, &input);
    if (!status)
        *out = kind == 1 + NODUS_ERROR_MEMORY ? status_memory()
                                               : status_blame(nodus_error((NodusErrorKind)(kind - 1), "%s", message), input);
    memory_free(message);
    memory_free(input);
    return status;
}
