#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each lint against a small tree: silent when the tree is in order, and biting when one thing is broken in it."""

import json
import runpy
import subprocess
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LICENCE = "/* SPDX-License-Identifier: MIT */\n"
LONG = "static void f(void)\n{\n" + "    g();\n" * 120 + "}\n"
THREATS = SourceFileLoader("threat_rules", str(HERE / "threat_rules.py")).load_module().THREATS
KEYS = "sinks/persistence/migrations/0011_part.sql"

FRAMES_SCHEMA = """{"$defs": {"client": {"oneOf": []}, "server": {"oneOf": [{"$ref": "#/$defs/x"}]}, "x": {"properties": {"t": {"const": "x"},
"id": {"type": "string"}, "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}},
"required": ["t", "id"]}}}
"""
TYPES = runpy.run_path(str(ROOT / "clients/print_types"))["PRINTED"]

# A tree in which every lint is content.
GOOD = {
    ".clang-format": (ROOT / ".clang-format").read_text(),
    "lib/base/buf.h": LICENCE + "#pragma once\n",
    "lib/json/json.c": LICENCE + '#include "lib/base/buf.h"\n\n#include <jansson.h>\n',
    "lib/json/names.c": LICENCE + "static void f(int c)\n{\n" + "    g(c);\n" * 13 + "}\n\nstatic bool before(const struct json *a, const struct json *b)\n{\n"
                        "    return a < b;\n}\n\nstatic void h(struct json *json)\n{\n    for (int i = 0; i < 2; i++)\n        g(json->c);\n" + "    g(json->c);\n" * 14 + "}\n",
    "schemas/topics.h": LICENCE + "enum topic { TOPIC_A, TOPIC_N };\n",
    "schemas/topics.c": LICENCE + 'static const struct topic_spec specs[] = {\n    [TOPIC_A] = { .name = "a", '
                        '.schema = "ThingDone" },\n};\n',
    "lib/base/roles.h": LICENCE + """#define ROLES(X)                                                                           \\
    X(CHAT, chat, "chat", "help, with a comma", 0, PARTITIONS, NONE, 1024, GROUPS("chat"), \\
      TOPICS(FOLLOWS(A), WRITES(A, "")))                                                   \\
    X(EDGE_WS, edge_ws, "edge-ws", "help", 1, SLOTS, WS_LISTEN, 2048, GROUPS(),            \\
      TOPICS(READS(A, "its end")))
""",
    "schemas/thing_done.avsc": '{"type": "record", "name": "ThingDone", "fields": []}\n',
    "schemas/history/thing_done-2.avsc": '{"name": "ThingDone", "fields": []}\n',
    "docs/asyncapi.yaml": "# SPDX-License-Identifier: MIT\n$ref: ../schemas/history/thing_done-2.avsc\n",
    "processors/chat/rules.c": LICENCE + "static void f(void)\n{\n    g(TOPIC_A, SET_A);\n}\n",
    "processors/chat/kinds.c": LICENCE + "static void f(enum thing_done_kind k, int i)\n{\n    switch (k) {\n    case THING_DONE_X:\n        "
                               "switch (i) {\n        default:\n            break;\n        }\n        break;\n    }\n    switch (i) {\n    case LIBRARY_X:\n"
                               "    default:\n        break;\n    }\n}\n",
    "tests/tool": "#!/bin/sh\n# SPDX-License-Identifier: MIT\ntrue\n",
    "lib/base/settings.h": LICENCE + '#define SETTINGS(X) X(A, INT, "1", 0)\n',
    "compose/settings.env.example": "COPIES_CHAT=1\nCOPIES_EDGE_WS=1\n# doors: chat and edge-ws\n# Everything below\nA=1\n",
    "docs/operations.md": "The doors of `chat` and\n`edge-ws`\n",
    "compose/compose.yml": "# SPDX-License-Identifier: MIT\nx-settings: &settings\n  A: ${A:-1}\n\nx-image: &image\n  mem_limit: 1g\n\nservices:\n" +
                           "".join(f"  chat-{i}:\n    command: [chat]\n    environment: {{<<: *settings, INSTANCE: chat-{i}}}\n\n"
                                   f"  edge-ws-{i}:\n    command: [edge-ws]\n    environment: {{INSTANCE: edge-ws-{i}}}\n"
                                   "    mem_limit: 2g\n    ports: [1]\n\n" for i in (0, 1)),
    "compose/packages.txt": "liba-dev\n",
    "compose/Dockerfile": "# SPDX-License-Identifier: MIT\nFROM x AS build\nRUN get liba-dev\nFROM x\n",
    "tests/requirements.in": "# SPDX-License-Identifier: MIT\nThing[x]==1.0\n",
    "tests/requirements.txt": "# SPDX-License-Identifier: MIT\nother==2 \\\n    --hash=sha256:00\nthing==1.0 \\\n    --hash=sha256:00\n",
    "tests/package-lock.json": '{"packages": {"": {}, "node_modules/a": {"integrity": "sha512-x"}}}\n',
    "docs/settings.md": "printed check-config --markdown\n",
    "docs/topics.md": "| a | key | ThingDone | PARTITIONS | delete | 1 d | yes | a.dlq | chat | edge-ws |\n",
    "docs/frames.schema.json": FRAMES_SCHEMA,
    "clients/print_types": (ROOT / "clients/print_types").read_text(),
    **{file: printed(json.loads(FRAMES_SCHEMA)["$defs"]) for file, printed in TYPES.items()},
    "docs/protocol.md": '## Errors, and what to do\n\n| `even` | 400 | what | do |\n\n## Frames\n\n| `{"t":"x","id","list"?:[{"a"}]}` | what |\n',
    "docs/start.md": "# One road\n\n`f()` in `processors/chat/rules.c`, see [there](settings.md).\n\n- by [itself](#one-road)\n",
    "docs/glossary.md": "`enum topic` of `schemas/topics.h`.\n\n```\nTOPIC_A\n```\n",
    "docs/add-a-kind.md": "In `processors/chat/`.\n",
    "docs/security.md": "".join(f"| T{i} | what{'. **P**' if i == 9 else ''} | `test_t{i}_x` |\n" for i in THREATS),
    "tests/threats/spoiled.py": "# SPDX-License-Identifier: MIT\n" + "".join(f'"::test_t{i}_x"\n' for i in THREATS if i != 9),
    "tests/threats/planted/t9-x.patch": "Bug: x\n\n--- a/tests/tool\n+++ b/tests/tool\n@@ -1,3 +1,3 @@\n #!/bin/sh\n # SPDX-License-Identifier: MIT\n-true\n"
                                        "+false\n",
    "tests/system/test_x.py": "# SPDX-License-Identifier: MIT\n" + "".join(f"def test_t{i}_x():\n    pass\n" for i in THREATS) + 'X = "x"\n',
    "edge/rest/api/good.c": LICENCE + '#include "lib/base/buf.h"\n\nstatic void f(void)\n{\n    pg_run(db, sql_good, &p, NULL);\n    out("good", "FROM view.t");\n}\n',
    "edge/rest/server/x.h": LICENCE + "#pragma once\n",
    "lib/json/write.h": LICENCE + "#pragma once\n",
    "edge/rest/api/good.h": LICENCE + "#pragma once\n",
    "edge/rest/api/way.h": LICENCE + '#pragma once\n\n#include "edge/rest/api/good.h"\n',
    KEYS: "-- SPDX-License-Identifier: MIT\nCREATE TABLE view.t (\n    part smallint NOT NULL DEFAULT f(),\n"
        "    chat_id uuid NOT NULL, -- of it\n    PRIMARY KEY (part, chat_id)\n);\nCREATE INDEX by_n ON view.t (part, n);\n",
    "docs/openapi.yaml": "paths:\n  /api/x/{id}:\n    get:\n      summary: x\n            schema: { $ref: '#/components/schemas/Thing' }\n  /healthz:\n    get:\n"
                         "components:\n  schemas:\n    Thing:\n      properties:\n        good: { type: string }\n",
    "sinks/persistence/tables.c": LICENCE + 'static const struct pg_column columns_t[] = {\n    PG_COLUMN(row, part, "part"),\n};\n',
    "tests/lib/routes.py": "# SPDX-License-Identifier: MIT\nclass Row:\n    method, route = 'GET', '/api/x/{}'\n\n\nTABLE = [Row]\nFRAMES = {'hi': 0}\n",
    "tests/lint/surface.txt": "field ThingDone.old\nframe hi\nroute GET /api/x/{}\n",
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n- Setting `A`; `old` is gone.\n\n## 1\n\n- `B`, `/api/x`\n",
    "build/chasqui": '#!/bin/sh\ncase "$3" in\nroutes) printf "GET\\t/api/x/{}\\tanybody\\tx\\tgood\\n" ;;\nframes) echo hi ;;\ntopics) cat "${0%/*}/../docs/topics.md" ;;\nframes-schema) cat "${0%/*}/../docs/frames.schema.json" ;;\n'
                     '*) echo "printed $*" ;;\nesac\n',
}

