#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cppcheck, gcc -fanalyzer and clang-tidy over the product's C files: analyse.py --build FOLDER [TOOL…]

Prints each finding that tests/long/analysed.txt does not explain, and each row there that explains nothing any more. 0: none.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
JOBS = os.cpu_count() or 2


def commands(build):
    """What compiles each file of the product."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = Path(entry["file"])
        if file.is_relative_to(ROOT) and not file.is_relative_to(ROOT / "tests") and not file.is_relative_to(build):
            yield str(file.relative_to(ROOT)), entry


def own(path):
    """A path as the list writes it; None for what is not of this project."""
    path = Path(path)
    if not path.is_absolute():
        return str(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else None


def cppcheck(build):
    done = subprocess.run(["cppcheck", f"--project={build / 'compile_commands.json'}", f"-j{JOBS}", "--quiet", "--enable=warning,portability",
                           "--suppress=missingIncludeSystem", "--template={file}\t{line}\t{id}\t{message}", f"-i{ROOT / 'tests'}"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    for line in done.stderr.splitlines():
        file, number, check, message = (line.split("\t") + [""] * 4)[:4]
        if own(file):
            yield own(file), number, check, message


def run_all(words_of, build):
    """Output of one command a file, side by side."""
    def one(row):
        done = subprocess.run(words_of(*row), cwd=row[1]["directory"], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr
    with ThreadPoolExecutor(JOBS) as pool:
        return "\n".join(pool.map(one, commands(build)))


def gcc(build):
    def words(_file, entry):
        words = [w for w in shlex.split(entry["command"]) if w not in ("ccache", "-Werror", "-MD") and not w.endswith("/ccache")]
        for option in ("-MT", "-MF"):
            if option in words:
                at = words.index(option)
                del words[at:at + 2]
        words[words.index("-o") + 1] = "/dev/null"
        return [*words, "-fanalyzer", "-fdiagnostics-plain-output"]
    for file, number, message, check in re.findall(r"^(\S+?):(\d+):\d+: warning: (.*) \[(-Wanalyzer-\S+)\]$", run_all(words, build), re.M):
        if own(file):
            yield own(file), number, check, message


def clang(build):
    def words(file, _entry):
        return ["clang-tidy-14", "-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option", ROOT / file]
    for file, number, message, check in re.findall(r"^(/\S+?):(\d+):\d+: (?:warning|error): (.*) \[([\w.,-]+)\]$", run_all(words, build), re.M):
        if own(file):
            yield own(file), number, check, message


TOOLS = {"cppcheck": cppcheck, "gcc": gcc, "clang": clang}


def explained():
    rows = []
    for line in (HERE / "analysed.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            what, _, why = line.partition(" | ")
            assert why, f"analysed.txt: no reason: {line}"
            rows.append(tuple(what.split(" ", 3)))
    return rows


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--build", type=Path, default=ROOT / "build/release")
    args.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(TOOLS))
    options = args.parse_args()
    known, used, open_n = explained(), set(), 0
    tools = options.tools or list(TOOLS)
    for tool in tools:
        for file, number, check, message in sorted(set(TOOLS[tool](options.build.resolve()))):
            row = next((r for r in known if r[:3] == (tool, check, file) and (r[3] == "*" or re.search(rf"\b{r[3]}\b", message))), None)
            if row:
                used.add(row)
                continue
            open_n += 1
            print(f"{file}:{number}: {tool} {check}: {message}", flush=True)
    for row in known:
        if row[0] in tools and row not in used:
            open_n += 1
            print(f"tests/long/analysed.txt: no finding needs {' '.join(row)}")
    print(f"{open_n} open, {len(used)} explained")
    return 1 if open_n else 0


if __name__ == "__main__":
    sys.exit(main())
