# SPDX-License-Identifier: MIT
"""Tables that are said in several places say the same."""

import difflib
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "compose/lib"))

import roles  # noqa: E402

OPENAPI, SETTINGS = "docs/openapi.yaml", "lib/base/settings.h"
LINE_MOST = 120


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


def newest_versions(tree):
    """Of each schema the file of its newest version."""
    newest = {}
    for file in tree.files:
        if match := re.fullmatch(r"schemas/history/(\w+)-(\d+)\.avsc", file):
            newest[match[1]] = max(newest.get(match[1], 0), int(match[2]))
    return sorted(f"schemas/history/{name}-{n}.avsc" for name, n in newest.items())


def readers(tree):
    """Every schema that docs/asyncapi.yaml names is its newest version, complete by itself."""
    named = re.findall(r"\$ref: (\S+\.avsc)", tree.text("docs/asyncapi.yaml"))
    wanted = {f"../{file}" for file in newest_versions(tree)}
    return [f"docs/asyncapi.yaml: {ref} is not the newest version of a schema in schemas/history: name that one" for ref in named if ref not in wanted]


PRINTED = {"docs/settings.md": ["check-config", "--markdown"], "docs/topics.md": ["admin", "print", "topics"],
           "docs/frames.schema.json": ["admin", "print", "frames-schema"]}
MEMBER = re.compile(r'"(\w+)"(\?)?(:"[^"]*"|:\[?\{([^}]*)\}\]?)?')


def frames(tree):
    """The tables of frames in docs/protocol.md, and the types of clients/, have the frames and members of docs/frames.schema.json."""
    schemas = json.loads(tree.text("docs/frames.schema.json"))["$defs"]
    told = {}
    for text in re.findall(r"^\| `\{(.*?)\}` \|", tree.text("docs/protocol.md"), re.M):
        kind = re.search(r'"t":"([^"]*)"', text)
        if kind:
            told[kind[1]] = text
    complaints = [f"docs/protocol.md: the frame {kind} is in only one of its tables and docs/frames.schema.json"
                  for kind in sorted(told.keys() ^ (schemas.keys() - {"client", "server"}))]
    for kind in sorted(told.keys() & schemas.keys()):
        complaints += _members(kind, told[kind], schemas[kind])
    for file, printed in runpy.run_path(str(tree.root / "clients/print_types"))["PRINTED"].items():
        if tree.text(file) != printed(schemas):
            complaints.append(f"{file}: its frames are not those of docs/frames.schema.json: run clients/print_types --write")
    return complaints


def _members(kind, text, schema):
    """Complaints about one row of members, and about the rows of the lists and objects in it."""
    there = {name: bool(optional) for name, optional, *_ in MEMBER.findall(text)}
    wanted = {name: name not in schema["required"] for name in schema["properties"]}
    for name in sorted(there.keys() ^ wanted.keys()):
        yield f"docs/protocol.md: {kind}.{name} is in only one of its table and docs/frames.schema.json"
    for name in sorted(there.keys() & wanted.keys()):
        if there[name] != wanted[name]:
            yield f"docs/protocol.md: {kind}.{name} is {'optional' if there[name] else 'always there'}, docs/frames.schema.json says otherwise"
    for name, _, _, items in MEMBER.findall(text):
        if items and name in schema["properties"]:
            within = schema["properties"][name]
            yield from _members(f"{kind}.{name}", items, within.get("items", within))


def operations(tree):
    """{(method, path with {} for each name in it): the schemas of its body, two where either does} of docs/openapi.yaml."""
    told, path, method = {}, "", ""
    for line in tree.lines(OPENAPI):
        if match := re.fullmatch(r"  (/\S*):", line):
            path = re.sub(r"\{\w+\}", "{}", match[1])
        elif match := re.fullmatch(r"    (get|put|post|patch|delete|head):", line):
            method = match[1].upper()
            told[method, path] = []
        elif match := re.fullmatch(r"            schema: \{ \$ref: '#/components/schemas/(\w+)' \}|                - \$ref: '#/components/schemas/(\w+)'", line):
            told[method, path].append(match[1] or match[2])
    return told


# Where a code of a frame is written: files, and what stands before it on its line.
CODES = {
    "rejected": (r"processors/chat/\w+\.c", r"chat_reject\(|return |\*ret_code = "),
    "receipt_rejected": (r"processors/chat/\w+\.c", r"\.code = span_str\("),
    "nack": (r"edge/ws/(?:conn|client_frame)\.c", r"nack\(|push_back\(|\(struct refusal\)\{ |\*ret_code = "),
    "error": (r"edge/ws/(?:conn|conn_signals|client_frame)\.c", r"\brefuse\(|\*ret_code = "),
}
OF_THE_LIBRARY = {"1002", "1007"}  # close codes that libwebsockets sends by itself