# (lint, file, its new text or None for the good one plus `more`, more, a word of the complaint)
BAD = [
    ("includes", "processors/chat/rules.c", None, '#include "lib/base/gone.h"\n', "not a path from the root"),
    ("includes", "lib/base/buf.c", LICENCE + '#include "schemas/topics.h"\n', "", "lib/base may not include"),
    ("includes", "sinks/status/role.c", LICENCE + '#include "processors/chat/rules.c"\n', "", "sinks/status may not include"),
    ("includes", "new/x.c", LICENCE + '#include "lib/base/buf.h"\n', "", "has no row"),
    ("includes", "main.c", LICENCE + '#include "lib/base/buf.h"\n', "", "at the root"),
    ("includes", "edge/rest/server/x.c", LICENCE + '#include "edge/rest/api/good.h"\n', "", "edge/rest/server may not include"),
    ("includes", "edge/rest/view/x.c", LICENCE + '#include "edge/rest/api/good.h"\n', "", "edge/rest/view may not include"),
    ("includes", "edge/rest/render/x.c", LICENCE + '#include "edge/rest/server/x.h"\n', "", "edge/rest/render may not include"),
    ("includes", "edge/rest/view/x.c", LICENCE + '#include "lib/json/write.h"\n', "", "edge/rest/view may not include"),
    ("circles", "edge/rest/api/good.h", None, '#include "edge/rest/api/way.h"\n', "edge/rest/api/good includes edge/rest/api/way includes"),
    ("owners", "schemas/codec.c", LICENCE + "#include <jansson.h>\n", "", "belongs to lib/json/"),
    ("owners", "edge/rest/a.c", LICENCE + "#include <librdkafka/rdkafka.h>\n", "", "belongs to lib/bus/"),
    ("size", "processors/chat/rules.c", LICENCE + LONG, "", "f has 122 lines"),
    ("size", "processors/chat/rules.c", None, "/* more */\n" * 901, "lines, at most 900"),
    ("banned", "lib/json/json.c", None, "static void f(void)\n{\n    strcpy(a, b);\n}\n", "strcpy()"),
    ("banned", "lib/json/json.c", None, "static void f(void)\n{\n    cq_auto(buf) struct cq_buf text;\n}\n", "text has no value yet"),
    ("banned", "lib/json/json.c", None, "static void f(void)\n{\n    x = sprintf (a, b);\n}\n", "sprintf()"),
    ("banned", "lib/json/json.c", None, "static void f(void)\n{\n    st = consumer_poll(c, 0, &rec);\n}\n", "use holds_poll"),
    ("roles", "processors/chat/rules.c", None, 'static void h(void)\n{\n    log_info("x");\n}\n', "log_info()"),
    ("roles", "processors/chat/rules.c", None, '#include "lib/base/clock.h"\n', "reads no clock"),
    ("format", "lib/json/json.c", None, "int  x;\n", "not as clang-format"),
    ("spdx", "lib/base/buf.h", "#pragma once\n", "", "no 'SPDX"),
    ("spdx", "tests/tool", "#!/bin/sh\ntrue\n", "", "no 'SPDX"),
    ("words", "lib/base/buf.h", None, "/* TO" + "DO: later */\n", "TO" + "DO"),
    ("places", "docs/settings.md", None, "see /ho" + "me/ann/x\n", "/ho" + "me/a"),
    ("places", "docs/settings.md", None, "from deb.deb" + "ian.org\n", "deb"),
    ("scripts", "tests/tool", "#!/bin/bash\n# SPDX-License-Identifier: MIT\nif true\n", "", "tests/tool"),
    ("plants", "tests/tool", "#!/bin/sh\n# SPDX-License-Identifier: MIT\n: true\n", "", "t9-x.patch: does not apply"),
    ("scripts", "tests/tool.py", "def f(:\n", "", "invalid syntax"),
    ("numbers", "sinks/persistence/migrations/0011_other.sql", "-- SPDX-License-Identifier: MIT\n", "", "0011_part.sql: sinks/persistence/migrations/0011_other.sql has this number"),
    ("pinned", "tests/requirements.txt", None, "more==3\n", "more==3: no exact version with a hash"),
    ("pinned", "tests/requirements.txt", None, "more>=3 --hash=sha256:00\n", "more>=3"),
    ("pinned", "tests/requirements.in", None, "late==4\n", "late==4 of requirements.in is not in it"),
    ("pinned", "tests/package-lock.json", '{"packages": {"node_modules/a": {}}}\n', "", "no hash"),
    ("topics", "schemas/thing_done.avsc", '{"type": "record", "name": "Other", "fields": []}\n', "", "has the record"),
    ("topics", "lib/base/roles.h", GOOD["lib/base/roles.h"].replace('WRITES(A, "")', 'FOLLOWS(A)'), "", "no role of lib/base/roles.h writes it"),
    ("topics", "schemas/topics.h", LICENCE + "enum topic { TOPIC_A, TOPIC_B, TOPIC_N };\n", "", "TOPIC_B has no row"),
    ("topics", "processors/chat/rules.c", LICENCE + "static int x;\n", "", "no code names it"),
    ("readers", "schemas/history/thing_done-10.avsc", "{}\n", "", "thing_done-2.avsc is not the newest"),
    ("bodies", "docs/openapi.yaml", GOOD["docs/openapi.yaml"].replace("good:", "other:"), "", "GET /api/x/{} has other, the route reads good"),
    ("bodies", "docs/openapi.yaml", GOOD["docs/openapi.yaml"].replace("            schema: { $ref: '#/components/schemas/Thing' }\n", ""), "", "has no members, the route reads good"),
    ("bodies", "build/chasqui", GOOD["build/chasqui"].replace("\\tgood\\n", "\\t\\n"), "", "has good, the route reads no members"),
    ("bodies", "build/chasqui", GOOD["build/chasqui"].replace("\\tgood\\n", "\\tgood | more\\n"), "", "has good, the route reads good or more"),
    ("frames", "docs/protocol.md", "", "", "the frame x is in only one"),
    ("frames", "docs/protocol.md", '| `{"t":"x","list"?:[{"a"}]}` | what |\n', "", "x.id is in only one"),
    ("frames", "docs/protocol.md", '| `{"t":"x","id","list":[{"a"}]}` | what |\n', "", "x.list is always there"),
    ("frames", "docs/protocol.md", '| `{"t":"x","id","list"?:[{"b"}]}` | what |\n', "", "x.list.b is in only one"),
    ("frames", "clients/js/events.js", "", "", "run clients/print_types --write"),
    ("codes", "processors/chat/rules.c", None, 'int g(int s)\n{\n    return chat_reject(s, 1, "no_way");\n}\n', "rejected: the code no_way is not named"),
    ("codes", "docs/protocol.md", None, '| `{"t":"rejected","code"}` | the verdict: `gone_code` |\n', "rejected: gone_code is no code of it"),
    ("codes", "docs/protocol.md", None, "\nErrors are of a kind: `odd` 499.\n\n", "its list of errors has no odd"),
    ("codes", "edge/rest/api/odd.c", LICENCE + 'static void f(void)\n{\n    call_error(call, 409, "odd", "no");\n}\n', "", "its list of errors has no odd"),
    ("codes", "edge/rest/api/odd.c", LICENCE + 'static void f(void)\n{\n    call_error(call,\n        409, "even", "no");\n}\n', "", "does not say that even is 409"),
    ("codes", "docs/protocol.md", None, "\nClose codes: 1002 wrong, 4999 never.\n", "4999 is no close code"),
    ("codes", "edge/ws/gateway.h", LICENCE + "#pragma once\n\nenum close_code {\n    CLOSE_X = 4998,\n};\n", "", "the close code 4998 is not named"),
    ("settings", "docs/settings.md", "old\n", "", "print it again"),
    ("settings", "docs/settings.md", "old\n", "", "The first difference: - old"),
    ("settings", "processors/chat/rules.c", LICENCE, "", "no code reads A"),
    ("routes", "docs/openapi.yaml", "paths:\n", "", "GET /api/x/{} is not described"),
    ("routes", "docs/openapi.yaml", None, "    put:\n  /api/y:\n    put:\n", "PUT /api/y is no route"),
    ("routes", "tests/lib/routes.py", GOOD["tests/lib/routes.py"].replace("[Row]", "[]"), "", "GET /api/x/{} has no row"),
    ("routes", "tests/lib/routes.py", GOOD["tests/lib/routes.py"].replace("'hi'", "'ho'"), "", "the frame hi has no row"),
    ("members", "docs/openapi.yaml", None, "        bad: { type: string }\n", "Thing.bad: edge/rest has no such member"),
    ("members", "tests/system/test_x.py", "# SPDX-License-Identifier: MIT\n", "", "no test waits for the frame"),
    ("columns", "edge/rest/api/good.c", LICENCE, "", "nobody reads view.t"),
    ("columns", "sinks/persistence/tables.c", GOOD["sinks/persistence/tables.c"].replace("columns_t", "columns_u"), "", "no migration makes view.u"),
    ("columns", "sinks/persistence/rows.h", LICENCE + '#define ROWS_COLUMNS_u(FIRST, X, row) \\\n    FIRST(row, 1, int4, part, "part")\n', "", "no migration makes view.u"),
    ("columns", "sinks/persistence/rows.h", LICENCE + '#define ROWS_COLUMNS_t(FIRST, X, row) \\\n    FIRST(row, 1, int4, part, "part") \\\n    X(row, 2, int4, n, "n")\n', "",
     "view.t the column n"),
    ("columns", "sinks/persistence/tables.c", GOOD["sinks/persistence/tables.c"].replace('"part"', '"parts"'), "", "view.t the column parts"),
    ("changelog", "lib/base/settings.h", None, '    X(B, INT, "1", 0)\n', "setting B is new"),
    ("changelog", "tests/lint/surface.txt", None, "frame ok\n", "frame ok is gone"),
    ("changelog", "tests/lint/surface.txt", "", "", "route GET /api/x/{} is new"),
    ("compose", "compose/compose.yml", GOOD["compose/compose.yml"].replace("A: $", "C: $"), "", "C is no setting"),
    ("compose", "compose/compose.yml", GOOD["compose/compose.yml"].replace(":-1", ":-2"), "", "A=2, the table says"),
    ("compose", "compose/settings.env.example", None, "A=3\n", "A=3, the table says"),
    ("compose", "compose/packages.txt", None, "libb-dev\n", "libb-dev is in only one"),
    ("threats", "docs/security.md", "", "", "no row for T45"),
    ("threats", "tests/system/test_x.py", "# SPDX-License-Identifier: MIT\n", "", "T45 names test_t45_x, which is no test"),
    ("threats", "docs/security.md", GOOD["docs/security.md"].replace("`test_t7_x`", "`test_t8_x`"), "", "T7 names no test that bears"),
    ("threats", "tests/threats/spoiled.py", '# SPDX-License-Identifier: MIT\n"::test_t2_x"\n', "", "T3: nothing shows that its tests bite"),
    ("threats", "docs/security.md", GOOD["docs/security.md"].replace(". **P**", ""), "", "T9: nothing shows that its tests bite"),
    ("statements", "edge/rest/api/good.c", None, 'void g(void)\n{\n    pg_run(db, text, NULL, NULL);\n}\n', "no constant"),
    ("statements", "edge/rest/api/good.c", None, 'void g(void)\n{\n    pg_found(db, text, NULL, NULL);\n}\n', "pg_found() of what is no constant"),
    ("statements", "edge/rest/api/good.c", None, 'void g(void)\n{\n    snprintf(b, n, "SELECT 1 FROM %s", s);\n}\n', "put together by snprintf"),
    ("keys", KEYS, None, "CREATE TABLE view.u (\n    chat_id uuid NOT NULL,\n    n bigint\n);\n", "view.u is about a chat and has no"),
    ("keys", KEYS, None, "CREATE TABLE view.u (\n    part smallint NOT NULL,\n    chat_id uuid PRIMARY KEY\n);\n", "begins with chat_id, not"),
    ("keys", KEYS, GOOD[KEYS].replace("KEY (part, ", "KEY ("), "", "a key of view.t begins with chat_id"),
    ("keys", KEYS, None, "CREATE UNIQUE INDEX by_id ON view.t (id);\n", "by_id of view.t begins with id"),
    ("keys", KEYS, None, "ALTER TABLE view.t ADD UNIQUE (id);\n", "a key of view.t begins with id"),
    ("keys", "edge/rest/api/good.c", None, 'static const char sql[] = "a JOIN view.t USING (chat_id)";\n', "the part comes first"),
    ("names", "lib/json/names.c", None, "\nstatic void k(int c)\n{\n" + "    g(c);\n" * 14 + "}\n", "k() has 16 lines and declares int c"),
    ("names", "lib/json/names.c", None, "\nstatic void k(void)\n{\n    const char *why, *c = NULL;\n" + "    g(c);\n" * 14 + "}\n", "declares char *c"),
    ("names", "lib/json/names.c", None, "\nstatic void k(void)\n{\n    for (size_t k = 0; k < 9; k++)\n" + "        g(k);\n" * 14 + "}\n", "declares size_t k"),
    ("names", "lib/json/names.c", None, "\nstatic void k(const struct json *j)\n{\n    g(j);\n}\n", "k() calls a struct json *j"),
    ("names", "lib/json/names.c", None, "\nstatic void k(void)\n{\n    cq_auto(json) struct json *j = NULL;\n\n    g(j);\n}\n", "k() calls a struct json *j"),
    ("settings", "build/chasqui", "#!/bin/sh\nexit 3\n", "", "ended with 3"),
    ("links", "docs/start.md", None, "[x](gone.md)\n", "gone.md leads nowhere"),
    ("links", "docs/start.md", None, "[x](settings.md#gone)\n", "there is no such heading"),
    ("paths", "docs/start.md", None, "\n`lib/base/gone.c` is read.\n", "lib/base/gone.c: no such file"),
    ("paths", "docs/start.md", None, "\n`gone()` in `processors/chat/rules.c`.\n", "gone() is in none"),
    ("paths", "docs/start.md", None, "\n`f()` in `lib/json/json.c`.\n", "f() is in none"),
    ("paths", "docs/start.md", None, "\n`g()` in `processors/chat/rules.c`.\n", "g() is in none"),
    ("paths", "schemas/topics.h", LICENCE + "enum topic { TOPIC_A, TOPIC_B, TOPIC_N };\n", "", "TOPIC_B: is in only one of enum topic"),
    ("paths", "docs/glossary.md", "`enum gone` of `schemas/topics.h`.\n\n```\nGONE_A\n```\n", "", "has no enum gone"),
    ("switches", "processors/chat/kinds.c", None, "int g(enum topic t)\n{\n    switch (t) {\n    case TOPIC_A:\n    default:\n        return 1;\n    }\n}\n",
     "has TOPIC_A"),
    ("switches", "processors/chat/kinds.c", None, "int g(int k)\n{\n    switch (k) {\n    case THING_DONE_X:\n    default:\n        return 1;\n    }\n}\n",
     "has THING_DONE_X"),
    ("switches", "processors/chat/kinds.c", None, 'static const char *const words[TOPIC_N] = { "a" };\n', "ARRAY_LEN(words) == TOPIC_N"),
    ("role_table", "lib/base/roles.h", GOOD["lib/base/roles.h"].replace("SLOTS", "SOME"), "", "copies must be"),
    ("role_table", "lib/base/roles.h", GOOD["lib/base/roles.h"].replace("READS(A", "READS(B"), "", "EDGE_WS names b"),
    ("role_table", "lib/base/roles.h", GOOD["lib/base/roles.h"].replace('"help", 1', '"help", 0'), "", "two roles have the door 0"),
    ("role_table", "lib/base/roles.h", GOOD["lib/base/roles.h"].replace('"help", 1', '"help", 10'), "", "has the door 10"),
    ("role_table", "compose/compose.yml", GOOD["compose/compose.yml"].replace("  edge-ws-1:", "  edge-ws-2:"), "", "there is no edge-ws-1"),
    ("role_table", "compose/compose.yml", GOOD["compose/compose.yml"].replace("1g", "3g"), "", "chat-0 has 3g"),
    ("role_table", "compose/compose.yml", GOOD["compose/compose.yml"].replace("    ports: [1]\n", ""), "", "edge-ws-0 lacks ports"),
    ("role_table", "compose/compose.yml", None, "  old-0:\n    command: [old]\n", "old, which is no role"),
    ("role_table", "docs/settings.md", "| `A` | text | required | 1 | yes | edge-ws | help |\n", "", "edge-ws-0 lacks A"),
    ("role_table", "docs/settings.md", "| `A` | text | empty | 1 | yes | edge-ws | help |\n", "", "chat-0 has A, which is for edge-ws"),
    ("role_table", "compose/settings.env.example", GOOD["compose/settings.env.example"].replace("COPIES_CHAT=1\n", ""), "", "COPIES_CHAT is missing"),
    ("role_table", "docs/operations.md", "`edge-ws` and `chat`\n", "", "are not listed as: chat and edge-ws"),
    ("role_table", "processors/chat/rules.c", None, 'static struct s c = { .group = "chats", .n = 1 };\n', "group chats"),
    ("role_table", "tests/tool.py", "# SPDX-License-Identifier: MIT\nROLES = (" + ", ".join(['"chat"', '"edge-ws"'] * 3) + ")\n", "", "a list of roles"),
]


