/* zip.c: a zip archive's directory.
 *
 * Format, from its end: the end record ("PK\5\6", 22 bytes and a comment), before it, if numbers do not fit, the locator of the
 * zip64 end record; these tell where the central directory lies. Its entries ("PK\1\2") name each member, its sizes and the place
 * of its local header ("PK\3\4"), whose own lengths of name and extra field tell where the bytes begin. One idea: the central
 * directory is what counts; of local headers only those two lengths are used. The members' bytes must lie before the directory
 * and must not overlap: so their sum is at most the file, whatever the directory claims. */
#include "engine/formats/zip.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_LIMIT = 0xffff,
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1,
    FULL16 = 0xffff,
    EXTRA_ZIP64 = 1,
    RATIO_LIMIT = 1040 /* deflate's best is 1032 */
};
static const uint32_t full32 = 0xffffffff;

typedef struct Reader {
    const uint8_t *data;
    uint64_t size, at, end, entries; /* the central directory */
} Reader;

static uint64_t number(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static bool is_at(const Reader *r, uint64_t at, size_t bytes, const char *signature)
{
    return at <= r->size && r->size - at >= bytes && !memcmp(r->data + at, signature, 4);
}

static NodusStatus damaged(const char *what)
{
    return nodus_error(NODUS_ERROR_FILE, "its zip archive is damaged or cut off (%s): copy or download it again", what);
}

/* ---- The end of the file -------------------------------------------------------------------------------------------- */

static NodusStatus read_end64(Reader *r, uint64_t end_record)
{
    if (end_record < LOCATOR_BYTES || !is_at(r, end_record - LOCATOR_BYTES, LOCATOR_BYTES, "PK\6\7")) return NULL; /* no zip64 */
    const uint64_t at = number(r->data + end_record - LOCATOR_BYTES + 8, 8);
    if (!is_at(r, at, END64_BYTES, "PK\6\6")) return damaged("no zip64 record where its end says");
    r->entries = number(r->data + at + 32, 8);
    r->end = number(r->data + at + 40, 8);
    r->at = number(r->data + at + 48, 8);
    return NULL;
}

static NodusStatus find_directory(Reader *r)
{
    const uint64_t most = r->size > END_BYTES + COMMENT_LIMIT ? END_BYTES + COMMENT_LIMIT : r->size;
    uint64_t back = END_BYTES;
    while (back <= most && !is_at(r, r->size - back, END_BYTES, "PK\5\6")) back++;
    if (back > most) return damaged("it has no end record");
    const uint8_t *end = r->data + r->size - back;
    if (number(end + 4, 2) || number(end + 6, 2)) return nodus_error(NODUS_ERROR_FILE, "its zip archive is one of several parts");
    r->entries = number(end + 10, 2);
    r->end = number(end + 12, 4);
    r->at = number(end + 16, 4);
    if (r->entries == FULL16 || r->end == full32 || r->at == full32) NODUS_TRY(read_end64(r, r->size - back));
    if (r->at > r->size || r->end > r->size - r->at) return damaged("its directory leaves the file");
    r->end += r->at;
    if (r->entries > (r->end - r->at) / ENTRY_BYTES) return damaged("its directory is too short");
    return NULL;
}

/* ---- Members -------------------------------------------------------------------------------------------------------- */

/* Sizes and place that did not fit stand in the extra field, in this order, each only if it is full in the entry. */
static NodusStatus read_extra64(const uint8_t *extra, size_t length, uint64_t *value[3])
{
    size_t at = 0;
    while (length - at >= 4 && number(extra + at, 2) != EXTRA_ZIP64) {
        const size_t skip = 4 + (size_t)number(extra + at + 2, 2);
        if (skip > length - at) return damaged("an extra field leaves its entry");
        at += skip;
    }
    size_t left = length - at >= 4 ? (size_t)number(extra + at + 2, 2) : 0;
    if (left && left > length - at - 4) return damaged("an extra field leaves its entry");
    at += 4;
    for (int i = 0; i < 3; i++) {
        if (*value[i] != full32) continue;
        if (left < 8) return damaged("a zip64 number is missing");
        *value[i] = number(extra + at, 8);
        at += 8;
        left -= 8;
    }
    return NULL;
}

static NodusStatus find_bytes(const Reader *r, uint64_t local, ZipMember *member)
{
    if (!is_at(r, local, LOCAL_BYTES, "PK\3\4")) return damaged("a member is not where its directory says");
    const uint64_t at = local + LOCAL_BYTES + number(r->data + local + 26, 2) + number(r->data + local + 28, 2);
    if (at > r->at || member->packed > r->at - at) return damaged("a member's bytes leave the file");
    member->data = r->data + at;
    return NULL;
}

static NodusStatus read_member(Reader *r, Arena *names, ZipMember *out)
{
    if (r->end - r->at < ENTRY_BYTES || memcmp(r->data + r->at, "PK\1\2", 4)) return damaged("its directory has a wrong entry");
    const uint8_t *entry = r->data + r->at;
    const uint64_t name = number(entry + 28, 2), extra = number(entry + 30, 2), note = number(entry + 32, 2);
    if (r->end - r->at - ENTRY_BYTES < name + extra + note) return damaged("its directory has a wrong entry");
    uint64_t packed = number(entry + 20, 4), size = number(entry + 24, 4), local = number(entry + 42, 4);
    const int method = (int)number(entry + 10, 2);
    out->name = arena_text_n(names, (const char *)entry + ENTRY_BYTES, name);
    if (!out->name) return status_memory();
    if (strlen(out->name) != name) return damaged("a member's name has a zero in it");
    if (packed == full32 || size == full32 || local == full32)
        NODUS_TRY(read_extra64(entry + ENTRY_BYTES + name, extra, (uint64_t *[]){&size, &packed, &local}));
    if (number(entry + 8, 2) & ENCRYPTED) return nodus_error(NODUS_ERROR_FILE, "member '%.100s' is encrypted", out->name);
    if (method != STORED && method != DEFLATED)
        return nodus_error(NODUS_ERROR_FILE, "member '%.100s' is compressed by method %d; nodus reads 0 and 8", out->name,
                           method);
    out->deflated = method == DEFLATED;
    out->checksum = (uint32_t)number(entry + 16, 4);
    out->packed = packed;
    out->size = size;
    if (out->deflated ? size / RATIO_LIMIT > packed : size != packed) return damaged("a member's two sizes do not fit together");
    r->at += ENTRY_BYTES + name + extra + note;
    const Reader whole = {r->data, r->size, r->size, r->size, 0};
    return find_bytes(&whole, local, out);
}

static int by_place(const void *a_, const void *b_)
{
    const ZipMember *a = a_, *b = b_;
    return a->data != b->data ? (a->data < b->data ? -1 : 1) : (a->packed > b->packed) - (a->packed < b->packed);
}

static int by_name(const void *a_, const void *b_)
{
    const ZipMember *a = a_, *b = b_;
    return strcmp(a->name, b->name);
}

static NodusStatus check_members(Zip *zip, const uint8_t *directory)
{
    qsort(zip->member, zip->count, sizeof *zip->member, by_place);
    for (size_t i = 0; i < zip->count; i++) {
        const uint8_t *next = i + 1 < zip->count ? zip->member[i + 1].data : directory;
        if (next < zip->member[i].data || zip->member[i].packed > (size_t)(next - zip->member[i].data))
            return damaged("two members overlap");
    }
    qsort(zip->member, zip->count, sizeof *zip->member, by_name);
    for (size_t i = 1; i < zip->count; i++)
        if (!by_name(&zip->member[i - 1], &zip->member[i]))
            return nodus_error(NODUS_ERROR_FILE, "its zip archive has two members '%.100s'", zip->member[i].name);
    return NULL;
}

NodusStatus zip_open(const uint8_t *data, size_t size, Zip *out)
{
    Reader r = {.data = data, .size = size};
    *out = (Zip){0};
    NODUS_TRY(find_directory(&r));
    const uint64_t directory = r.at;
    out->names = arena_new();
    out->member = memory_array(r.entries, sizeof *out->member);
    NodusStatus status = out->names && out->member ? NULL : status_memory();
    for (; !status && out->count < r.entries; out->count++) status = read_member(&r, out->names, &out->member[out->count]);
    if (!status) status = check_members(out, data + directory);
    if (status) zip_close(out);
    return status;
}

void zip_close(Zip *zip)
{
    memory_free(zip->member);
    arena_free(zip->names);
    *zip = (Zip){0};
}

const ZipMember *zip_find(const Zip *zip, const char *name)
{
    const ZipMember key = {.name = name};
    return zip->count ? bsearch(&key, zip->member, zip->count, sizeof key, by_name) : NULL;
}

/* ---- Content -------------------------------------------------------------------------------------------------------- */

static voidpf inflate_allocate(voidpf unused, uInt count, uInt size)
{
    (void)unused;
    return memory_array(count, size);
}

static void inflate_release(voidpf unused, voidpf memory)
{
    (void)unused;
    memory_free(memory);
}

/* zlib counts in 32 bits, so large members go through in pieces. */
static NodusStatus inflate_all(z_stream *stream, const ZipMember *member, uint8_t *out)
{
    enum { PIECE = 1 << 30 };
    size_t in_left = member->packed, out_left = member->size;
    int result = Z_OK;
    stream->next_in = (Bytef *)(uintptr_t)member->data;
    stream->next_out = out;
    while (result == Z_OK) {
        const uInt in = in_left < PIECE ? (uInt)in_left : PIECE, room = out_left < PIECE ? (uInt)out_left : PIECE;
        stream->avail_in = in;
        stream->avail_out = room;
        result = inflate(stream, Z_NO_FLUSH);
        in_left -= in - stream->avail_in;
        out_left -= room - stream->avail_out;
    }
    if (result == Z_MEM_ERROR) return status_memory();
    if (result != Z_STREAM_END || out_left) return damaged("a member does not unpack to its size");
    return NULL;
}

NodusStatus zip_inflate(const ZipMember *member, uint8_t **out)
{
    z_stream stream = {.zalloc = inflate_allocate, .zfree = inflate_release};
    uint8_t *content = memory_aligned(member->size + 1); /* room for one byte too many, so that it is noticed */
    if (!content) return status_memory();
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
        memory_free(content);
        return status_memory();
    }
    NodusStatus status = inflate_all(&stream, member, content);
    inflateEnd(&stream);
    if (!status && crc32_z(0, content, member->size) != member->checksum) status = damaged("a member's checksum is wrong");
    if (status) memory_free(content);
    else *out = content;
    return status;
}
