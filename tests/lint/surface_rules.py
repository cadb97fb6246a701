# SPDX-License-Identifier: MIT
"""What clients, operators and readers of topics can see: documents and tests name all of it, and the CHANGELOG what is new in it."""

import json
import re
from importlib.machinery import SourceFileLoader
from pathlib import Path

from printed_rules import OPENAPI, newest_versions, operations, setting_rows

LIST = Path(__file__).with_name("surface.txt")
CHANGELOG, FRAMES, TYPES = "CHANGELOG.md", "docs/frames.schema.json", "schemas/shared/types.avsc"
CONTENTS = "schemas/contents.c"  # rows of what a message shows, which edge/rest reads and writes by
PROBES = ("/healthz", "/readyz")  # in the document, and no routes
ASKED = "tests/lib/routes.py"  # how each route is asked, and who may


def _routes(tree):
    return [f"{row[0]} {row[1]}" for row in tree.printed("routes") if len(row) > 1]


def _frames(tree):
    return [row[0] for row in tree.printed("frames") if re.fullmatch(r"[a-z.]+", row[0])]


def routes(tree):
    """Each route is described in docs/openapi.yaml; tests know how it is asked, and who may, and the same of the frames of clients."""
    there = set(_routes(tree))
    described = {f"{method} {path}" for method, path in operations(tree) if path not in PROBES}
    for route in sorted(there ^ described):
        yield f"{OPENAPI}: {route} is {'not described' if route in there else 'no route'}"
    tables = SourceFileLoader("asked", str(tree.root / ASKED)).load_module()
    for route in sorted(there ^ {f"{row.method} {row.route}" for row in tables.TABLE}):
        yield f"{ASKED}: {route} {'has no row' if route in there else 'is no route'}"
    frames = set(_frames(tree))
    for frame in sorted(frames ^ set(tables.FRAMES)):
        yield f"{ASKED}: the frame {frame} {'has no row' if frame in frames else 'is none'}"


def members(tree):
    """Each property of docs/openapi.yaml is read or written by edge/rest, or by what it writes with, JSON that the view makes among it; a system test names each frame that
    clients get. (docs/topics.md, which is printed, has the facts of public topics.)"""
    texts = "\n".join(tree.text(f) for f in tree.c_files if f.startswith("edge/rest/") or f in (CONTENTS, "schemas/frame_polls.c"))
    made = "\n".join(tree.text(f) for f in tree.files if f.startswith("sinks/persistence/migrations/"))
    said = set(re.findall(r"""["'](\w+)\\*["']""", texts)) | _asked(tree) | set(re.findall(r"'(\w+)', (?:CASE|[a-z]\.|\(SELECT)", made))
    for schema, name in _properties(tree):
        if name not in said:
            yield f"{OPENAPI}: {schema}.{name}: edge/rest has no such member"
    tests = "\n".join(tree.text(f) for f in tree.files if re.fullmatch(r"tests/system/test_\w+\.py", f))
    for row in json.loads(tree.text(FRAMES))["$defs"]["server"]["oneOf"]:
        frame = row["$ref"].rpartition("/")[2]
        if f'"{frame}"' not in tests:
            yield f"tests/system: no test waits for the frame {frame}"


def _asked(tree):
    """Members of what clients ask for in the words of a schema (`asked` in schemas/shared/types.avsc)."""
    kinds = json.loads(tree.text(TYPES)) if TYPES in tree.files else []
    return {field["name"] for kind in kinds if "asked" in kind for field in kind["fields"]}


def _properties(tree):
    """(schema, property) of components.schemas, but for those of a property."""
    schema, inside = "", 0
    for line in tree.text(OPENAPI).partition("\n  schemas:\n")[2].splitlines():
        depth = len(line) - len(line.lstrip())
        if match := re.match(r"    (\w+):$", line):
            schema, inside = match[1], 0
        elif re.match(r"      (?:  )?properties:$", line) and not inside:
            inside = depth + 2
        elif inside and depth < inside and line.strip():
            inside = 0
        elif inside and depth == inside and (match := re.match(r" +(\w+):", line)):
            yield schema, match[1]


def surface(tree):
    """Every name on it, as `tests/lint/run --surface` prints them."""
    names = [f"setting {name}" for name in setting_rows(tree)]
    names += [f"route {route}" for route in _routes(tree)]
    names += [f"frame {frame}" for frame in _frames(tree)]
    names += [f"field {schema['name']}.{field['name']}" for schema in _public(tree) for field in schema["fields"]]
    return sorted(names)


def _public(tree):
    """The schemas of public topics, complete as readers get them: the newest version of each."""
    public = set(re.findall(r"^\| [a-z.]+ \| [^|]+ \| (\w+) \|(?: [^|]+ \|){3} yes \|", tree.text("docs/topics.md"), re.M))
    schemas = [json.loads(tree.text(file)) for file in newest_versions(tree)]
    return [schema for schema in schemas if schema["name"] in public]


def changelog(tree):
    """What came to the surface, or went, since the last release, is named in the CHANGELOG. surface.txt has what was there then; at a release
    it is printed anew."""
    before, now = set(tree.lines(str(LIST.relative_to(LIST.parents[2])))), set(surface(tree))
    said = re.sub(r"\{\w+\}", "{}", re.split(r"^## (?!Unreleased)", tree.text(CHANGELOG), maxsplit=1, flags=re.M)[0])
    for name in sorted(before ^ now):
        kind, _, what = name.partition(" ")
        word = what.rpartition(".")[2] if kind == "field" else what
        if not re.search(rf"(?<![\w/}}]){re.escape(word)}(?![\w/{{])", said):
            yield f"{CHANGELOG}: {kind} {what} is {'new' if name in now else 'gone'}, and not named under Unreleased"
