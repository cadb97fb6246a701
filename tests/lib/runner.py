# SPDX-License-Identifier: MIT
"""What tests/run does once everything is installed: steps in order, their seconds, and the count of all tests."""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/test-results"
BUDGET_S = {True: 8 * 60, False: 40 * 60}  # quick?
HARD_S = 75 * 60  # whatever happens: a machine that waits for us gives up at 90 minutes

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
        results.mkdir(parents=True, exist_ok=True)

    def step(self, name, what, argv, timeout, junit=None, shown=True, needs=(), folder=None, env=None, is_test=True):
        """Run one step. With `junit` its tests are counted from that file, else the step itself is one test (a build is none,
        but one that fails is a failure).

        A step whose `folder` is not there yet, or one of whose `needs` failed, is skipped out loud.
        """
        print(f"\n=== {name}: {what}", flush=True)
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
                print("\n".join(log.read_text(errors="replace").splitlines()[-25:]))
        self._done(name, seconds, count, f"FAILED: {', '.join(failed)} (log: {log.relative_to(ROOT)})" if failed else "")

    def _done(self, name, seconds, count, remark):
        self.count.add(count)
        self.lines.append(f"{name:14} {seconds:7.1f} s   {count}" + (f"   {remark}" if remark else ""))
        print(f"--- {self.lines[-1]}", flush=True)

    @staticmethod
    def _command(argv, log, timeout, shown, env):
        """Run to the end, output to the log and, when `shown`, here too. The return code, or why there is none."""
        try:
            process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       text=True, errors="replace", start_new_session=True, env={**os.environ, **(env or {})})
        except OSError as error:
            return str(error)
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
                        print(line, end="", flush=True)
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        finally:
            timer.cancel()
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
    junit = RESULTS / f"{name}.xml"
    run.step(name, what, ["ctest", "--test-dir", f"build/{build_name}", "-j2", "--output-on-failure", "--output-junit", junit,
                          "--no-tests=error", *more], timeout, junit=junit, needs=[f"build-{build_name}"], env=env)


def pytest(run, name, what, paths, timeout, *more, needs=(), folder=None, env=None):
    junit = RESULTS / f"{name}.xml"
    run.step(name, what, [sys.executable, "-m", "pytest", "-v", "--durations=5", "-p", "no:cacheprovider", f"--junitxml={junit}", *more,
                          *paths], timeout, junit=junit, needs=needs, folder=folder, env=env)


def step_release(run):
    build(run, "release", 900)


def step_units(run):
    ctest(run, "units", "release", "units, lints, flows, codec against fastavro, fuzz corpus", 600)


def step_system(run):
    which = ("-m", "not thorough") if run.quick else ()
    pytest(run, "system", "one system test of each kind" if run.quick else "all system tests", ["tests/system"], 1500, *which,
           needs=["build-release"], folder="tests/system", env={"CHASQUI_BUILD": str(ROOT / "build/release")})


def step_compose(run):
    pytest(run, "compose", "compose/up, the quick start, down, reset", ["tests/compose"], 600, needs=["build-release"],
           folder="tests/compose")


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
    pytest(run, "faults-checker", "the checker against planted anomalies", ["tests/faults/test_checker.py"], 60, folder="tests/faults")
    for seed in FAULT_SEEDS:
        junit = RESULTS / f"faults-{seed}.xml"
        run.step(f"faults-{seed}", f"faults drawn from seed {seed}", ["tests/faults/run", "--profile", "short", "--minutes", "1", "--seed",
                                                                      seed, "--junit", junit],
                 400, junit=junit, needs=["build-release"], folder="tests/faults")


def step_planted(run):
    junit = RESULTS / "planted.xml"
    run.step("planted", "planted bugs, each to be caught by name", ["tests/faults/planted/run", "--quick", "--junit", junit], 500,
             junit=junit, needs=["build-release"], folder="tests/faults/planted")


def step_asan(run):
    build(run, "asan", 900)


def step_units_asan(run):
    ctest(run, "units-asan", "asan", "the same under the sanitizers", 900, "-E", "^lint[.]", env={"ASAN_OPTIONS": ASAN_OPTIONS})


def step_system_asan(run):
    pytest(run, "system-asan", "system tests under the sanitizers",
           ["tests/system", *[f"--ignore=tests/system/{name}" for name in NOT_ASAN]], 1200, needs=["build-asan"], folder="tests/system",
           env={"CHASQUI_BUILD": str(ROOT / "build/asan"), "ASAN_OPTIONS": ASAN_OPTIONS})


def step_tsan(run):
    """What has threads, under the thread sanitizer: units, then all roles over a few tests; their logs are looked at last."""
    build(run, "tsan", 900)
    options = {"TSAN_OPTIONS": f"suppressions={ROOT}/tests/lib/tsan.supp:exitcode=66:history_size=4"}
    ctest(run, "tsan-units", "tsan", "units that have threads", 600, "-R", "^unit[.](export|stage|push_reader)", env=options)
    pytest(run, "tsan", "a short system run under the thread sanitizer", TSAN_TESTS, 600, needs=["build-tsan"], folder="tests/system",
           env={**options, "CHASQUI_BUILD": str(ROOT / "build/tsan"),
                "CHASQUI_PRELOAD": str(ROOT / "build/tsan/tests/tsan/libtsan_threads.so")})


# name → (step, also in a quick run?)
STEPS = {
    "release": (step_release, True), "units": (step_units, True), "system": (step_system, True), "compose": (step_compose, False),
    "faults": (step_faults, False), "planted": (step_planted, False), "openapi": (step_openapi, False), "browser": (step_browser, False), "bench": (step_bench, False), "asan": (step_asan, False),
    "units-asan": (step_units_asan, False), "system-asan": (step_system_asan, False), "tsan": (step_tsan, False),
}


def main():
    args = argparse.ArgumentParser(prog="tests/run")
    args.add_argument("--quick", action="store_true")
    args.add_argument("--list", action="store_true", help="name the steps")
    args.add_argument("--only", help="steps, comma-separated; builds are run when named")
    options = args.parse_args()
    if options.list:
        print("\n".join(STEPS))
        return 0
    wanted = options.only.split(",") if options.only else [name for name, (_, quick) in STEPS.items() if quick or not options.quick]
    for name in wanted:
        if name not in STEPS:
            args.error(f"no step {name}; there are: {', '.join(STEPS)}")
    run = Run(quick=options.quick)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for name in wanted:
        STEPS[name][0](run)
    seconds = time.monotonic() - run.began
    print("\n" + "\n".join(run.lines))
    late = " OVER BUDGET" if seconds > BUDGET_S[options.quick] else ""
    print(f"{seconds:.0f} s of {BUDGET_S[options.quick]} s{late}\n\n{run.count}")
    return 1 if run.count.failed or not run.count.passed else 0


if __name__ == "__main__":
    sys.exit(main())
