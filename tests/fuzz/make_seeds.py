#!/usr/bin/env python3
"""make_seeds.py OUT: writes the seeds that are not text (state dicts, pictures, cache records …) into OUT/TARGET, and the scripts of docs and tests.

The text seeds (json, tokenizer, workflow) lie in tests/fuzz/seeds. Nothing binary is committed: what a file holds can be read here.
"""
import json
import os
import re
import struct
import sys
import zlib


# ---- safetensors ----------------------------------------------------------------------------------------------------
def state_dict(entries, data, metadata=None, pad=8):
    """entries: (name, dtype, shape, begin, end)."""
    header = {"__metadata__": metadata} if metadata else {}
    for name, dtype, shape, begin, end in entries:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % pad)
    return struct.pack("<Q", len(text)) + text + data


def safetensors():
    yield "empty", state_dict([], b"")
    yield "one", state_dict([("w", "F32", [2, 2], 0, 16)], bytes(range(16)))
    yield "bytes", state_dict([("b", "U8", [7], 0, 7)], b"1234567")
    yield "scalar", state_dict([("s", "F64", [], 0, 8)], bytes(8))
    yield "zero", state_dict([("z", "I32", [0, 3], 0, 0)], b"")
    yield "mixed", state_dict([("a.weight", "F16", [2, 3], 0, 12), ("a.bias", "BF16", [2], 12, 16), ("step", "I64", [1], 16, 24)],
                              bytes(range(24)), {"format": "pt", "modelspec.resolution": "512x512"})
    yield "float8", state_dict([("q", "F8_E4M3", [4], 0, 4)], b"abcd")


# ---- pictures -------------------------------------------------------------------------------------------------------
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits, colour, rows, extra=b"", interlace=0):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gif(width, height, frames):
    """frames: (disposal, x, y, w, h, colour); codes of 3 bits, with a clear code before each pixel."""
    out = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + bytes([9, 9, 9, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    for disposal, x, y, w, h, colour in frames:
        out += b"\x21\xf9\x04" + bytes([disposal << 2 | 1, 5, 0, 3, 0]) + b"\x2c" + struct.pack("<HHHHB", x, y, w, h, 0) + b"\x02"
        number = sum(code << 3 * i for i, code in enumerate([4, colour] * (w * h) + [5]))
        data = number.to_bytes((6 * w * h + 3 + 7) // 8, "little")
        out += bytes([len(data)]) + data + b"\0"
    return out + b";"


def pictures():
    yield "rgb.png", png(2, 2, 8, 2, b"\0\1\2\3\4\5\6\1\1\1\1\1\1\1")
    yield "rgba.png", png(1, 2, 8, 6, b"\0\1\2\3\4\2\1\1\1\1", chunk(b"tEXt", b"prompt\0{\"1\": {}}"))
    yield "grey1.png", png(9, 1, 1, 0, b"\0\x55\x80")
    yield "grey16.png", png(2, 1, 16, 0, b"\0\0\5\xff\xff", chunk(b"tRNS", b"\0\5"))
    yield "greyalpha16.png", png(1, 1, 16, 4, b"\0\1\2\3\4")
    yield "palette.png", png(4, 1, 2, 3, b"\0\x1b", chunk(b"PLTE", bytes(range(12))) + chunk(b"tRNS", b"\x80\0"))
    yield "interlaced.png", png(3, 3, 8, 0, b"\0\1\0\2\0\3\0\4\0\5\6\0\7\0\1\2\3", b"", 1)
    yield "text.png", png(1, 1, 8, 0, b"\0\1", chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"{}"))
                          + chunk(b"iTXt", b"workflow\0\0\0en\0\0{}"))
    yield "still.gif", gif(2, 2, [(0, 0, 0, 2, 2, 1)])
    yield "moving.gif", gif(3, 2, [(1, 0, 0, 3, 2, 1), (3, 1, 0, 1, 1, 2), (2, 0, 1, 2, 1, 0), (1, 0, 0, 1, 1, 3)])
    yield "rgb.bmp", b"BM" + struct.pack("<IIIIiiHHIIiiII", 70, 0, 54, 40, 2, 2, 1, 24, 0, 16, 0, 0, 0, 0) + bytes(range(16))
    yield "palette.bmp", (b"BM" + struct.pack("<IIIIiiHHIIiiII", 66, 0, 62, 40, 4, 1, 1, 1, 0, 4, 0, 0, 2, 0)
                          + bytes([1, 2, 3, 0, 4, 5, 6, 0]) + b"\xa0\0\0\0")
    yield "rgba.tga", bytes([0, 0, 2]) + bytes(9) + struct.pack("<HHBB", 1, 2, 32, 0x28) + bytes(range(8))
    yield "rle.tga", bytes([0, 0, 10]) + bytes(9) + struct.pack("<HHBB", 4, 1, 24, 0x20) + b"\x83\1\2\3"
    yield "grey.pgm", b"P5 3 1 255\n\1\2\3"
    yield "deep.ppm", b"P6\n# note\n1 1\n65535\n\1\2\3\4\5\6"
    yield "rgb.psd", b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 1, 1, 8, 3) + struct.pack(">IIIH", 0, 0, 0, 0) + b"\1\2\3"
    yield "light.hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n\x80\x80\x80\x81"
    yield "turned.png", png(2, 1, 8, 0, b"\0\1\2", chunk(b"eXIf", orientation(">", 6)))
    yield "jpeg", jpeg(8, 8, [0x11])
    yield "webp", riff((b"VP8L", PIXEL))


