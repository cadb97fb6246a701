# SPDX-License-Identifier: MIT
"""The history of a run: one JSON line for whatever a client did, was told or showed, and for whatever was done to it.

Every line has `n`, one order for all clients (they live in one process, so it is also the order in which things
happened), `at`, seconds since the beginning, and `e`, the kind. Which other fields a kind has is what checker.py reads.
"""
from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Callable


class History:
    """Writes lines to a file and keeps them; `begin` is the moment that `at` counts from."""

    def __init__(self, path: Path):
        self.path = path
        self.begin, self.began_ms = time.monotonic(), time.time() * 1000
        self.listeners: list[Callable[[dict], None]] = []  # called with each line
        self._n = itertools.count(1).__next__
        self._out = open(path, "w", encoding="utf-8")  # noqa: SIM115  (closed by close)
        self.counts: dict[str, int] = {}

    def add(self, e: str, /, **fields) -> int:
        """Write a line; its number."""
        n = self._n()
        self.counts[e] = self.counts.get(e, 0) + 1
        line = {"n": n, "at": round(time.monotonic() - self.begin, 3), "e": e, **fields}
        self._out.write(json.dumps(line, ensure_ascii=False) + "\n")
        for hear in self.listeners:
            hear(line)
        return n

    def close(self) -> None:
        self._out.close()


def read_lines(path: Path) -> list[dict]:
    """Every line of a history or of a dump; a last line that was cut off is left out."""
    found = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                if line.endswith("\n"):
                    raise
    return found
