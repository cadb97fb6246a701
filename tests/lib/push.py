# SPDX-License-Identifier: MIT
"""The doubles of Google's and Apple's push services (tests/push/PushDoubles.java), and what a Stack needs to use them."""
from __future__ import annotations

import collections
import hashlib
import json
import os
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

from process import Proc
from services import java, locked, run_step

ROOT = Path(__file__).resolve().parents[2]
SOURCE, POM = ROOT / "tests/push/PushDoubles.java", ROOT / "tests/push/pom.xml"
TEAM, KEY_ID, TOPIC, PROJECT = "TEAM123456", "KEY1234567", "org.example.chasqui", "demo"


def home() -> Path:
    return Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "push"


def fetch() -> Path:
    """pushy by Maven and our class beside it, once for each version of either."""
    where = home()
    with locked(where / "lock"):
        key = hashlib.sha256(POM.read_bytes() + SOURCE.read_bytes()).hexdigest()
        stamp = where / "stamp"
        if stamp.exists() and stamp.read_text() == key:
            return where
        log = where / "fetch.log"
        log.unlink(missing_ok=True)
        run_step("fetch pushy by Maven", ["mvn", "-B", "-q", "-f", POM, "dependency:copy-dependencies",
                                          f"-DoutputDirectory={where / 'libs'}", "-DincludeScope=runtime"], log)
        run_step("compile the doubles", ["javac", "-cp", f"{where / 'libs'}/*", "-d", where / "classes", SOURCE], log)
        stamp.write_text(key)
    return where


def _openssl(*words, cwd):
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)


class Doubles:
    """Both services on two ports. `folder` holds keys and the log; `guard` is a Stack's, so that nothing outlives it."""

    def __init__(self, folder: Path, apns_port: int, fcm_port: int, guard=None):
        self.folder, self.apns_port, self.fcm_port = Path(folder), apns_port, fcm_port
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "requests.jsonl"
        self._seen: list[dict] = []  # of the log, up to _read_to
        self._read_to = 0
        self._make_keys()
        where = fetch()
        self.proc = Proc("push-doubles", [java(), "-Xmx256m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                                          "-cp", f"{where / 'classes'}:{where / 'libs'}/*", "PushDoubles", apns_port, fcm_port, self.folder,
                                          TEAM, KEY_ID, TOPIC, self.log],
                         self.folder / "doubles.log", "doubles ready", guard=guard)

    def _make_keys(self):
        if (self.folder / "cert.pem").exists():
            return
        at = self.folder
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "30", "-subj",
                 "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", cwd=at)
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "apns.p8", cwd=at)
        _openssl("pkey", "-in", "apns.p8", "-pubout", "-out", "apns.pub", cwd=at)
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "google.pem", cwd=at)
        _openssl("pkey", "-in", "google.pem", "-pubout", "-out", "google.pub", cwd=at)
        (at / "service-account.json").write_text(json.dumps(self.account()))

    def account(self) -> dict:
        return {"type": "service_account", "project_id": PROJECT, "private_key_id": "googlekey1",
                "private_key": (self.folder / "google.pem").read_text(), "client_email": "push@demo.iam.gserviceaccount.com",
                "client_id": "1", "token_uri": f"{self.fcm_url}/token"}

    @property
    def fcm_url(self) -> str:
        return f"https://127.0.0.1:{self.fcm_port}"

    def settings(self) -> dict:
        """What the role mobile needs to talk to them."""
        return {"FCM_SERVER_KEY": self.folder / "service-account.json", "FCM_BASE_URL": self.fcm_url,
                "APNS_KEY": self.folder / "apns.p8", "APNS_KEY_ID": KEY_ID, "APNS_TEAM_ID": TEAM, "APNS_TOPIC": TOPIC,
                "APNS_BASE_URL": f"https://127.0.0.1:{self.apns_port}", "APNS_SANDBOX_URL": f"https://127.0.0.1:{self.apns_port}",
                "PUSH_CA_FILE": self.folder / "cert.pem"}

    def start(self) -> "Doubles":
        self.proc.start().wait_ready(60)
        return self

    def stop(self):
        self.proc.stop()

    # ---- steering and looking

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context(cafile=self.folder / "cert.pem")
        with urllib.request.urlopen(f"{self.fcm_url}{path}", data=body, context=context, timeout=10) as answer:
            return answer.read()

    def control(self, **modes):
        self._ask("/control", "\n".join(f"{k}={v}" for k, v in modes.items()).encode())

    def stats(self) -> dict:
        return json.loads(self._ask("/stats"))

    def requests(self, to: str = "") -> list[dict]:
        """What came so far; `to`: fcm, apns or oauth."""
        if self.log.exists():
            with open(self.log, "rb") as f:
                f.seek(self._read_to)
                new = f.read()
            whole = new[:new.rfind(b"\n") + 1]  # the last line may be being written
            self._read_to += len(whole)
            for line in whole.splitlines():
                try:
                    self._seen.append(json.loads(line))
                except ValueError:
                    continue  # cut off by a kill
        return [r for r in self._seen if r["to"].startswith(to)]

    def pushes(self, message: str) -> list[dict]:
        """Requests that speak of this message."""
        return [r for r in self.requests() if message in r["body"]]

    def token_of(self, request: dict) -> str:
        if request["to"].startswith("apns"):
            return request["path"].rsplit("/", 1)[1]
        message = json.loads(request["body"])["message"]
        return message.get("token") or message["fid"]

    def tries(self) -> collections.Counter:
        """How often each token was asked for."""
        return collections.Counter(self.token_of(r) for r in self.requests() if not r["to"].startswith("oauth"))


def apns_token(prefix: str, n: int = 0) -> str:
    """A device token that begins with `prefix` (hex) and is unlike all others."""
    return prefix + hashlib.sha256(f"{prefix}{n}{time.time_ns()}".encode()).hexdigest()[: 64 - len(prefix)]


# ---- Google's own word on a request


def google_schema() -> dict:
    import googleapiclient

    path = Path(googleapiclient.__file__).parent / "discovery_cache/documents/fcm.v1.json"
    return json.loads(path.read_text())["schemas"]


def faults_of(value, schema: dict, schemas: dict, where: str = "") -> list[str]:
    """What Google's schema has against a value: unknown fields, wrong types, words that are none of an enum's."""
    if "$ref" in schema:
        return faults_of(value, schemas[schema["$ref"]], schemas, where)
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, dict):
            return [f"{where}: no object"]
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        found = []
        for name, item in value.items():
            if name not in known and rest is None:
                found.append(f"{where}.{name}: unknown")
            else:
                found += faults_of(item, known.get(name, rest), schemas, f"{where}.{name}")
        return found
    if kind == "array":
        if not isinstance(value, list):
            return [f"{where}: no array"]
        return [f for i, item in enumerate(value) for f in faults_of(item, schema["items"], schemas, f"{where}[{i}]")]
    types = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "any": object, None: object}
    if not isinstance(value, types[kind]) or (kind == "integer" and isinstance(value, bool)):
        return [f"{where}: {value!r} is no {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {schema['enum']}"]
    return []
