# SPDX-License-Identifier: MIT
"""A push service of browsers, and browsers that subscribe there. What a push says is decrypted by http_ece, and who sent it is
verified by py_vapid: neither is ours."""
from __future__ import annotations

import base64
import http.server
import json
import os
import select
import ssl
import subprocess
import threading
import uuid
from pathlib import Path

import http_ece
import py_vapid
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

MODES = {"ok": 201, "gone": 410, "unknown": 404, "later": 429, "down": 503, "moved": 307, "foreign": 403, "stall": 201, "flood": 201, "heads": 201}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """A subscription and the keys that only the browser has. `mode` says how its service answers: see MODES."""

    def __init__(self, origin: str, mode: str = "ok"):
        self.mode, self.name = mode, uuid.uuid4().hex
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        self.endpoint = f"{origin}/{mode}/{self.name}"

    def subscription(self) -> dict:
        """PushSubscription.toJSON()."""
        point = self.key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": {"p256dh": b64(point), "auth": b64(self.auth)}}

    def reads(self, body: bytes) -> dict:
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"))


class Service:
    """Takes pushes on a port of its own. `moved_to`: where it sends those that follow."""

    def __init__(self, folder: Path, moved_to: str = ""):
        self.requests: list[dict] = []
        self.go_on = threading.Event()  # what stalls is answered then
        self.stalled: set = set()  # connections with a request that stalls
        self.most_stalled = 0  # at once
        self.lock = threading.Lock()
        self.moved_to, self.connections = moved_to, 0
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "cert.pem"
        if not self.ca_file.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "30",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], cwd=folder, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, folder / "key.pem")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(), bind_and_activate=True)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.server.server_address[1]}"

    def stop(self):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()

    def of(self, browser: Browser) -> list[dict]:
        """What came for this browser: headers, the body, and what the browser reads in it."""
        return [{**r, "said": browser.reads(r["body"])} for r in self.requests if r["path"].endswith(browser.name)]

    def _handler(service):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words):
                pass

            def setup(self):
                super().setup()
                service.connections += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                mode = self.path.split("/")[1]
                service.requests.append({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
                if mode == "stall":
                    self._stall()
                self.send_response(MODES[mode])
                if mode in ("later", "down"):
                    self.send_header("Retry-After", "999999999999")
                if mode == "moved":
                    self.send_header("Location", service.moved_to)
                if mode in ("flood", "heads"):
                    return self._without_end(mode)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _stall(self):
                """Until it may go on. Who hung up on a request is not open any more: that is seen before the next one is counted."""
                with service.lock:
                    hung_up, _, _ = select.select(list(service.stalled), [], [], 0)
                    service.stalled -= set(hung_up)
                    service.stalled.add(self.connection)
                    service.most_stalled = max(service.most_stalled, len(service.stalled))
                service.go_on.wait(60)
                with service.lock:
                    service.stalled.discard(self.connection)

            def _without_end(self, mode):
                """More than anybody wants to read: it ends when we are hung up on."""
                try:
                    if mode == "flood":
                        self.send_header("Transfer-Encoding", "chunked")
                        self.end_headers()
                    while not service.go_on.is_set():
                        if mode == "flood":
                            self.wfile.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                        else:
                            self.send_header("X-More", "x" * 4000)
                            self.flush_headers()
                except OSError:
                    pass
                self.close_connection = True

        return Handler


def vapid_keys(chasqui: Path) -> dict:
    """What `chasqui admin vapid-key` says, as settings."""
    said = subprocess.run([chasqui, "admin", "vapid-key"], check=True, capture_output=True, text=True).stdout
    public, private = said.split("\n", 1)
    return {"VAPID_PUBLIC_KEY": public.partition("=")[2], "VAPID_KEY": private.partition("=")[2].strip().strip("'") + "\n"}


def sender(request: dict) -> dict:
    """The claims of whoever sent it, verified by its key, which is the claim "k" here."""
    header = request["headers"]["authorization"]
    assert py_vapid.Vapid02.verify(header), header
    token, key = (word.partition("=")[2] for word in header.partition(" ")[2].split(","))
    kind, claims, _ = token.split(".")
    assert json.loads(unb64(kind)) == {"typ": "JWT", "alg": "ES256"}, unb64(kind)
    return {**json.loads(unb64(claims)), "k": key}