# ---- JPEG and WebP --------------------------------------------------------------------------------------------------
def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(width, height, samplings, exif_block=b"", progressive=False, adobe=None):
    """Flat blocks: the first of each component has the difference 5 (code 10, 3 bits), all others none (code 0)."""
    out = b"\xff\xd8" + (segment(0xe1, exif_block) if exif_block else b"")
    if adobe is not None:
        out += segment(0xee, b"Adobe\0\x64\0\0\0\0" + bytes([adobe]))
    out += segment(0xdb, b"\0" + bytes([8] * 64))
    parts = b"".join(bytes([i + 1, sampling, 0]) for i, sampling in enumerate(samplings))
    out += segment(0xc2 if progressive else 0xc0, struct.pack(">BHHB", 8, height, width, len(samplings)) + parts)
    out += segment(0xc4, b"\0" + bytes([1, 1] + [0] * 14) + b"\0\3") + segment(0xc4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    across, down = max(s >> 4 for s in samplings), max(s & 15 for s in samplings)
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    end = "" if progressive else "0"  # of a block's other numbers
    bits = ""
    for unit in range(units):
        for sampling in samplings:
            for block in range((sampling >> 4) * (sampling & 15)):
                bits += ("10101" if unit == block == 0 else "0") + end
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    scan = bytes([len(samplings)]) + b"".join(bytes([i + 1, 0]) for i in range(len(samplings)))
    return out + segment(0xda, scan + (b"\0\0\0" if progressive else b"\0\x3f\0")) + data + b"\xff\xd9"


def orientation(order, number):
    return ((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHHHIHHI", 8, 1, 0x112, 3, 1, number, 0, 0))


def riff(*chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


PIXEL = b"/\0\0\0\0\x07P\x81T\x08 \0\n\x9a\xfe\xc7\x88\x88\xfe\x07"  # a lossless WebP of 1 x 1


def frame(x, y, milliseconds, flags):
    three = lambda n: struct.pack("<I", n)[:3]
    return b"ANMF", three(x // 2) + three(y // 2) + three(0) + three(0) + three(milliseconds) + bytes([flags]) + b"VP8L" + struct.pack("<I", len(PIXEL)) + PIXEL


def canvas(flags, width, height):
    return b"VP8X", struct.pack("<I", flags) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def photos():
    for number in (1, 3, 6, 8):
        yield f"turned{number}.jpg", jpeg(10, 9, [0x11], b"Exif\0\0" + orientation("<" if number % 2 else ">", number))
    yield "colour.jpg", jpeg(17, 9, [0x22, 0x11, 0x11])
    yield "full.jpg", jpeg(8, 8, [0x11, 0x11, 0x11])
    yield "print.jpg", jpeg(8, 8, [0x11] * 4, adobe=2)
    yield "ink.jpg", jpeg(8, 8, [0x11] * 4, adobe=0)
    yield "progressive.jpg", jpeg(8, 8, [0x11], progressive=True)
    yield "cut.jpg", jpeg(40, 40, [0x11])[:-8]
    yield "still.webp", riff((b"VP8L", PIXEL))
    yield "turned.webp", riff(canvas(8, 1, 1), (b"VP8L", PIXEL), (b"EXIF", orientation(">", 6)))
    yield "moving.webp", riff(canvas(2 | 16, 4, 3), (b"ANIM", bytes(6)), frame(0, 0, 40, 0), frame(2, 2, 40, 1), frame(2, 0, 40, 2))
    yield "opaque.webp", riff(canvas(2, 2, 1), (b"ANIM", bytes(6)), frame(0, 0, 40, 3))
    yield "exif", b"Exif\0\0" + orientation("<", 5)


# ---- texts in pictures ----------------------------------------------------------------------------------------------
def exif(order, *texts):
    """A directory with these (tag, text) in the byte order "<" or ">"."""
    behind = 8 + 2 + 12 * len(texts) + 4
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(texts))
    for i, (tag, text) in enumerate(texts):
        out += struct.pack(order + "HHII", tag, 2, len(text), behind + sum(len(before) for _, before in texts[:i]))
    out += bytes(4) + b"".join(text for _, text in texts)
    return out + bytes(len(out) % 2)


def webp(data):
    return riff(canvas(8, 1, 1), (b"VP8L", PIXEL), (b"EXIF", data))


def metadata():
    texts = chunk(b"tEXt", b"prompt\0{\"1\": {\"class_type\": \"A\"}}") + chunk(b"iTXt", b"workflow\0\0\0en\0\0{\"nodes\": []}")
    packed = chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"{}")) + chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"[]"))
    plain = png(1, 1, 8, 0, b"\0\1")
    yield "before.png", png(1, 1, 8, 0, b"\0\1", texts)
    yield "behind.png", plain[:-12] + packed + plain[-12:]
    yield "cut.png", png(1, 1, 8, 0, b"\0\1", packed)[:-20]
    yield "none.png", plain
    yield "wrong.png", png(1, 1, 8, 0, b"\0\1", chunk(b"tEXt", b"key") + chunk(b"zTXt", b"k\0\1x") + chunk(b"iTXt", b"k\0\1\0"))
    yield "little.webp", webp(exif("<", (0x010f, b"workflow:{}\0"), (0x0110, b"prompt:{}\0")))
    yield "big.webp", webp(exif(">", (0x010e, b"note:x\0"), (0x0110, b"prompt:{}\0")))
    yield "camera.webp", webp(b"Exif\0\0" + exif("<", (0x010f, b"ACME\0")))
    yield "empty.webp", webp(b"")


