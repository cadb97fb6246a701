# SPDX-License-Identifier: MIT
"""The steps of tests/long/run: one table. A new step is a row of STEPS.

A step is a command that ends with 0 when all is well and with 77 when this machine cannot run it. Where {junit} stands in its
words, the tests in that file are counted; otherwise the step counts as one test. {python}, {build} and {root} are filled in.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))

import runner  # noqa: E402

RESULTS = ROOT / "build/long"
BUILD = Path(os.environ.get("CHASQUI_BUILD") or ROOT / "build/release")
MINUTE = 60


@dataclass(frozen=True)
class Step:
    name: str
    what: str
    words: tuple
    limit_s: int
    needs: tuple = ("release",)  # builds: presets
    env: dict = field(default_factory=dict)


def pytest(*words):
    return ("{python}", "-m", "pytest", "-v", "-p", "no:cacheprovider", "--junitxml={junit}", *words)


STEPS = [
    Step("media-figures", "throughput and memory of files, for docs/performance.md", ("{python}", "tests/long/media_figures.py"),
         30 * MINUTE),
    Step("seaweedfs", "the tests of S3 again, on another S3 server", pytest("tests/long/test_media_seaweedfs.py"), 15 * MINUTE),
    Step("fuzz", "every fuzz target for 60 s", ("{python}", "tests/long/fuzz.py", "--junit", "{junit}"), 60 * MINUTE, needs=("fuzz",)),
    Step("autobahn", "Autobahn's cases for WebSocket servers, by kosoku",
         ("{python}", "tests/long/autobahn.py", "--echo", "{build}/tests/long/ws_echo", "--junit", "{junit}"), 30 * MINUTE),
    Step("slow-readers", "who does not read its answers, who reads slowly", pytest("tests/long/test_slow_readers.py"), 10 * MINUTE),
    Step("schemathesis", "docs/openapi.yaml against a whole Chasqui: good data, bad data, chains of requests, uploads",
         ("{python}", "tests/long/api_cases.py", "--junit", "{junit}"), 30 * MINUTE),
    Step("clients", "crowds of slow, idle and smuggling clients at both doors", pytest("tests/long/test_clients.py"), 20 * MINUTE),
    Step("page-history", "the page in Chromium, back to the first of 50,000 messages and forth again",
         ("tests/browser/run", "--test-reporter=junit", "--test-reporter-destination={junit}"), 20 * MINUTE, env={"LINES": "50000", "ONLY": "daily"}),
    Step("bystanders", "what others notice while somebody does the worst that the limits allow", ("{python}", "tests/long/bystanders.py"),
         30 * MINUTE),
    Step("signals-cost", "messages a second while 1,000 type and 1,000 come and go, in turn with calm", ("{python}", "tests/long/signals_cost.py"),
         40 * MINUTE),
    Step("spoiled-threats", "an answer that must not be, for the test of each threat: it must fail",
         ("{python}", "tests/threats/spoiled.py", "--junit", "{junit}"), 40 * MINUTE),
    Step("planted-threats", "bugs that open a threat, one at a time: the test of that threat must fail",
         ("{python}", "tests/faults/planted/plants.py", "--folder", "tests/threats/planted", "--junit", "{junit}"), 40 * MINUTE),
    Step("faults-f6", "three brokers, killed and emptied in turn",
         ("{python}", "tests/faults/drive.py", "--fault", "F6", "--seed", "a", "--junit", "{junit}"), 30 * MINUTE),
    Step("faults-f25", "the power goes ten times, with DURABILITY=synced",
         ("{python}", "tests/faults/drive.py", *("--fault", "F25") * 10, "--durability", "synced", "--seed", "a", "--junit", "{junit}"),
         30 * MINUTE),
    Step("faults-f25-cached", "the power goes once, with DURABILITY=cached: acknowledged messages must be lost",
         ("{python}", "tests/faults/drive.py", "--fault", "F25", "--durability", "cached", "--seed", "a", "--junit", "{junit}"), 15 * MINUTE),
    Step("growth", "a toy setting, route and sink in a copy of the tree; each file of them left out in turn",
         ("{python}", "tests/growth/growth.py", "setting", "route", "sink", "--leave-out", "--junit", "{junit}"), 30 * MINUTE, needs=()),
    Step("analyse", "cppcheck, gcc -fanalyzer, clang-tidy", ("{python}", "tests/long/analyse.py", "--build", "{build}"), 30 * MINUTE),
    Step("trixie", "the steps of the image in folders of Debian 13: build, units, and a message through all roles", ("tests/trixie",), 60 * MINUTE, needs=()),
    Step("bench-compare", "the bench of this tree beside that of another commit, in turn", ("{python}", "tests/long/bench_compare.py"),
         90 * MINUTE),
]


def build(run, name):
    """Make build/<name> if it is not made yet, and build what is new. A release build elsewhere is somebody's own care."""
    if name != "release" or BUILD == ROOT / "build/release":
        runner.build(run, name, 30 * MINUTE)


def fill(words, run, name):
    values = {"python": sys.executable, "build": str(BUILD), "root": str(ROOT), "junit": str(run.results / f"{name}.xml")}
    return [w.format(**values) if "{" in w else w for w in words]


def run_step(run, step):
    words = fill(step.words, run, step.name)
    junit = run.results / f"{step.name}.xml" if any("{junit}" in w for w in step.words) else None
    needs = [f"build-{b}" for b in step.needs]
    run.step(step.name, step.what, words, step.limit_s, junit=junit, needs=needs, env={"CHASQUI_BUILD": str(BUILD), **step.env})


def main():
    args = argparse.ArgumentParser(prog="tests/long/run", description="Tests that take too long for tests/run.")
    args.add_argument("--list", action="store_true", help="name the steps")
    args.add_argument("steps", nargs="*", metavar="STEP")
    options = args.parse_args()
    if options.list:
        print("\n".join(f"{s.name:16} {s.what}" for s in STEPS))
        return 0
    names = {s.name for s in STEPS}
    for name in options.steps:
        if name not in names:
            args.error(f"no step {name}; there are: {', '.join(s.name for s in STEPS)}")
    wanted = [s for s in STEPS if s.name in options.steps or not options.steps]
    run = runner.Run(results=RESULTS, hard_s=24 * 60 * MINUTE)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for name in sorted({b for s in wanted for b in s.needs}):
        build(run, name)
    for step in wanted:
        run_step(run, step)
    seconds = time.monotonic() - run.began
    summary = "\n".join([*run.lines, f"{seconds:.0f} s", "", str(run.count)])
    (RESULTS / "summary.txt").write_text(summary + "\n")
    print(f"\n{summary}")
    return 1 if run.count.failed or not run.count.passed else 0


if __name__ == "__main__":
    sys.exit(main())
