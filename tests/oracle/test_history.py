#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The build ends, and says which schema and what to do, when schemas/history is not what was ever written.

BUILD is the build folder, LOCK the program schemas_history. A copy of schemas/ is spoiled in one way at a time, and the step that the
build itself would run is run over it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD, LOCK = os.environ["BUILD"], os.environ["LOCK"]
REMEDY = 'run "cmake --build --preset release --target schemas_lock"'
PLANTED = {"name": "planted", "type": ["null", "string"], "default": None}
TYPES = "shared/types.avsc"
BACK = 'take it back with "git checkout"'


def step(schemas: Path) -> tuple[int, str]:
    """The build's own step over this copy instead, with its files in the copy, too."""
    commands = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "-s", "schemas/records.gen.h"], capture_output=True, text=True,
                              check=True).stdout
    (command,) = [line for line in commands.splitlines() if "records.gen.h" in line]
    command = command.replace(f"{BUILD}/schemas/records.gen", f"{schemas}/records.gen").replace(f"{ROOT}/schemas/", f"{schemas}/")
    done = subprocess.run(["sh", "-c", command], cwd=BUILD, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def lock(schemas: Path) -> str:
    return subprocess.run([LOCK, "lock", schemas / "history", schemas / TYPES, *sorted(schemas.glob("*.avsc"))], capture_output=True,
                          text=True, check=True).stdout


def add_field(path: Path) -> None:
    schema = json.loads(path.read_text())
    schema["fields"].append(PLANTED)
    path.write_text(json.dumps(schema))


def change_type(schemas: Path, name: str, change) -> None:
    """Another definition of a shared type."""
    types = json.loads((schemas / TYPES).read_text())
    change(next(kind for kind in types if kind["name"] == name))
    (schemas / TYPES).write_text(json.dumps(types))


def define_again(path: Path) -> None:
    """A shared type, defined in a schema that uses it."""
    schema = json.loads(path.read_text())
    schema["fields"].append({"name": "planted", "type": {"type": "fixed", "name": "Uuid", "size": 16}})
    path.write_text(json.dumps(schema))


def drop_line(schemas: Path, file: str) -> None:
    ids = schemas / "history/ids"
    ids.write_text("".join(line for line in ids.read_text().splitlines(keepends=True) if not line.startswith(file)))


SPOILED = {
    "a field more": (lambda s: add_field(s / "rejection.avsc"), ("Rejection has a version that", "rejection.avsc", REMEDY)),
    "a shared field more": (lambda s: change_type(s, "Source", lambda kind: kind["fields"].append(
        {"name": "planted", "type": "int"})), ("Rejection has a version that", "UserEvent has a version that", REMEDY)),
    "a shared type again": (lambda s: define_again(s / "rejection.avsc"), ("rejection.avsc: is a shared type, and defined once more: Uuid",)),
    "a shared type gone": (lambda s: change_type(s, "Source", lambda kind: kind.update(name="Origin")), ("rejection.avsc: unknown type",)),
    "a fact of no such oneOf": (lambda s: change_type(s, "Quoted", lambda kind: kind.update({"in": {"ChatEvent": "events"}})),
                               ('chat_event.avsc: "in" names a oneOf that is not there: events',)),
    "not listed": (lambda s: drop_line(s, "rejection-1"), ("Rejection has a version that", "rejection-1.avsc is not listed", REMEDY)),
    "no file": (lambda s: (s / "history/rejection-1.avsc").unlink(), ("rejection-1.avsc is listed in ids and is not there", BACK)),
    "edited": (lambda s: add_field(s / "history/rejection-1.avsc"), ("rejection-1.avsc was edited", BACK)),
    "edited in a word": (lambda s: (s / "history/rejection-1.avsc").open("a").write("\n"), ("rejection-1.avsc was edited", BACK)),
}


def main() -> int:
    failed = 0
    for what, (spoil, words) in SPOILED.items():
        with tempfile.TemporaryDirectory() as folder:
            schemas = Path(folder) / "schemas"
            shutil.copytree(ROOT / "schemas", schemas)
            spoil(schemas)
            code, said = step(schemas)
            if code == 0 or any(word not in said for word in words) or (schemas / "records.gen.h").exists():
                failed += 1
                print(f"{what}: exit code {code}, wanted {words}:\n{said}")
    with tempfile.TemporaryDirectory() as folder:
        schemas = Path(folder) / "schemas"
        shutil.copytree(ROOT / "schemas", schemas)
        ids = (schemas / "history/ids").read_text()
        assert step(schemas) == (0, ""), "the tree as it is"
        add_field(schemas / "rejection.avsc")
        said = lock(schemas)
        assert "Rejection: locked as" in said and said.count("\n") == 1 and "rejection-2.avsc" in said, said
        was, now = (json.loads((schemas / f"history/rejection-{n}.avsc").read_text()) for n in (1, 2))
        assert now == was | {"fields": was["fields"] + [PLANTED]}, "complete by itself"
        assert (schemas / "history/ids").read_text().startswith(ids), "lines are added, never changed"
        assert lock(schemas) == "", "there is nothing more to add"
        assert subprocess.run([LOCK, "check", schemas / "history", schemas / TYPES, *schemas.glob("*.avsc")], check=False).returncode == 0
    with tempfile.TemporaryDirectory() as folder:  # a shared type says that it is a fact
        schemas = Path(folder) / "schemas"
        shutil.copytree(ROOT / "schemas", schemas)
        change_type(schemas, "Quoted", lambda kind: kind.update({"in": {"ChatEvent": "event"}, "told": "quoted"}))
        said = lock(schemas)
        assert said.startswith("ChatEvent: locked as") and said.count("\n") == 1, said
        made = json.loads(max(schemas.glob("history/chat_event-*.avsc"), key=lambda p: int(p.stem.rpartition("-")[2])).read_text())
        fields = {field["name"]: field for field in made["fields"]}
        assert fields["quoted"] == fields["mediaProcessed"] | {"name": "quoted", "type": ["null", "Quoted"]}, "as if the file had it, and nothing that readers need not know"
        assert '"told"' not in json.dumps(made) and '"in"' not in json.dumps(made), made
        assert step(schemas)[0] == 0 and 'X(quoted, CHAT_EVENT_QUOTED, "quoted")' in (schemas / "records.gen.h").read_text()
    print(f"{len(SPOILED) - failed} of {len(SPOILED)} ways were found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
