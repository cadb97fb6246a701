# SPDX-License-Identifier: MIT
"""Load generators of one run, side by side: begun together, their results added up."""

import contextlib
import json
import subprocess
import threading

import hist

HISTS = ("ack_us", "delivery_us", "tick_us", "send_lag_us")
LAST = ("drain_us",)  # of the slowest


class Generators:
    """Events come as `on(event)`: `ready`, `window_start` and `window_end` when all have come so far."""

    def __init__(self, argvs):
        self.loads = [subprocess.Popen([*argv, "--go"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
                      for argv in argvs]
        self.lock, self.seen, self.results = threading.Lock(), {}, []

    def run(self, on):
        """To the end. → the result of each."""
        threads = [threading.Thread(target=self._read, args=(load, on)) for load in self.loads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = [load.wait() for load in self.loads]
        if any(codes) or len(self.results) != len(self.loads):
            raise SystemExit(f"the load generators ended with {codes}")
        return self.results

    def _read(self, load, on):
        for line in load.stdout:
            event = json.loads(line)
            if event["event"] == "result":
                with self.lock:
                    self.results.append(event)
                continue
            with self.lock:
                values = self.seen.setdefault(event["event"], [])
                values.append(event["value"])
                if len(values) < len(self.loads):
                    continue
                on({**event, "value": max(values)})
                if event["event"] == "ready":
                    self._go()

    def _go(self):
        for load in self.loads:
            with contextlib.suppress(BrokenPipeError):
                load.stdin.write("go\n")
                load.stdin.flush()


def added(results):
    """One result of those of several generators."""
    first = results[0]
    whole = {name: sum(r[name] for r in results) for name, value in first.items() if isinstance(value, (int, float))}
    whole.update({name: max(r[name] for r in results) for name in LAST})
    whole.update({name: hist.added([r[name] for r in results]) for name in HISTS})
    whole["runs"] = [r["run"] for r in results]
    whole["unacked"] = [number for r in results for number in r["unacked"]]
    whole["closed"] = {code: sum(r["closed"].get(code, 0) for r in results) for r in results for code in r["closed"]}
    whole["window"] = {name: sum(r["window"][name] for r in results) for name in first["window"]}
    whole["window"]["seconds"] /= len(results)
    return whole