def make(root, changed):
    for name, text in {**GOOD, **changed}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)


def lint(changed, *names):
    """(exit code, output) of the lints on a tree."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), changed)
        result = subprocess.run([sys.executable, HERE / "run", "--root", folder, "--build", f"{folder}/build", *names],
                                capture_output=True, text=True, check=False)
        return result.returncode, result.stdout + result.stderr


def main():
    failed = 0
    code, output = lint({})
    if code != 0 or output.strip():
        failed += 1
        print(f"the good tree is not silent (exit code {code}):\n{output}")
    for name, file, text, more, word in BAD:
        changed = {file: (GOOD[file] if text is None else text) + more}
        code, output = lint(changed, name)
        if "skipped" in output:
            print(f"skipped: {output.strip()}")
        elif code != 1 or word not in output:
            failed += 1
            print(f"{name} did not bite on {file} (exit code {code}, wanted {word!r}):\n{output}")
    lints = set(SourceFileLoader("lint_run", str(HERE / "run")).load_module().LINTS)
    for name in sorted(lints - {row[0] for row in BAD}):
        failed += 1
        print(f"{name} has no row here that shows it biting")
    for name in sorted(lints - set((HERE / "CMakeLists.txt").read_text().split("\n  add_test")[0].replace(")", " ").split())):
        failed += 1
        print(f"{name} is no test: tests/lint/CMakeLists.txt does not name it")
    print(f"{len(BAD) + 1 - failed} of {len(BAD) + 1} as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
