# SPDX-License-Identifier: MIT
"""The bench of this tree beside that of an older commit, on one machine, in turn: figures marked for the worse fail the step.

    CHASQUI_BENCH_BASE=<commit> tests/long/run bench-compare      (without a base there is nothing to compare: skipped)

Each turn measures the old tree and then the new one. A figure is worse when the ranges of the turns do not overlap and the new
medians lie on the wrong side, as tests/bench/compare marks it with `*`.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build/long"
sys.path[:0] = [str(ROOT / "tests/bench"), str(ROOT / "tests/lib")]

SKIPPED = 77
MORE_IS_BETTER = ("acked_per_s", "deliveries_per_s")
WORKLOADS = "pairs-500-of-200,max-1,group"


def run(words, cwd=ROOT, **env):
    subprocess.run([str(w) for w in words], cwd=cwd, check=True, env={**os.environ, **env})


def old_tree(commit):
    """A work tree of the commit with a release build; made once."""
    folder = OUT / "base"
    if not folder.exists():
        run(["git", "worktree", "add", "--detach", folder, commit])
    run(["git", "checkout", "--detach", commit], folder)
    run(["cmake", "--preset", "release", f"-DCHASQUI_PYTHON={sys.executable}"], folder)
    run(["cmake", "--build", "--preset", "release"], folder)
    return folder


def measure(tree, out, options):
    state = os.environ.get("CHASQUI_STATE") or str(ROOT / ".state")
    program = "tests/bench/bench.py" if (tree / "tests/bench/bench.py").exists() else "tests/bench/run"  # of an older tree
    run([sys.executable, program, "--workload", options.workloads, "--repeats", 1, "--seconds", options.seconds, "--base-port",
         options.base_port, "--json", out], tree, CHASQUI_BUILD=str(tree / "build/release"), CHASQUI_STATE=state)
    return json.loads(out.read_text())


def gathered(turns):
    """The turns of one tree as one file of tests/bench/run: their runs are the repeats."""
    from measure import spread

    whole = {**turns[0], "workloads": []}
    for i, workload in enumerate(turns[0]["workloads"]):
        runs = [r for turn in turns for r in turn["workloads"][i]["runs"]]
        whole["workloads"].append({**workload, "runs": runs, "spread": spread(runs)})
    return whole


def worse(old, new):
    """Names of the figures that got worse by more than the turns differ among themselves."""
    found = []
    for a, b in zip(old["workloads"], new["workloads"], strict=True):
        for name, x in a["spread"].items():
            y = b["spread"].get(name)
            if not y or not name.startswith((*MORE_IS_BETTER, "ack_", "delivery_", "tick_", "cpu_ms_per_1000_deliveries")):
                continue
            bad = y["max"] < x["min"] if name in MORE_IS_BETTER else y["min"] > x["max"]
            if bad:
                found.append(f"{a['workload']['name']} {name}: {x['median']:.2f} → {y['median']:.2f}")
    return found


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--base", default=os.environ.get("CHASQUI_BENCH_BASE"))
    args.add_argument("--turns", type=int, default=3)
    args.add_argument("--seconds", type=float, default=15)
    args.add_argument("--workloads", default=WORKLOADS)
    args.add_argument("--base-port", type=int, default=int(os.environ.get("CHASQUI_TEST_PORT", "26000")))
    options = args.parse_args()
    if not options.base:
        print("no commit to compare with: set CHASQUI_BENCH_BASE")
        return SKIPPED
    old = old_tree(options.base)
    turns = {"old": [], "new": []}
    for turn in range(options.turns):
        for name, tree in (("old", old), ("new", ROOT)):
            print(f"turn {turn + 1} of {options.turns}: {name}", flush=True)
            turns[name].append(measure(tree, OUT / f"bench-{name}-{turn}.json", options))
    whole = {name: gathered(t) for name, t in turns.items()}
    for name, value in whole.items():
        (OUT / f"bench-{name}.json").write_text(json.dumps(value, indent=1) + "\n")
    run([sys.executable, "tests/bench/compare", OUT / "bench-old.json", OUT / "bench-new.json"])
    found = worse(whole["old"], whole["new"])
    print("\n".join([f"worse: {line}" for line in found] or ["nothing is worse"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
