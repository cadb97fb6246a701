# SPDX-License-Identifier: MIT
"""Keys of the view, as its migrations and the statements of the roles name them. tests/system/test_keys.py looks at the tables and
plans themselves."""

import re

MIGRATIONS = re.compile(r"sinks/persistence/migrations/(\d+)_\w+\.sql")
FIRST = 11  # 0011_part.sql: the keys of before are no more
# where a table's columns are written, and how
TABLES = {"sinks/persistence/tables.c": re.compile(r"columns_(\w+)\[\] = \{(.*?)\};", re.S),
          "sinks/persistence/rows.h": re.compile(r"#define ROWS_COLUMNS_(\w+)\(.*\n((?:.*\\\n)*.*)")}
# begin from a user, whose own list of chats they are
BY_USER = ("members_by_user", "requests_by_user")
OWN = ("blocks", "chat_marks")  # name chats, and are a user's own
TABLE = re.compile(r"CREATE TABLE view\.(\w+) \((.*)\)", re.S)
KEYS = (re.compile(r"()ALTER TABLE (?:ONLY )?view\.(\w+) ADD (?:CONSTRAINT \w+ )?(?:PRIMARY KEY|UNIQUE) \((\w+)"),
        re.compile(r"CREATE (?:UNIQUE )?INDEX (\w+) ON view\.(\w+) (?:USING \w+ )?\((\w+)"))
OWN_KEY = re.compile(r"^\s*(?:(\w+)\s.*)?\b(?:PRIMARY KEY|UNIQUE)(?: \((\w+))?", re.M)
NO_PART = re.compile(r"\b(?:USING|ON CONFLICT) \(chat_id\b")


def _statements(text):
    text = re.sub(r"\$\$.*?\$\$", "$$", re.sub(r"--.*", "", text), flags=re.S)
    return text.split(";")


def keys(tree):
    """Each key about a chat begins with the chat's part, and whatever names a chat names its part."""
    complaints, tables = [], set()
    for file in tree.files:
        match = MIGRATIONS.fullmatch(file)
        for statement in _statements(tree.text(file)) if match and int(match[1]) >= FIRST else ():
            if table := TABLE.search(statement):
                name, columns = table.groups()
                if not re.search(r"\bchat_id\b", columns) or name in OWN:
                    continue
                tables.add(name)
                if not re.search(r"\bpart\s+smallint\s+NOT NULL", columns):
                    complaints.append(f"{file}: view.{name} is about a chat and has no `part smallint NOT NULL`")
                for of_column, first in OWN_KEY.findall(columns):
                    if (first or of_column) != "part":
                        complaints.append(f"{file}: a key of view.{name} begins with {first or of_column}, not with part")
            for pattern in KEYS:
                for name, table, first in pattern.findall(statement):
                    if table in tables and first != "part" and name not in BY_USER:
                        complaints.append(f"{file}: {name or 'a key'} of view.{table} begins with {first}, not with part")
    for file in tree.c_files:
        if file.startswith(("sinks/", "edge/", "lib/")):
            for number, line in enumerate(tree.lines(file), 1):
                if found := NO_PART.search(line):
                    complaints.append(f"{file}:{number}: {found[0]}: the part comes first, (part, chat_id …")
    return complaints


def columns(tree):
    """What sinks/persistence writes is made by a migration, each table and each column, and read by somebody else."""
    readers = [f for f in tree.files if (f in tree.c_files or MIGRATIONS.fullmatch(f)) and not f.startswith(("sinks/persistence/tables", "sinks/persistence/rows", "tests/"))]
    made = "\n".join(tree.text(f) for f in tree.files if MIGRATIONS.fullmatch(f))
    made = {table: body for table, body in re.findall(r"CREATE (?:UNLOGGED )?TABLE view\.(\w+) \((.*?)\n\)", made, re.S)} | {
        f"{table}+{i}": f"    {name} " for i, (table, name) in enumerate(re.findall(r"ALTER TABLE view\.(\w+)\s+ADD COLUMN (\w+)", made))}
    for file, table, rows in [(file, *found) for file, pattern in TABLES.items() if file in tree.files for found in pattern.findall(tree.text(file))]:
        bodies = [body for name, body in made.items() if name.partition("+")[0] == table]
        if not bodies:
            yield f"{file}: no migration makes view.{table}"
        if not any(re.search(rf"\b(?:FROM|JOIN) view\.{table}\b", tree.text(f)) for f in readers):
            yield f"{file}: nobody reads view.{table}"
        for column in re.findall(r'"(\w+)"', rows) if bodies else ():
            if not any(re.search(rf"^\s*{column}\s", body, re.M) for body in bodies):
                yield f"{file}: no migration gives view.{table} the column {column}"
