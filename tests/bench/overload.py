# SPDX-License-Identifier: MIT
"""Three times as much as can be done: what is taken, how late it is, what is refused, and how soon all is well again.

    tests/bench/overload [--seconds 60] [--times 3]

First the maximum is measured (closed loop, eight in flight), then that many times more falls due (open loop). A client that is
told to wait keeps what it was refused and does not write more meanwhile, as people do; so nothing taken may be lost, and the work
that was taken has to be over soon after the last message.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import workloads  # noqa: E402
from measure import about, complaints, generate, heat, line_of, shipped_settings  # noqa: E402
from people import People  # noqa: E402
from stack import Stack  # noqa: E402


def parse():
    args = argparse.ArgumentParser(prog="tests/bench/overload", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--seconds", type=float, default=60)
    args.add_argument("--warmup", type=float, default=5)
    args.add_argument("--times", type=float, default=3)
    args.add_argument("--users", type=int, default=200)
    args.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args.add_argument("--base-port", type=int, default=26000)
    args.add_argument("--json", type=Path)
    options = args.parse_args()
    options.quick = False
    return options


def main():
    options = parse()
    with Stack(base_port=options.base_port, settings=shipped_settings(options.set), durable=True, quick_jit=False) as stack:
        print(about(stack), flush=True)
        stack.start()
        people = People(stack.rest_url(), int(time.time()) % 1000000)
        heat(stack, options, people)
        short = argparse.Namespace(**{**vars(options), "seconds": min(options.seconds, 15)})
        best = workloads.closed(8, users=options.users)
        calm = generate(stack, short, best, people)
        print(line_of(best, [calm], complaints(calm)), flush=True)
        most = calm["window"]["acked"] / calm["window"]["seconds"]
        much = replace(workloads.pairs(round(options.times * most), users=options.users), impatient=True)
        flood = generate(stack, options, much, people, behind=True)
        after = generate(stack, short, workloads.pairs(500, users=options.users), people)
        print(line_of(much, [flood], complaints(flood)), flush=True)
        print(line_of(workloads.pairs(500), [after], complaints(after)), flush=True)
    taken = flood["window"]["acked"] / flood["window"]["seconds"]
    print(f"offered {options.times:g} times the maximum: {100 * taken / most:.0f} % of the maximum were taken, {flood['nacked']} sends refused with a "
          f"hint when to retry, {flood['skipped']} not even tried; delivery p99 {flood['delivery_us']['p99'] / 1000:.0f} ms; everything taken was delivered "
          f"{flood['drain_us'] / 1e6:.1f} s after the last message, and in the view with every tick told {flood['view_behind_s']:.1f} s after it")
    if options.json:
        options.json.write_text(json.dumps({"calm": calm, "flood": flood, "after": after}) + "\n")
    return 1 if complaints(calm) or complaints(flood) or complaints(after) else 0


if __name__ == "__main__":
    sys.exit(main())
