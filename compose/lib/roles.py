# SPDX-License-Identifier: MIT
"""The table of roles, read from lib/base/roles.h, which says what each column means. Needs no build. Standard library only."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADER = "lib/base/roles.h"
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\w+|[(),])')


@dataclass(frozen=True)
class Role:
    name: str  # ROLE_name, COPIES_name
    function: str  # function_role_run(), library role_function
    word: str
    help: str
    door: int  # its private door is at METRICS_PORT + door
    copies: str  # PARTITIONS, SLOTS or ANY
    listen: str  # a setting, or NONE
    memory_mb: int  # of its container
    groups: tuple[str, ...]  # consumer groups
    follows: tuple[str, ...]  # topics that its groups consume
    reads: tuple[str, ...]  # … that it reads otherwise
    writes: tuple[str, ...]


def table(root=ROOT):
    """Every row, in the order of starting. ValueError when the header has another form."""
    text = re.search(r"#define ROLES\(X\)((?:.*\\\n)*.*)", (Path(root) / HEADER).read_text())
    if not text:
        raise ValueError(f"{HEADER}: no #define ROLES(X)")
    tokens = TOKEN.findall(text[1].replace("\\\n", "\n"))
    rows = []
    while tokens:
        if tokens[:2] != ["X", "("]:
            raise ValueError(f"{HEADER}: X( is expected after {rows[-1].name if rows else 'ROLES(X)'}, not {' '.join(tokens[:3])}")
        columns, tokens = _columns(tokens[2:])
        rows.append(_role(columns))
    return tuple(rows)


def _columns(tokens):
    """(columns up to the closing parenthesis, each a list of tokens; what follows)."""
    columns, depth = [[]], 0
    for i, token in enumerate(tokens):
        if token == ")" and depth == 0:
            return columns, tokens[i + 1:]
        if token == "," and depth == 0:
            columns.append([])
            continue
        depth += {"(": 1, ")": -1}.get(token, 0)
        columns[-1].append(token)
    raise ValueError(f"{HEADER}: a row does not end: {' '.join(tokens[:3])} …")


def _role(columns):
    where = f"{HEADER}: {' '.join(columns[0])}"
    if len(columns) != 10:
        raise ValueError(f"{where} has {len(columns)} columns, not 10")
    name, function, word, text, door, copies, listen, memory, groups, topics = columns
    lists = {"FOLLOWS": [], "READS": [], "WRITES": []}
    for kind, inside in _items(where, _inside(where, "TOPICS", topics)):
        if kind not in lists:
            raise ValueError(f"{where}: nobody knows {kind}()")
        lists[kind].append(topic_name(inside[0]))
    if copies not in (["PARTITIONS"], ["SLOTS"], ["ANY"]):
        raise ValueError(f"{where}: copies must be PARTITIONS, SLOTS or ANY, not {' '.join(copies)}")
    return Role(name[0], function[0], _text(word), _text(text), int(door[0]), copies[0], listen[0], int(memory[0]),
                tuple(_text([word]) for word in _inside(where, "GROUPS", groups) if word != ","), *(tuple(v) for v in lists.values()))


def _inside(where, name, tokens):
    """The tokens between the parentheses of NAME(…)."""
    if tokens[:2] != [name, "("] or tokens[-1] != ")":
        raise ValueError(f"{where}: {name}(…) is expected, not {' '.join(tokens[:3])}")
    return tokens[2:-1]


def _items(where, tokens):
    """NAME(…), NAME(…) as (name, tokens inside)."""
    while tokens:
        end = tokens.index(")") if ")" in tokens else len(tokens) - 1
        yield tokens[0], _inside(where, tokens[0], tokens[:end + 1])
        tokens = tokens[end + 2:]  # a comma between two


def topic_name(word):
    """CHAT_EVENTS is chat.events to Kafka."""
    return word.lower().replace("_", ".")


def _text(tokens):
    return "".join(token[1:-1] for token in tokens)


TABLE = table()
ROLES = tuple(role.word for role in TABLE)  # in the order of starting; they end the other way round, so that the doors close first
OF = {role.word: role for role in TABLE}
