# SPDX-License-Identifier: MIT
"""What growth costs: a toy of each sort is added to a copy of the tree, and each of its files is left out in turn.

An exercise is NAME.patch, whose first lines are its claims:

    Grows: …                                   what it adds
    Most: FILES files, LINES lines             what it takes; more is a failure, and who makes it less writes that down
    Prints: docs/settings.md …                 what a command writes once the rest is there (PRINTERS); not counted as lines
    Quick: unit.settings lint …                tests that pass with all of it; `lint` stands for all of them
    System: FILE::TEST                         a system test of it, which --system runs
    Left-Out: FILE | NOTICED BY | WORDS        without FILE, that says WORDS: `build TARGET`, `compile FILE`, or a test. A row a file

A patch is applied with as little context as one line, so that it survives when the code around it moves. All exercises share one copy
and one build folder, and only what differs is written.
"""
from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/lint"))

from tree import Tree  # noqa: E402

NAMES = ("setting", "route", "sink", "kind")
# file or folder that a command writes → the command, from the folder of `tree` and `build`; what is built before
PRINTERS = {
    "schemas/history": ("cmake --build build --target schemas_lock", ()),
    "docs/asyncapi.yaml": ("cmake --build build --target schemas_lock", ()),
    "docs/frames.schema.json": ("build/chasqui admin print frames-schema >tree/docs/frames.schema.json", ("chasqui",)),
    "clients/js/events.js": ("tree/clients/print_types js >tree/clients/js/events.js", ()),
    "clients/python/chasqui/events.py": ("tree/clients/print_types python >tree/clients/python/chasqui/events.py", ()),
    "docs/settings.md": ("build/chasqui check-config --markdown >tree/docs/settings.md", ("chasqui",)),
    "docs/topics.md": ("build/chasqui admin print topics >tree/docs/topics.md", ("chasqui",)),
}
PROGRAMS = {"unit": "test_{}", "fuzz": "fuzz_{}", "flow": "flow", "lint": "chasqui"}  # sort of test → what it runs
NOT_RUN = "^lint[.](bites|toys|plants)$"  # proofs of the lints; patches, which do not apply twice
CONTEXT = 3
SAID_MOST = 160


class Broken(Exception):
    """Why an exercise has failed."""


@dataclass
class LeftOut:
    file: str
    by: str
    words: str


@dataclass
class Exercise:
    name: str
    patch: Path
    grows: str = ""
    files_most: int = 0
    lines_most: int = 0
    prints: list[str] = field(default_factory=list)
    quick: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # lines that it adds or changes

    @classmethod
    def read(cls, name: str) -> Exercise:
        e = cls(name, HERE / f"{name}.patch")
        head, _, body = e.patch.read_text().partition("\ndiff ")
        for word, value in re.findall(r"^([A-Z][\w-]+): (.+)$", head, re.M):
            if word == "Grows":
                e.grows = value
            elif word == "Most":
                e.files_most, e.lines_most = map(int, re.findall(r"\d+", value))
            elif word == "Prints":
                e.prints += value.split()
            elif word == "Quick":
                e.quick += value.split()
            elif word == "System":
                e.system += value.split()
            elif word == "Left-Out":
                e.left_out.append(LeftOut(*(part.strip() for part in value.split("|", 2))))
            else:
                raise Broken(f"{e.patch.name}: nobody knows the line {word}:")
        for part in re.split(r"^diff ", f"\ndiff {body}", flags=re.M)[1:] if body else ():
            file = re.search(r"^\+\+\+ b/(\S+)", part, re.M)[1]
            e.files[file] = len(re.findall(r"^\+(?!\+\+ b/)", part, re.M))
        return e

    def check(self) -> None:
        rows, wanted = [row.file for row in self.left_out], [*self.files, *self.prints]
        for file in sorted(set(rows) ^ set(wanted)):
            raise Broken(f"{self.patch.name}: {file} " + ("is in no line Left-Out:" if file in wanted else "is left out, and not in the patch"))
        if len(rows) != len(set(rows)):
            raise Broken(f"{self.patch.name}: a file is left out twice")
        if len(self.files) > self.files_most or self.lines() > self.lines_most:
            raise Broken(f"{len(self.files)} files and {self.lines()} lines are more than its line Most: says")
        if (len(self.files), self.lines()) != (self.files_most, self.lines_most):
            raise Broken(f"{len(self.files)} files and {self.lines()} lines are less than its line Most: says: write them there, so that it stays so")

    def lines(self) -> int:
        return sum(self.files.values())

    def __str__(self) -> str:
        rows = [f"{lines:6}  {file}" for file, lines in self.files.items()] + [f"{'':6}  {what}, printed by a command" for what in self.prints]
        return "\n".join([f"=== {self.name}: {self.grows}", *rows,
                          f"{self.lines():6}  lines in {len(self.files)} files; at most {self.lines_most} in {self.files_most}"])


