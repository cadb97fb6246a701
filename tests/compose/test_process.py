# SPDX-License-Identifier: MIT
"""Waiting for a start that takes long: as long as it works, and no longer."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "compose/lib"))

from process import Failure, Proc  # noqa: E402


def started(tmp_path, script):
    return Proc("slow", [sys.executable, "-c", script], tmp_path / "slow.log", "ready")


def test_a_slow_start_that_works_is_waited_for(tmp_path):
    """It uses four seconds of CPU, where one second is the patience with a start that does nothing."""
    said = []
    proc = started(tmp_path, "import time\nwhile time.process_time() < 4: pass\nprint('ready', flush=True)\ntime.sleep(60)")
    try:
        proc.start().wait_ready(1, said.append, every=0.4)
        assert said and all("slow is not ready after" in line and "but works" in line for line in said), said
    finally:
        proc.stop()


def test_a_start_that_does_nothing_is_given_up(tmp_path):
    said = []
    proc = started(tmp_path, "import time; time.sleep(60)")
    try:
        with pytest.raises(Failure, match="not ready after 1 s"):
            proc.start().wait_ready(1, said.append, every=0.4)
        assert "does nothing" in said[-1]
    finally:
        proc.stop()
