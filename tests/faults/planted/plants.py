# SPDX-License-Identifier: MIT
"""Bugs, planted one at a time: each must be caught by name.

A plant is a patch whose first lines say which bug it is and who catches it:

    Bug: …
    Caught-By: faults --fault NAME … : I7          a run of tests/faults, and the invariant that must be broken
    Caught-By: ctest unit.NAME                     a unit test
    Caught-By: ctest flow.NAME                     a flow
    Caught-By: system FILE::TEST                   a system test

The patched files are copied, patched and compiled anew; everything else is linked as it was built. So a plant takes
seconds to build, and no plant can leave anything behind. A patch that no longer applies is a failure, as is a plant that
nobody notices, and one that is noticed for another reason only.
"""
from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
import relink  # noqa: E402

BUILD = Path(os.environ.get("CHASQUI_BUILD") or ROOT / "build/release").resolve()
QUICK = ("no-dedupe", "hand-back-dropped", "resume-from-tail")  # what fits into a run of everything
RUN_S = 300


class Broken(Exception):
    """Why a plant counts as not caught."""


class Plant:
    def __init__(self, path: Path):
        self.path, self.name = path, path.stem
        self.text = path.read_text()
        self.bug = self._head("Bug")
        self.catcher = self._head("Caught-By")
        self.files = re.findall(r"^\+\+\+ b/(\S+)", self.text, re.M)
        if not self.files or not all(f.endswith(".c") for f in self.files):
            raise Broken(f"{self.name}: patches of .c files only")

    def _head(self, word: str) -> str:
        found = re.search(rf"^{word}: (.+)$", self.text, re.M)
        if not found:
            raise Broken(f"{self.path.name}: no line '{word}: …'")
        return found[1].strip()

    # ---- building --------------------------------------------------------------------------------

    def plant(self, folder: Path) -> list[Path]:
        """The patched files, compiled; their objects."""
        for f in self.files:
            (folder / f).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / f, folder / f)
        done = subprocess.run(["patch", "-p1", "--no-backup-if-mismatch", "-F0", "-i", self.path], cwd=folder, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"the patch no longer applies:\n{done.stdout}{done.stderr}")
        return [relink.compile_instead(BUILD, ROOT / f, folder / f, folder / f"{f}.o") for f in self.files]

    def link_all(self, folder: Path, objects: list[Path]) -> None:
        """A build folder with the patched chasqui, and beside it what belongs there."""
        for path in [*BUILD.iterdir(), BUILD / "tests/faults/faults_fatal.so", BUILD / "tests/power/powerfs"]:
            if path.is_file() and os.access(path, os.X_OK) and path.name != "chasqui":
                to = folder / path.relative_to(BUILD)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to)
        relink.link(BUILD, "chasqui", objects, folder / "chasqui")

    # ---- catching --------------------------------------------------------------------------------

    def catch(self, folder: Path, port: int) -> str:
        objects = self.plant(folder)
        kind, _, rest = self.catcher.partition(" ")
        if kind == "ctest":
            return self._by_unit(folder, objects, rest)
        if kind == "system":
            return self._by_system(folder, objects, rest, port)
        if kind == "faults":
            return self._by_faults(folder, objects, rest, port)
        raise Broken(f"unknown catcher: {self.catcher}")

    def _by_unit(self, folder: Path, objects: list[Path], name: str) -> str:
        kind, _, what = name.partition(".")
        test = "tests/flow/flow" if kind == "flow" else f"tests/unit/test_{what}"
        words = [ROOT / f"tests/flow/{what}.flow"] if kind == "flow" else []
        relink.link(BUILD, test, objects, folder / "test")
        good = subprocess.run([BUILD / test, *words], capture_output=True, timeout=120, check=False)
        if good.returncode != 0:
            raise Broken(f"{name} fails without the bug, too")
        done = subprocess.run([folder / "test", *words], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            raise Broken(f"{name} noticed nothing")
        lines = [x for x in (done.stdout + done.stderr).splitlines() if x.strip()]
        return f"{name}: {lines[-1] if lines else done.returncode}"

    def _by_system(self, folder: Path, objects: list[Path], test: str, port: int) -> str:
        self.link_all(folder, objects)
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", ROOT / test], cwd=ROOT, text=True,
                              capture_output=True, check=False, timeout=RUN_S,
                              env={**os.environ, "CHASQUI_BUILD": str(folder), "CHASQUI_TEST_PORT": str(port)})
        said = re.search(r"^FAILED (.*)", done.stdout, re.M)
        if done.returncode != 1 or not said:
            raise Broken(f"{test} noticed nothing:\n{done.stdout[-1500:]}")
        return said[1][:200]

    def _by_faults(self, folder: Path, objects: list[Path], rest: str, port: int) -> str:
        words, _, want = rest.rpartition(":")
        self.link_all(folder, objects)
        done = subprocess.run([HERE.parent / "run", *words.split(), "--planted", "--plain", "--keep", folder / "kept", "--base-port",
                               str(port)], capture_output=True, text=True, check=False, timeout=RUN_S,
                              env={**os.environ, "CHASQUI_BUILD": str(folder)})
        broken = re.findall(r"^FAIL (\w+)", done.stdout, re.M)
        wanted = want.split()
        if not set(wanted) & set(broken):
            raise Broken(f"{' or '.join(wanted)} should be broken; broken are {broken or 'none'}\n{done.stdout[-3000:]}{done.stderr[-500:]}")
        first = re.search(rf"^FAIL (?:{'|'.join(wanted)}) .*\n +(.*)", done.stdout, re.M)
        return f"{', '.join(broken)}: {first[1][:160] if first else ''}"


def main() -> int:
    a = argparse.ArgumentParser(prog="tests/faults/planted/run", description="Plant bugs; see that each is caught.")
    a.add_argument("name", nargs="*", help="all of them when none is named")
    a.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}; that all others apply is looked at")
    a.add_argument("--base-port", type=int, default=int(os.environ.get("CHASQUI_FAULTS_PORT", "30000")) + 400)
    a.add_argument("--folder", type=Path, default=HERE, help="of the patches")
    a.add_argument("--junit", type=Path)
    o = a.parse_args()
    paths = {p.stem: p for p in sorted(o.folder.resolve().glob("*.patch"))}
    for name in o.name:
        if name not in paths:
            a.error(f"no plant {name}; there are: {', '.join(paths)}")
    suite, bad = xml.Element("testsuite", name="planted"), 0
    for name, path in paths.items():
        if o.name and name not in o.name:
            continue
        began = time.monotonic()
        case = xml.SubElement(suite, "testcase", classname="planted", name=f"planted: {name}")
        with tempfile.TemporaryDirectory(prefix=f"planted-{name}-") as folder:
            folder = Path(folder)
            folder.chmod(0o755)
            try:
                plant = Plant(path)
                if o.quick and name not in QUICK:
                    plant.plant(folder)
                    said = "applies and compiles"
                else:
                    said = plant.catch(folder, o.base_port)
                print(f"{'ok  ' if o.quick and name not in QUICK else 'caught'} {name:24} {time.monotonic() - began:5.1f} s  {said}",
                      flush=True)
            except (Broken, relink.Failed, subprocess.TimeoutExpired, OSError) as e:
                bad += 1
                print(f"MISSED {name:24} {e}", flush=True)
                xml.SubElement(case, "failure", message=str(e)[:300]).text = str(e)
    if o.junit:
        o.junit.parent.mkdir(parents=True, exist_ok=True)
        xml.ElementTree(suite).write(o.junit, encoding="utf-8", xml_declaration=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
