# SPDX-License-Identifier: MIT
"""Executables of a build whose one or two files are others: they are compiled anew, and the rest is linked as it was built."""
import json
import shlex
import subprocess
from pathlib import Path


class Failed(Exception):
    """A compiler, a linker or a tool did not succeed."""


def run(words, cwd):
    words = [str(w) for w in words]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{Path(words[0]).name}:\n{done.stdout}{done.stderr}")
    return done


def compile_instead(build: Path, built: Path, source: Path, out: Path, *flags: str) -> Path:
    """`source`, compiled as the build compiles `built`, into `out`; `flags` come before all others."""
    (command,) = (c for c in json.loads((build / "compile_commands.json").read_text()) if c["file"] == str(built))
    words = shlex.split(command["command"])
    words[words.index("-o") + 1] = str(out)
    words[words.index("-c") + 1] = str(source)
    for flag in ("-MF", "-MT"):
        if flag in words:
            words[words.index(flag) + 1] = f"{out}.d"
    at = next(i for i, word in enumerate(words) if word.startswith("-"))
    run([*words[:at], *flags, *words[at:]], command["directory"])
    return out


def link(build: Path, target: str, objects: list[Path], out: Path) -> None:
    """As the build links `target`, with our objects before its libraries: what they define is not looked for there."""
    commands = run(["ninja", "-t", "commands", target], build).stdout.splitlines()
    words = shlex.split(commands[-1])
    words = words[words.index("&&") + 1:] if "&&" in words else words
    words = words[:words.index("&&")] if "&&" in words else words
    at = words.index("-o")
    run([*words[:at], *objects, "-o", out, *words[at + 2:]], build)
