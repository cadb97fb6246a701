# SPDX-License-Identifier: MIT
"""docs/asyncapi.yaml names schemas of schemas/history by their newest version: the target schemas_lock sees to it. Standard library only."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = "docs/asyncapi.yaml"


def newest(text, history):
    """`text` with the newest version wherever it names a schema; `history` is the names of its files."""
    versions = {}
    for name, number in re.findall(r"^(\w+)-(\d+)\.avsc$", "\n".join(history), re.M):
        versions[name] = max(versions.get(name, 0), int(number))
    return re.sub(r"(schemas/history/)(\w+)-\d+(\.avsc)", lambda m: f"{m[1]}{m[2]}-{versions.get(m[2], 0)}{m[3]}", text)


if __name__ == "__main__":
    before = (ROOT / FILE).read_text()
    after = newest(before, [path.name for path in (ROOT / "schemas/history").iterdir()])
    if after != before:
        (ROOT / FILE).write_text(after)
        print(f"{FILE}: names the newest versions")