# ---- cache records: the number of slots, then the items (engine/graph/record.h) -------------------------------------------------
def number(value):
    return b"u" + struct.pack("<Q", value)


def text(value):
    return b"t" + (struct.pack("<Q", 2**64 - 1) if value is None else struct.pack("<Q", len(value)) + value)


def tensor_item(dtype, dims, numbers=b"", blocks=None):
    packing = b"\0" + numbers if blocks is None else b"\1" + b"".join(struct.pack("<I", len(b)) + b for b in blocks)
    return b"T\1" + bytes([dtype, len(dims)]) + struct.pack(f"<{len(dims)}q", *dims) + packing


def payload(name, items):
    return b"\5" + text(name) + number(0) + items


def records():
    zeros = b"\x28\xb5\x2f\xfd\x20\x20" + (32 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"  # 32 zero bytes as a zstd frame
    scalars = [b"\0" + number(1) + number(5), b"\1d" + struct.pack("<d", 0.5), b"\2" + number(1), b"\3" + text(b"word"), b"\4" + text(b"[1, null]")]
    latent = tensor_item(0, [1, 1, 2, 2], bytes(16)) + b"T\0" + number(1) + number(7)
    conditioning = number(1) + tensor_item(0, [1, 2, 2], bytes(range(16))) + tensor_item(0, [1, 2], bytes(8))
    yield "empty", b"\0" + text(None)
    yield "scalars", b"\1" + text(b'{"text": ["x"]}') + number(5) + b"".join(scalars)
    yield "latent", b"\2" + text(None) + number(1) + payload(b"LATENT", latent) + number(0)
    yield "conditioning", b"\1" + text(None) + number(1) + payload(b"CONDITIONING", conditioning)
    yield "image", b"\1" + text(None) + number(2) + payload(b"IMAGE", tensor_item(0, [1, 1, 1, 3], bytes(12))) + payload(b"MASK", tensor_item(1, [2], bytes(4)))
    yield "packed", b"\1" + text(None) + number(1) + payload(b"SIGMAS", tensor_item(0, [8], blocks=[zeros]))
    yield "planes", b"\1" + text(None) + number(1) + payload(b"SIGMAS", tensor_item(0, [2], blocks=[bytes(range(8))]))
    yield "none", b"\1" + text(None) + number(1) + payload(b"IMAGE", tensor_item(0, [0, 3]))
    yield "nothing", b"\1" + text(None) + number(1) + payload(b"IMAGE", tensor_item(0, [0, 2**62, 2**62]))


# ---- frames of isolated plug-ins (engine/graph/isolate_frame.h): how to read them, then the bytes -----------------------------------
def plugin_frame(kind, body):
    return b"\0nfrm" + struct.pack("<IQ", kind, len(body)) + body


def frame_numbers(*values):
    return b"".join(map(number, values))


def frame_texts(*values):
    return b"".join(map(text, values))


def socket(name, type_name, kind, offset, flags=0, rest=b""):
    return frame_texts(name, type_name, b"What it is.") + frame_numbers(kind, flags, offset) + rest


def plugin_table(name, inputs, outputs=1, flags=0, functions=1):
    head = frame_texts(name, b"Title", b"tests", b"Helps.", None) + frame_numbers(1, flags, functions, 8 * len(inputs), len(inputs), outputs)
    return head + b"".join(inputs) + (frame_texts(b"out", b"IMAGE", b"A picture.") + number(0)) * outputs


def plugin_tables(types=(), nodes=(), samplers=(), others=(0, 0, 0)):
    counts = frame_numbers(len(types), len(nodes), len(samplers), *others)
    return number(0) + frame_texts(b"test", b"1.0", b"For tests.") + counts + b"".join([*types, *nodes, *samplers])


def frames():
    one = struct.unpack("<Q", struct.pack("<d", 1.0))[0]
    kinds = [socket(b"i", b"INT", 0, 0, 0, frame_numbers(1, 0, 9, 1)), socket(b"s", b"INT", 1, 8, 32, frame_numbers(1, 0, 9, 1)),
             socket(b"f", b"FLOAT", 2, 16, 0, frame_numbers(one, 0, one, 0, 0)), socket(b"b", b"BOOLEAN", 3, 24, 0, number(1)),
             socket(b"t", b"STRING", 4, 32, 0, text(b"x") + number(3)), socket(b"c", b"COMBO", 5, 40, 0, frame_texts(b"b", None) + number(2) + frame_texts(b"a", b"b")),
             socket(b"o", b"COMBO", 5, 48, 0, frame_texts(None, b"input") + number(0)), socket(b"l", b"IMAGE", 6, 56), socket(b"a", b"*", 7, 64, 1),
             socket(b"h", b"PROMPT", 8, 72, 1)]
    whole = plugin_tables([text(b"TEST_THING") + frame_numbers(1, 1)], [plugin_table(b"TestFill", kinds), plugin_table(b"TestEnd", [], 0, 1, 7)], [text(b"test_once") + number(0)])
    yield "packet", plugin_frame(6, whole)
    yield "tables", b"\1" + whole
    yield "faults", b"\1" + number(2) + frame_texts(b"it says: no", b"and more")
    yield "choices", b"\1" + plugin_tables(nodes=[plugin_table(b"T", [socket(b"c", b"COMBO", 5, 0, 0, frame_texts(None, None) + number(1) + text(b"only"))])])
    yield "good", b"\2" + number(0) + b"".join(number(len(v)) + v for v in (b"\3" + text(b"word"), payload(b"IMAGE", tensor_item(0, [1, 1, 1, 3], bytes(12)))))
    yield "error", b"\2" + number(2) + frame_texts(b"image: is empty", b"image")


# ---- pickles, and what torch.save writes -----------------------------------------------------------------------------
def word(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(value):
    return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)


def storage(key, count, kind="FloatStorage"):
    return b"(" + word("storage") + f"ctorch\n{kind}\n".encode() + word(key) + word("cpu") + whole(count) + b"tQ"


def tensor(key, count, shape, stride, offset=0, kind="FloatStorage"):
    numbers = lambda values: b"(" + b"".join(map(whole, values)) + b"t"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(key, count, kind) + whole(offset) + numbers(shape) + numbers(stride)
            + b"\x89ccollections\nOrderedDict\n)RtR")


