# SPDX-License-Identifier: MIT
"""A small Chasqui of its own that loses topics: what is missing at the start, and what is deleted at run time."""
from __future__ import annotations

import asyncio
import random
import time

from client import MARK, Net, until
from look import records
from stack import Stack, wait_until

PORTS_ON = 500  # above the ports of the run that asks
READS = {"chat.actions": "chat", "chat.events": "persistence", "user.inbox": "user", "mobile.push": "mobile", "ws.push": "edge-ws",
         "members": "chat", "presence": "user", "delivery.status": "status"}
REFUSED = '"event":"topics_wrong"'
CUT = '"why":"log_was_cut: chat.events'


def delete(stack, topic: str) -> None:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": stack.broker})
    (f,) = admin.delete_topics([topic], operation_timeout=20).values()
    f.result(30)
    wait_until(lambda: topic not in admin.list_topics(timeout=10).topics, 20, f"{topic} to be gone")


async def play(m, rng: random.Random) -> str:
    """What came of it; what should not be is an `odd` line of the history."""
    topic = rng.choice(sorted(READS))
    of = m.stack
    with await asyncio.to_thread(lambda: Stack(build=of.build, base_port=of.base_port + PORTS_ON, heap_mb=256)) as stack:
        await asyncio.to_thread(stack.start_platform)
        await asyncio.to_thread(stack.prepare)
        refused = await missing(m, stack, topic)
        await asyncio.to_thread(stack.prepare)
        await asyncio.to_thread(stack.services.start_roles)
        return f"without {topic} at the start: {refused}; {await deleted(m, stack)}"


async def missing(m, stack, topic: str) -> str:
    await asyncio.to_thread(delete, stack, topic)
    role = READS[topic]
    s = stack.services
    from process import Proc

    proc = Proc(f"{role}-early", [s.executable, role], s.log_dir / f"{role}-early.log", '"event":"ready"', env=s.role_env(role),
                guard=s.guard)
    try:
        code = None
        try:
            await asyncio.to_thread(proc.start)
            code = await asyncio.to_thread(proc.wait, 60)
        finally:
            await asyncio.to_thread(proc.stop, 5)
        said = proc.log_path.read_text(errors="replace")
        if not code or proc.ready_text in said or REFUSED not in said or topic not in said:
            m.h.add("odd", text=f"{role} without {topic} ended with {code}: {said[-300:]}")
    finally:
        proc.log_path.unlink(missing_ok=True)
    return f"{role} ended with {code}"


async def deleted(m, stack) -> str:
    """chat.events is deleted while two people talk: who needs it ends with words, and no acknowledged message is gone from
    chat.actions, which is what an `ack` promises."""
    net = Net(stack)
    for p in stack.roles():
        p.auto_restart = True
    try:
        a, b = await net.people("ann", "ben")
        chat = await net.direct(a, b)
        outs = [a.send(f"{MARK} before {i}", chat) for i in range(5)]
        await until(lambda: all(o.verdict for o in outs), 60, "verdicts before")
        await asyncio.to_thread(delete, stack, "chat.events")
        log = stack.role("chat").log_path
        end = time.monotonic() + 60
        while REFUSED not in log.read_text(errors="replace") and time.monotonic() < end:
            outs.append(a.send(f"{MARK} after {len(outs)}", chat))
            await asyncio.sleep(0.3)
        if REFUSED not in log.read_text(errors="replace"):
            m.h.add("odd", text="chat.events was deleted, and chat did not say so within 60 s")
        acked = {o.client_id for o in outs if o.acks}
        kept = {v["clientId"] for _, _, v in await records(stack, "chat.actions")}
        if acked - kept:
            m.h.add("odd", text=f"{len(acked - kept)} acknowledged and not in chat.actions when chat.events was deleted")
        await asyncio.to_thread(stack.prepare)
        # What could not be stored was not passed over. A reader may have recorded how far the old log went before chat is back: then the
        # new one has lost its tail, and chat waits for an operator, as docs/operations.md says.
        await until(lambda: all(o.verdict for o in outs) or CUT in log.read_text(errors="replace"), 120,
                    lambda: f"verdicts on {[o for o in outs if not o.verdict][:3]}")
        if not all(o.verdict for o in outs):
            return f"chat.events deleted: chat said so and stopped, {len(acked)} acknowledged, all in chat.actions; made again, it is a log that was cut"
        return f"chat.events deleted: chat said so and stopped, {len(acked)} acknowledged, all in chat.actions, all answered when it was made again"
    finally:
        await net.close()
