# SPDX-License-Identifier: MIT
"""One process each, started, watched and ended the same way by compose/supervise and by the tests.

Standard library only: compose/up runs this with Debian's bare python3.
"""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

RESTART_FIRST_S = 0.2
RESTART_MOST_S = 10.0
STEADY_S = 30.0  # up this long: the next death starts again with the shortest delay
TAIL_BYTES = 4000
LOOK_EVERY_S = 10.0  # at what a start that takes long does
WORKS_SHARE = 0.05  # of one core; what an idle Java machine uses is far below
WORKS_BYTES = 1024 * 1024  # read or written since the last look
PATIENCE_MOST_S = 3600.0


class Failure(Exception):
    """A step that cannot go on: what was tried, why it failed, and which log has more."""

    def __init__(self, step, why, log=None):
        self.step, self.why, self.log = step, why, log
        super().__init__(f"{step}: {why}" + (f"\n  log: {log}" if log else ""))


def check_port_free(port, setting, host="127.0.0.1"):
    """Failure naming port and setting when something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Failure("check ports", f"port {port} on {host} cannot be used ({error.strerror}): end what listens "
                                         f"there, or give {setting} another value") from error


def log_tail(path, lines=15):
    """The last lines of a log, for an error message; empty when there is none."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, os.path.getsize(path) - TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def work_of(session):
    """CPU seconds and bytes read and written so far by the processes of a session (a Proc has one of its own)."""
    cpu, moved = 0.0, 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != session:
                continue
            cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            io = dict(line.split(": ") for line in (folder / "io").read_text().splitlines())
            moved += int(io["rchar"]) + int(io["wchar"])
        except (OSError, ValueError, KeyError):
            pass  # it has ended, or does not show
    return cpu, moved


class Patience:
    """Time does not run out for a start that works: CPU is used, or bytes are moved. Says every few seconds what it does."""

    def __init__(self, name, session, say, every=LOOK_EVERY_S):
        self.name, self.session, self.say, self.every = name, session, say, every
        self.began = self.looked = time.monotonic()
        self.cpu, self.moved = work_of(session)

    def works(self):
        """Whether it did something since the last look; None: it is too early to look."""
        now = time.monotonic()
        if now - self.looked < self.every:
            return None
        cpu, moved = work_of(self.session)
        used, bytes_n, passed = cpu - self.cpu, moved - self.moved, now - self.looked
        self.looked, self.cpu, self.moved = now, cpu, moved
        works = used >= WORKS_SHARE * passed or bytes_n >= WORKS_BYTES
        self.say(f"{self.name} is not ready after {now - self.began:.0f} s, "
                 + (f"but works: {used:.1f} s of CPU and {bytes_n >> 20} MiB read and written in the last {passed:.0f} s" if works
                    else f"and does nothing since {passed:.0f} s"))
        return works and now - self.began < PATIENCE_MOST_S


