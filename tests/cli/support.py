"""support: what the tests of the command line share: a folder to work in, workflows, pictures and model files, good and broken.

Broken files are made here, by name, so that no binary lies in the tree. Python's standard library only.
"""
import io
import json
import os
import resource
import shutil
import struct
import subprocess
import zipfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEMO = os.path.join(ROOT, "models", "checkpoints", "shapes-sd1.safetensors")


NOBODY = 65534


def as_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def small_files(most):
    """A process that can write no file larger than that: what a full disk does, everywhere and without mounting one."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


class Nodus:
    """The program, in a working folder that holds models/ with the demo model (as a link), input/ and output/."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        os.makedirs(self.path("models/checkpoints"))
        os.makedirs(self.path("input"))
        os.symlink(DEMO, self.path("models/checkpoints/shapes-sd1.safetensors"))
        self.env = dict(os.environ, XDG_CACHE_HOME=self.path("cache"), LC_ALL="C.UTF-8")
        for name in ("NODUS_ISA", "NODUS_HOME", "NO_COLOR"):
            self.env.pop(name, None)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(content, (dict, list)):
            content = json.dumps(content)
        with open(path, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, *args, stdin=b"", env=None, timeout=120, before=None):
        """Exit status, standard output, standard error. `before` is called in the new process."""
        done = subprocess.run([self.program, *args], cwd=self.folder, env=dict(self.env, **(env or {})), input=stdin, capture_output=True, timeout=timeout,
                              preexec_fn=before)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def open_to_all(self):
        """Gives the folder to nobody, so that permissions count although the tests run as root."""
        os.chmod(os.path.dirname(self.folder), 0o755)
        for folder, _, names in os.walk(self.folder):
            for name in [".", *names]:
                os.chown(os.path.join(folder, name), NOBODY, NOBODY, follow_symlinks=False)

    def start(self, *args, **more):
        return subprocess.Popen([self.program, *args], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def events(self, *args):
        code, out, err = self.run(*args, "--json")
        return code, [json.loads(line) for line in out.splitlines()], err

    def clear(self, name):
        shutil.rmtree(self.path(name), ignore_errors=True)


# ---- Workflows ----------------------------------------------------------------------------------------------------------------

def text_to_image(**sampler):
    """The small graph that most tests run: 64 x 64 pixels, two steps."""
    inputs = {"model": ["1", 0], "seed": 1, "steps": 2, "cfg": 5, "sampler_name": "euler", "scheduler": "normal", "positive": ["2", 0],
              "negative": ["3", 0], "latent_image": ["4", 0], "denoise": 1}
    inputs.update(sampler)
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "shapes-sd1.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red star", "clip": ["1", 1]}, "_meta": {"title": "Words"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "5": {"class_type": "KSampler", "inputs": inputs},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "t"}},
    }


def show_picture(name="in.png"):
    return {"1": {"class_type": "LoadImage", "inputs": {"image": name}}, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}


def show_text(text="hello"):
    return {"1": {"class_type": "PrimitiveString", "inputs": {"value": text}}, "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}


# ---- Pictures -----------------------------------------------------------------------------------------------------------------

def chunk(kind, data, crc=None):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)


def png(width=16, height=16, shade=128, crc=None, data=None):
    rows = b"".join(b"\0" + bytes([shade]) * (3 * width) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header, crc) + chunk(b"IDAT", data or zlib.compress(rows)) + chunk(b"IEND", b"")


def chunks(picture):
    """The chunks of a PNG, in order: (kind, data)."""
    at, found = 8, []
    while at < len(picture):
        size, kind = struct.unpack(">I4s", picture[at:at + 8])
        found.append((kind, picture[at + 8:at + 8 + size]))
        at += 12 + size
    return found


def pixels(picture):
    """Size and compressed pixels: equal for equal pictures. The manifest beside them holds the time it took and differs from run to run."""
    return [data for kind, data in chunks(picture) if kind in (b"IHDR", b"IDAT")]


