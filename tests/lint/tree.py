# SPDX-License-Identifier: MIT
"""The files that lints look at."""

import functools
import os
import subprocess
from pathlib import Path

NOT_OURS = (".git", ".state", "node_modules", "__pycache__", ".pytest_cache")
C_SUFFIXES = (".c", ".h")


class Skip(Exception):
    """This lint cannot be run here, and why."""


class Tree:
    """`root` is the project; `build` a build folder. Paths are text relative to the root."""

    def __init__(self, root, build):
        self.root, self.build, self.warnings = Path(root), build, []

    @functools.cached_property
    def files(self):
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders if f not in NOT_OURS and not f.startswith("build")]
            found += [str((Path(folder) / name).relative_to(self.root)) for name in names if name not in NOT_OURS]
        return sorted(found)

    @functools.cached_property
    def c_files(self):
        return [f for f in self.files if f.endswith(C_SUFFIXES)]

    @functools.cached_property
    def scripts(self):
        """{file: "python" or "shell"}, by suffix or by first line."""
        found = {}
        for file in self.files:
            if file.endswith(".py"):
                found[file] = "python"
            elif file.endswith(".sh"):
                found[file] = "shell"
            elif "." not in Path(file).name or file.startswith(".ci/"):
                first = self.lines(file)[:1]
                if first and first[0].startswith("#!"):
                    found[file] = "python" if "python" in first[0] else "shell" if "sh" in first[0] else "other"
        return found

    @functools.cache  # noqa: B019  (a Tree lives as long as the run)
    def text(self, file):
        """Its text, or "" when it is not text."""
        raw = (self.root / file).read_bytes()
        if b"\0" in raw[:4096]:
            return ""
        return raw.decode("utf-8", errors="replace")

    def lines(self, file):
        return self.text(file).splitlines()

    def executable(self):
        """The built chasqui; Skip when there is none."""
        path = self.build / "chasqui"
        if not path.exists():
            raise Skip(f"no executable {path}: build it, or name another build folder by --build")
        return path

    def printed(self, what):
        """Rows of `chasqui admin print WHAT`."""
        done = subprocess.run([self.executable(), "admin", "print", what], capture_output=True, text=True, check=True, timeout=30)
        return [line.split("\t") for line in done.stdout.splitlines()]


def strip_c(text):
    """C text with comments and the insides of literals blanked, lines kept."""
    out, i, n = [], 0, len(text)
    while i < n:
        two = text[i:i + 2]
        if two == "/*":
            end = text.find("*/", i + 2)
            end = n if end < 0 else end + 2
            out.append("\n" * text.count("\n", i, end))
            i = end
        elif two == "//":
            i = text.find("\n", i)
            i = n if i < 0 else i
        elif text[i] in "\"'":
            quote, j = text[i], i + 1
            while j < n and text[j] not in (quote, "\n"):
                j += 2 if text[j] == "\\" else 1
            out.append(quote + quote)
            i = j + 1
        else:
            out.append(text[i])
            i += 1
    return "".join(out)
