# SPDX-License-Identifier: MIT
"""An older and a newer build side by side: what a newer one writes waits for a newer one, in every role; nothing is a dead letter."""
import asyncio
import subprocess

import metrics
import newer_build
import pytest
from client import scenario, until
from conftest import BASE_PORT
from look import Load, started, view_is_level
from roles import TABLE
from stack import Stack


@pytest.fixture
def older(tmp_path):
    with Stack(base_port=BASE_PORT + 440, settings={"PARTITIONS": "2", "SLOTS": "2"}) as stack:
        stack.newer = newer_build.make(stack.build, tmp_path)
        yield stack.start()


async def replaced(stack, role: str, executable) -> None:
    """The role by another build in its place."""
    proc = stack.role(role)
    await asyncio.to_thread(proc.stop)
    proc.argv[0] = str(executable)
    await started(proc)


def dead_letters(stack) -> list[tuple[str, str]]:
    topics = [t for t in stack.producer().list_topics(timeout=20).topics if t.endswith(".dlq")]
    return [(t, dict(headers)["error"].decode()) for t in topics for *_, headers in stack.read_topic(t)]


async def waits(stack, role: str) -> None:
    await until(lambda: stack.metrics(role)["newer_partitions"] > 0, 60, f"{role} to stand still")
    status, words = metrics.get(stack.services.metrics_port(role), "/healthz")
    assert (status, words) == (503, "newer: a partition waits for the newer build of this role\n")
    assert any(x.get("event") == "newer_build_needed" for x in stack.role(role).log_lines())


@scenario(limit_s=280, stack="older")
async def test_an_older_build_waits_for_the_newer_one(older, net):
    before, newer = older.role("chat").argv[0], older.newer
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chats = {await net.direct(alice, bob): [alice, bob], await net.direct(bob, carol): [bob, carol], await net.group(alice, bob, carol): [alice, bob, carol]}
    old_letters = await asyncio.to_thread(dead_letters, older)
    async with Load([(ds[0], chat) for chat, ds in chats.items()], 30, "versions") as load:
        await load.passes()

        # not before it is announced
        env = {**older.role("edge-ws").env, "METRICS_LISTEN": ""}
        refused = await asyncio.to_thread(subprocess.run, [newer, "edge-ws"], env=env, capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode == 1 and "is not announced in topic schemas" in refused.stdout + refused.stderr
        older.services.executable = newer
        await asyncio.to_thread(older.admin, "topics")
        await load.passes()

        # the wrong way round: who writes comes before who reads, and everybody behind it waits in turn
        await replaced(older, "edge-ws", newer)
        await waits(older, "chat")
        await load.more(30)
        await replaced(older, "chat", newer)
        await waits(older, "persistence")
        for role in TABLE:
            if older.role(role.word).argv[0] == before:
                await replaced(older, role.word, newer)
        await load.passes()

        # and back: an older one cannot make its state from what the newer one wrote, and does not begin without
        await replaced(older, "chat", before)
        await waits(older, "chat")
        await load.more(30)
        await replaced(older, "chat", newer)
        await load.passes()
    await load.settled()
    await load.arrived(chats)
    await view_is_level(older)
    await load.in_view(older)
    assert await asyncio.to_thread(dead_letters, older) == old_letters
    assert all(older.metrics(role.word)["newer_partitions"] == 0 for role in TABLE if role.follows)
