# SPDX-License-Identifier: MIT
"""What Chasqui costs while little happens: nobody there, sockets that say nothing, people who log in.

    tests/bench/quiet                        all of it, a window of 20 s each
    tests/bench/quiet --only nobody,logins
    tests/bench/quiet --json FILE            the figures for tests/bench/compare

CPU is that of the server processes. Wake-ups are the times that their threads gave up the CPU to wait: they say why a quiet
process costs something, and do not depend on how fast the machine is. A log-in is register, verify and a first sync.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import meter  # noqa: E402
import workloads  # noqa: E402
from generators import Generators  # noqa: E402
from measure import about, generate, heat, ports_of, shipped_settings, spread_of  # noqa: E402
from people import People  # noqa: E402
from stack import Stack  # noqa: E402

SETTLE_S = 10  # after a load, until the last commits, letters and vacuums are done


def used(usage, seconds):
    """{figure: value} of a window in which the caller does nothing."""
    cpu, wakes, began = usage.cpu_s(), usage.wakeups(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    cpu = {name: (s - cpu[name]) / took for name, s in usage.cpu_s().items()}
    wakes = {name: (n - wakes[name]) / took for name, n in usage.wakeups().items()}
    return {"cpu_cores": sum(cpu.values()), **{f"cpu_cores.{name}": s for name, s in cpu.items()},
            "wakeups_per_s": sum(wakes.values()), **{f"wakeups_per_s.{name}": n for name, n in wakes.items()}}


def nobody(stack, options, _people):
    usage = meter.Meter(stack)
    return [used(usage, options.seconds) for _ in range(options.repeats)]


def silent(stack, options, people):
    """Sockets that are open, authenticated and answer pings."""
    people.need(options.sockets)
    time.sleep(SETTLE_S)
    usage = meter.Meter(stack)
    before, memory = used(usage, options.seconds), usage.memory_kib()
    workload = replace(workloads.idle(options.sockets), chats=1, rate=0.001)
    [plan] = workloads.plans(workload, people, ports_of(stack), ["quiet"])
    file = stack.state / "quiet-plan.txt"
    file.write_text(plan)
    results = []

    def take(event):
        if event["event"] == "window_start":
            for _ in range(options.repeats):
                results.append(used(usage, options.seconds))
            for name, kib in usage.memory_kib().items():
                if name not in ("kafka", "postgres"):  # caches of their own choosing
                    results[-1][f"kib_a_connection.{name}"] = (kib - memory[name]) / options.sockets

    window = (options.seconds + 1) * options.repeats
    words = workloads.arguments(workload, window, SETTLE_S, 2, 1)
    Generators([[str(stack.build / "tests/bench/bench_load"), "--plan", str(file), *words]]).run(take)
    memory = {name: kib for name, kib in results[-1].items() if name.startswith("kib_")}
    for found in results:
        found.update(memory, kib_a_connection=sum(memory.values()), cpu_cores_beyond=found["cpu_cores"] - before["cpu_cores"])
    return results


def logins(stack, options, people):
    """`options.logins` people register at once, some at a time, and sync."""
    usage, results = meter.Meter(stack), []
    for _ in range(options.repeats):
        first = len(people.users)
        cpu, began = usage.cpu_s(), time.monotonic()
        people.need(first + options.logins)
        people.sync(range(first, first + options.logins))
        took = time.monotonic() - began
        time.sleep(SETTLE_S / 2)  # what a log-in leaves to the sinks is part of it …
        idle = used(usage, SETTLE_S / 2)
        spent = {name: s - cpu[name] for name, s in usage.cpu_s().items()}
        lasted = time.monotonic() - began
        spent = {name: s - idle[f"cpu_cores.{name}"] * lasted for name, s in spent.items()}  # … and what nobody costs is not
        results.append({"logins_per_s": options.logins / took, "cpu_ms_a_login": 1000 * sum(spent.values()) / options.logins,
                        **{f"cpu_ms_a_login.{name}": 1000 * s / options.logins for name, s in spent.items()}})
    return results


KINDS = {"nobody": nobody, "silent": silent, "logins": logins}


def line_of(name, results):
    middle = {figure: statistics.median(r[figure] for r in results) for figure in results[0]}

    def split(figure, form):
        return " ".join(f"{n.split('.')[1]} {v:{form}}" for n, v in sorted(middle.items(), key=lambda x: -x[1]) if n.startswith(figure + "."))

    if "cpu_ms_a_login" in middle:
        return (f"{name:12} {middle['logins_per_s']:.0f} log-ins/s, {middle['cpu_ms_a_login']:.2f} ms of CPU each "
                f"({split('cpu_ms_a_login', '.2f')})")
    text = (f"{name:12} {middle['cpu_cores']:.3f} of a core ({split('cpu_cores', '.3f')}) | {middle['wakeups_per_s']:.0f} wake-ups/s "
            f"({split('wakeups_per_s', '.0f')})")
    if "cpu_cores_beyond" in middle:
        text += f" | {middle['cpu_cores_beyond']:+.3f} beyond nobody, {middle['kib_a_connection']:.2f} KiB each"
    return text


def main():
    args = argparse.ArgumentParser(prog="tests/bench/quiet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--only", default=",".join(KINDS), help="of nobody, silent, logins")
    args.add_argument("--seconds", type=float, default=20)
    args.add_argument("--repeats", type=int, default=3)
    args.add_argument("--sockets", type=int, default=5000)
    args.add_argument("--logins", type=int, default=1000)
    args.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the roles")
    args.add_argument("--json", type=Path)
    args.add_argument("--base-port", type=int, default=26000)
    options = args.parse_args()
    options.quick = True
    chosen = [k for k in options.only.split(",") if k]
    if set(chosen) - KINDS.keys():
        args.error(f"--only takes {', '.join(KINDS)}")
    report = []
    with Stack(base_port=options.base_port, settings=shipped_settings(options.set), durable=True, quick_jit=False) as stack:
        print(about(stack), flush=True)
        stack.start()
        people = People(stack.rest_url(), int(time.time()) % 1000000)
        heat(stack, options, people)  # as a server that has been used
        time.sleep(SETTLE_S)
        for name in chosen:
            results = KINDS[name](stack, options, people)
            print(line_of(name, results), flush=True)
            report.append({"workload": {"name": name}, "spread": spread_of(results), "complaints": [], "runs": results})
    if options.json:
        options.json.write_text(json.dumps({"machine": meter.machine(), "workloads": report}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
