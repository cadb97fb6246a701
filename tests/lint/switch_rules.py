# SPDX-License-Identifier: MIT
"""Nothing silent about a new kind: -Wswitch-enum names the switch that lacks a case, unless a cast hides the enum from it; and a
table of a fixed size has a NULL where its row is missing."""

import json
import re

from tree import strip_c

SWITCH = re.compile(r"\bswitch\s*\(")
LABEL = re.compile(r"\bcase\s+([A-Za-z_]\w*)\s*:")
DEFAULT = re.compile(r"\bdefault\s*:")
TABLE = re.compile(r"\b(\w+)\s*\[\s*([A-Z][A-Z0-9_]*_N)\s*\](?:\[\w+\])*\s*=\s*\{(?!\s*(?:\{\s*)?0\s*\}|\s*#define X)")


def switches(tree):
    """No `default:` beside a case of an enum of ours; no table of a fixed size indexed by one."""
    complaints = []
    enumerators, prefixes = _enumerators(tree), _generated(tree)
    for file in tree.c_files:
        text = strip_c(tree.text(file))
        for line, body in _bodies(text):
            ours = [name for name in LABEL.findall(body) if name in enumerators or name.startswith(prefixes)]
            if ours and DEFAULT.search(body):
                complaints.append(f"{file}:{line}: `default:` in the switch that has {ours[0]}: a new one beside it would go there "
                                  "unseen; name each")
        for match in TABLE.finditer(text):
            complaints.append(f"{file}:{_line(text, match.start())}: {match[1]} has a NULL where a row for {match[2]} is missing: "
                              f"write {match[1]}[] and _Static_assert(ARRAY_LEN({match[1]}) == {match[2]}, …)")
    return complaints


def _line(text, at):
    return text.count("\n", 0, at) + 1


def _enumerators(tree):
    """Names in every enum with a tag."""
    bodies = (body for file in tree.c_files for body in re.findall(r"\benum\s+\w+\s*\{([^}]*)\}", strip_c(tree.text(file))))
    return {name for body in bodies for name in re.findall(r"\b[A-Z][A-Z0-9_]+\b", body)}


def _generated(tree):
    """What the names of generated enumerators begin with: CHAT_ACTION_ for the branches of record ChatAction."""
    names = set()

    def walk(node):
        if isinstance(node, dict):
            if node.get("type") in ("record", "enum") and "name" in node:
                names.add(re.sub(r"(?<!^)(?=[A-Z])", "_", node["name"]).upper() + "_")
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                walk(child)

    for file in tree.files:
        if re.fullmatch(r"schemas/(shared/)?[a-z_]+\.avsc", file):
            walk(json.loads(tree.text(file)))
    return tuple(sorted(names))


def _bodies(text):
    """(line, body without the switches inside it) of each switch."""
    for match in SWITCH.finditer(text):
        begin = text.find("{", _end(text, match.end() - 1, "()"))
        if begin < 0:
            continue
        body = text[begin + 1:_end(text, begin, "{}") - 1]
        while inner := SWITCH.search(body):
            body = body[:inner.start()] + body[_end(body, body.find("{", inner.end()), "{}"):]
        yield _line(text, match.start()), body


def _end(text, at, pair):
    """Behind the parenthesis or brace that closes the one at `at`."""
    depth = 0
    for i in range(max(at, 0), len(text)):
        depth += {pair[0]: 1, pair[1]: -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    return len(text)
