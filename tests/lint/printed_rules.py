# SPDX-License-Identifier: MIT
"""Tables that are said in several places say the same."""

import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "compose/lib"))

import roles  # noqa: E402

def topics(tree):
    """Every topic of schemas/topics.c has its schema, a writer and a reader, and the code of somebody names it."""
    complaints = []
    names = {json.loads(tree.text(f))["name"] for f in tree.files if re.fullmatch(r"schemas/[a-z_]+\.avsc", f)}
    source = tree.text("schemas/topics.c")
    listed = re.findall(r"\bTOPIC_(?!N\b)[A-Z_]+\b", re.search(r"enum topic \{(.*?)\}", tree.text("schemas/topics.h"), re.S)[1])
    rows = dict(re.findall(r"\[(TOPIC_(?!N\])\w+)\]\s*=\s*\{(.*?)\},?\n(?=\s*(?:/\*|\[TOPIC_|\};))", source, re.S))
    rows_of_roles = roles.table(tree.root)
    others = "\n".join(tree.text(f) for f in tree.c_files if not f.startswith(("tests/", "schemas/")))
    for constant in listed:
        fields = dict(re.findall(r"\.(\w+)\s*=\s*\"([^\"]*)\"", rows.get(constant, "")))
        where = f"schemas/topics.c: {constant}"
        if not fields.get("name"):
            complaints.append(f"{where} has no row")
            continue
        if fields.get("schema") not in names:
            complaints.append(f"{where}: no schemas/*.avsc has the record {fields.get('schema')!r}")
        for side, used in (("writes", {t for r in rows_of_roles for t in r.writes}),
                           ("reads", {t for r in rows_of_roles for t in r.follows + r.reads})):
            if fields["name"] not in used:
                complaints.append(f"{where}: no role of {roles.HEADER} {side} it")
        if not re.search(rf"\b{constant}\b", others):
            complaints.append(f"{where}: no code names it")
    return complaints


def settings(tree):
    """docs/settings.md and docs/topics.md are what the executable prints."""
    executable = tree.executable()
    complaints = []
    for file, words in (("docs/settings.md", ["check-config", "--markdown"]), ("docs/topics.md", ["admin", "print", "topics"])):
        printed = subprocess.run([executable, *words], capture_output=True, text=True, check=False, timeout=30)
        if printed.returncode:
            complaints.append(f"chasqui {' '.join(words)} ended with {printed.returncode}: {printed.stderr.strip()}")
        elif file not in tree.files:
            complaints.append(f"{file} is missing: chasqui {' '.join(words)} > {file}")
        elif tree.text(file) != printed.stdout:
            complaints.append(f"{file} is not what `chasqui {' '.join(words)}` prints: print it again")
    return complaints


def compose(tree):
    """compose's files give settings that exist, with the defaults of the table, and one list of packages."""
    complaints = []
    table = {name: default for name, default in re.findall(r"X\((\w+), \w+,\s*(NULL|\"[^\"]*\")", tree.text("lib/base/settings.h"))}
    container = tree.text("compose/compose.yml").partition("\nservices:")[0]
    for name in re.findall(r"^  ([A-Z][A-Z0-9_]*):", container, re.M):
        if name not in table:
            complaints.append(f"compose/compose.yml: {name} is no setting")
    for name, default in re.findall(r"\$\{([A-Z0-9_]+):-([^}]*)\}", container):
        if table.get(name) != f'"{default}"':
            complaints.append(f"compose/compose.yml: {name}={default}, the table says {table.get(name)}")
    # the rest of the example belongs to compose alone, and compose/up checks it
    roles = tree.text("compose/settings.env.example").partition("Everything below")[2]
    for name, value in re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", roles, re.M):
        if table.get(name) != f'"{value}"':
            complaints.append(f"compose/settings.env.example: {name}={value}, the table says {table.get(name)}")
    wanted = set(re.findall(r"\b[a-z0-9-]+-dev\b|\blibwebsockets-evlib-ev\b", tree.text("compose/packages.txt")))
    there = set(re.findall(r"\b[a-z0-9-]+-dev\b|\blibwebsockets-evlib-ev\b",
                           tree.text("compose/Dockerfile").partition("AS build")[2].partition("\nFROM")[0]))
    for name in sorted(wanted ^ there):
        complaints.append(f"compose: {name} is in only one of packages.txt and Dockerfile")
    return complaints