class Proc:
    """A long-running process with a log file, in a process group of its own.

    `ready` is the text whose line in the log, written after this start, means that it serves.
    `auto_restart` is obeyed by a Watcher that knows this Proc. Methods may be called from any thread.
    """

    def __init__(self, name, argv, log_path, ready, env=None, user=None, cwd=None, stop_signal=signal.SIGTERM, guard=None,
                 before_start=None):
        self.name, self.argv, self.log_path, self.ready_text = name, [str(a) for a in argv], Path(log_path), ready
        self.env, self.user, self.cwd, self.stop_signal, self.guard = env, user, cwd, stop_signal, guard
        self.before_start = before_start
        self.auto_restart = False
        self.starts = 0
        self._popen = None
        self._log_from = 0  # size of the log when this start began
        self._lock = threading.RLock()
        self._failures = 0
        self._started_at = 0.0
        self._restart_at = None

    @property
    def pid(self):
        return self._popen.pid if self._popen else None

    @property
    def returncode(self):
        """Of the last start: None while alive, negative for a signal."""
        return self._popen.poll() if self._popen else None

    def alive(self):
        """Whether it runs (a stopped, SIGSTOP'd process does)."""
        return self._popen is not None and self._popen.poll() is None

    def start(self):
        """Start it unless it is alive. Returns self; wait_ready() tells when it serves."""
        with self._lock:
            if self.alive():
                return self
            self._forget()
            if self.before_start:
                self.before_start()
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            who = {}
            if self.user:
                entry = pwd.getpwnam(self.user)
                who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            with open(self.log_path, "ab") as log:
                self._log_from = log.tell()
                try:
                    self._popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                   env=self.env, cwd=self.cwd, start_new_session=True, **who)
                except OSError as error:
                    raise Failure(f"start {self.name}", f"{self.argv[0]}: {error.strerror}") from error
            if self.guard:
                self.guard.add(self._popen.pid)
            self.starts += 1
            self._started_at = time.monotonic()
            self._restart_at = None
            return self

    def is_ready(self):
        """Whether the ready line of this start is in the log."""
        try:
            with open(self.log_path, "rb") as log:
                log.seek(min(self._log_from, os.path.getsize(self.log_path)))
                return self.ready_text.encode() in log.read()
        except OSError:
            return False

    def wait_ready(self, timeout=30.0, say=None, every=LOOK_EVERY_S):
        """Until the ready line is there. Failure when it dies first (unless it is restarted) or time runs out. With `say`, a
        function of a line of text, time begins anew whenever it is seen to work, for an hour at most."""
        end = time.monotonic() + timeout
        patience = Patience(self.name, self.pid, say, every) if say and self.alive() else None
        while not self.is_ready():
            if patience and patience.works():
                end = time.monotonic() + timeout
            if not self.alive() and not self.auto_restart:
                raise Failure(f"start {self.name}", f"it ended at once with {self._how_it_ended()}\n{log_tail(self.log_path)}",
                              self.log_path)
            if time.monotonic() > end:
                raise Failure(f"start {self.name}", f"not ready after {timeout:.0f} s\n{log_tail(self.log_path)}",
                              self.log_path)
            time.sleep(0.02)
        return self

    def signal(self, number):
        with self._lock:
            if self.alive():
                os.kill(self._popen.pid, number)

    def term(self):
        """SIGTERM; does not wait."""
        self.signal(signal.SIGTERM)

    def kill9(self):
        """SIGKILL, and wait until it is gone."""
        popen = self._popen
        self.signal(signal.SIGKILL)
        if popen:
            popen.wait()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def cont(self):
        self.signal(signal.SIGCONT)

    def wait(self, timeout=None):
        """Its return code once it has ended; subprocess.TimeoutExpired otherwise."""
        return self._popen.wait(timeout) if self._popen else None

    def stop(self, timeout=15.0):
        """End it for good: politely, after `timeout` seconds by force. True when politeness was enough."""
        self.auto_restart = False
        polite = True
        with self._lock:
            if self.alive():
                self.cont()
                self.signal(self.stop_signal)
                try:
                    self._popen.wait(timeout)
                except subprocess.TimeoutExpired:
                    polite = False
            self._kill_group()
            if self._popen:
                self._popen.wait()
            self._forget()
        return polite

    def log_lines(self):
        """Every JSON line of its log as a dict; other lines are left out."""
        found = []
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                for line in log:
                    if line.startswith("{"):
                        try:
                            found.append(json.loads(line))
                        except ValueError:
                            pass  # cut by a kill in mid-line
        except OSError:
            pass
        return found

    def restart_if_due(self, on_event):
        """One look by a Watcher: notes a death, and starts it again when its delay is over."""
        if not self.auto_restart or self._popen is None or self.alive():
            return
        with self._lock:
            if not self.auto_restart or self.alive():
                return  # somebody was quicker
            now = time.monotonic()
            if self._restart_at is None:
                if now - self._started_at > STEADY_S:
                    self._failures = 0
                delay = min(RESTART_MOST_S, RESTART_FIRST_S * 2**self._failures)
                self._failures += 1
                self._restart_at = now + delay
                on_event(f"{self.name} ended with {self._how_it_ended()}; starting it again in {delay:.1f} s")
            elif now >= self._restart_at:
                self._kill_group()
                self.start()

    def _how_it_ended(self):
        code = self.returncode
        if code is not None and code < 0:
            return signal.Signals(-code).name
        return f"exit code {code}"

    def _kill_group(self):
        """What it may have left behind in its process group."""
        if self._popen:
            try:
                os.killpg(self._popen.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def _forget(self):
        if self._popen and self.guard:
            self.guard.remove(self._popen.pid)


class Watcher:
    """A thread that restarts the dead among `procs` (a live list) whose auto_restart is set."""

    def __init__(self, procs, on_event=lambda text: None):
        self._procs, self._on_event = procs, on_event
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    def _run(self):
        while not self._end.wait(0.05):
            for proc in list(self._procs):
                try:
                    proc.restart_if_due(self._on_event)
                except Failure as failure:
                    self._on_event(str(failure))

    def stop(self):
        self._end.set()
        self._thread.join()


GUARD = """
import os, shutil, signal, sys
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(s, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    word = line.strip()
    if word == "done":
        os._exit(0)
    (groups.add if word[0] == "+" else groups.discard)(int(word[1:]))
for g in groups:
    try:
        os.killpg(g, signal.SIGKILL)
    except OSError:
        pass
for folder in sys.argv[1:]:
    shutil.rmtree(folder, ignore_errors=True)
"""


class Guard:
    """A small process that outlives ours only to kill what we started, should we be killed ourselves.

    It reads process groups from a pipe; the pipe's end without `done` means that we died.
    `folders` are then removed too.
    """

    def __init__(self, folders=()):
        self._lock = threading.Lock()
        self._popen = subprocess.Popen([sys.executable, "-c", GUARD, *map(str, folders)], stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                       text=True)

    def _say(self, text):
        with self._lock:
            try:
                self._popen.stdin.write(text + "\n")
                self._popen.stdin.flush()
            except (BrokenPipeError, ValueError):
                pass  # it was killed, or released: nothing to guard with

    def add(self, group):
        self._say(f"+{group}")

    def remove(self, group):
        self._say(f"-{group}")

    def release(self):
        """Everything has been ended in good order."""
        self._say("done")
        with self._lock:
            self._popen.stdin.close()
        self._popen.wait()
