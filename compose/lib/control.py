# SPDX-License-Identifier: MIT
"""compose/up, down, reset and restore, once the packages are there. Standard library only."""

import argparse
import contextlib
import difflib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import settings_file
from process import Failure
from services import ROOT, Progress, kafka_fetch, postgres_home, run_step
from settings_file import services_of

DOWN_MOST_S = 120
FORGET_S = 10


class Printed(Progress):
    """Progress for a person: a line a step."""

    _in_step = _said_more = False

    def begin(self, what):
        self._in_step = True
        print(f"  {what} ", end="", flush=True)

    def end(self, what, seconds):
        if self._said_more:
            print(f"\n  {what} ", end="")
        self._in_step = self._said_more = False
        print("." * max(3, 58 - len(what)) + f" {seconds:6.1f} s", flush=True)

    def note(self, text):
        """In the middle of a step on a line of its own; the step's own line is said again at its end."""
        print(f"\n    {text}" if self._in_step else f"  {text}", end="" if self._in_step else "\n", flush=True)
        self._said_more = self._in_step

    tell = note


def supervisor_pid(state):
    """Process id of the supervisor that has this state folder, or None."""
    try:
        with open(state / "run/supervise.lock", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return None
            except OSError:
                return int(lock.read() or 0) or None
    except FileNotFoundError:
        return None


def build(state, progress):
    log = state / "log/build.log"
    log.unlink(missing_ok=True)
    with progress.step("build"):
        if not (ROOT / "build/release/build.ninja").exists():
            run_step("configure the build", ["cmake", "--preset", "release"], log, cwd=ROOT)
        run_step("build", ["cmake", "--build", "--preset", "release", "--target", "chasqui"], log, cwd=ROOT)


def check_settings(state, settings):
    """Every name must be known, or a misspelt setting would silently have no effect."""
    table = subprocess.run([ROOT / "build/release/chasqui", "check-config", "--markdown"], capture_output=True, text=True,
                           check=True).stdout
    known = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")} | settings_file.OURS
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f" ({near[0]}?)" if near else ""
            raise Failure("check the settings",
                          f"{state / 'settings.env'}: nobody knows {name}{meant}; docs/settings.md has the names")
    services = services_of(state, settings)
    done = subprocess.run([services.executable, "check-config"], capture_output=True, text=True, env=services.role_env("all"),
                          check=False)
    if done.returncode:
        raise Failure("check the settings", f"{state / 'settings.env'}:\n{done.stderr.strip()}")


def up(state, rebuild, log_was_cut=False, closed=False):
    began = time.monotonic()
    progress = Printed()
    state.mkdir(parents=True, exist_ok=True)
    if rebuild or log_was_cut:
        down(state)
    if pid := supervisor_pid(state):
        print(f"Already running (supervisor {pid}); compose/down first to start a new build or other settings.")
        print_addresses(settings_file.load(state), state)
        return
    settings = settings_file.load(state)
    if not settings["KAFKA_BROKER"]:
        kafka_fetch((state / "kafka").resolve(), progress)
    build(state, progress)
    check_settings(state, settings)
    start_supervisor(state, progress, ["--rebuild"] * rebuild + ["--log-was-cut"] * log_was_cut + ["--closed"] * closed)
    print(f"Chasqui is up after {time.monotonic() - began:.1f} s.\n")
    print_addresses(settings, state)


def start_supervisor(state, progress, more):
    """Start it in the background and follow its progress until it is ready; Failure when it is not."""
    log = state / "log/supervise.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    read_fd, write_fd = os.pipe()
    with open(log, "ab") as out:
        process = subprocess.Popen([sys.executable, ROOT / "compose/supervise", "--state", state, "--report-fd", str(write_fd), *more],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=state,
                                   pass_fds=[write_fd])
    os.close(write_fd)
    ready = failure = None
    try:
        with os.fdopen(read_fd) as reports:
            for line in reports:
                report = json.loads(line)
                if "begin" in report:
                    progress.begin(report["begin"])
                elif "end" in report:
                    progress.end(report["end"], report["seconds"])
                elif "tell" in report:
                    progress.tell(report["tell"])
                elif "why" in report:
                    failure = Failure(report["step"], report["why"], report["log"])
                elif "ready" in report:
                    ready = True
    except KeyboardInterrupt:
        print("\ninterrupted: ending what was started")
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    if failure:
        print()
        raise failure
    if not ready:
        raise Failure("start the supervisor", f"it ended with exit code {process.wait()}", log)


def print_addresses(settings, state):
    rest = f"http://127.0.0.1:{settings['REST_PORT']}"
    files = ""
    if settings["S3_PORT"] != "0":
        files = f"\n  S3              http://127.0.0.1:{settings['S3_PORT']}/media (keys: {state / 'settings.env'})"
    kafka = settings["KAFKA_BROKER"] or f"127.0.0.1:{settings['KAFKA_PORT']}"
    database = (f"DATABASE_URL in {state / 'settings.env'}" if settings["DATABASE_URL"] else
                f"postgresql://chasqui@127.0.0.1:{settings['POSTGRES_PORT']}/chasqui (password: {state / 'settings.env'})")
    print(f"""  page and REST   {rest}
  WebSocket       ws://127.0.0.1:{settings['WS_PORT']}/ws
  Kafka           {kafka}
  PostgreSQL      {database}{files}
  logs            {state / 'log'}

Two people and a message, to paste into a shell:
""")
    quick_start = (ROOT / "compose/quickstart.txt").read_text().replace("@REST@", rest)
    print("".join(f"    {line}\n" for line in quick_start.splitlines()), end="")


def down(state):
    pid = supervisor_pid(state)
    if pid is None:
        print("Not running.")
        return
    began = time.monotonic()
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    while supervisor_pid(state) is not None:
        if time.monotonic() - began > DOWN_MOST_S:
            raise Failure("end everything", f"supervisor {pid} still runs after {DOWN_MOST_S} s", state / "log/supervise.log")
        time.sleep(0.05)
    print(f"Ended after {time.monotonic() - began:.1f} s; the data is kept.")


def forget(folder):
    """Remove it wholly. A process of PostgreSQL's that is just ending may still write a file: then once more."""
    end = time.monotonic() + FORGET_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            if time.monotonic() > end:
                raise Failure("forget the data", f"{folder} is still there after {FORGET_S} s: remove it by hand")
            time.sleep(0.1)


def reset(state, sure):
    if not sure:
        print(f"This forgets every message, file and user in {state}. Type yes to go on: ", end="", flush=True)
        if sys.stdin.readline().strip() != "yes":
            print("Nothing was changed.")
            return
    down(state)
    for folder in (state / "kafka-data", postgres_home(state), state / "media", state / "s3", state / "log"):
        forget(folder)
    print("All data is forgotten; settings and secrets are kept.")
    for name in settings_file.elsewhere(state):
        print(f"What {name} names is not ours: it is left as it is.")


def restore(state, dump):
    """With everything running, or started for it with closed doors, so that no device is told that it is logged out before its row is back."""
    if not dump.is_file():
        raise Failure("read the dump", f"there is no file {dump}")
    if supervisor_pid(state) is None:
        up(state, rebuild=False, closed=True)
    services = services_of(state, settings_file.load(state), progress=Printed())
    services.restore(dump)
    print("The rows that were missing are back, and the doors are open.")


@contextlib.contextmanager
def alone(state, verb):
    """One verb at a time on a state folder: the others wait, and say so. The lock is the kernel's, so a killed one leaves none."""
    path = state / "run/compose.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            print(f"compose/{lock.read().strip() or '…'} is at work on {state}: waiting until it is done.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(f"{verb} (process {os.getpid()})\n")
        lock.flush()
        yield


def chasqui(state, words):
    """Become the executable, with the settings of the running Chasqui."""
    settings = settings_file.load(state)
    services = services_of(state, settings)
    os.execve(services.executable, [str(services.executable), *words], services.role_env("all"))


def main():
    if sys.argv[1] == "chasqui":
        state = Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state").resolve()
        try:
            chasqui(state, sys.argv[2:])
        except (Failure, OSError) as error:
            print(f"compose/chasqui: {error}", file=sys.stderr)
            return 1
    args = argparse.ArgumentParser(prog="compose/" + sys.argv[1])
    args.add_argument("verb", choices=["up", "down", "reset", "restore"], help=argparse.SUPPRESS)
    args.add_argument("--state", type=Path, default=Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state"),
                      help="folder for data, logs and settings (default: .state)")
    if sys.argv[1] == "reset":
        args.add_argument("--yes", action="store_true", help="do not ask")
    if sys.argv[1] == "up":
        args.add_argument("--rebuild", action="store_true", help="forget the view in PostgreSQL and read the log again")
        args.add_argument("--log-was-cut", action="store_true", help="go on with a log that lost its tail, as by a loss of power")
        args.add_argument("--closed", action="store_true", help="with closed doors: nobody logs in before compose/restore is done")
    if sys.argv[1] == "restore":
        args.add_argument("dump", type=Path, help="of schemas auth and media, by pg_dump -Fc")
    options = args.parse_args()
    state = options.state.resolve()
    try:
        with alone(state, options.verb):
            if options.verb == "up":
                up(state, options.rebuild, options.log_was_cut, options.closed)
            elif options.verb == "down":
                down(state)
            elif options.verb == "reset":
                reset(state, options.yes)
            else:
                restore(state, options.dump.resolve())
    except Failure as failure:
        print(f"\ncompose/{options.verb} failed at: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
