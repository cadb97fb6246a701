# SPDX-License-Identifier: MIT
"""Even load for long: nothing grows. The generator of tests/bench sends; every minute each process is looked at.

Printed: each process's memory and descriptors at each quarter. Exit code 1: something was lost or doubled, or memory in
the last quarter is higher than in the second one by more than a tenth and 8 MB, or descriptors are more.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from drive import Memory  # noqa: E402
from stack import ROOT  # noqa: E402

GROWTH, GROWTH_MB, FDS = 1.10, 8, 8
PIECE_MIN = 10  # the load's tokens live for 15 minutes and are renewed between pieces; the processes are the same ones
START_S, BETWEEN_S = 300.0, 120.0  # for Kafka, PostgreSQL and 1,000 people; for new tokens, warm-up and the view's count


def descendants(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(path.parent.name)
            found += [child, *descendants(child)]
    return found


def role_of(pid: int) -> str | None:
    """`chat` of a process that runs as `chasqui chat`."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return words[1].decode() if len(words) > 1 and words[0].endswith(b"/chasqui") and words[1] != b"admin" else None


def main() -> int:
    a = argparse.ArgumentParser(prog="tests/faults/soak", description=__doc__)
    a.add_argument("--minutes", type=float, default=30)
    a.add_argument("--rate", type=int, default=1000, help="messages a second")
    a.add_argument("--workload", default="pairs-500")
    a.add_argument("--base-port", type=int, default=int(os.environ.get("CHASQUI_FAULTS_PORT", "30000")) + 800)
    o = a.parse_args()
    pieces = math.ceil(o.minutes / PIECE_MIN)
    bench = subprocess.Popen([sys.executable, ROOT / "tests/bench/bench.py", "--workload", o.workload, "--rate", str(o.rate), "--seconds",
                              str(o.minutes * 60 / pieces), "--repeats", str(pieces), "--base-port", str(o.base_port)],
                             stdout=subprocess.PIPE, text=True)
    limit_s = o.minutes * 60 + START_S + pieces * BETWEEN_S
    late = threading.Timer(limit_s, bench.terminate)  # it ends what it has started, and stdout's end is ours
    late.daemon = True
    late.start()
    seen: dict[str, list[tuple[float, int, int]]] = {}
    over = threading.Event()
    began = time.monotonic()

    def look() -> None:
        while not over.wait(max(1.0, o.minutes * 60 / 120)):
            for pid in descendants(bench.pid):
                role = role_of(pid)
                if role:
                    seen.setdefault(f"{role} {pid}", []).append((time.monotonic() - began, *Memory.of(pid)))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        for line in bench.stdout:
            print(line, end="", flush=True)
        code = bench.wait()
    finally:
        if bench.poll() is None:
            bench.terminate()  # it ends what it has started
            bench.wait()
    over.set()
    watcher.join()
    late.cancel()
    took_s = time.monotonic() - began
    bad = [f"the load ended with {code}" + (f", it was not through after {limit_s:.0f} s" if took_s >= limit_s else "")] if code else []
    last = max((looks[-1][0] for looks in seen.values()), default=0.0)
    for name, looks in sorted(seen.items()):
        if looks[-1][0] < last * 0.75:
            bad.append(f"{name} ended after {looks[-1][0]:.0f} s")
        if len(looks) < 8:
            continue
        quarter = len(looks) // 4
        mb = [max(x[1] for x in looks[i * quarter:(i + 1) * quarter]) for i in range(4)]
        fds = [max(x[2] for x in looks[i * quarter:(i + 1) * quarter]) for i in range(4)]
        print(f"{name:20} MB by quarter {mb}, descriptors {fds}", flush=True)
        if mb[3] > mb[1] * GROWTH + GROWTH_MB:
            bad.append(f"{name} grows: {mb} MB")
        if fds[3] > fds[1] + FDS:
            bad.append(f"{name} has more and more descriptors: {fds}")
    if not any(len(looks) >= 8 for looks in seen.values()):
        bad.append("nobody was looked at")
    print(json.dumps({"minutes": o.minutes, "rate": o.rate, "bad": bad}))
    print("ok" if not bad else "FAILED: " + "; ".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
