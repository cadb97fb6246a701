# SPDX-License-Identifier: MIT
"""Which faults the reports of kept runs have seen.

    tests/faults/coverage build/faults/seed-7 run-1.txt …     a table; exit code 1 when a fault was never seen

One row a fault: how often it was done, how often the system was not well again after it, and in how many runs that came
to a verdict with every invariant, or with a broken one. A run without a verdict counts as neither.
"""
from __future__ import annotations

import argparse
import collections
import re
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import nemesis  # noqa: E402

DONE = re.compile(r"^\[ *[\d.]+ s\] ([FHP]\d[\w.\-]*) .*?(NOT WELL AGAIN|well again)", re.M)
VERDICT = re.compile(r"^seed \S+: (\d+) of (\d+) invariants hold( +BROKEN)?$", re.M)


@dataclass
class Seen:
    done: int = 0
    unwell: int = 0
    good: int = 0  # runs
    broken: int = 0
    unjudged: int = 0


def report_of(path: Path) -> str:
    return (path / "report.txt" if path.is_dir() else path).read_text(errors="replace")


def read(reports: list[str]) -> dict[str, Seen]:
    """Fault → what these reports say of it; faults that nobody names are there with zeros."""
    found: dict[str, Seen] = collections.defaultdict(Seen, {f.name: Seen() for f in nemesis.FAULTS})
    for text in reports:
        verdicts = VERDICT.findall(text)
        here = DONE.findall(text)
        for name, how in here:
            found[name].done += 1
            found[name].unwell += how.startswith("NOT")
        for name in {name for name, _ in here}:
            s = found[name]
            if not verdicts:
                s.unjudged += 1
            elif verdicts[-1][2]:
                s.broken += 1
            else:
                s.good += 1
    return dict(found)


def main(argv=None) -> int:
    a = argparse.ArgumentParser(prog="tests/faults/coverage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("paths", nargs="+", type=Path, metavar="FOLDER-OR-REPORT")
    o = a.parse_args(argv)
    found = read([report_of(p) for p in o.paths])
    never = [name for name, s in found.items() if not s.good]
    print("| fault | done | not well again | runs: all held | broken | no verdict |\n|---|--:|--:|--:|--:|--:|")
    for name, s in found.items():
        print(f"| {name} | {s.done} | {s.unwell} | {s.good} | {s.broken} | {s.unjudged} |")
    print(f"\n{len(o.paths)} reports, {sum(s.done for s in found.values())} faults done; "
          + (f"in no run that held: {', '.join(never)}" if never else "each in a run that held"))
    return 1 if never else 0


if __name__ == "__main__":
    sys.exit(main())
