# SPDX-License-Identifier: MIT
"""What tests/run does once everything is installed: steps in order, their seconds, and the count of all tests."""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/test-results"
BUDGET_S = {True: 8 * 60, False: 40 * 60}  # quick?
HARD_S = 75 * 60  # whatever happens: a machine that waits for us gives up at 90 minutes

PORTS_BETWEEN = 2000
SHARDS = {"release": 3, "asan": 2}  # how many pytests share the system tests, file by file (tests/system/conftest.py)
WAITING = 8  # how many unit tests wait at once
NO_C = "^(lint|binaries)[.]|^oracle[.](evolution|history)$|^unit[.]bench_model$"  # tests that run nothing that is built here
# Left out under the address and undefined-behaviour sanitizers: tests of the tests, and thousands of pushes (test_push.py is in).
NOT_ASAN = ["test_checkers.py", "test_push_many.py"]
FAULT_SEEDS = ("11", "12")  # of the short profile
TSAN_TESTS = [f"tests/system/test_{name}.py" for name in ("connect", "framing", "chat", "zz_logs")]
ASAN_OPTIONS = "detect_leaks=1:allocator_may_return_null=1:abort_on_error=0:exitcode=99"


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count_junit(path):
    """(Count, names of the failed) of a JUnit file: of ctest, pytest or node."""
    count, failed = Count(), []
    for case in xml.parse(path).getroot().iter("testcase"):
        if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            count.skipped += 1
        elif case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            count.failed += 1
            failed.append(case.get("name"))
        else:
            count.passed += 1
    return count, failed


SKIPPED = 77  # the code of a step that cannot be run here; its last line says why


class Run:
    """`results` has the steps' logs; whatever happens, the run ends after `hard_s` seconds. `quick`: steps do less."""

    def __init__(self, results=RESULTS, hard_s=HARD_S, quick=False):
        self.quick, self.results, self.hard_s, self.began = quick, results, hard_s, time.monotonic()
        self.count, self.lines, self.broken = Count(), [], set()
        self.live = set()  # processes of steps
        self.lock, self.side = threading.Lock(), threading.local()  # the lock: of the four above, and of a line of output
        results.mkdir(parents=True, exist_ok=True)

    def step(self, name, what, argv, timeout, junit=None, shown=True, needs=(), folder=None, env=None, is_test=True):
        """Run one step. With `junit` its tests are counted from that file, else the step itself is one test (a build is none,
        but one that fails is a failure).

        A step whose `folder` is not there yet, or one of whose `needs` failed, is skipped out loud.
        """
        self.say(f"\n=== {name}: {what}")
        missing = folder and not (ROOT / folder).exists()
        if missing or self.broken & set(needs):
            why = f"{folder} is not there yet" if missing else f"{', '.join(sorted(self.broken & set(needs)))} failed"
            self._done(name, 0.0, Count(skipped=1), f"SKIPPED: {why}")
            return
        if junit:
            junit.unlink(missing_ok=True)
        began = time.monotonic()
        log = self.results / f"{name}.log"
        code = self._command([str(a) for a in argv], log, min(timeout, self.began + self.hard_s - began), shown, env)
        seconds = time.monotonic() - began
        if code == SKIPPED:
            said = log.read_text(errors="replace").splitlines()[-1:]
            self._done(name, seconds, Count(skipped=1), f"SKIPPED: {''.join(said)}")
            return
        count, failed = Count(), []
        if junit and junit.exists():
            try:
                count, failed = count_junit(junit)
            except xml.ParseError:
                pass
        if not junit and code == 0 and is_test:
            count.passed = 1
        if code != 0 and not count.failed:
            count.failed += 1
            failed.append(f"{Path(argv[0]).name} ended with {code}")
        if code == 0 and junit and not count.passed:
            count.failed += 1
            failed.append("no test ran")
        if failed:
            self.broken.add(name)
            if not shown:
                self.say("\n".join(log.read_text(errors="replace").splitlines()[-25:]))
        self._done(name, seconds, count, f"FAILED: {', '.join(failed)} (log: {log.relative_to(ROOT)})" if failed else "")

    def _done(self, name, seconds, count, remark):
        line = f"{name:14} {seconds:7.1f} s   {count}" + (f"   {remark}" if remark else "")
        with self.lock:
            self.count.add(count)
            self.lines.append(line)
        self.say(f"--- {line}")

    def say(self, text):
        """Print whole lines; beside others, each begins with the name of its lane or step."""
        lane = getattr(self.side, "name", "")
        with self.lock:
            print("\n".join(f"{lane}{line}" if line else "" for line in text.split("\n")), flush=True)

    def side_by_side(self, *lanes):
        """Run `lanes` (name, function) at once, each in a thread; what a lane raises is raised here."""
        above, raised = getattr(self.side, "name", ""), []

        def follow(name, function):
            self.side.name = f"{name}| " if len(lanes) > 1 else above
            try:
                function()
            except BaseException as error:  # pylint: disable=broad-except
                raised.append(error)

        threads = [threading.Thread(target=follow, args=lane) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            with self.lock:
                for process in self.live:
                    os.killpg(process.pid, signal.SIGTERM)
            raise
        if raised:
            raise raised[0]

    def _command(self, argv, log, timeout, shown, env):
        """Run to the end, output to the log and, when `shown`, here too. The return code, or why there is none."""
        try:
            process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       text=True, errors="replace", start_new_session=True, env={**os.environ, **(env or {})})
        except OSError as error:
            return str(error)
        with self.lock:
            self.live.add(process)
        late = threading.Event()

        def end():
            late.set()
            os.killpg(process.pid, signal.SIGTERM)
            time.sleep(20)  # to end what it started
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(max(1, timeout), end)
        timer.daemon = True
        timer.start()
        try:
            with open(log, "w", encoding="utf-8") as out:
                for line in process.stdout:
                    out.write(line)
                    if shown:
                        self.say(line.rstrip("\n"))
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        finally:
            timer.cancel()
            with self.lock:
                self.live.discard(process)
        return f"a time-out after {timeout:.0f} s" if late.is_set() else code


