# SPDX-License-Identifier: MIT
"""The table of roles (lib/base/roles.h) and everything that says the same in a form of its own."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "compose/lib"))

import roles  # noqa: E402

MANY = 6  # role words in a row are a list of all roles, or were one


def table(tree):
    """Its rows are sound, and compose.yml, the example of settings and the documents say what it says."""
    try:
        rows = roles.table(tree.root)
    except ValueError as why:
        return [str(why)]
    return [*_rows(tree, rows), *_containers(tree, rows), *_secrets(tree, rows), *_settings(tree, rows), *_documents(tree, rows), *_groups(tree, rows),
            *_lists(tree, rows)]


def _rows(tree, rows):
    """Doors are of one role each; the topics are those of schemas/topics.h."""
    where = roles.HEADER
    for column in ("name", "word", "door"):
        values = [getattr(r, column) for r in rows]
        for value in sorted({v for v in values if values.count(v) > 1}):
            yield f"{where}: two roles have the {column} {value}"
    known = set(re.findall(r'\.name = "([a-z.]+)"', tree.text("schemas/topics.c")))
    for role in rows:
        if not 0 <= role.door < 10:  # PORT_STEP of compose/lib/services.py
            yield f"{where}: {role.name} has the door {role.door}, and copies of a role are 10 ports apart"
        for topic in sorted({*role.follows, *role.reads, *role.writes} - known):
            yield f"{where}: {role.name} names {topic}, which schemas/topics.c does not"


def _containers(tree, rows):
    """Two of each role, with its memory; with a port when clients reach it."""
    file = "compose/compose.yml"
    head, _, services = tree.text(file).partition("\nservices:\n")
    common = re.search(r"^x-image:.*?^  mem_limit: (\w+)$", head, re.M | re.S)
    found = dict(re.findall(r"^  ([\w-]+):\n((?:    .*\n|\n(?=    ))*)", services, re.M))
    for role in rows:
        for name in (f"{role.word}-0", f"{role.word}-1"):
            if not (body := found.get(name)):
                yield f"{file}: there is no {name}"
                continue
            memory = re.search(r"^    mem_limit: (\w+)$", body, re.M) or common
            if not memory or memory[1] != f"{role.memory_mb // 1024}g":
                yield f"{file}: {name} has {memory[1] if memory else 'no limit'}, the table says {role.memory_mb} MiB"
            if f"\n    command: [{role.word}]\n" not in f"\n{body}":
                yield f"{file}: {name} does not run {role.word}"
            if f"INSTANCE: {name}" not in body:
                yield f"{file}: {name} has another INSTANCE"
            if ("\n    ports:" in body) != (role.listen != "NONE"):
                yield f"{file}: {name} {'has' if role.listen == 'NONE' else 'lacks'} ports, the table says {role.listen}"
    for name, body in found.items():
        command = re.search(r"^    command: \[([\w-]+)\]$", body, re.M)
        if command and command[1] not in [r.word for r in rows]:
            yield f"{file}: {name} runs {command[1]}, which is no role"


def _secrets(tree, rows):
    """Each container has the secrets of its role, all that are required, and no others: lib/base/settings.h, as printed."""
    file = "compose/compose.yml"
    secrets = {name: (default == "required", of.split(", ")) for name, default, of in re.findall(
        r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| [^|]+ \| yes \| ([^|]+) \|", tree.text("docs/settings.md"), re.M)}
    blocks = re.findall(r"^x-[\w-]+: &([\w-]+)\n((?:  .*\n)*)", tree.text(file), re.M)
    names = {block: set(re.findall(r"^  ([A-Z][A-Z0-9_]*):", body, re.M)) for block, body in blocks}
    for service, environment in re.findall(r"^  ([\w-]+):\n(?:    .*\n)*?    environment: \{(.*)\}$", tree.text(file), re.M):
        role = service.rpartition("-")[0]
        given = set().union(*(names.get(block, ()) for block in re.findall(r"\*([\w-]+)", environment)))
        for secret, (required, of) in secrets.items() if role in [r.word for r in rows] else ():
            if secret in given and role not in of and of != ["all"]:
                yield f"{file}: {service} has {secret}, which is for {', '.join(of)}"
            if required and role in of and secret not in given:
                yield f"{file}: {service} lacks {secret}"


def _settings(tree, rows):
    """How many of each are a line each."""
    file = "compose/settings.env.example"
    found = re.findall(r"^COPIES_(\w+)=", tree.text(file), re.M)
    for name in sorted({r.name for r in rows} ^ set(found)):
        yield f"{file}: COPIES_{name} " + ("is no role's" if name in found else "is missing")


def _documents(tree, rows):
    """Where the doors are listed in words, they stand in the order of their ports."""
    words = [r.word for r in sorted(rows, key=lambda r: r.door)]
    listed = f"{', '.join(words[:-1])} and {words[-1]}"
    for file in ("compose/settings.env.example", "docs/operations.md"):
        if listed not in " ".join(tree.text(file).replace("`", "").split()):
            yield f"{file}: the private doors are not listed as: {listed}"


def _groups(tree, rows):
    """What code calls its consumer group is in the table."""
    known = {group for r in rows for group in r.groups}
    for file in tree.c_files:
        if file.startswith("tests/"):
            continue
        for line in re.finditer(r'\.(?:group|consumer) = (?:\w+ \? )?("[^"]*"(?: : "[^"]*")?)', tree.text(file)):
            for group in re.findall(r'"([^"]*)"', line[1]):
                if group not in known:
                    yield f"{file}: the group {group} is not in {roles.HEADER}"


def _lists(tree, rows):
    """Nobody keeps a list of all roles: it would be stale with the next one."""
    word = f"""["'](?:{'|'.join(re.escape(r.word) for r in rows)})["']"""
    pattern = re.compile(rf"{word}(?:\s*,\s*{word}){{{MANY - 1},}}")
    for file in [*tree.c_files, *(f for f, kind in tree.scripts.items() if kind == "python")]:
        text = tree.text(file)
        for match in pattern.finditer(text):
            yield f"{file}:{text.count(chr(10), 0, match.start()) + 1}: a list of roles: {roles.HEADER} has it (compose/lib/roles.py)"
