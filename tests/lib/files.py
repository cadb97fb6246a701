# SPDX-License-Identifier: MIT
"""Files for tests: a client of the media routes, and pictures and sounds made on the spot."""

import base64
import hashlib
import io
import struct
import time
import wave
import zlib

import requests

TUS = {"Tus-Resumable": "1.0.0"}


class Files:
    """What one user does with files. Every answer is a requests.Response."""

    def __init__(self, base_url, token):
        self.base, self.http = base_url.rstrip("/"), requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {token}"

    def close(self):
        self.http.close()

    def call(self, method, path, **options):
        options.setdefault("timeout", 60)
        options.setdefault("allow_redirects", False)
        return self.http.request(method, self.base + path if path.startswith("/") else path, **options)

    def create(self, chat, data, type="image", **more):
        body = {"chatId": chat, "type": type, "size": len(data), **more}
        return self.call("POST", "/api/media", json={k: v for k, v in body.items() if v is not None})

    def offset(self, media):
        return self.call("HEAD", f"/api/media/{media}/upload", headers=TUS)

    def patch(self, media, at, piece, **headers):
        return self.call("PATCH", f"/api/media/{media}/upload", data=piece, headers={
            **TUS, "Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream", **headers})

    def push(self, media, data, part=1 << 20, at=0):
        """All of it from `at` on, in pieces."""
        while at < len(data):
            r = self.patch(media, at, data[at : at + part])
            assert r.status_code == 204, (r.status_code, r.text)
            at = int(r.headers["upload-offset"])
        return at

    def complete(self, media):
        return self.call("POST", f"/api/media/{media}/complete")

    def send(self, chat, data, type="image", part=1 << 20, **more):
        """All steps of an upload; the media's id."""
        r = self.create(chat, data, type, **more)
        assert r.status_code == 201, r.text
        media = r.json()["media"]["id"]
        if r.json()["media"]["state"] == "pending":
            self.push(media, data, part)
            r = self.complete(media)
            assert r.status_code == 200, r.text
        return media

    def get(self, media, **headers):
        return self.call("GET", f"/api/media/{media}", headers=headers)

    def read(self, media):
        """Its bytes, over a redirection when there is one."""
        r = self.get(media)
        if r.status_code == 302:
            return requests.get(r.headers["location"], timeout=60, proxies={"http": "", "https": ""})
        return r

    def link(self, media):
        return self.call("GET", f"/api/media/{media}/link")

    def found(self, media, timeout=30):
        """What the media sink found, once it has."""
        end = time.monotonic() + timeout
        while True:
            m = self.link(media).json()["media"]
            if m["thumbnail"] or m["width"] or m["durationMs"]:
                return m
            if time.monotonic() > end:
                raise AssertionError(f"nothing found in {media} after {timeout} s: {m}")
            time.sleep(0.05)


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def png(width=64, height=48, seed=1):
    """A picture that no other seed makes."""
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = bytes(1) + bytes((x * seed) % 256 for x in range(width * 3))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"tEXt", b"seed\0" + str(seed).encode()) + chunk(b"IEND", b""))


def huge_png(width, height):
    """Says that it has many pixels, and is small all the same."""
    body = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + width // 8)) * min(height, 2000))
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", body), (b"IDAT", rows), (b"IEND", b"")):
        out += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return out


def photo(width=1200, height=800, place="Cusco", turned=False):
    """A JPEG as phones make them: with the place where it was taken, and maybe lying on its side."""
    from PIL import Image

    image = Image.effect_noise((width, height), 40).convert("RGB")
    exif = Image.Exif()
    exif[0x0110] = f"camera-{place}"
    if turned:
        exif[0x0112] = 6
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "S", (13.0, 31.0, 5.0), "W", (71.0, 58.0, 41.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85, exif=exif)
    return out.getvalue()


def voice(seconds=2.5, rate=8000):
    """A WAV."""
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(b"".join(struct.pack("<h", (i * 37) % 2000) for i in range(int(seconds * rate))))
    return out.getvalue()


def opus(seconds=3.0):
    """The pages of an Ogg Opus voice note, with no sound in them."""
    def page(granule, flags, number, body):
        return b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, 7, number, 0, 1) + bytes([len(body)]) + body

    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48000, 0, 0)
    return (page(0, 2, 0, head) + page(0, 0, 1, b"OpusTags" + bytes(8)) +
            page(int(seconds * 48000) + 312, 4, 2, bytes(200)))


def heic():
    """A picture of 64 by 48, as a phone codes it. Always the same."""
    return zlib.decompress(base64.b64decode(
        "eNpjYGCQSSupLMhIzUxmAILczDRDEDs3MzGNgYFxbW5qSSIDBChmpOQUQdkMBZnJJQxogK8gsyQXzGICYoHMlESIEgcGAyBpkZmTn8wIZLg4AOUZIVoYL8JYDCIIUTjNAdaX"
        "mZcGN1UUyEllAqkAqskoSzZkQBIEK0kvykwBMW9kFhQVAOltmQXJ+UC6DKjamZG5AO5cuQ8Mf/7++MHAwM+sADRNwoGRh/H/f5ACZoYJIAKI5HYxOSgCJbWcGBnRZBYoNLJO"
        "e/Vk2c4dAgIGCiAhMKGoBFTO5sJ4sPhAJ8hXmcUFqVALHaAYXQwUOgIFmRWZIAFmDg6Qr6UyC3JhAQ8MF6ZGJgYmJuYWsExRahosxFMyc9PB4QYKMZlcSIgLaDCul2x4p+IV"
        "/39b1gE2mQMAzIVPOA=="))


def avif(width=400, height=300):
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((width, height), 40).convert("RGB").save(out, "AVIF", quality=60)
    return out.getvalue()


def flac(seconds=2.5, rate=44100):
    """A head that says how long it is, and nothing else."""
    return b"fLaC" + bytes([0x80, 0, 0, 34]) + bytes(10) + struct.pack(">Q", rate << 44 | 1 << 41 | 15 << 36 | int(seconds * rate)) + bytes(16)


def aac(frames=43):
    """Frames of 1,024 samples at 44,100 Hz, with no sound in them."""
    return b"\xff\xf1\x50\x80\x19\x1f\xfc".ljust(200, b"\0") * frames


def mp4(seconds=4.0, width=320, height=240, brand=b"isom"):
    """The boxes of a video, with no frame in them."""
    def box(name, body):
        return struct.pack(">I", 8 + len(body)) + name + body

    mvhd = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, int(seconds * 1000)) + bytes(80))
    matrix = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    tkhd = box(b"tkhd", bytes(40) + matrix + struct.pack(">II", width << 16, height << 16))
    return box(b"ftyp", brand + bytes(4) + b"isomiso2mp41") + box(b"moov", mvhd + box(b"trak", tkhd)) + box(b"mdat", bytes(1000))