def items(*pairs):
    return b"}(" + b"".join(word(key) + value for key, value in pairs) + b"u"


def program(body, protocol=2):
    return b"\x80" + bytes([protocol]) + body + b"."


def pickles():
    yield "none", program(b"N")
    yield "scalars", program(items(("i", whole(-5)), ("f", b"G" + struct.pack(">d", 0.5)), ("t", b"\x88"), ("n", b"N"), ("l", b"\x8a\1\xff"),
                                   ("big", b"\x8a\x0a" + bytes(10))))
    yield "text", b"(dp0\nS'a'\n."
    yield "lines", b"(lp0\nI5\naI01\naL7L\nag0\na."
    yield "memo", program(b"]q\0(h\0h\0\x94j\0\0\0\0e2010")
    yield "tuples", program(b"K\1\x85K\1K\2\x86K\1K\2K\3\x87)(t\x86", 4)
    yield "frame", b"\x80\4\x95\x08\0\0\0\0\0\0\0\x8c\1a\x8f(K\1\x90\x86."
    yield "tensor", program(items(("state_dict", items(("w", tensor("0", 6, [2, 3], [3, 1]))))))
    yield "parameter", program(b"ctorch._utils\n_rebuild_parameter\n(" + tensor("0", 2, [2], [1]) + b"\x88ccollections\nOrderedDict\n)RtR")
    yield "pairs", program(b"ccollections\nOrderedDict\n(](](" + word("k") + b"K\1eetR}b")
    yield "ignored", program(b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + word("f8") + b"K\0K\1tRU\x02xxtR")
    yield "stacked", program(b"\x8c\x0bcollections\x8c\x0bOrderedDict\x93)\x81", 4)
    yield "code", program(b"cos\nsystem\n(" + word("true") + b"tR")
    yield "instance", b"(ios\nsystem\n."


