# SPDX-License-Identifier: MIT
"""Rules for every file: licence line, words, places, scripts that parse."""

import json
import os
import re
import subprocess
from pathlib import Path

SPDX = "SPDX-License-Identifier: MIT"
SPDX_SUFFIXES = (".c", ".h", ".py", ".sh", ".sql", ".mjs", ".js", ".css", ".cmake")
SPDX_NAMES = ("CMakeLists.txt", "Dockerfile", "compose.yml")

# Spelled apart so that this file does not complain about itself.
WORDS = re.compile(r"\b(" + "|".join(["TO" + "DO", "XX" + "X", "FIX" + "ME"]) + r")\b")
WORDS_NOT_IN = re.compile(r"(LICENSE|.*\.(png|ico|lock)|.*/?package-lock\.json|tests/fuzz/corpus/.*)")
PLACES = re.compile(
    r"(?<![\w.$}])/(home|root|Users|work)/[\w.]"  # somebody's machine
    r"|\b(deb\.debian|security\.debian|snapshot\.debian|archive\.ubuntu)\.(org|com)"
    r"|\b(files\.pythonhosted|pypi|repo1?\.maven(\.apache)?)\.org|\bregistry\.npmjs\.org|\bproxy\.golang\.org|\bcrates\.io")


def spdx(tree):
    """The licence stands in the first lines of every source file."""
    files = [f for f in tree.files if f.endswith(SPDX_SUFFIXES) or Path(f).name in SPDX_NAMES] + list(tree.scripts)
    return [f"{file}: no '{SPDX}' in its first lines" for file in sorted(set(files))
            if SPDX not in "\n".join(tree.lines(file)[:3])]


def words(tree):
    """Unfinished work is an issue, not a word in the code."""
    return [f"{file}:{number}: {match[1]}" for file in tree.files if not WORDS_NOT_IN.fullmatch(file)
            for number, line in enumerate(tree.lines(file), 1) if (match := WORDS.search(line))]


def places(tree):
    """No file names a path of one machine, or the host of a package registry."""
    return [f"{file}:{number}: {match[0]}" for file in tree.files
            for number, line in enumerate(tree.lines(file), 1) if (match := PLACES.search(line))]


def pinned(tree):
    """Packages of the tests are installed by version and hash: requirements.txt is what tests/pin makes of requirements.in."""
    complaints = []
    for file in tree.files:
        if file.endswith("requirements.txt"):
            rows = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"^#.*\n", "", tree.text(file), flags=re.M).strip())
            rows = [row for row in rows if row]
            complaints += [f"{file}: {row.split()[0]}: no exact version with a hash: run tests/pin" for row in rows
                           if not re.match(r"[\w.-]+==\S+", row) or "--hash=sha256:" not in row]
            there = {row.split()[0].lower() for row in rows}
            wanted = re.findall(r"^([\w.-]+)(?:\[\w+\])?(==\S+)", tree.text(file.replace(".txt", ".in")), re.M)
            complaints += [f"{file}: {name}{version} of requirements.in is not in it: run tests/pin" for name, version in wanted
                           if f"{name}{version}".lower() not in there]
        elif file.endswith("package-lock.json"):
            complaints += [f"{file}: {name}: no hash" for name, package in json.loads(tree.text(file))["packages"].items()
                           if name and not package.get("integrity", "").startswith("sha512-")]
    return complaints


def numbers(tree):
    """Files with a number, as migrations and decisions are, have one each: two branches take the same."""
    seen, complaints = {}, []
    for file in sorted(tree.files):
        if match := re.fullmatch(r"((?:.*/migrations|docs/decisions)/\d+)[-_].*", file):
            if match[1] in seen:
                complaints.append(f"{file}: {seen[match[1]]} has this number: take the next one")
            seen.setdefault(match[1], file)
    return complaints


def plants(tree):
    """Each planted bug, and each toy of tests/growth, applies to the tree as it is: who changes the code under it changes the patch."""
    found = []
    for file in tree.files:
        if re.search(r"/(planted|growth)/[^/]+\.patch$", file):
            # outside of a repository, and in a folder of one, paths are taken from here
            done = subprocess.run(["git", "apply", "--check", *(["-C1"] if "/growth/" in file else []), file], cwd=tree.root, capture_output=True, text=True, check=False,
                                  env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.root.parent)})
            if done.returncode:
                found.append(f"{file}: does not apply: {done.stderr.strip().splitlines()[0]}")
    return found


def scripts(tree):
    """Scripts parse, and those with a first line to run them by can be run."""
    complaints = []
    for file, kind in tree.scripts.items():
        path = tree.root / file
        if kind == "python":
            try:
                compile(tree.text(file), file, "exec")
            except SyntaxError as error:
                complaints.append(f"{file}:{error.lineno}: {error.msg}")
        elif kind == "shell":
            result = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
            complaints += [f"{file}: {line}" for line in result.stderr.splitlines()]
        if "." not in path.name and not path.stat().st_mode & 0o100:
            complaints.append(f"{file}: starts with #! and cannot be run (chmod +x)")
    return complaints
