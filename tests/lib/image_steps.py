# SPDX-License-Identifier: MIT
"""The commands of compose/Dockerfile, for those who have no container runtime: tests/trixie runs them in folders.

    python3 tests/lib/image_steps.py STAGE      (its number, from 0) prints the commands of its RUN lines, NUL after each
"""

import re
import sys
from pathlib import Path

DOCKERFILE = Path(__file__).resolve().parents[2] / "compose/Dockerfile"


def stages(text):
    """[[(instruction, rest)]], a list for each FROM, with continued lines joined."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if not word or word.startswith("#"):
            continue
        if word == "FROM":
            found.append([])
        found[-1].append((word, " ".join(rest.split())))
    return found


def commands(stage):
    return [rest for word, rest in stages(DOCKERFILE.read_text())[stage] if word == "RUN"]


if __name__ == "__main__":
    for command in commands(int(sys.argv[1])):
        sys.stdout.write(command + "\0")
