# SPDX-License-Identifier: MIT
"""What a message costs as things grow.

    tests/bench/growth partitions     1, 2, 4, 16 partitions and slots: a new Chasqui each
    tests/bench/growth connections    200 to 10,000 sockets, 500 messages a second between 50 pairs of them
    tests/bench/growth members        200 groups of 2 to one of 1,024, about 5,000 deliveries a second
    tests/bench/growth view           0 to 10 million messages in PostgreSQL: history page and sync
"""

import argparse
import asyncio
import hashlib
import json
import re
import statistics
import sys
import threading
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import aiohttp  # noqa: E402
import workloads  # noqa: E402
from measure import about, complaints, generate, heat, line_of, shipped_settings, spread  # noqa: E402
from people import People  # noqa: E402
from stack import Stack  # noqa: E402

REPORT = []  # {what: value, "figures": {name: value}}
FAILED = []


def stack_of(options, **settings):
    stack = Stack(base_port=options.base_port, settings={**shipped_settings(options.set), **settings}, durable=True, quick_jit=False)
    return stack


def measured(stack, options, people, workload, **what):
    results = [generate(stack, options, workload, people, seed=seed) for seed in range(1, options.repeats + 1)]
    bad = sorted({c for r in results for c in complaints(r)})
    FAILED.extend(bad)
    print(f"{', '.join(f'{k} {v}' for k, v in what.items())}: {line_of(workload, results, bad)}", flush=True)
    REPORT.append({**what, "workload": workload.name, "figures": {name: value["median"] for name, value in spread(results).items()}})


def people_of(stack):
    return People(stack.rest_url(), int(time.time()) % 1000000)


def partitions(options):
    for n in (1, 2, 4, 16):
        with stack_of(options, PARTITIONS=str(n), SLOTS=str(n)) as stack:
            stack.start()
            people = people_of(stack)
            heat(stack, options, people)
            for workload in (workloads.pairs(500), workloads.pairs(2000), workloads.closed(1), workloads.closed(8)):
                measured(stack, options, people, workload, partitions=n)


def connections(options):
    with stack_of(options) as stack:
        stack.start()
        people = people_of(stack)
        heat(stack, options, people)
        for n in (200, 1000, 5000, 10000):
            measured(stack, options, people, workloads.idle(n, rate=500), connections=n)