class Copy:
    """A copy of the tree and its build folder."""

    def __init__(self, folder: Path):
        self.folder, self.tree, self.build = folder, folder / "tree", folder / "build"

    # ---- files -----------------------------------------------------------------------------------

    def fresh(self) -> None:
        """The tree as it is, without any toy."""
        wanted, found = files_of(ROOT), files_of(self.tree)
        for name in found - wanted:
            (self.tree / name).unlink()
        for name in wanted:
            source, to = ROOT / name, self.tree / name
            if not to.exists() or to.read_bytes() != source.read_bytes():
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, to)
                shutil.copymode(source, to)

    def apply(self, e: Exercise, *more: str, check: bool = True) -> None:
        done = subprocess.run(["git", "apply", "-C1", *more, str(e.patch)], cwd=self.tree, capture_output=True, text=True, check=False,
                              env={**os.environ, "GIT_CEILING_DIRECTORIES": str(self.folder)})
        if done.returncode and check:
            raise Broken(f"{e.patch.name} does not apply; --edit applies what does, --write makes it anew:\n{done.stderr}")
        if done.returncode:
            print(done.stderr, file=sys.stderr)

    def reset(self, what: str) -> dict[str, bytes]:
        """Files that a command wrote become those of the tree. What they were, by name."""
        there = [n for n in files_of(self.tree) if n == what or n.startswith(f"{what}/")]
        before = {n: (self.tree / n).read_bytes() for n in there}
        for name in there:
            if (ROOT / name).exists():
                (self.tree / name).write_bytes((ROOT / name).read_bytes())
            else:
                (self.tree / name).unlink()
        return before

    # ---- building and testing: (exit code, output) -----------------------------------------------

    def make(self, *targets: str) -> tuple[int, str]:
        if not (self.build / "build.ninja").exists():
            shutil.rmtree(self.build, ignore_errors=True)
            code, said = command(["cmake", "-G", "Ninja", "-S", self.tree, "-B", self.build, "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0",
                                  f"-DCHASQUI_PYTHON={sys.executable}"], self.folder)
            if code:
                return code, said
        return command(["cmake", "--build", self.build, "--target", *targets], self.folder) if targets else (0, "")

    def compile(self, file: str) -> tuple[int, str]:
        units = json.loads((self.build / "compile_commands.json").read_text())
        return self.make(*[re.search(r" -o (\S+)", u["command"])[1] for u in units if u["file"] == str(self.tree / file)][:1])

    def test(self, *tests: str) -> tuple[int, str]:
        code, said = self.make(*sorted({PROGRAMS[t.partition(".")[0]].format(t.partition(".")[2]) for t in tests}))
        if code:
            return code, said
        chosen = "|".join(re.escape(t) + ("$" if "." in t else "[.]") for t in tests)
        return command(["ctest", "--test-dir", self.build, "-j2", "--output-on-failure", "--no-tests=error", "-R", f"^({chosen})", "-E", NOT_RUN],
                       self.folder)

    def system(self, *tests: str) -> tuple[int, str]:
        return command([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], self.tree,
                       CHASQUI_BUILD=str(self.build), CHASQUI_STATE=os.environ.get("CHASQUI_STATE") or str(ROOT / ".state"))

    def print_(self, what: str) -> None:
        words, built = PRINTERS[what]
        code, said = self.make(*built)
        code, more = (code, "") if code else command(["sh", "-c", words], self.folder)
        if code:
            raise Broken(f"{what} cannot be printed:\n{said[-2000:]}{more[-2000:]}")


def files_of(folder: Path) -> set[str]:
    return set(Tree(folder, folder / "build").files)


