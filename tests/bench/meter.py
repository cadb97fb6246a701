# SPDX-License-Identifier: MIT
"""What the server processes used, from /proc: CPU seconds and memory, PostgreSQL's and Kafka's children included."""

import os
import platform
import re
import subprocess
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """(parent, own CPU ticks, CPU ticks of children that ended), or None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def _family(pids):
    """Each pid with all its living descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(entry)):
            children.setdefault(stat[0], []).append(int(entry))
    families = {}
    for pid in pids:
        found, todo = [], [pid]
        while todo:
            found.append(todo.pop())
            todo += children.get(found[-1], [])
        families[pid] = found
    return families


class Meter:
    """Of a Stack: its processes, named as in the tables ("kafka", "postgres", role)."""

    def __init__(self, stack):
        self.names = {"kafka": [stack.kafka.pid], "postgres": [stack.postgres.pid]}
        for proc in stack.roles():
            self.names.setdefault(proc.name.rsplit("-", 1)[0], []).append(proc.pid)

    def cpu_s(self):
        """{name: CPU seconds since its start}."""
        families = _family([pid for pids in self.names.values() for pid in pids])
        ticks = {}
        for name, pids in self.names.items():
            stats = [s for pid in pids for member in families[pid] if (s := _stat(member))]
            ticks[name] = sum(own + ended for _, own, ended in stats) * TICK_S
        return ticks

    def wakeups(self):
        """{name: times that a thread of it gave up the CPU to wait}, of threads that live."""
        families = _family([pid for pids in self.names.values() for pid in pids])
        return {name: sum(_waits(member) for pid in pids for member in families[pid]) for name, pids in self.names.items()}

    def memory_kib(self):
        """{name: proportional set size in KiB}: what is shared between processes counts once."""
        families = _family([pid for pids in self.names.values() for pid in pids])
        return {name: sum(_pss_kib(member) for pid in pids for member in families[pid]) for name, pids in self.names.items()}


def _waits(pid):
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            found += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.M)[1])
        except (OSError, TypeError):
            pass  # it has ended
    return found


def _pss_kib(pid):
    try:
        return int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
    except (OSError, TypeError):
        return 0


def machine():
    """What a figure must be read with."""
    cpu = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)[1])
    system = re.search(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text(), re.M)
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(), "memory_gib": round(memory / 2**20, 1),
            "kernel": platform.release(), "system": system[1] if system else "?", "autogroup": _autogroup()}


def _autogroup():
    """Whether sessions share the CPU evenly whatever they are (sched(7)): a backend of PostgreSQL is one, so is a gateway."""
    try:
        return {"0": "off", "1": "on"}[Path("/proc/sys/kernel/sched_autogroup_enabled").read_text().strip()]
    except (OSError, KeyError):
        return "?"


def versions(build):
    """Of what is measured and what it stands on."""
    found = {"chasqui": _first_line([str(build / "chasqui"), "--version"]) or "?"}
    for name in ("rdkafka", "libwebsockets", "libh2o-evloop", "libpq"):
        found[name] = _first_line(["pkg-config", "--modversion", name]) or "?"
    cache = build / "CMakeCache.txt"
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    found["build"] = kind[1] if kind else "?"
    found["commit"] = _first_line(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]) or "?"
    return found


def _first_line(argv):
    try:
        result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    except OSError:
        return ""
    return result.stdout.strip().split("\n")[0] if result.returncode == 0 else ""