def build(run, name, timeout):
    preset = ROOT / f"build/{name}"
    if not (preset / "build.ninja").exists() or python_of(preset) != sys.executable:
        run.step(f"setup-{name}", f"cmake --preset {name}", ["cmake", "--preset", name, f"-DCHASQUI_PYTHON={sys.executable}"], 120,
                 shown=False, is_test=False)
    run.step(f"build-{name}", "every target", ["cmake", "--build", "--preset", name], timeout, shown=False,
             needs=[f"setup-{name}"], is_test=False)


def python_of(folder):
    cache = folder / "CMakeCache.txt"
    found = re.search(r"^CHASQUI_PYTHON:\w+=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    return found[1] if found else None


def ctest(run, name, build_name, what, timeout, *more, env=None):
    """Tests that mostly wait (label `waits` in tests/unit/CMakeLists.txt) run many at once, beside those that compute."""

    def some(name, label, jobs):
        junit = RESULTS / f"{name}.xml"
        run.step(name, what, ["ctest", "--test-dir", f"build/{build_name}", f"-j{jobs}", label, "waits", "--output-on-failure",
                              "--output-junit", junit, "--no-tests=error", *more], timeout, junit=junit, needs=[f"build-{build_name}"], env=env)

    waiting = f"{name}-waits"
    run.side_by_side((name, lambda: some(name, "-LE", 2)), (waiting, lambda: some(waiting, "-L", WAITING)))


def pytest(run, name, what, paths, timeout, *more, needs=(), folder=None, env=None):
    junit = RESULTS / f"{name}.xml"
    run.step(name, what, [sys.executable, "-m", "pytest", "-v", "--durations=5", "-p", "no:cacheprovider", f"--junitxml={junit}", *more,
                          *paths], timeout, junit=junit, needs=needs, folder=folder, env=env)


def step_release(run):
    build(run, "release", 900)


def step_units(run):
    ctest(run, "units", "release", "units, lints, flows, codec against fastavro, fuzz corpus", 600)


def step_store(run):
    """Two minutes of two processors on a fresh machine, which tests of time-outs would miss; unit tests leave them idle."""
    home = Path(os.environ.get("CHASQUI_STATE") or ROOT / ".state") / "bin"
    home.mkdir(parents=True, exist_ok=True)
    run.step("store", "versitygw, for the tests of S3", [sys.executable, "compose/lib/versitygw.py", home], 900, is_test=False)


def step_system(run):
    system_tests(run, "system", "release", "one system test of each kind" if run.quick else "all system tests", 1500,
                 *(("-m", "not thorough") if run.quick else ()))


def system_tests(run, name, build_name, what, timeout, *more, env=None):
    """Several pytests share the files of tests/system: whoever is done with one takes the next that nobody took."""
    with contextlib.ExitStack() as until:
        claims = until.enter_context(tempfile.TemporaryDirectory())

        def shard(number):
            own = {"CHASQUI_BUILD": str(ROOT / "build" / build_name), "CHASQUI_CLAIMS": claims,
                   "CHASQUI_TEST_PORT": str(int(os.environ.get("CHASQUI_TEST_PORT", "25000")) + PORTS_BETWEEN * number)}
            pytest(run, f"{name}-{number + 1}", what, ["tests/system"], timeout, *more, needs=[f"build-{build_name}"],
                   folder="tests/system", env={**own, **(env or {})})

        run.side_by_side(*[(f"{name}-{n + 1}", lambda n=n: shard(n)) for n in range(SHARDS[build_name])])


def step_compose(run):
    pytest(run, "compose", "compose/up, the quick start, down, reset", ["tests/compose"], 600, needs=["build-release"],
           folder="tests/compose")


def step_growth(run):
    junit = RESULTS / "growth.xml"
    run.step("growth", "a toy kind in a copy of the tree, tried out; who misses each of its files",
             [sys.executable, "tests/growth/growth.py", "kind", "--system", "--leave-out", "--junit", junit], 400, junit=junit,
             folder="tests/growth/kind.patch", env={"CHASQUI_TEST_PORT": "23500"})


def step_openapi(run):
    run.step("openapi", "docs/openapi.yaml by redocly", ["tests/openapi/run"], 300, folder="tests/openapi/run")


def step_browser(run):
    junit = RESULTS / "browser.xml"
    run.step("browser", "the page in Chromium", ["tests/browser/run", "--test-reporter=spec", "--test-reporter-destination=stdout",
                                                 "--test-reporter=junit", f"--test-reporter-destination={junit}"],
             600, junit=junit, needs=["build-release"], folder="tests/browser/page.test.mjs",
             env={"CHASQUI_BUILD": str(ROOT / "build/release")})


def step_bench(run):
    run.step("bench", "a short run of the load", ["tests/bench/run", "--quick"], 300, needs=["build-release"], folder="tests/bench/run",
             env={"CHASQUI_BUILD": str(ROOT / "build/release")})


def step_faults(run):
    files = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests/faults").glob("test_*.py"))
    pytest(run, "faults-checker", "the checker against planted anomalies", files, 60, folder="tests/faults")
    for seed in FAULT_SEEDS:
        junit = RESULTS / f"faults-{seed}.xml"
        run.step(f"faults-{seed}", f"faults drawn from seed {seed}", ["tests/faults/run", "--profile", "short", "--minutes", "1", "--seed",
                                                                      seed, "--junit", junit],
                 400, junit=junit, needs=["build-release"], folder="tests/faults", env={"CHASQUI_BUILD": str(ROOT / "build/release")})
    junit = RESULTS / "faults-power.xml"
    run.step("faults-power", "a loss of power, with DURABILITY=synced",
             ["tests/faults/run", "--fault", "F25", "--durability", "synced", "--seed", "power", "--junit", junit], 400, junit=junit,
             needs=["build-release"], folder="tests/faults", env={"CHASQUI_BUILD": str(ROOT / "build/release")})


def step_planted(run):
    junit = RESULTS / "planted.xml"
    run.step("planted", "planted bugs, each to be caught by name", ["tests/faults/planted/run", "--quick", "--junit", junit], 500,
             junit=junit, needs=["build-release"], folder="tests/faults/planted", env={"CHASQUI_BUILD": str(ROOT / "build/release")})


def step_asan(run):
    build(run, "asan", 900)


def step_units_asan(run):
    ctest(run, "units-asan", "asan", "what runs our C, under the sanitizers", 900, "-E", NO_C, env={"ASAN_OPTIONS": ASAN_OPTIONS})


def step_system_asan(run):
    system_tests(run, "system-asan", "asan", "system tests under the sanitizers", 1200,
                 *[f"--ignore=tests/system/{name}" for name in NOT_ASAN], env={"ASAN_OPTIONS": ASAN_OPTIONS})


def step_build_tsan(run):
    build(run, "tsan", 900)


def step_tsan(run):
    """What has threads, under the thread sanitizer: units, then all roles over a few tests; their logs are looked at last."""
    options = {"TSAN_OPTIONS": f"suppressions={ROOT}/tests/lib/tsan.supp:exitcode=66:history_size=4"}
    ctest(run, "tsan-units", "tsan", "units that have threads", 600, "-R", "^unit[.](export|stage|push_reader)", env=options)
    pytest(run, "tsan", "a short system run under the thread sanitizer", TSAN_TESTS, 600, needs=["build-tsan"], folder="tests/system",
           env={**options, "CHASQUI_BUILD": str(ROOT / "build/tsan"), "CHASQUI_TEST_PORT": "22500",
                "CHASQUI_PRELOAD": str(ROOT / "build/tsan/tests/tsan/libtsan_threads.so")})


STEPS = {
    "release": step_release, "store": step_store, "units": step_units, "system": step_system, "compose": step_compose, "faults": step_faults,
    "planted": step_planted, "growth": step_growth, "openapi": step_openapi, "browser": step_browser, "bench": step_bench, "asan": step_asan,
    "units-asan": step_units_asan, "system-asan": step_system_asan, "build-tsan": step_build_tsan, "tsan": step_tsan,
}
QUICK = ("release", "store", "units", "system")
# What runs one after the other, and in each of these, what side by side. System tests mostly wait, and share the processors among
# themselves (SHARDS); with more beside them, tests of time-outs fail on two cores.
PHASES = (
    (("release", "units"), ("store",)),
    (("system",),),
    (("compose", "openapi", "growth"), ("faults", "planted", "browser", "bench")),
    (("asan", "build-tsan", "units-asan"),),
    (("system-asan",),),
    (("tsan",),),
)
assert sorted(name for phase in PHASES for lane in phase for name in lane) == sorted(STEPS)


def run_phase(run, phase, wanted):
    lanes = [[name for name in lane if name in wanted] for lane in phase]

    def follow(lane):
        for name in lane:
            STEPS[name](run)

    run.side_by_side(*[(lane[0], lambda lane=lane: follow(lane)) for lane in lanes if lane])


def main():
    args = argparse.ArgumentParser(prog="tests/run")
    args.add_argument("--quick", action="store_true")
    args.add_argument("--list", action="store_true", help="name the steps")
    args.add_argument("--only", help="steps, comma-separated; builds are run when named")
    options = args.parse_args()
    if options.list:
        print("\n".join(STEPS))
        return 0
    wanted = options.only.split(",") if options.only else QUICK if options.quick else list(STEPS)
    for name in wanted:
        if name not in STEPS:
            args.error(f"no step {name}; there are: {', '.join(STEPS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tests/run: told to end"))  # and its steps with it
    run = Run(quick=options.quick)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for phase in PHASES:
        run_phase(run, phase, wanted)
    seconds = time.monotonic() - run.began
    print("\n" + "\n".join(run.lines))
    late = " OVER BUDGET" if seconds > BUDGET_S[options.quick] else ""
    print(f"{seconds:.0f} s of {BUDGET_S[options.quick]} s{late}\n\n{run.count}")
    return 1 if run.count.failed or not run.count.passed else 0


if __name__ == "__main__":
    sys.exit(main())
