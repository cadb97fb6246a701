# SPDX-License-Identifier: MIT
"""The numbers that a role shows on its private port: docs/operations.md has what they mean.

    before = stack.metrics("persistence")
    ...
    assert stack.metrics("persistence")["zombie_writes_refused_total"] > before["zombie_writes_refused_total"]

`total` adds one number up over every copy that answers: a copy that was restarted counts from 0 again, so a test that kills
asks for what it wants to see after the last kill, or watches with `Watch`.
"""

import threading
import urllib.error
import urllib.request

PREFIX = "chasqui_"


class Numbers(dict):
    """Name without the prefix → whole number. A name nobody shows is a KeyError: a misspelt one must not read as 0."""

    def since(self, before):
        """What has been added since `before`, for every name of both."""
        return Numbers({name: value - before[name] for name, value in self.items() if name in before})


def parse(text):
    found = Numbers()
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name.split("{")[0].removeprefix(PREFIX)] = int(value)
    return found


def get(port, path="/metrics", timeout=3.0):
    """(status, text) of one request; OSError when nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def read(port, timeout=3.0):
    """The numbers of one process; OSError when it does not answer (dead, stopped, or not listening yet)."""
    status, text = get(port, timeout=timeout)
    assert status == 200, (status, text)
    return parse(text)


def total(stack, role, name):
    """The sum of one number over the copies of a role that answer now."""
    found = 0
    for i in range(stack.services.copies.get(role, 1)):
        try:
            found += stack.metrics(role, i)[name]
        except OSError:
            pass
    return found


class Watch:
    """While open, reads every role's numbers again and again and adds up what they grow by, so that a process's end
    loses no more than its last `every` seconds. `seen(role, name)` is the sum since the beginning.

    Counters only (`..._total`); a number that is smaller than before belongs to a new process and counts from 0.
    """

    def __init__(self, stack, every=0.5):
        self.stack, self.every = stack, every
        self._last, self._sum = {}, {}
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = None

    def look(self):
        """Read all once."""
        for role, i in self.stack.services.role_names():
            try:
                numbers = self.stack.metrics(role, i)
            except OSError:
                continue
            with self._lock:
                for name, value in numbers.items():
                    if name.endswith("_total"):
                        last = self._last.get((role, i, name), 0)
                        grown = value - last if value >= last else value
                        self._sum[role, name] = self._sum.get((role, name), 0) + grown
                        self._last[role, i, name] = value

    def seen(self, role, name):
        with self._lock:
            return self._sum.get((role, name), 0)

    def all_seen(self):
        """{(role, name): sum} of everything that grew."""
        with self._lock:
            return {key: value for key, value in sorted(self._sum.items()) if value}

    def __enter__(self):
        self.look()
        with self._lock:
            self._sum.clear()  # only what comes from now on
        self._thread = threading.Thread(target=self._run, name="metrics-watch", daemon=True)
        self._thread.start()
        return self

    def _run(self):
        while not self._end.wait(self.every):
            self.look()

    def __exit__(self, *error):
        self._end.set()
        self._thread.join()
        self.look()