def codes(tree):
    """docs/protocol.md names each code of `rejected`, `nack`, `error` and REST, each close code, and no others."""
    text = tree.text("docs/protocol.md")
    schemas = json.loads(tree.text("docs/frames.schema.json"))["$defs"]
    other = {*schemas, *(name for schema in schemas.values() for name in schema.get("properties", ()))}
    listed = set(re.findall(r"`([a-z_]+)` [1-5]\d\d\b", (re.search(r"^Errors are .*?\n\n", text, re.M | re.S) or [""])[0]))
    for kind, (files, before) in CODES.items():
        written = {code for f in tree.c_files if re.fullmatch(files, f)
                   for code in re.findall(rf'(?:{before})[^"\n]*"([a-z]+(?:_[a-z]+)*)"', tree.text(f))}
        row = re.search(rf'^\| `\{{[^`]*"t":"{kind}"[^`]*\}}` \| (.*) \|$', text, re.M)
        told = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", row[1] if row else ""))
        yield from (f"docs/protocol.md: {kind}: the code {code} is not named" for code in sorted(written - told))
        yield from (f"docs/protocol.md: {kind}: {code} is no code of it" for code in sorted(told - written - other))
        listed |= told - other | written
    errors = (re.search(r"^## Errors, and what to do\n.*?(?=^## |\Z)", text, re.M | re.S) or [""])[0]
    yield from (f"docs/protocol.md: its list of errors has no {code}" for code in sorted(listed)
                if f"`{code}`" not in errors and not (code.startswith("too_many_") and "`too_many_…`" in errors))
    rows = {code: row for row in re.findall(r"^\| `.*$", errors, re.M) for code in re.findall(r"`([a-z_…]+)`", row.split("|")[1])}
    for status, code in sorted({pair for f in tree.c_files if f.startswith("edge/rest/") for pair in re.findall(r'\b([45]\d\d),\s*"([a-z_]+)"', tree.text(f))}):
        row = rows.get(code) or rows.get("too_many_…" if code.startswith("too_many_") else "")
        if row is None and code not in listed:
            yield f"docs/protocol.md: its list of errors has no {code}"
        elif row and status not in row.split("|")[2]:
            yield f"docs/protocol.md: its list of errors does not say that {code} is {status}"
    closing = re.search(r"^Close codes:.*?(?=\n\n|\Z)", text, re.M | re.S)
    told = set(re.findall(r"\b[14]\d{3}\b", closing[0] if closing else ""))
    sent = {code for f in tree.files if f.startswith(("edge/ws/", "sinks/websocket/")) and f.endswith(".h")
            for code in re.findall(r"\bCLOSE_\w+ = ([14]\d{3})\b", tree.text(f))}
    yield from (f"docs/protocol.md: the close code {code} is not named" for code in sorted(sent - told))
    yield from (f"docs/protocol.md: {code} is no close code" for code in sorted(told - sent - OF_THE_LIBRARY))


def bodies(tree):
    """The members of each JSON body of a request in docs/openapi.yaml are those that its route reads by a table."""
    told, parts, part = operations(tree), {}, ""
    for line in tree.lines(OPENAPI):
        if match := re.fullmatch(r"    (\w+):", line):
            part = match[1]
        elif match := re.match(r"        (\w+):", line):
            parts.setdefault(part, set()).add(match[1])
    for row in tree.printed("routes"):
        method, path, _, _, body = [*row, ""][:5]
        there = [parts.get(name, set()) for name in told.get((method, path), ())]
        read = [set(table.split()) for table in body.split(" | ") if table]
        if read != there:
            yield f"{OPENAPI}: the body of {method} {path} has {_in_words(there)}, the route reads {_in_words(read)} by a table"


def _in_words(tables):
    return " or ".join(" ".join(sorted(table)) for table in tables) or "no members"


def settings(tree):
    """Documents that the executable prints are what it prints."""
    executable = tree.executable()
    complaints = []
    for file, words in PRINTED.items():
        printed = subprocess.run([executable, *words], capture_output=True, text=True, check=False, timeout=30)
        if printed.returncode:
            complaints.append(f"chasqui {' '.join(words)} ended with {printed.returncode}: {printed.stderr.strip()}")
        elif file not in tree.files:
            complaints.append(f"{file} is missing: chasqui {' '.join(words)} > {file}")
        elif tree.text(file) != printed.stdout:
            lines = [line for line in difflib.ndiff(tree.lines(file), printed.stdout.splitlines()) if line[0] in "-+"]
            complaints.append(f"{file} is not what `chasqui {' '.join(words)}` prints: print it again. The first difference: {lines[0][:LINE_MOST]}")
    return [*complaints, *_unread(tree)]


def _unread(tree):
    """Every setting is read by somebody."""
    used = set(re.findall(r"\bSET_(\w+)", "\n".join(tree.text(f) for f in tree.c_files if not f.startswith(("tests/", "lib/base/settings")))))
    for name in setting_rows(tree):
        if name not in used:
            yield f"{SETTINGS}: no code reads {name}"


def setting_rows(tree):
    """{setting: its default, quoted, or NULL}."""
    return dict(re.findall(r"X\((\w+), \w+,\s*(NULL|\"[^\"]*\")", tree.text(SETTINGS)))


def compose(tree):
    """compose's files give settings that exist, with the defaults of the table, and one list of packages."""
    complaints = []
    table = setting_rows(tree)
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
