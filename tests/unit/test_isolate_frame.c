/* test_isolate_frame.c: frames between the engine and the process of a plug-in: what is sent comes, and whatever else a stranger sends is
 * refused, without waiting and without a descriptor that stays open. */
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/isolate_frame.h"
#include "tests/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT = 8 << 20 };

typedef struct Packet {
    uint32_t magic, kind;
    uint64_t size;
} Packet;
enum { magic = 0x6d72666e };

static void open_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
}

static void close_pair(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static int open_files(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

/* A packet as a stranger sends it, with any descriptors. */
static void send_raw(int socket, const void *data, size_t size, const int *files, size_t count)
{
    union {
        char room[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec piece = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (count) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), files, count * sizeof(int));
    }
    assert_int_equal(sendmsg(socket, &message, 0), (ssize_t)size);
}

static void check_refused(void **state_, int socket, const char *piece)
{
    Frame frame;
    assert_error(frame_receive(socket, LIMIT, &frame), piece);
    assert_null(frame.body);
}

TEST(frames_of_every_size_arrive)
{
    static const size_t sizes[] = {0, 1, FRAME_INLINE - 1, FRAME_INLINE, FRAME_INLINE + 1, 1 << 20, LIMIT};
    int ends[2];
    open_pair(ends);
    const int before = open_files();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Frame frame;
        NodusWriter body = {.limit = SIZE_MAX};
        uint8_t *bytes = memory_alloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; k++) bytes[k] = (uint8_t)(k * 7 + i);
        assert_ok(record_items_put(&body, bytes, sizes[i]));
        assert_ok(frame_send(ends[0], FRAME_WARN, &body));
        assert_ok(frame_receive(ends[1], LIMIT, &frame));
        assert_int_equal(frame.kind, FRAME_WARN);
        assert_int_equal(frame.size, sizes[i]);
        assert_memory_equal(frame.body, bytes, sizes[i]);
        frame_free(&frame);
        memory_free(body.data);
        memory_free(bytes);
    }
    assert_int_equal(open_files(), before);
    close(ends[0]);
    Frame end;
    assert_ok(frame_receive(ends[1], LIMIT, &end));
    assert_int_equal(end.kind, FRAME_END);
    close(ends[1]);
}

TEST(packets_of_strangers_are_refused)
{
    static const struct {
        Packet packet;
        size_t size;
        const char *says;
    } row[] = {
        {{magic, FRAME_DONE, 0}, 3, "too short"},
        {{magic + 1, FRAME_DONE, 0}, 16, "no frame"},
        {{magic, FRAME_END, 0}, 16, "unknown kind"},
        {{magic, FRAME_KINDS, 0}, 16, "unknown kind"},
        {{magic, UINT32_MAX, 0}, 16, "unknown kind"},
        {{magic, FRAME_DONE, 1}, 16, "another size"},
        {{magic, FRAME_DONE, FRAME_INLINE}, 16, "another size"},
        {{magic, FRAME_DONE, LIMIT + 1}, 16, "more than it may hold"},
        {{magic, FRAME_DONE, UINT64_MAX}, 16, "more than it may hold"},
        {{magic, FRAME_DONE, LIMIT}, 16, "without one"},
    };
    int ends[2];
    open_pair(ends);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        send_raw(ends[0], &row[i].packet, row[i].size, NULL, 0);
        check_refused(state_, ends[1], row[i].says);
    }
    char *long_one = memory_alloc(FRAME_HEAD + FRAME_INLINE + 1);
    memcpy(long_one, &(Packet){magic, FRAME_DONE, FRAME_INLINE + 1}, sizeof(Packet));
    send_raw(ends[0], long_one, FRAME_HEAD + FRAME_INLINE + 1, NULL, 0);
    check_refused(state_, ends[1], "more than a frame has");
    memory_free(long_one);
    close_pair(ends);
}

TEST(descriptors_of_strangers_are_refused_and_closed)
{
    int ends[2], tube[2];
    open_pair(ends);
    assert_int_equal(pipe(tube), 0);
    const int right = memfd_create("right", 0), wrong = memfd_create("short", 0), file = open("/proc/self/exe", O_RDONLY);
    const Packet large = {magic, FRAME_DONE, 1 << 20}, small = {magic, FRAME_DONE, 0};
    assert_int_equal(ftruncate(right, 1 << 20) | ftruncate(wrong, (1 << 20) - 1), 0);
    const int before = open_files();
    send_raw(ends[0], &large, sizeof large, &tube[0], 1); /* reading it would wait for ever */
    check_refused(state_, ends[1], "is none, or has another size");
    send_raw(ends[0], &large, sizeof large, &file, 1);
    check_refused(state_, ends[1], "is none, or has another size");
    send_raw(ends[0], &large, sizeof large, &wrong, 1);
    check_refused(state_, ends[1], "is none, or has another size");
    send_raw(ends[0], &small, sizeof small, &right, 1);
    check_refused(state_, ends[1], "does not need");
    send_raw(ends[0], &large, sizeof large, (const int[]){right, right, right}, 3);
    check_refused(state_, ends[1], "more than a frame has");
    Frame frame;
    send_raw(ends[0], &large, sizeof large, &right, 1);
    assert_ok(frame_receive(ends[1], LIMIT, &frame));
    assert_int_equal(frame.size, 1 << 20);
    frame_free(&frame);
    assert_int_equal(open_files(), before);
    close(right);
    close(wrong);
    close(file);
    close_pair(tube);
    close_pair(ends);
}

TEST(errors_cross_with_kind_and_input)
{
    NodusWriter body = {.limit = SIZE_MAX};
    NodusStatus said;
    assert_ok(frame_put_status(&body, status_blame(nodus_error(NODUS_ERROR_INPUT, "image: is empty"), "image")));
    assert_ok(frame_put_status(&body, status_memory()));
    assert_ok(frame_put_status(&body, NULL));
    NodusReader reader = {.data = body.data, .size = body.size};
    assert_ok(frame_get_status(&reader, &said));
    assert_int_equal(nodus_error_kind(said), NODUS_ERROR_INPUT);
    assert_string_equal(nodus_error_message(said), "image: is empty");
    assert_string_equal(nodus_error_input(said), "image");
    nodus_error_free(said);
    assert_ok(frame_get_status(&reader, &said));
    assert_ptr_equal(said, status_memory());
    assert_ok(frame_get_status(&reader, &said));
    assert_null(said);
    assert_int_equal(record_items_left(&reader), 0);
    memory_free(body.data);
}

TEST_MAIN(CASE(frames_of_every_size_arrive), CASE(packets_of_strangers_are_refused), CASE(descriptors_of_strangers_are_refused_and_closed),
          CASE(errors_cross_with_kind_and_input))
