# SPDX-License-Identifier: MIT
"""What the system tests have, for those that take long."""

import importlib.util
import sys
from pathlib import Path

SYSTEM = Path(__file__).resolve().parents[1] / "system"
sys.path.insert(0, str(SYSTEM))
spec = importlib.util.spec_from_file_location("system_conftest", SYSTEM / "conftest.py")
system_conftest = importlib.util.module_from_spec(spec)
sys.modules["system_conftest"] = system_conftest
spec.loader.exec_module(system_conftest)
BASE_PORT, stack = system_conftest.BASE_PORT, system_conftest.stack