def archive(members, deflate=()):
    out, directory = b"", b""
    for name, data in members:
        packed = data if name not in deflate else zlib.compress(data)[2:-4]
        numbers = struct.pack("<HHHHHIIIHH", 20, 0, 8 if name in deflate else 0, 0, 0, zlib.crc32(data), len(packed), len(data), len(name), 0)
        directory += b"PK\1\2" + struct.pack("<H", 20) + numbers + struct.pack("<HHHII", 0, 0, 0, 0, len(out)) + name.encode()
        out += b"PK\3\4" + numbers + name.encode() + packed
    return out + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)


def archive64(name, data):
    """A member whose sizes and place, and a directory whose place, stand in zip64 fields."""
    numbers = struct.pack("<HHHHHIII", 45, 0, 0, 0, 0, zlib.crc32(data), 2**32 - 1, 2**32 - 1)
    out = b"PK\3\4" + numbers + struct.pack("<HH", len(name), 0) + name + data
    extra = struct.pack("<HHHHQQQ", 7, 0, 1, 24, len(data), len(data), 0)
    entry = b"PK\1\2" + struct.pack("<H", 45) + numbers + struct.pack("<HHHHHII", len(name), len(extra), 0, 0, 0, 0, 2**32 - 1) + name + extra
    end64 = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, len(entry), len(out))
    locator = b"PK\6\7" + struct.pack("<IQI", 0, len(out) + len(entry), 1)
    return out + entry + end64 + locator + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), 2**32 - 1, 0)


