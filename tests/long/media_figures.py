#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast files go in and out, against the bare store, and what many uploads at once do to edge-rest's memory.

    tests/long/media_figures.py [--uploads 100] [--mb 100]
"""

import argparse
import hashlib
import http.client
import os
import random
import socket
import statistics
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))

import requests  # noqa: E402
from files import TUS, Files  # noqa: E402
from stack import Stack  # noqa: E402
import versitygw  # noqa: E402

MIB = 1 << 20
PART = 4 * MIB - 8192  # what the server names by default
ACCESS, SECRET = "figures", "figures-of-files-secret"


def signed_in(stack, phone):
    base = stack.rest_url()
    c = requests.post(f"{base}/api/register", json={"name": "F", "phoneNumber": phone}, timeout=30).json()
    return requests.post(f"{base}/api/verify", json={"challenge": c["challenge"], "code": c["devCode"]}, timeout=30).json()


def chat_of_two(stack):
    a, b = signed_in(stack, "+4915550000001"), signed_in(stack, "+4915550000002")
    f = Files(stack.rest_url(), a["accessToken"])
    end = time.monotonic() + 30
    while (r := f.call("POST", "/api/chats", json={"userId": b["userId"]})).status_code != 200:
        assert time.monotonic() < end, r.text
        time.sleep(0.1)
    return f, r.json()["chat"]["chatId"], a["accessToken"]


def timed(fn, size, times=3):
    """MiB a second, the median of some."""
    found = []
    for _ in range(times):
        began = time.monotonic()
        fn()
        found.append(size / MIB / (time.monotonic() - began))
    return statistics.median(found)


def together(fn, n):
    """Run it n times at once."""
    threads = [threading.Thread(target=fn, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def bare_folder(folder, data, part, i=0):
    """The same bytes in the same pieces, each synced, by one process that does nothing else but hash them."""
    path = folder / f"bare-{i}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    digest, view = hashlib.sha256(), memoryview(data)
    for at in range(0, len(data), part):
        piece = view[at : at + part]
        os.pwrite(fd, piece, at)
        os.fdatasync(fd)
        digest.update(piece)
    os.close(fd)
    path.unlink()


def get_all(url, headers=None):
    with requests.get(url, headers=headers or {}, stream=True, timeout=120, proxies={"http": "", "https": ""}) as r:
        assert r.status_code == 200, r.status_code
        n = sum(len(c) for c in r.iter_content(MIB))
    return n


def pushed(stack, token, chat, data, part):
    """A whole upload by tus from a client that does little besides: one connection, the pieces sent from where they lie."""
    f = Files(stack.rest_url(), token)
    made = f.create(chat, data, "document")
    media = made.json()["media"]["id"]
    host, port = stack.rest_url().split("//")[1].split(":")
    view = memoryview(data)
    with socket.create_connection((host, int(port))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), part):
            piece = view[at : at + part]
            sock.sendall((f"PATCH /api/media/{media}/upload HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
                          f"Tus-Resumable: 1.0.0\r\nUpload-Offset: {at}\r\nContent-Type: application/offset+octet-stream\r\n"
                          f"Content-Length: {len(piece)}\r\n\r\n").encode())
            sock.sendall(piece)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += sock.recv(4096) or b"\r\n\r\n"
            assert answer.startswith(b"HTTP/1.1 204"), answer[:200]
    assert f.complete(media).status_code == 200
    return media


def folder_figures(stack, f, chat, token, data):
    part = PART
    media = []
    up = timed(lambda: media.append(pushed(stack, token, chat, data, part)), len(data))
    bare = timed(lambda: bare_folder(stack.state, data, part), len(data))
    down = timed(lambda: get_all(f"{stack.rest_url()}/api/media/{media[-1]}", {"Authorization": f"Bearer {token}"}), len(data))
    print(f"folder: upload {up:.0f} MiB/s, the bare folder {bare:.0f} ({100 * up / bare:.0f} %); download {down:.0f} MiB/s")
    up = timed(lambda: together(lambda i: pushed(stack, token, chat, data, part), 4), 4 * len(data))
    bare = timed(lambda: together(lambda i: bare_folder(stack.state, data, part, i), 4), 4 * len(data))
    print(f"folder, four at once: upload {up:.0f} MiB/s, the bare folder {bare:.0f} ({100 * up / bare:.0f} %)")
    return down


def s3_figures(stack, f, chat, data, port):
    import boto3
    from botocore.config import Config

    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
                          region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"))
    f.send(chat, os.urandom(1000), "document")  # whatever has to be made is there now
    bare_url = client.generate_presigned_url("put_object", {"Bucket": "media", "Key": "bare/one"})
    bare = timed(lambda: requests.put(bare_url, data=data, timeout=120).raise_for_status(), len(data))
    bare_down = timed(lambda: get_all(client.generate_presigned_url("get_object", {"Bucket": "media", "Key": "bare/one"})), len(data))
    media = []

    def straight():
        made = f.create(chat, data, "document").json()
        put = made["upload"]["put"]
        assert requests.put(put["url"], data=data, headers=put["headers"], timeout=120).status_code == 200
        media.append(made["media"]["id"])

    def whole():
        straight()
        assert f.complete(media[-1]).status_code == 200

    def hashed(mine):
        made = f.create(chat, mine, "document", sha256=hashlib.sha256(mine).hexdigest()).json()
        began = time.monotonic()
        put = made["upload"]["put"]
        assert requests.put(put["url"], data=mine, headers=put["headers"], timeout=120).status_code == 200
        assert f.complete(made["media"]["id"]).status_code == 200
        return len(mine) / MIB / (time.monotonic() - began)

    # each another, as what is known by its hash is not sent again
    verified = statistics.median(hashed(os.urandom(16) + data[16:]) for _ in range(3))
    up, all_of_it = timed(straight, len(data)), timed(whole, len(data))
    tus = timed(lambda: f.send(chat, data, "document", 8 * MIB), len(data))
    down = timed(lambda: get_all(f"{stack.rest_url()}/api/media/{media[-1]}", dict(f.http.headers)), len(data))
    print(f"S3: PUT by link {up:.0f} MiB/s, bare {bare:.0f} ({100 * up / bare:.0f} %); with complete, which copies and reads it again, "
          f"{all_of_it:.0f}; with the hash told before, which it verifies itself, {verified:.0f} ({100 * verified / bare:.0f} %); "
          f"tus in pieces of 8 MiB {tus:.0f}; download {down:.0f}, bare {bare_down:.0f} ({100 * down / bare_down:.0f} %)")


def memory_of(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return {k: int(text.split(f"{k}:")[1].split()[0]) // 1024 for k in ("VmRSS", "RssAnon", "VmHWM")}


def piece_sent(conn, media, token, at, body):
    conn.request("PATCH", f"/api/media/{media}/upload", body, {
        **TUS, "Authorization": f"Bearer {token}", "Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"})
    r = conn.getresponse()
    r.read()
    return r


def parallel(stack, chat, token, uploads, mb):
    pid = stack.role("edge-rest").pid
    piece, part = os.urandom(PART), PART
    before, samples, failed, again = memory_of(pid), [], [], []

    def one():
        try:
            host = stack.rest_url().split("//")[1]
            f = Files(stack.rest_url(), token)
            made = f.create(chat, type("L", (), {"__len__": lambda _: mb * MIB})(), "document")
            media = made.json()["media"]["id"]
            conn = http.client.HTTPConnection(host, timeout=300)
            for at in range(0, mb * MIB, part):
                body = piece[: min(part, mb * MIB - at)]
                while (r := piece_sent(conn, media, token, at, body)).status == 503:  # no room for it now
                    again.append(at)
                    time.sleep(float(r.headers["Retry-After"]) * random.uniform(1, 5))
                assert r.status == 204, r.status
            assert f.complete(media).status_code == 200
            next((stack.state / "media").rglob(media)).unlink()  # so that the disk holds out
        except Exception as error:  # noqa: BLE001
            failed.append(repr(error))

    threads = [threading.Thread(target=one) for _ in range(uploads)]
    began = time.monotonic()
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        samples.append(memory_of(pid))
        time.sleep(0.5)
    seconds = time.monotonic() - began
    quarter = max(1, len(samples) // 4)
    means = [statistics.mean(s["RssAnon"] for s in samples[i : i + quarter]) for i in range(0, len(samples), quarter)]
    print(f"{uploads} uploads of {mb} MiB at once: {seconds:.0f} s, {uploads * mb / seconds:.0f} MiB/s, {len(failed)} failed {failed[:2]}, "
          f"{len(again)} pieces sent again")
    print(f"edge-rest: {before['VmRSS']} MiB before, at most {max(s['VmRSS'] for s in samples)} MiB, by quarters of the time "
          f"{[round(m) for m in means]} MiB, after {memory_of(pid)['VmRSS']} MiB")


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--uploads", type=int, default=100)
    args.add_argument("--mb", type=int, default=100)
    options = args.parse_args()
    port = int(os.environ.get("CHASQUI_TEST_PORT", "25000"))
    data = os.urandom(options.mb * MIB)
    with Stack(base_port=port, durable=True, settings={"MEDIA_DAILY_MB": "1000000", "MEDIA_DOCUMENT_MAX_MB": "4096"}) as stack:
        stack.start()
        f, chat, token = chat_of_two(stack)
        folder_figures(stack, f, chat, token, data)
        parallel(stack, chat, token, options.uploads, options.mb)
        executable = versitygw.program(Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "bin")
        server = versitygw.server(executable, stack.state / "s3", port + 3, ACCESS, SECRET, stack.state / "log/versitygw.log",
                                  stack.services.guard).start()
        server.wait_ready(30)
        stack.services.procs.append(server)  # ends with the others, whatever happens
        for name in ("edge-rest", "media"):
            p = stack.role(name)
            p.stop()
            p.env.update(MEDIA_STORE=f"s3:http://127.0.0.1:{port + 3}/media", S3_ACCESS_KEY=ACCESS, S3_SECRET_KEY=SECRET, MEDIA_PART_MB="8")
            p.start().wait_ready(30)
        s3_figures(stack, f, chat, data, port + 3)


if __name__ == "__main__":
    main()
