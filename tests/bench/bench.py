# SPDX-License-Identifier: MIT
"""Measures a whole Chasqui on this machine: latency, throughput, CPU and memory, and checks that nothing was lost.

    tests/bench/run                          every workload, three times each
    tests/bench/run --quick                  a minute at most, one line a workload
    tests/bench/run --workload pairs,group   those whose name begins so; --rate and --users change them
    tests/bench/run --json FILE              the figures for tests/bench/compare
    tests/bench/run --profile chat           perf's view of a role during each measured window

Client and servers share the machine: on few cores the client's own CPU, which is shown, is part of the result.
CPU is counted over the measured window; "a delivery" is one message shown to one other person.
"""

import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import meter  # noqa: E402
import workloads  # noqa: E402
from measure import Perf, about, complaints, generate, heat, line_of, shipped_settings, spread  # noqa: E402
from people import People  # noqa: E402
from stack import Stack  # noqa: E402


def parse():
    args = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--quick", action="store_true")
    args.add_argument("--workload", default="", help="names or beginnings of names, with commas")
    args.add_argument("--rate", type=float, help="messages a second, of the first chosen workload")
    args.add_argument("--users", type=int)
    args.add_argument("--seconds", type=float, help="measured, after the warm-up")
    args.add_argument("--warmup", type=float)
    args.add_argument("--repeats", type=int)
    args.add_argument("--copies", default="", help="role=n,… (default one of each)")
    args.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the roles")
    args.add_argument("--json", type=Path)
    args.add_argument("--profile", metavar="ROLE", help="also kafka")
    args.add_argument("--base-port", type=int, default=26000)
    args.add_argument("--list", action="store_true")
    options = args.parse_args()
    options.seconds = options.seconds or (3 if options.quick else 15)
    options.warmup = options.warmup if options.warmup is not None else (1 if options.quick else 5)
    options.repeats = options.repeats or (1 if options.quick else 3)
    return options


def measure(stack, options, chosen):
    people, perf = People(stack.rest_url(), int(time.time()) % 1000000), Perf(stack, options.profile, stack.state)
    report, failed = [], False
    heat(stack, options, people)
    for workload in chosen:
        results = [generate(stack, options, workload, people, perf, seed) for seed in range(1, options.repeats + 1)]
        bad = sorted({c for r in results for c in complaints(r)})
        failed |= bool(bad)
        print(line_of(workload, results, bad), flush=True)
        report.append({"workload": workload.__dict__, "spread": spread(results), "complaints": bad, "runs": results})
    return report, failed


def main():
    options = parse()
    chosen = workloads.chosen([w for w in options.workload.split(",") if w], options.quick, options.rate, options.users)
    if options.list or not chosen:
        print("\n".join(f"{w.name:18} {w.about}" for w in workloads.FULL))
        return 0 if options.list else 2
    copies = {role: int(n) for role, n in (pair.split("=") for pair in options.copies.split(",") if pair)}
    settings = shipped_settings(options.set)
    with Stack(base_port=options.base_port, copies=copies, settings=settings, durable=True, quick_jit=False) as stack:
        facts = {"machine": meter.machine(), "versions": meter.versions(stack.build), "copies": copies, "settings": settings,
                 "seconds": options.seconds, "warmup": options.warmup, "repeats": options.repeats}
        print(about(stack), flush=True)
        stack.start()
        report, failed = measure(stack, options, chosen)
    if options.json:
        options.json.write_text(json.dumps({**facts, "workloads": report}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
