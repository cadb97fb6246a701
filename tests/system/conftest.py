# SPDX-License-Identifier: MIT
"""One Stack for all tests that kill nothing, or mend what they broke."""

import os
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[1] / "lib"
sys.path.insert(0, str(LIB))
os.environ.setdefault("LSAN_OPTIONS", f"suppressions={LIB / 'lsan.supp'}:print_suppressions=0")
from stack import Stack  # noqa: E402

BASE_PORT = int(os.environ.get("CHASQUI_TEST_PORT", "25000"))  # two runs at once need two


@pytest.fixture(scope="session")
def stack():
    keep = os.environ.get("CHASQUI_KEEP")  # a folder for its state, which then stays
    with Stack(base_port=BASE_PORT, copies={"edge-ws": 2, "media": int(os.environ.get("MEDIA_COPIES", "1"))}, state=keep) as s:
        yield s.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Under a failed test: what the roles complained about, and where their logs are."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Stack):
                report.sections.append((f"stack {value.base_port}", complaints(value)))
    return report


def complaints(stack, most=20):
    found = []
    for proc in stack.services.procs:
        found += [f"{proc.name}: {line}" for line in proc.log_lines() if line.get("level") in ("warn", "error")]
    return "\n".join([*found[-most:], f"logs: {stack.services.log_dir} (CHASQUI_KEEP=folder keeps them)"])
