# SPDX-License-Identifier: MIT
"""Who may include whom: docs/architecture.md, the table of folders, as a check."""

import re
from pathlib import Path

LIB = ("lib/base", "lib/bus", "lib/pg", "lib/http", "lib/json", "lib/jwt", "lib/store", "lib/words", "lib/webpush")

# folder → folders whose headers it may include, besides its own.
ALLOWED = {
    "lib/base": (),
    "lib/bus": ("lib/base",),
    "lib/pg": ("lib/base",),
    "lib/http": ("lib/base",),
    "lib/json": ("lib/base",),
    "lib/jwt": ("lib/base", "lib/json"),  # a token is JSON, checked before libjwt sees it
    "lib/feed": ("lib/base", "lib/bus", "lib/pg"),  # topics into PostgreSQL, exactly once
    "lib/store": ("lib/base", "lib/http"),
    "lib/words": ("lib/base",),
    "lib/webpush": ("lib/base",),
    "schemas": ("lib/base", "lib/json", "lib/http"),
    "ingest": ("schemas", "lib/base", "lib/bus"),
    "processors": ("schemas", "lib/base", "lib/bus"),  # role.h and stage_port.h, for the two role.c
    "processors/chat": ("schemas", "lib/base"),
    "processors/user": ("schemas", "lib/base"),
    "sinks/*": ("schemas", "lib/feed", *LIB),
    "sinks/media": ("ingest", "schemas", "lib/feed", *LIB),  # what it finds enters the log by ingest
    "edge/auth": ("schemas", *LIB),
    "edge/rest/server": ("ingest", "edge/auth", "schemas", *LIB),  # knows no route
    "edge/rest/view": ("schemas", "lib/base", "lib/bus", "lib/pg", "lib/store"),
    "edge/rest/render": ("edge/rest/view", "schemas", "lib/base", "lib/json"),
    "edge/rest/api": ("edge/rest/server", "edge/rest/render", "edge/rest/view", "ingest", "edge/auth", "schemas", *LIB),
    "edge/rest/archive": ("edge/rest/render", "edge/rest/view", "edge/auth", "schemas", *LIB),
    "edge/rest": ("edge/rest/server", "edge/rest/api", "edge/rest/archive", "ingest", "edge/auth", "schemas", *LIB),
    "edge/ws": ("ingest", "edge/auth", "sinks/websocket", "schemas", *LIB),
}
# more than the folder's row, for one file: folders or single headers
ALLOWED_FILE = {
    "processors/chat/role.c": ("lib/bus", "processors/role.h", "processors/stage_port.h"),
    "processors/chat/restore.h": ("lib/bus",),  # reads the compacted table back before the rules run
    "processors/chat/restore.c": ("lib/bus",),
    "processors/user/role.c": ("lib/bus", "processors/role.h", "processors/stage_port.h"),
    "processors/user/rules.h": ("lib/bus/frontier.h",),  # a pure table of positions; no rdkafka behind it
    "chasqui.c": ("sinks/mobile/role.h",),  # judges its settings
    "admin.c": ("processors/chat/rules.h", "processors/user/rules.h", "edge/rest/role.h", "edge/ws/role.h",  # prints the tables
                "sinks/mobile/role.h", "edge/auth/doors.h", "sinks/persistence/migrate.h", "sinks/persistence/rebuild.h"),
}
ROOT_FILES = ("chasqui.c", "admin.c", "admin.h", "admin_cut.c", "admin_cut.h", "security.c", "security.h", "security_token.c", "security_token.h")

# third-party header → the one place that knows it
OWNERS = {
    r"librdkafka/.*": "lib/bus/", r"libpq-fe\.h": "lib/pg/", r"postgresql/.*": "lib/pg/", r"curl/.*": "lib/http/",
    r"jansson\.h": ("lib/json/", "schemas/schema.c", "schemas/expand.c"), r"jwt\.h": "lib/jwt/", r"avro(\.h|/.*)": "schemas/",
    r"h2o(\.h|/.*)": "edge/rest/", r"wslay/.*": "edge/rest/", r"libwebsockets\.h": "edge/ws/", r"ev\.h": "edge/ws/",
    r"openssl/.*": ("lib/base/hash.c", "lib/webpush/"), r"vips/.*": "sinks/media/", r"seccomp\.h": "sinks/media/cage.c",
}
ONE_FILE_ONLY = ("avro",)  # within its folder, too
NO_CIRCLES = ("edge/rest/",)  # no files that include one another, over whatever way

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def _includes(tree):
    """(file, line, quote, header) of every include of the product's C files."""
    for file in tree.c_files:
        for number, line in enumerate(tree.lines(file), 1):
            if match := INCLUDE.match(line):
                yield file, number, match[1], match[2]


def includes(tree):
    """Project headers: from the root, and only from the folders that the table allows."""
    complaints = []
    for file, line, quote, header in _includes(tree):
        if quote != '"' or header.endswith(".gen.h") or file.startswith("tests/"):
            continue
        where = f"{file}:{line}"
        target = str(Path(header).parent)
        folder = str(Path(file).parent)
        if not (tree.root / header).exists():
            complaints.append(f"{where}: \"{header}\" is not a path from the root")
        elif folder == ".":
            if file not in ROOT_FILES or not (header in (*ROOT_FILES, *ALLOWED_FILE.get(file, ())) or target in ("schemas", *LIB)):
                complaints.append(f"{where}: a file at the root may include lib and schemas, not {header}")
        elif (allowed := ALLOWED.get(folder, ALLOWED.get(f"{Path(folder).parent}/*"))) is None:
            complaints.append(f"{where}: folder {folder} has no row in tests/lint/include_rules.py")
        elif target != folder and not {target, header} & {*allowed, *ALLOWED_FILE.get(file, ())}:
            complaints.append(f"{where}: {folder} may not include {header}")
    return complaints


def owners(tree):
    """Third-party headers: each with one owner, so that a library can be changed in one place."""
    complaints, users = [], {}
    for file, line, quote, header in _includes(tree):
        if quote != "<" or file.startswith("tests/"):
            continue
        for pattern, owner in OWNERS.items():
            if re.fullmatch(pattern, header):
                users.setdefault(pattern, set()).add(file)
                if not file.startswith(owner):
                    complaints.append(f"{file}:{line}: <{header}> belongs to {owner if isinstance(owner, str) else owner[0]}")
    for pattern, files in users.items():
        if pattern.startswith(ONE_FILE_ONLY) and len(files) > 1:
            complaints.append(f"{', '.join(sorted(files))}: only one file may know avro.h")
    return complaints


def circles(tree):
    """A file and its header are one; of those in NO_CIRCLES none may include another that includes it again."""
    edges, complaints = {}, []
    for file, _, quote, header in _includes(tree):
        unit, target = (str(Path(name).with_suffix("")) for name in (file, header))
        if quote == '"' and unit != target and unit.startswith(NO_CIRCLES) and target.startswith(NO_CIRCLES):
            edges.setdefault(unit, set()).add(target)

    def walk(unit, way):
        if unit in way:
            complaints.append(" includes ".join(way[way.index(unit):] + [unit]))
        elif unit not in done:
            for target in sorted(edges.get(unit, ())):
                walk(target, [*way, unit])
            done.add(unit)

    done = set()
    for unit in sorted(edges):
        walk(unit, [])
    return complaints
