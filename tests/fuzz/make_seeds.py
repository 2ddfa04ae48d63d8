#!/usr/bin/env python3
"""make_seeds.py OUT: writes the seeds that are not text (state dicts, pictures, cache records) into OUT/TARGET.

The text seeds (json, tokenizer, workflow) lie in tests/fuzz/seeds. Nothing binary is committed: what a file holds can be read here.
"""
import json
import os
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
    yield "jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0"
    yield "webp", b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0"


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
    pixel = b"/\0\0\0\0\x07P\x81T\x08 \0\n\x9a\xfe\xc7\x88\x88\xfe\x07"
    body = b"WEBPVP8X" + struct.pack("<II", 10, 8) + bytes(6) + b"VP8L" + struct.pack("<I", len(pixel)) + pixel
    body += b"EXIF" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


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


def main(out):
    for target, seeds in (("safetensors", safetensors()), ("picture", pictures()), ("metadata", metadata()), ("record", records())):
        os.makedirs(os.path.join(out, target), exist_ok=True)
        for name, data in seeds:
            with open(os.path.join(out, target, name), "wb") as f:
                f.write(data)


if __name__ == "__main__":
    main(sys.argv[1])
