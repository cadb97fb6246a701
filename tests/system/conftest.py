# SPDX-License-Identifier: MIT
"""One shared Chasqui for the ordinary system tests; tests that break things make their own or mend what they broke."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from stack import Stack  # noqa: E402

BASE_PORT = int(os.environ.get("CHASQUI_TEST_PORT", "18000"))


@pytest.fixture(scope="session")
def stack():
    """Kafka, PostgreSQL and one of each role, two of the gateways; shared by every test of the run."""
    with Stack(base_port=BASE_PORT, copies={"edge-ws": 2, "edge-rest": 2}) as running:
        running.start()
        yield running


@pytest.fixture
def make_stack():
    """make_stack(copies=…, settings=…) → a started Stack of the test's own, ended with the test."""
    made = []

    def make(**kwargs):
        own = Stack(base_port=BASE_PORT + 100 * (1 + len(made)), **kwargs)
        made.append(own)
        return own.start()

    yield make
    for own in made:
        own.stop()


def pytest_runtest_makereport(item, call):
    """Shows where the logs are, and what the roles complained about, under a failed test."""
    if call.when != "call" or call.excinfo is None:
        return
    for value in item.funcargs.values():
        if isinstance(value, Stack):
            item.add_report_section("call", "stack", _complaints(value))


def _complaints(stack, most=20):
    found = []
    for proc in stack.roles():
        found += [f"{proc.name}: {line}" for line in proc.log_lines() if line.get("level") in ("warn", "error")]
    return "\n".join([f"logs: {stack.services.log_dir} (kept with keep=True)", *found[-most:]])