def notes(picture):
    """The texts of a PNG by their keys."""
    return {data.split(b"\0", 1)[0].decode(): data.split(b"\0", 1)[1].decode("latin1") for kind, data in chunks(picture) if kind == b"tEXt"}


PICTURES = {
    "good": lambda: png(),
    "empty": lambda: b"",
    "truncated": lambda: png()[:45],
    "bad-crc": lambda: png(crc=1),
    "huge": lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)) + chunk(b"IEND", b""),
    "no-size": lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)) + chunk(b"IEND", b""),
    "bad-data": lambda: png(data=b"this is not deflate"),
    "text": lambda: b"I am no picture, whatever I am called.\n" * 10,
    "jpeg": lambda: b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + b"\0" * 64,
    "webp": lambda: b"RIFF\x40\0\0\0WEBPVP8 " + b"\0" * 64,
    "jpeg-cut": lambda: b"\xff\xd8\xff\xc0\0\x0b\x08\0\x08\0\x08\1\1\x11\0\xff\xda\0",
    "webp-huge": lambda: b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\0\0\0\0",
}


# ---- Model files --------------------------------------------------------------------------------------------------------------

def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def archive(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


KEY = "model.diffusion_model.input_blocks.0.0.weight"
MODELS = {
    "empty": lambda: b"",
    "four-bytes": lambda: b"\1\2\3\4",
    "text": lambda: b"hello, I am a text file with a wrong name\n" * 4,
    "truncated-header": lambda: safetensors({KEY: tensor([1], 0, 4)})[:20],
    "header-too-long": lambda: struct.pack("<Q", 1 << 60) + b"{}",
    "header-no-json": lambda: safetensors(b"{\"a\": [1, 2"),
    "header-list": lambda: safetensors(b"[1, 2, 3]"),
    "no-tensors": lambda: safetensors({}),
    "beyond-file": lambda: safetensors({KEY: tensor([64], 0, 256)}, b"\0" * 100),
    "wrong-size": lambda: safetensors({KEY: tensor([64], 0, 8)}, b"\0" * 8),
    "overlap": lambda: safetensors({"a": tensor([4], 0, 16), KEY: tensor([4], 8, 24)}, b"\0" * 24),
    "backwards": lambda: safetensors({KEY: tensor([1], 4, 0)}, b"\0" * 8),
    "bad-dtype": lambda: safetensors({KEY: tensor([1], 0, 4, "Q99")}, b"\0" * 4),
    "negative-shape": lambda: safetensors({KEY: tensor([-4], 0, 16)}, b"\0" * 16),
    "overflowing-shape": lambda: safetensors({KEY: tensor([1 << 40, 1 << 40], 0, 16)}, b"\0" * 16),
    "offset-text": lambda: safetensors({KEY: {"dtype": "F32", "shape": [1], "data_offsets": ["0", "4"]}}, b"\0" * 4),
    "duplicate-key": lambda: safetensors(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
                                         b"\0" * 8),
    "deep": lambda: safetensors(b'{"a": ' + b"[" * 20000 + b"]" * 20000 + b"}"),
    "stranger": lambda: safetensors({"weights.of.something": tensor([1], 0, 4)}, b"\0" * 4),
    "lora": lambda: safetensors({"lora_unet_down_blocks_0.lora_down.weight": tensor([1, 1], 0, 4)}, b"\0" * 4),
    "code": lambda: archive("m/data.pkl", b"\x80\2cos\nsystem\n(X\4\0\0\0truetR."),
    "bare-code": lambda: b"\x80\4cos\nsystem\n(X\4\0\0\0truetR.",
    "zip": lambda: archive("readme.txt", b"hello"),
    "zip-cut": lambda: archive("m/data.pkl", b"\x80\2}.")[:-30],
    "gguf-cut": lambda: b"GGUF" + struct.pack("<IQQ", 3, 1000, 0),
    "gguf-q2": lambda: b"GGUF" + struct.pack("<IQQQ", 3, 1, 0, 1) + b"w" + struct.pack("<IQIQ", 1, 256, 10, 0) + bytes(128),
    "demo-cut": lambda: open(DEMO, "rb").read()[:3000000],
}
