# SPDX-License-Identifier: MIT
"""One Stack for all tests that kill nothing, or mend what they broke."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from stack import Stack  # noqa: E402


@pytest.fixture(scope="session")
def stack():
    keep = os.environ.get("CHASQUI_KEEP")  # a folder for its state, which then stays
    with Stack(base_port=25000, copies={"edge-ws": 2}, state=keep) as s:
        yield s.start()
