# SPDX-License-Identifier: MIT
"""How fast the view comes back from the log: a load is written, the view is dropped, persistence and status read it all again.

    tests/bench/rebuild [--seconds 20]       how long the load is that fills the log (ticks on)

The clock runs from the start of the two processes until both have applied the whole log; an event is a record of chat.events,
user.events, rejections or delivery.status. The view is compared by count before and after.
"""

import argparse
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import workloads  # noqa: E402
from measure import about, complaints, generate, heat, line_of, shipped_settings  # noqa: E402
from people import People  # noqa: E402
from stack import Stack, wait_until  # noqa: E402

SINKS = ("persistence", "status", "search")
TABLES = ("users", "chats", "members", "messages", "cursors")


def applied(stack):
    """{consumer: records applied}"""
    with stack.db() as db:
        return dict(db.execute("SELECT consumer, sum(next)::bigint FROM view.positions GROUP BY consumer").fetchall())


def counts(stack):
    with stack.db() as db:
        return {table: db.execute(f"SELECT count(*) FROM view.{table}").fetchone()[0] for table in TABLES}


def settled(stack):
    """What was applied, once nothing more comes."""
    seen = None
    while (now := applied(stack)) != seen:
        seen = now
        time.sleep(2)
    return seen


def main():
    args = argparse.ArgumentParser(prog="tests/bench/rebuild", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--seconds", type=float, default=20)
    args.add_argument("--warmup", type=float, default=2)
    args.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args.add_argument("--base-port", type=int, default=26000)
    options = args.parse_args()
    options.quick = False
    with Stack(base_port=options.base_port, settings=shipped_settings(options.set), durable=True, quick_jit=False) as stack:
        print(about(stack), flush=True)
        stack.start()
        people = People(stack.rest_url(), int(time.time()) % 1000000)
        heat(stack, options, people)
        load = workloads.closed(8)
        result = generate(stack, options, load, people)
        print(line_of(load, [result], complaints(result)), flush=True)
        whole, before = settled(stack), counts(stack)
        for role in stack.roles():
            role.auto_restart = False
        for role in SINKS:
            stack.role(role).stop()
        stack.admin("rebuild")
        began = time.monotonic()
        for role in SINKS:
            stack.role(role).start()
        for role in SINKS:
            wait_until(lambda r=role: applied(stack).get(r, 0) >= whole[r], 1800, f"{role} has applied {whole[role]}", every=0.05)
            took = time.monotonic() - began
            print(f"{role}: {whole[role]} events in {took:.1f} s, {whole[role] / took:.0f} a second", flush=True)
        after = counts(stack)
    print(f"both: {sum(whole.values()) / took:.0f} events a second; rows {'as before' if after == before else f'{before} became {after}'}")
    return 0 if after == before and not complaints(result) else 1


if __name__ == "__main__":
    sys.exit(main())