def torches():
    state = program(items(("state_dict", items(("a.weight", tensor("0", 6, [2, 3], [3, 1])), ("turned", tensor("0", 6, [3, 2], [1, 3])),
                                               ("half", tensor("1", 4, [3], [1], 1, "HalfStorage")), ("none", tensor("1", 4, [0], [1], 4, "HalfStorage")))),
                          ("step", whole(7))))
    data = (("m/data/0", bytes(range(24))), ("m/data/1", bytes(range(8))))
    yield "zip", archive((("m/data.pkl", state), ("m/byteorder", b"little")) + data)
    yield "deflated", archive((("m/data.pkl", state),) + data, ("m/data.pkl", "m/data/0"))
    yield "big", archive((("m/data.pkl", state), ("m/byteorder", b"big")) + data)
    yield "missing", archive((("m/data.pkl", state),) + data[:1])
    yield "nested", archive((("data.pkl", program(items(("0", b"](" + tensor("0", 2, [2], [1]) + word("x") + b"e"), ("step", whole(1))))), ("data/0", bytes(8))))
    yield "zip64", archive64(b"m/data.pkl", program(items(("step", whole(1)))))
    yield "no pickle", archive((("m/version", b"3"),))
    yield "code", archive((("m/data.pkl", program(b"cos\nsystem\n(" + word("true") + b"tR")),))
    magic = program(b"\x8a\x0a" + bytes.fromhex("6cfc9c46f9206aa85019"))
    machine = program(items(("protocol_version", whole(1001)), ("little_endian", b"\x88")))
    front = magic + program(b"M\xe9\3") + machine
    yield "old", front + program(items(("w", tensor("5", 3, [3], [1])))) + program(b"](" + word("5") + b"e") + struct.pack("<Q", 3) + bytes(range(12))
    yield "old cut", front + program(items(("w", tensor("5", 3, [3], [1])))) + program(b"](" + word("5") + b"e") + struct.pack("<Q", 9)
    yield "pickle", program(items(("a", whole(1))))


# ---- GGUF -----------------------------------------------------------------------------------------------------------
def gguf_text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def gguf_file(notes, tensors, data, version=3, alignment=32):
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(notes))
    out += b"".join(gguf_text(key) + struct.pack("<I", kind) + value for key, kind, value in notes)
    for name, shape, kind, offset in tensors:
        out += gguf_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, offset)
    return out + bytes(-len(out) % alignment) + data


def ggufs():
    notes = [("general.architecture", 8, gguf_text("sd1")), ("f", 6, struct.pack("<f", 0.5)), ("d", 12, struct.pack("<d", 0.5)), ("b", 7, b"\1"),
             ("i", 5, struct.pack("<i", -5)), ("u", 10, struct.pack("<Q", 2**63)), ("words", 9, struct.pack("<IQ", 8, 2) + gguf_text("a") + gguf_text("b")),
             ("lists", 9, struct.pack("<IQIQ", 9, 1, 5, 1) + bytes(4)), ("comfy.gguf.orig_shape.w", 9, struct.pack("<IQii", 5, 2, 2, 16))]
    yield "empty", gguf_file([], [], b"", 2)
    yield "plain", gguf_file([], [("a", [2, 2], 0, 0), ("b", [3], 1, 32), ("c", [4], 30, 64)], bytes(range(72)))
    yield "notes", gguf_file(notes, [("w", [32], 8, 0)], bytes(range(34)))
    for name, kind, numbers, size in (("q4_0", 2, 32, 18), ("q4_1", 3, 32, 20), ("q5_0", 6, 32, 22), ("q5_1", 7, 32, 24), ("q8_0", 8, 32, 34),
                                      ("q4_k", 12, 256, 144), ("q5_k", 13, 256, 176), ("q6_k", 14, 256, 210)):
        yield name, gguf_file([], [("w", [2, numbers], kind, 0)], bytes(i * 37 % 256 for i in range(2 * size)))
    yield "q2_k", gguf_file([], [("w", [256], 10, 0)], bytes(84))
    yield "aligned", gguf_file([("general.alignment", 4, struct.pack("<I", 64))], [("a", [1], 0, 0), ("b", [1], 0, 64)], bytes(68), alignment=64)
    yield "cut", gguf_file([], [("a", [100], 0, 0)], bytes(16))


