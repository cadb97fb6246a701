# SPDX-License-Identifier: MIT
"""One CPU group of the kernel for all of a Chasqui's processes.

Started from a bare shell, each process is a session, and Linux's autogroups weigh sessions: each of PostgreSQL's backends as
much as a whole gateway, and no nice value of theirs counts between them (sched(7), "The autogroup feature"). Inside a control
group threads are weighed, by their nice values. Under systemd with CPU accounting or in a container that is so already, and
this module leaves it at that. docs/performance.md has what it gives.

Standard library only.
"""

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = "chasqui"
WEIGHT = 3  # sessions of the ordinary weight, so that what else runs here keeps its share


def _is_at_the_top(controller):
    """Whether this process is in no group of `controller` ("": the one tree of cgroup 2)."""
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path == "/"
    return False


def _make(folder, weight_file, weight, before=None):
    """The group's file of processes, or None when the kernel or our rights do not allow one."""
    try:
        if before:
            before()
        folder.mkdir(exist_ok=True)
        (folder / weight_file).write_text(str(weight))
        return folder / "cgroup.procs"
    except OSError:
        return None


def _first_version():
    if (ROOT / "cpu/cpu.shares").exists() and _is_at_the_top("cpu"):
        return _make(ROOT / "cpu" / NAME, "cpu.shares", 1024 * WEIGHT)
    return None


def _second_version():
    if (ROOT / "cgroup.controllers").exists() and _is_at_the_top(""):
        return _make(ROOT / NAME, "cpu.weight", 100 * WEIGHT, lambda: (ROOT / "cgroup.subtree_control").write_text("+cpu"))
    return None


class CpuGroup:
    """The group, made when it can be; all Chasquis of a machine share it. It stays: an empty one costs nothing."""

    def __init__(self):
        self._procs = _first_version() or _second_version()

    def __bool__(self):
        return self._procs is not None

    def add(self, pid):
        """A process, right after its start and before it starts any."""
        if not self._procs:
            return
        try:
            self._procs.write_text(str(pid))
        except OSError:
            pass  # it has ended already, or the group was removed: it runs all the same
