# SPDX-License-Identifier: MIT
"""What some faults need around the system: a disk that can be full, proxies on every wire, a way into producers.

Each says why when it cannot be had; its faults are then left out, and the report says so.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from stack import ROOT, Failure, Proc
from power import PowerFs
from process import Guard  # (stack has put its folder on the path)

DISK_MB = 2500
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"  # Debian's libfaketime
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"


class Disk:
    """A small file system of its own for Kafka and PostgreSQL."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="chasqui-disk-"))
        self.filled_mb = 0
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "chasqui", self.path], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            self.path.rmdir()
            raise Failure("a disk of its own", done.stderr.strip() or "mount failed")

    def fill(self) -> None:
        """Leave nothing free."""
        at = os.statvfs(self.path)
        self.filled_mb = at.f_bavail * at.f_frsize // (1 << 20)
        out = os.open(self.path / "ballast", os.O_WRONLY | os.O_CREAT)
        try:
            os.posix_fallocate(out, 0, at.f_bavail * at.f_frsize)
            while True:
                os.pwrite(out, b"x" * 4096, os.lseek(out, 0, os.SEEK_END))
        except OSError:
            pass  # full, which was wanted
        finally:
            os.close(out)

    def free(self) -> None:
        (self.path / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        for words in (["umount", self.path], ["umount", "-l", self.path]):
            if subprocess.run(words, capture_output=True, check=False).returncode == 0:
                break
        shutil.rmtree(self.path, ignore_errors=True)


class Dark(Disk):
    """A disk for Kafka and PostgreSQL whose power can be cut: then what was not synced is gone (tests/power)."""

    def __init__(self, program: Path):
        try:
            self.fs = PowerFs(program)
        except OSError as error:
            raise Failure("powerfs", str(error)) from error
        self.path = self.fs.path

    def close(self) -> None:
        self.fs.close()


class Proxies:
    """Toxiproxy between roles and broker, roles and database, clients and gateways."""

    def __init__(self, base_port: int, log: Path, gateways: int = 2):
        self.api = f"http://127.0.0.1:{base_port + 9}"
        self.kafka, self.postgres = base_port + 5, base_port + 6
        self.ws = [base_port + 7 + i for i in range(gateways)]
        self.wires = {"kafka": (self.kafka, base_port), "postgres": (self.postgres, base_port + 2)}
        self.wires.update({f"ws{i}": (p, base_port + 11 + 10 * i) for i, p in enumerate(self.ws)})
        self.guard = Guard()
        self.proc = Proc("toxiproxy", [toxiproxy(), "-host", "127.0.0.1", "-port", str(base_port + 9)], log, "Starting",
                         guard=self.guard)
        self.proc.start()
        end = time.monotonic() + 10
        while True:
            try:
                self.call("GET", "/version")
                break
            except OSError as error:
                if time.monotonic() > end:
                    self.close()
                    raise Failure("toxiproxy", str(error), log) from error
                time.sleep(0.05)
        for name, (listen, upstream) in self.wires.items():
            self.call("POST", "/proxies", {"name": name, "listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{upstream}",
                                           "enabled": True})

    def call(self, method: str, path: str, body: dict | None = None) -> None:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def harm(self, where: str, kind: str, attributes: dict, streams=("upstream", "downstream")) -> None:
        for name in [w for w in self.wires if w.startswith(where)]:
            if kind == "down":
                self.call("POST", f"/proxies/{name}", {"enabled": False})
                continue
            for stream in streams:
                self.call("POST", f"/proxies/{name}/toxics", {"name": f"{kind}-{stream}", "type": kind, "stream": stream,
                                                              "toxicity": 1.0, "attributes": attributes})

    def reset(self) -> None:
        self.call("POST", "/reset")

    def close(self) -> None:
        self.proc.stop(5)
        self.guard.release()


def toxiproxy() -> Path:
    """The binary; made by Go, once."""
    folder = Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "bin"
    if not (folder / "server").exists():
        go = shutil.which("go") or "/usr/local/go/bin/go"
        if not Path(go).exists():
            raise Failure("toxiproxy", "no Go here to build it with")
        done = subprocess.run([go, "install", TOXIPROXY], capture_output=True, text=True, check=False,
                              env={**os.environ, "GOBIN": str(folder.resolve()), "GOFLAGS": "-modcacherw"})
        if done.returncode != 0:
            raise Failure("toxiproxy", done.stderr[-300:])
    return folder / "server"


class Rig:
    """Everything of the above that is wanted and can be had. `have` names it, `settings` are for the roles."""

    def __init__(self, want: set[str], base_port: int, build: Path, out: Path, say):
        self.have = want & {"brokers"}  # which are the stack's own affair
        self.settings: dict[str, str] = {}
        self.disk = self.proxies = None
        self.ports: dict[str, int] = {}
        preload = build / "tests/faults/faults_fatal.so"
        self.preloads: dict[str, str] = {}  # what a fault starts a process with
        (out / "log").mkdir(parents=True, exist_ok=True)
        try:
            if "fatal" in want and preload.exists():
                self.settings["LD_PRELOAD"] = str(preload)
                self.have.add("fatal")
            elif "fatal" in want:
                say(f"left out: F16, {preload} is not built")
            for name, files in (("slow", [build / "tests/faults/faults_slow.so"]),
                                ("clock", [build / "tests/faults/faults_clock.so", Path(FAKETIME)])):
                missing = [f for f in files if not f.exists()]
                if name in want and not missing:
                    self.preloads[name] = ":".join(map(str, files))
                    self.have.add(name)
                elif name in want:
                    say(f"left out: what needs {missing[0]}, which is not there")
            for name, make in (("disk", Disk), ("power", lambda: Dark(build / "tests/power/powerfs"))):
                if name in want:
                    self.disk = make()
                    # the disk is the services'; whoever writes logs shall not meet its end
                    (self.disk.path / "log").symlink_to(out / "log")
                    self.have.add(name)
            if "proxies" in want:
                self.proxies = Proxies(base_port, out / "log/toxiproxy.log")
                self.ports["kafka_advertised"] = self.proxies.kafka
                self.settings["KAFKA_BROKER"] = f"127.0.0.1:{self.proxies.kafka}"
                self.settings["DATABASE_URL"] = f"postgresql://chasqui:test@127.0.0.1:{self.proxies.postgres}/chasqui"
                self.have.add("proxies")
        except Failure as failure:
            say(f"left out: {failure}")

    def state(self) -> Path | None:
        return self.disk.path if self.disk else None

    def ws_urls(self, stack, n: int = 2) -> list[str]:
        return [f"ws://127.0.0.1:{p}/ws" for p in self.proxies.ws] if self.proxies else [stack.ws_url(i) for i in range(n)]

    def close(self) -> None:
        if self.proxies:
            self.proxies.close()
        if self.disk:
            self.disk.close()
