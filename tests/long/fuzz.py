# SPDX-License-Identifier: MIT
"""Every fuzz target for a minute, under ASan and UBSan, from its corpus: fuzz.py [--seconds 60] [--junit FILE] [TARGET…]

What is found is kept as build/long/fuzz/<target>/found-…; give it a name and put it into tests/fuzz/corpus/<target>.
"""

import argparse
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build/long/fuzz"
CORPUS = ROOT / "tests/fuzz/corpus"
BUILT = ROOT / "build/fuzz/tests/fuzz"
MEMORY_MB = 1024


def run_target(name, seconds):
    """(name, seconds, executions, what went wrong or "")."""
    folder = OUT / name
    grown = folder / "corpus"
    grown.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    began = time.monotonic()
    with open(log, "w", encoding="utf-8") as out:
        code = subprocess.run([BUILT / f"fuzz_{name}", f"-max_total_time={seconds}", f"-artifact_prefix={folder}/found-", "-print_final_stats=1",
                               "-timeout=10", f"-rss_limit_mb={MEMORY_MB}", grown, CORPUS / name], stdout=out, stderr=out, check=False,
                              cwd=folder, env={**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=1",
                                               "UBSAN_OPTIONS": "print_stacktrace=1"}).returncode
    text = log.read_text(errors="replace")
    runs = re.search(r"number_of_executed_units: (\d+)", text)
    wrong = ""
    if code:
        said = re.search(r"(runtime error: .*|ERROR: .*|not true: .*)", text)
        wrong = f"ended with {code}: {said[1] if said else 'see its log'}"
    return name, time.monotonic() - began, int(runs[1]) if runs else 0, wrong


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=int, default=60)
    args.add_argument("--junit", type=Path)
    args.add_argument("names", nargs="*")
    options = args.parse_args()
    names = options.names or sorted(p.name.removeprefix("fuzz_") for p in BUILT.glob("fuzz_*") if os.access(p, os.X_OK) and p.is_file())
    suite, bad = xml.Element("testsuite", name="fuzz"), 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, seconds, runs, wrong in pool.map(lambda n: run_target(n, options.seconds), names):
            print(f"{name:12} {runs:12,} executions {runs / seconds:10,.0f} a second  {wrong or 'nothing found'}", flush=True)
            case = xml.SubElement(suite, "testcase", classname="fuzz", name=name, time=f"{seconds:.1f}")
            if wrong:
                bad += 1
                xml.SubElement(case, "failure", message=wrong).text = wrong
    if options.junit:
        xml.ElementTree(suite).write(options.junit, encoding="utf-8", xml_declaration=True)
    return 1 if bad or not names else 0


if __name__ == "__main__":
    sys.exit(main())