def command(words, folder: Path, **env: str) -> tuple[int, str]:
    done = subprocess.run([str(w) for w in words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False, env={**os.environ, "LC_ALL": "C.UTF-8", **env})
    return done.returncode, done.stdout


# ---- an exercise -------------------------------------------------------------------------------------


def grow(e: Exercise, copy: Copy) -> str:
    """All of the toy is in, and everything is as it should be."""
    e.check()
    copy.apply(e)
    for what in e.prints:
        copy.print_(what)
    code, said = copy.make("chasqui")
    if code:
        raise Broken(f"it does not build:\n{said[-4000:]}")
    code, said = copy.test(*e.quick)
    if code:
        raise Broken(f"its quick tests fail:\n{said[-6000:]}")
    return f"{len(re.findall(r' Passed ', said))} quick tests pass"


def try_out(e: Exercise, copy: Copy) -> str:
    """The toy does what it is for, through all roles."""
    code, said = copy.system(*e.system)
    if code:
        raise Broken(f"{' '.join(e.system)}:\n{said[-6000:]}")
    return said.strip().splitlines()[-1]


def leave_out(e: Exercise, copy: Copy, row: LeftOut) -> str:
    """What is said without one file of the toy, which is there again afterwards."""
    before = copy.reset(row.file) if row.file in e.prints else copy.apply(e, "--reverse", f"--include={row.file}")
    try:
        how, _, what = row.by.partition(" ")
        code, said = copy.make(*what.split()) if how == "build" else copy.compile(what) if how == "compile" else copy.test(*row.by.split())
    finally:
        if before is None:
            copy.apply(e, f"--include={row.file}")
        for name, content in (before or {}).items():
            (copy.tree / name).write_bytes(content)
    lines = [line.strip() for line in said.splitlines() if row.words in line]
    if not code or not lines:
        raise Broken(f"{row.by} {'notices nothing' if not code else f'does not say {row.words!r}'}:\n{said[-3000:]}")
    return min(lines, key=len)[:SAID_MOST]


def exercise(e: Exercise, copy: Copy, options: argparse.Namespace, suite: xml.Element) -> bool:
    """Whether all is as the patch claims."""
    def told(what: str, work) -> bool:
        began, case, why = time.monotonic(), xml.SubElement(suite, "testcase", classname=f"growth.{e.name}", name=f"{e.name} {what}"), None
        try:
            said = work()
        except Broken as error:
            why = said = str(error)
            xml.SubElement(case, "failure", message=why[:300]).text = why
        print(f"{'FAIL' if why else 'ok  '} {what:48} {time.monotonic() - began:5.1f} s  {said}", flush=True)
        return not why

    print(e, flush=True)
    copy.fresh()
    if not told("with all of it", lambda: grow(e, copy)):
        return False
    good = not (options.system and e.system) or told("through all roles", lambda: try_out(e, copy))
    rows = e.left_out if options.leave_out else []
    return all([told(f"without {row.file}", lambda row=row: leave_out(e, copy, row)) for row in rows]) and good


# ---- making a patch ------------------------------------------------------------------------------------


def write(e: Exercise, copy: Copy) -> None:
    """The patch anew: its head, and how the copy differs from the tree, but for what commands print."""
    head = e.patch.read_text().partition("\ndiff ")[0]
    parts = []
    for name in sorted(files_of(copy.tree) | files_of(ROOT)):
        if any(name == what or name.startswith(f"{what}/") for what in (*PRINTERS, "tests/growth")):
            continue
        old, new = (path.read_bytes() if path.exists() else b"" for path in (ROOT / name, copy.tree / name))
        if old == new:
            continue
        made = not (ROOT / name).exists()
        parts.append(f"diff --git a/{name} b/{name}\n" + (f"new file mode {(copy.tree / name).stat().st_mode | 0o100000:o}\n" if made else ""))
        parts += difflib.unified_diff(old.decode().splitlines(True), new.decode().splitlines(True), "/dev/null" if made else f"a/{name}", f"b/{name}",
                                      n=CONTEXT)
    e.patch.write_text(head.rstrip() + "\n\n" + "".join(parts))


def main() -> int:
    a = argparse.ArgumentParser(prog="tests/growth/run", description="Grow a copy of the tree by a toy; leave each of its files out.")
    a.add_argument("name", nargs="*", help=f"of {', '.join(NAMES)}; all of them when none is named")
    a.add_argument("--leave-out", action="store_true", help="each file in turn")
    a.add_argument("--system", action="store_true", help="and try it out with Kafka and PostgreSQL")
    a.add_argument("--edit", action="store_true", help="apply what applies to build/growth/tree, and stop")
    a.add_argument("--write", action="store_true", help="make the patch from build/growth/tree, and stop")
    a.add_argument("--folder", type=Path, default=ROOT / "build/growth", help="of the copy and its build")
    a.add_argument("--junit", type=Path)
    o = a.parse_args()
    for name in o.name:
        if name not in NAMES:
            a.error(f"no exercise {name}; there are: {', '.join(NAMES)}")
    if (o.edit or o.write) and len(o.name) != 1:
        a.error("name one exercise")
    copy, suite, good, began = Copy(o.folder.resolve()), xml.Element("testsuite", name="growth"), True, time.monotonic()
    copy.tree.mkdir(parents=True, exist_ok=True)
    for name in o.name or NAMES:
        e = Exercise.read(name)
        if o.edit:
            copy.fresh()
            copy.apply(e, "--reject", check=False)
        elif o.write:
            write(e, copy)
        else:
            good = exercise(e, copy, o, suite) and good
    print(f"{time.monotonic() - began:.0f} s")
    if o.junit:
        o.junit.parent.mkdir(parents=True, exist_ok=True)
        xml.ElementTree(suite).write(o.junit, encoding="utf-8", xml_declaration=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