def members(options):
    with stack_of(options) as stack:
        stack.start()
        people = people_of(stack)
        heat(stack, options, people)
        for n in (2, 10, 100, 1024):
            measured(stack, options, people, workloads.groups(n, max(1, 400 // n), 5000 / (n - 1)), members=n)


# --- the view ---------------------------------------------------------------------------------

READERS, CHATS_EACH, OTHER_CHATS = 50, 20, 50_000
SHOWN_BYTES = 1023  # of a statement by PostgreSQL (track_activity_query_size): what was cut cannot be planned

# The tables as sinks/persistence would leave them, below every position of the real log (generation 0).
FILL = [
    """CREATE TEMP TABLE c AS SELECT i, md5('chat' || i)::uuid AS chat, view.part_of(md5('chat' || i)::uuid) AS part,
              CASE WHEN i < %(near)s THEN (%(readers)s::uuid[])[i / %(each)s + 1] ELSE md5('user' || i)::uuid END AS a, md5('peer' || i)::uuid AS b
         FROM generate_series(0, %(near)s::int + %(others)s::int - 1) i""",
    """INSERT INTO view.chats (chat_id, kind, part, created_at, created_by, last_seq, changed_seq)
         SELECT chat, 0, part, 0, a, 1, 1 FROM c ON CONFLICT DO NOTHING""",
    """INSERT INTO view.members (part, chat_id, user_id, joined_seq, role)
         SELECT part, chat, a, 0, 0 FROM c UNION ALL SELECT part, chat, b, 0, 0 FROM c ON CONFLICT DO NOTHING""",
    # one of the two only writes, and one only reads; every second message to the chats that are read, the others to all the rest: its number there follows from its own
    """INSERT INTO view.messages (part, chat_id, seq, id, sender_id, client_id, type, content_type, content, sent_at, number, own)
         SELECT c.part, c.chat, n, md5('message' || n)::uuid, c.b, n::text, 0, 'text/plain', convert_to(repeat('x', 100), 'UTF8'), n, k, k
           FROM (SELECT n, n / 2 / CASE WHEN n %% 2 = 0 THEN %(near)s ELSE %(others)s END + 1 AS k FROM generate_series(%(first)s::bigint, %(last)s::bigint) n) g
           JOIN c ON c.i = CASE WHEN n %% 2 = 0 THEN (n / 2) %% %(near)s ELSE %(near)s + (n / 2) %% %(others)s END""",
    "DROP TABLE c",
]


async def ask(urls, seconds):
    """GET each (url, token) in turn, 8 at a time. → milliseconds of each answer"""
    taken, end = [], time.monotonic() + seconds
    jobs = iter([urls[i % len(urls)] for i in range(200_000)])

    async def worker(session):
        for url, token in jobs:
            began = time.monotonic()
            if began > end:
                return
            async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                body = await answer.json()
                if answer.status != 200:
                    raise RuntimeError(f"{url}: {answer.status} {body}")
            taken.append((time.monotonic() - began) * 1000)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(8)))
    return taken


async def cursor_now(rest, token):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{rest}/api/sync", headers={"Authorization": f"Bearer {token}"}) as answer:
            return (await answer.json())["cursor"]


def blocks(stack):
    with stack.db() as db:
        db.execute("SELECT pg_stat_force_next_flush()")
        return db.execute("SELECT sum(idx_blks_hit + idx_blks_read + heap_blks_hit + heap_blks_read) FROM pg_statio_user_tables WHERE "
                          "schemaname = 'view'").fetchone()[0]


def plans(stack, urls):
    """{statement: its generic plan} of what edge-rest asks meanwhile."""
    found, seen = {}, set()
    asking = threading.Thread(target=lambda: asyncio.run(ask(urls, 2)))
    asking.start()
    with stack.db() as db:
        db.autocommit = True
        while asking.is_alive():
            seen |= {text for (text,) in db.execute("SELECT query FROM pg_stat_activity WHERE application_name = 'chasqui-edge-rest'").fetchall()}
            time.sleep(0.005)
        asked = [text for text in sorted(seen) if re.match(r"(SELECT|WITH) .*view\.", text, re.S) and len(text) < SHOWN_BYTES]
        db.execute("SET plan_cache_mode = force_generic_plan")
        for text in asked:
            n = max((int(k) for k in re.findall(r"\$(\d+)", text)), default=0)
            typed = re.sub(r"\$(\d+)\[", r"($\1::int8[])[", text)  # the role names this type when it prepares
            db.execute(f"PREPARE asked AS {typed}", prepare=False)
            lines = db.execute(f"EXPLAIN (COSTS off) EXECUTE asked{'(' + ', '.join(['NULL'] * n) + ')' if n else ''}").fetchall()
            db.execute("DEALLOCATE asked")
            found[text] = [line for (line,) in lines]
    return found


def view(options):
    with stack_of(options) as stack:
        print(about(stack), flush=True)
        stack.start()
        people, rest, filled = people_of(stack), stack.rest_url(), 0
        people.need(READERS + 1)
        readers = [u["userId"] for u in people.users[:READERS]]
        chats = [str(uuid.UUID(hex=hashlib.md5(f"chat{i}".encode()).hexdigest())) for i in range(READERS * CHATS_EACH)]
        for n in [int(float(x)) for x in options.sizes.split(",")]:
            values = {"near": READERS * CHATS_EACH, "each": CHATS_EACH, "others": OTHER_CHATS,
                      "readers": readers, "first": filled + 1, "last": n}
            with stack.db() as db:
                for statement in FILL:  # the first time, and with nothing to add, this makes the chats
                    db.execute(statement, values)
                db.execute("VACUUM ANALYZE")
            filled = max(filled, n)
            people.need(READERS + 1)  # fresh tokens
            tokens = [u["accessToken"] for u in people.users]
            cursor = asyncio.run(cursor_now(rest, tokens[READERS]))  # of somebody without chats: where the view is now
            history = [(f"{rest}/api/chats/{chat}/messages?limit=50", tokens[i // CHATS_EACH]) for i, chat in enumerate(chats)]
            middle = [(f"{rest}/api/chats/{chat}/messages?limit=50&before={max(2, n // 2)}", token) for chat, (_, token) in zip(chats, history)]
            sync = [(f"{rest}/api/sync?cursor={cursor}", tokens[i]) for i in range(READERS)]
            lists = [(f"{rest}/api/chats", tokens[i]) for i in range(READERS)]
            figures = {}
            for name, urls in (("last page", history), ("page in the middle", middle), ("sync", sync), ("chat list", lists)):
                asyncio.run(ask(urls, 2))
                before, taken = blocks(stack), asyncio.run(ask(urls, options.seconds))
                cuts = statistics.quantiles(taken, n=100)
                figures[name] = {"p50_ms": cuts[49], "p99_ms": cuts[98], "blocks": float(blocks(stack) - before) / len(taken),
                                 "answers": len(taken), "plans": plans(stack, urls)}
            REPORT.append({"messages": n, "figures": figures})
            print(f"{n:>10} messages: " + "; ".join(f"{name} p50 {f['p50_ms']:.1f} p99 {f['p99_ms']:.1f} ms, {f['blocks']:.0f} blocks"
                                                    for name, f in figures.items()), flush=True)
        for name, f in figures.items():
            for text, lines in f["plans"].items():
                print(f"\n{name}, {n} messages: {' '.join(text.split())}\n  " + "\n  ".join(lines), flush=True)


def main():
    args = argparse.ArgumentParser(prog="tests/bench/growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("what", choices=["partitions", "connections", "members", "view"])
    args.add_argument("--seconds", type=float, default=8)
    args.add_argument("--warmup", type=float, default=3)
    args.add_argument("--repeats", type=int, default=1)
    args.add_argument("--sizes", default="0,1e5,1e6,1e7", help="messages in the view")
    args.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args.add_argument("--base-port", type=int, default=26000)
    args.add_argument("--json", type=Path)
    options = args.parse_args()
    options.quick = False
    {"partitions": partitions, "connections": connections, "members": members, "view": view}[options.what](options)
    if options.json:
        options.json.write_text(json.dumps(REPORT, indent=1) + "\n")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