def npys():
    def array(descr, shape, body, version=1, order="False"):
        header = ("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)).encode()
        return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + body
    for descr, width in (("<f4", 4), ("<f8", 8), ("<i8", 8), ("|u1", 1), ("|b1", 1), ("<u2", 2)):
        yield descr[1:], array(descr, "(2, 3)", bytes(i * 37 % 256 for i in range(6 * width)))
    yield "scalar", array("<f4", "()", bytes(4))
    yield "empty", array("<f4", "(0, 7)", b"")
    yield "five", array("|u1", "(1, 2, 1, 2, 1)", bytes(4), version=2)
    yield "fortran", array("<f4", "(2, 2)", bytes(16), order="True")
    yield "cut", array("<f4", "(100,)", bytes(16))


# ---- Tables of a plug-in: a byte a field; zeros are good tables (fuzz_descriptor.c) -------------------------------------------
def tables():
    yield "good", bytes(400)
    for kind in range(9):
        row = bytes([0, kind]) + bytes(6)
        yield f"kind{kind}", bytes(20) + bytes([0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) + row * 20
    for value in (1, 3, 160, 170, 215, 216, 255):
        yield f"byte{value}", bytes(i % 7 == 3 and value or 0 for i in range(300))
    for name, rows in (("in", (0, 8, 88)), ("swapped", (16, 0)), ("beyond", (0, 96)), ("across", (0, 92)), ("far", (0, 1 << 31)), ("around", (0, 2**64 - 8)),
                       ("odd", (0, 12)), ("over", (8, 8)), ("partly", (8, 12))):
        yield f"offsets_{name}", fields(rows, 0)
        yield f"bytes_{name}", fields(rows, 3)


def fields(offsets, kind):
    """A first node whose inputs, INT (0) or BOOLEAN (3), say where their fields are."""
    rows = b"".join(bytes([kind, 0, 0, 0, 0, 0, 0, 0xff]) + offset.to_bytes(8, "big") + bytes({0: 5, 3: 2}[kind]) for offset in offsets)
    return bytes(11) + bytes([len(offsets)]) + bytes(12) + rows


# ---- Lua: the guide's scripts, and those of tests/unit/test_lua.c that mean harm --------------------------------------------------
def source_of(path):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", path), encoding="utf-8") as f:
        return f.read()


def scripts():
    for i, block in enumerate(source_of("docs/lua.md").split("```lua\n")[1:]):
        yield f"guide{i}", block.split("```")[0].encode()
    for i, part in enumerate(("x:take(1, { -1, 2 })", "x:take(1, { 1, -9 })", "x:slice(2, -9, 9)", "x:slice(-2, 1, -1)", "x:flip(-1)", "x[-1][2]", "x:matmul(x:permute(2, 1))", "x:resize(4, 4)", "x:sum(-1)")):
        yield f"part{i}", f"local n = require 'nodus' local x = n.tensor{{ {{ 1, 2, 3 }}, {{ 4, 5, 6 }} }} print({part})".encode()
    table = source_of("tests/unit/test_lua.c").split("hostile[] = {\n")[1].split("\n};")[0]
    for i, row in enumerate(re.split(r"\n    \{", "\n" + table)[1:]):
        texts = re.findall(r'"((?:[^"\\]|\\.)*)"', row)
        script = "".join(texts if re.search(r"\b(MEMORY|TIME|[A-Z]{5,})\},$", row) else texts[:-1])
        yield f"hostile{i}", (("local n = require 'nodus' " if row.startswith("NODUS") else "") + script.replace("\\\\", "\\")).encode()


def consoles():
    """A piece, a zero byte, and what is completed then."""
    before = b"t = { a1 = 1, ['a\\n'] = 2, a2 = { b = 3 } } n = require 'nodus' c = n.EmptyImage{ width = 8 }"
    for i, text in enumerate((b"t.a", b"t['a2'].", b"n.KSa", b"n.KSampler{ se", b"n.KSampler{ scheduler = \"ka", b"c.", b"c.IMAGE:", b"string.r", b"f(t.", b"-- t.", b"x = [[t.")):
        yield f"complete{i}", before + b"\0" + text
    for i, piece in enumerate((b"1 +", b"for i = 1, 2 do", b"x = 'a", b"t, 1, nil", b"= 1", b"error 'no'", b"\x1bLua\x54\0", b"while true do end", b"return 1, 2", b"f = function() return 1")):
        yield f"piece{i}", piece
    yield "meta", b"t = setmetatable({}, { __index = function() print 'called' end, __tostring = function() return {} end, __name = 'T' }) t\0t.a.b"


def main(out):
    for target, seeds in (("safetensors", safetensors()), ("picture", pictures()), ("metadata", metadata()), ("record", records()), ("frame", frames()), ("photo", photos()),
                          ("pickle", pickles()), ("torch", torches()), ("gguf", ggufs()), ("npy", npys()), ("descriptor", tables()),
                          ("lua", scripts()), ("console", consoles())):
        os.makedirs(os.path.join(out, target), exist_ok=True)
        for name, data in seeds:
            with open(os.path.join(out, target, name), "wb") as f:
                f.write(data)


if __name__ == "__main__":
    main(sys.argv[1])
