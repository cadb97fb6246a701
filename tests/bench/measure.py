# SPDX-License-Identifier: MIT
"""One run of the load generator against a Stack: figures, checks of loss, order and view, and how they are printed."""

import os
import re
import signal
import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import meter
import workloads
from generators import Generators, added
from stack import ROOT, wait_until
import settings_file  # isort:skip  (stack finds compose/lib)

MUST_BE_ZERO = ("lost", "doubled", "out_of_order", "overtaken", "misdelivered", "damaged", "rejected", "errors", "refused", "table_full")
VIEW_WAIT_S = 60


def shipped_settings(changes=()):
    """What compose/up starts with, and changes as NAME=VALUE."""
    shipped = settings_file.parse(ROOT / "compose/settings.env.example")
    return {**{name: shipped[name] for name in ("PARTITIONS", "SLOTS")}, **dict(pair.split("=", 1) for pair in changes)}


def about(stack):
    """The machine and the versions, on one line."""
    return "; ".join(f"{k} {v}" for part in (meter.machine(), meter.versions(stack.build)) for k, v in part.items())


class Perf:
    """perf record on a role while it is alive; nothing when no role was asked for."""

    def __init__(self, stack, role, folder):
        self.pids = [str(p.pid) for p in stack.roles() + [stack.kafka] if role and p.name.startswith(role)]
        self.data, self.process = folder / "perf.data", None
        if role and not self.pids:
            sys.exit(f"no role called {role}")

    def start(self):
        if self.pids:
            self.process = subprocess.Popen(["perf", "record", "-q", "-F", "997", "-g", "-p", ",".join(self.pids), "-o", self.data],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        if not self.process:
            return
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        report = subprocess.run(["perf", "report", "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.7", "--sort",
                                 "dso,symbol", "-i", self.data], capture_output=True, text=True, check=False).stdout
        print("\n".join(line for line in report.splitlines() if line and not line.startswith("#")), flush=True)
        self.process = None


def log_bytes(stack):
    """{topic: bytes of its segments}"""
    sizes = {}
    for file in (stack.state / "kafka-data").glob("*-[0-9]*/*.log"):
        topic = file.parent.name.rsplit("-", 1)[0]
        sizes[topic] = sizes.get(topic, 0) + file.stat().st_size
    return sizes


def stand_behind(pid):
    """Clients have machines of their own in life; here they must not be served before a gateway that steps back."""
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text("10")


def ports_of(stack):
    """HOST:PORT of each gateway."""
    return [re.sub(r"^ws://|/ws$", "", stack.ws_url(i)) for i in range(stack.services.copies["edge-ws"])]


def generate(stack, options, workload, people, perf=None, seed=1, behind=False):
    """One run of the load generator. → its result with what the servers used meanwhile. `behind`: it has less of the CPU than they."""
    addresses = ports_of(stack)
    idle = workload.name.startswith("idle")
    words = workloads.arguments(workload, options.seconds, options.warmup, 2 if idle else 0.2, seed)
    argvs = []
    for i, text in enumerate(workloads.plans(workload, people, addresses, [uuid.uuid4().hex[:8] for _ in range(workload.processes)])):
        file = stack.state / f"plan-{i}.txt"
        file.write_text(text)
        argvs.append([str(stack.build / "tests/bench/bench_load"), "--plan", str(file), *words])
    usage = meter.Meter(stack)
    perf = perf or Perf(stack, None, stack.state)
    before = usage.memory_kib() if idle else None
    log_before = log_bytes(stack)
    seen = SimpleNamespace(cpu={}, whole={}, memory={}, ready_s=0, stopped=0)

    def take(event):
        if event["event"] == "ready":
            seen.ready_s, seen.whole = event["value"], usage.cpu_s()
        elif event["event"] == "window_start":
            seen.cpu = usage.cpu_s()
            if idle:
                seen.memory = {name: kib - before[name] for name, kib in usage.memory_kib().items()}
            perf.start()
        elif event["event"] == "window_end":
            seen.stopped = time.monotonic()
            seen.cpu = {name: s - seen.cpu[name] for name, s in usage.cpu_s().items()}
            perf.stop()

    loads = Generators(argvs)
    if behind:
        for load in loads.loads:
            stand_behind(load.pid)
    results = loads.run(take)
    result = added(results)
    result["log_bytes"] = {topic: size - log_before.get(topic, 0) for topic, size in log_bytes(stack).items()}
    level_at, level = view_level(stack)
    views = [view_check(stack, r) for r in results]
    view = {name: sum(v[name] for v in views) for name in views[0]}
    if view_position(stack) != level:
        level_at = time.monotonic()  # it had only paused
    result.update(cpu_s=seen.cpu, ready_s=seen.ready_s, view=view, view_behind_s=level_at - seen.stopped)
    result["cpu_to_the_end_s"] = sum(usage.cpu_s().values()) - sum(seen.whole.values())
    if idle:
        result["memory_kib_a_connection"] = {name: round(kib / workload.users, 2) for name, kib in seen.memory.items()
                                             if name not in ("kafka", "postgres")}  # caches of their own choosing
    return result


def view_position(stack):
    """Records that persistence and status have applied."""
    with stack.db() as db:
        return db.execute("SELECT sum(next) FROM view.positions WHERE consumer <> 'search'").fetchone()[0]


def view_level(stack, quiet_s=1.0):
    """When persistence and status moved for the last time, and to where: all is in the view then, and every tick is told."""
    began = changed = time.monotonic()
    seen = None
    while (now := time.monotonic()) - changed < quiet_s and now - began < VIEW_WAIT_S:
        at = view_position(stack)
        if at != seen:
            seen, changed = at, now
        time.sleep(0.02)
    return changed, seen


def view_check(stack, result):
    """Whether PostgreSQL has every acknowledged message of the run, and none twice."""
    maybe = set(result["unacked"])
    acked = result["acked"]
    with stack.db() as db:
        def rows():
            query = "SELECT count(*), count(DISTINCT client_id) FROM view.messages WHERE client_id LIKE %s"
            return db.execute(query, (result["run"] + "-%",)).fetchone()

        try:
            wait_until(lambda: rows()[0] >= acked, VIEW_WAIT_S, "the view has what was acknowledged", every=0.1)
        except AssertionError:
            pass
        n, distinct = rows()
        if n == distinct and acked <= n <= acked + len(maybe) and n == result["sent"] - len(maybe):
            return {"rows": n, "missing": 0, "doubled": 0}
        there = {int(r[0].split("-")[1]) for r in db.execute("SELECT client_id FROM view.messages WHERE client_id LIKE %s",
                                                             (result["run"] + "-%",))}
    return {"rows": n, "missing": len(set(range(result["sent"])) - maybe - there), "doubled": n - distinct}


def complaints(result):
    found = [f"{name} {result[name]}" for name in MUST_BE_ZERO if result[name]]
    found += [f"{result['view'][name]} {name} in the view" for name in ("missing", "doubled") if result["view"][name]]
    if result["closed"]:
        found.append(f"sockets closed {result['closed']}")
    if result["unacked"]:
        found.append(f"{len(result['unacked'])} never acknowledged")
    return found


def figures(result):
    """The numbers of one run that are compared, by name."""
    window, deliveries = result["window"], result["window"]["deliveries"] or 1
    sent = window["acked"] or 1
    found = {
        "acked_per_s": window["acked"] / window["seconds"],
        "deliveries_per_s": window["deliveries"] / window["seconds"],
        "cpu_ms_per_1000_deliveries": 1e6 * sum(result["cpu_s"].values()) / deliveries,
        "cpu_cores": sum(result["cpu_s"].values()) / window["seconds"],
        "client_cpu_us_per_message": 1e6 * result["generator_cpu_s"] / (result["sent"] or 1),
        "deliveries_per_message": window["deliveries"] / sent,
        "cpu_us_to_the_end": 1e6 * result["cpu_to_the_end_s"] / (result["sent"] or 1),
        "view_behind_s": result["view_behind_s"],  # after the last message fell due
    }
    found["log_bytes_a_message"] = sum(result["log_bytes"].values()) / (result["sent"] or 1)
    for topic, size in result["log_bytes"].items():
        if size and not topic.startswith("__"):
            found[f"log_bytes_a_message.{topic}"] = size / (result["sent"] or 1)
    for kind in ("ack", "delivery", "tick"):
        for q in ("p50", "p99", "p999", "max"):
            found[f"{kind}_{q}_ms"] = result[f"{kind}_us"][q] / 1000
    for name, seconds in result["cpu_s"].items():
        found[f"cpu_ms_per_1000_deliveries.{name}"] = 1e6 * seconds / deliveries
    for name, kib in result.get("memory_kib_a_connection", {}).items():
        found[f"kib_a_connection.{name}"] = kib
    if "memory_kib_a_connection" in result:
        found["kib_a_connection"] = sum(result["memory_kib_a_connection"].values())
    return found


def spread(results):
    """{figure: {min, median, max}} over repeats."""
    return spread_of([figures(r) for r in results])


def spread_of(rows):
    return {name: {"min": min(row[name] for row in rows), "median": statistics.median(row[name] for row in rows),
                   "max": max(row[name] for row in rows)} for name in rows[0]}


def line_of(workload, results, bad):
    s = {name: v["median"] for name, v in spread(results).items()}
    split = " ".join(f"{name.split('.')[1]} {v:.0f}" for name, v in s.items() if name.startswith("cpu_ms_per_1000_deliveries."))
    text = (f"{workload.name:16} {s['acked_per_s']:7.0f}/s acked {s['deliveries_per_s']:7.0f}/s delivered | ms p50/p99/p99.9: "
            f"ack {s['ack_p50_ms']:.1f}/{s['ack_p99_ms']:.1f}/{s['ack_p999_ms']:.1f} "
            f"delivery {s['delivery_p50_ms']:.1f}/{s['delivery_p99_ms']:.1f}/{s['delivery_p999_ms']:.1f} "
            f"tick {s['tick_p50_ms']:.1f}/{s['tick_p99_ms']:.1f} | CPU ms per 1,000 deliveries {s['cpu_ms_per_1000_deliveries']:.0f} ({split}), "
            f"{s['cpu_cores']:.2f} cores, client {s['client_cpu_us_per_message']:.0f} us a message")
    text += (f" | with warm-up and until the view has all {s['cpu_us_to_the_end']:.0f} us a message, {s['view_behind_s']:.1f} s later"
             f" | log {s['log_bytes_a_message']:.0f} bytes a message")
    if "kib_a_connection" in s:
        text += f" | {s['kib_a_connection']:.1f} KiB a connection"
    return text + (" | WRONG: " + "; ".join(bad) if bad else " | nothing lost, doubled or out of order, view exact")


def heat(stack, options, people):
    """A load that is not measured: a broker that was just started compiles its code first."""
    short = SimpleNamespace(**{**vars(options), "seconds": 1, "warmup": 2 if options.quick else 20})
    generate(stack, short, workloads.closed(8, users=50), people, seed=0)
