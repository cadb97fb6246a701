#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A toy in one enum, or one table, and nowhere else: each place that has to decide about it refuses, by its name.

    tests/lint/toys.py BUILD

The changed header goes before the real one; the file that must refuse is only parsed, with the command of the build folder. For a
role, the lints look at a copy of the tree as well.
"""

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECORDS, TOPICS, ROLES = "schemas/records.gen.h", "schemas/topics.h", "lib/base/roles.h"
CASE = "enumeration value ‘{}’ not handled in switch"

# header, what the toy is put before, the toy → file: what it must say
TOYS = [
    (RECORDS, "    CHAT_ACTION_ACTION_KIND_N\n", "CHAT_ACTION_TOY",
     {"processors/chat/rules.c": "a rule for each chat action"}),
    (RECORDS, "    USER_ACTION_ACTION_KIND_N\n", "USER_ACTION_TOY",
     {"processors/user/rules.c": "a rule for each user action"}),
    (RECORDS, "    CHAT_EVENT_EVENT_KIND_N\n", "CHAT_EVENT_TOY", {"sinks/persistence/rows.c": CASE, "schemas/frame.c": CASE}),
    (RECORDS, "    USER_EVENT_EVENT_KIND_N\n", "USER_EVENT_TOY", {"sinks/persistence/user_rows.c": CASE}),
    (RECORDS, "    MEMBER_CHANGE_KIND_N\n", "MEMBER_CHANGE_KIND_TOY",
     {"processors/chat/group.c": CASE, "processors/chat/members_rules.c": CASE}),
    (RECORDS, "    MESSAGE_TYPE_N\n", "MESSAGE_TYPE_TOY", {"sinks/mobile/payload.c": "a word for each type: pt"}),
    (RECORDS, "    WS_ENTRY_KIND_N\n", "WS_ENTRY_KIND_TOY", {"sinks/websocket/route.c": CASE}),
    (RECORDS, "    RECEIPT_KIND_N\n", "RECEIPT_KIND_TOY", {"processors/chat/turn.c": "a letter for each ReceiptKind"}),
    (RECORDS, "    PUSH_RESULT_N\n", "PUSH_RESULT_TOY", {"sinks/mobile/tell.c": "a count for each PushResult"}),
    (TOPICS, "    TOPIC_N\n", "TOPIC_TOY",
     {"schemas/topics.c": "a row for each topic", "processors/chat/turn.c": CASE, "processors/user/turn.c": CASE, "admin_cut.c": CASE}),
]
ROLE = '    X(TOY, toy, "toy", "a toy", 8, PARTITIONS, NONE, 1024, GROUPS("toy"), TOPICS(FOLLOWS(CHAT_EVENTS))) \\\n'
FIRST_ROLE = "    X(PERSISTENCE,"
ROLE_LINTS = ("compose/compose.yml: there is no toy-0", "compose/compose.yml: there is no toy-1",
              "compose/settings.env.example: COPIES_TOY is missing", "docs/operations.md: the private doors are not listed",
              "compose/settings.env.example: the private doors are not listed")


def command_of(build, file):
    """The compiler's words for a file, without output."""
    (entry,) = [e for e in json.loads((build / "compile_commands.json").read_text()) if e["file"] == str(ROOT / file)]
    words = shlex.split(entry["command"])
    words = words[1:] if "ccache" in Path(words[0]).name else words
    for i, word in reversed(list(enumerate(words))):
        if word in ("-o", "-MF", "-MT"):
            del words[i:i + 2]
        elif word in ("-MD", "-c"):
            del words[i]
    return words, entry["directory"]


def parse(build, folder, file):
    """(exit code, what the compiler says) with the headers of `folder` before all others. The file is parsed as a copy in there: a file
    at the root would find the headers beside it first."""
    words, directory = command_of(build, file)
    copy = Path(folder) / file
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes((ROOT / file).read_bytes())
    words = [str(copy) if word == str(ROOT / file) else word for word in words]
    done = subprocess.run([words[0], f"-I{folder}", "-fsyntax-only", *words[1:]], cwd=directory, capture_output=True, text=True,
                          check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stderr


def put(folder, build, header, before, text):
    """A copy of the header in `folder`, with `text` put before `before`."""
    real = build / header if header.endswith(".gen.h") else ROOT / header
    whole = real.read_text()
    if whole.count(before) != 1:
        sys.exit(f"{header} has {before.strip()} {whole.count(before)} times")
    copy = folder / header
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(whole.replace(before, text + before))


def compiled(build, header, before, text, file, words):
    """A complaint, or None: the file refuses, and says why; and it does not without the toy."""
    with tempfile.TemporaryDirectory() as folder:
        code, said = parse(build, folder, file)
        if code:
            return f"{file} does not compile as it is:\n{said}"
        put(Path(folder), build, header, before, text)
        code, said = parse(build, folder, file)
    return None if code and words in said else f"{file} compiles, or does not say {words!r}:\n{said[:2000]}"


def linted():
    """What the lints say of a tree with one more role."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("build*", ".git", ".state", "node_modules", "__pycache__", "corpus"))
        put(copy, copy, ROLES, FIRST_ROLE, ROLE)
        done = subprocess.run([sys.executable, copy / "tests/lint/run", "role_table"], capture_output=True, text=True, check=False)
    return [f"the lint does not say {words!r}:\n{done.stdout}" for words in ROLE_LINTS if words not in done.stdout]


def main():
    build = Path(sys.argv[1]).resolve()
    asked = [(header, before, f"    {toy},\n", file, words.format(toy))
             for header, before, toy, files in TOYS for file, words in files.items()]
    with ThreadPoolExecutor(2) as pool:
        complaints = [c for c in pool.map(lambda row: compiled(build, *row), asked) if c]
    complaints += linted()
    for complaint in complaints:
        print(complaint)
    print(f"{len(asked) + len(ROLE_LINTS) - len(complaints)} of {len(asked) + len(ROLE_LINTS)} places refuse")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
