# SPDX-License-Identifier: MIT
"""Keys of the view: each about a chat begins with its part, and so does each way to its rows."""

import json
import re

# Tables with a chat in them whose rows are not about it.
OF_SOMETHING_ELSE = {
    "blocks": "whom a user blocks, by that user",
    "chat_marks": "a user's own, from user.events",
    "media": "a file, by its id and its owner",
    "mutes": "a user's own, from user.events",
    "rejected": "an action, by its place in chat.actions",
}
# A user's own list of chats: what begins from a user goes on by part and chat.
BY_USER = ("members_by_user", "requests_by_user")
WAYS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")


def about_chats(db) -> set[str]:
    """Tables of the view whose rows are about a chat."""
    found = db.execute("SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) "
                       "WHERE table_schema = 'view' AND table_type = 'BASE TABLE' AND column_name = 'chat_id'").fetchall()
    return {t for (t,) in found} - OF_SOMETHING_ELSE.keys()


def indexes(db) -> dict[str, tuple[str, list[str]]]:
    """index of the view → its table and columns"""
    return {name: (table, columns) for name, table, columns in db.execute(
        "SELECT x.relname, t.relname, array_agg(a.attname::text ORDER BY k.n) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid "
        "JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace "
        "CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum "
        "WHERE s.nspname = 'view' GROUP BY 1, 2").fetchall()}


def key_faults(db) -> list[str]:
    """Tables about a chat without a part, and keys of theirs that do not begin with it."""
    faults = []
    for table in sorted(about_chats(db)):
        column = db.execute("SELECT data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'view' AND table_name = %s "
                            "AND column_name = 'part'", (table,)).fetchone()
        if column != ("smallint", "NO"):
            faults.append(f"view.{table} has no part, smallint NOT NULL")
        mine = {name: columns for name, (of, columns) in indexes(db).items() if of == table}
        if not mine:
            faults.append(f"view.{table} has no key")
        faults += [f"{name} of view.{table} begins with {columns[0]}" for name, columns in sorted(mine.items())
                   if columns[0] != "part" and name not in BY_USER]
    return faults


def plans_of(log: str, having=("",)) -> list[tuple[str, dict]]:
    """(statement, plan) of each that auto_explain wrote as JSON into PostgreSQL's log, and in which one of these words stands."""
    found = re.findall(r"^\S+ \S+ \S+ \[\d+\] LOG:  duration: \S+ ms  plan:\n((?:\t.*\n)+)", log, re.M)
    return [(said["Query Text"], said["Plan"]) for said in map(json.loads, (x for x in found if any(words in x for words in having)))]


def nodes(plan: dict):
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def plan_faults(plan: dict, tables: set[str], ways: dict[str, tuple[str, list[str]]]) -> list[str]:
    """How it comes to rows about chats, where that is not by part, or by a user's list of chats."""
    faults = []
    for node in nodes(plan):
        kind, index, cond = node["Node Type"], node.get("Index Name"), node.get("Index Cond", "")
        if kind in WAYS and ways.get(index, ("",))[0] in tables:
            first = "user_id" if index in BY_USER else "part"
            if not re.search(rf"\b{first} = ", cond):
                faults.append(f"{index} without {first}: {cond or 'all of it'}")
        elif kind == "Seq Scan" and node.get("Schema") == "view" and node["Relation Name"] in tables:
            faults.append(f"all of {node['Relation Name']}: {node.get('Filter', '')}")
    return faults


def ways_taken(plan: dict) -> set[str]:
    return {node["Index Name"] for node in nodes(plan) if node["Node Type"] in WAYS}
