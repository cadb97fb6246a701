# SPDX-License-Identifier: MIT
"""Kafka's disk fills: sends are refused with `log_full` before it is full, the broker lives, nothing acknowledged is lost, and all goes on when there is
room again."""
import asyncio
import base64
import os
import shutil
import subprocess

import pytest
from client import MARK, scenario, until
from conftest import BASE_PORT
from look import rows_when
from services import kafka_fetch
from stack import Stack

DISK_MB, FREE_MIN_MB = 192, 64
MIB = 1 << 20


def large():
    """A message that compresses little."""
    return f"{MARK} {base64.b64encode(os.urandom(22_500)).decode()}"


class SmallDisk:
    """The stack's log on a file system of its own."""

    def __init__(self, stack, folder):
        self.folder, self.ballast = folder, folder / "ballast"
        self.folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "chasqui", folder], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system of its own: {done.stderr.strip()}")
        data = stack.state / "kafka-data"
        kafka_fetch(stack.services.kafka_home, stack.services.progress)
        stack.services._format_kafka(data)
        shutil.copytree(data, folder / "data")
        shutil.rmtree(data)
        data.symlink_to(folder / "data")

    def free_mb(self):
        at = os.statvfs(self.folder)
        return at.f_bavail * at.f_frsize / MIB

    def leave(self, mb):
        """Make the ballast as large as it takes."""
        more = int((self.free_mb() - mb) * MIB)
        with open(self.ballast, "ab") as out:
            os.posix_fallocate(out.fileno(), out.tell(), more)

    def free(self):
        self.ballast.unlink()

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=False)


@pytest.fixture(scope="module")
def disk_stack(tmp_path_factory):
    with Stack(base_port=BASE_PORT + 900, settings={"LOG_DISK_FREE_MIN_MB": str(FREE_MIN_MB)}) as s:
        s.disk = SmallDisk(s, tmp_path_factory.mktemp("disk") / "mount")
        try:
            yield s.start()
        finally:
            s.stop()
            s.disk.close()


def gauges(stack, name="log_full"):
    return [stack.metrics(role)[name] for role in ("edge-rest", "edge-ws")]


def events(stack, role, event):
    return [x for x in stack.role(role).log_lines() if x["event"] == event]


async def all_say(stack, level, within_s=10):
    await until(lambda: asyncio.to_thread(lambda: gauges(stack) == [level, level]), within_s, f"log_full to be {level} at both edges")


@scenario(limit_s=60, stack="disk_stack")
async def test_sends_are_refused_before_kafkas_disk_is_full(disk_stack, net):
    stack, disk = disk_stack, disk_stack.disk
    alice, bob, carol = await net.people("alice", "bob", "carol")
    chat = await net.direct(alice, bob)
    first = await alice.told(f"{MARK} first", chat)
    assert gauges(stack) == [0, 0] and (await alice.rest.get("/readyz")).body == {"status": "ready"}

    # Both send as fast as they may until they are refused; each message takes several times its size.
    disk.leave(FREE_MIN_MB + 16)
    sent = [first]
    while not any(o.nacks for o in sent):
        sent += [alice.send(large(), chat), bob.send(large(), chat)]
        assert stack.kafka.alive(), "the broker has ended"
        assert len(sent) < 4000, f"never refused, {disk.free_mb()} MiB free"
        await asyncio.sleep(0.01)
    await all_say(stack, 1)
    refused = [o for o in sent if o.nacks]
    assert {c for o in refused for c in o.nacks} <= {"log_full", "retry"} and any("log_full" in o.nacks for o in refused)
    r = await carol.rest.post("/api/messages", {"chatId": chat, "content": "no", "type": "text", "clientId": "by-rest"})
    assert r.status == 404, "a stranger is told nothing"
    r = await alice.rest.post("/api/messages", {"chatId": chat, "content": f"{MARK} by rest", "type": "text", "clientId": "by-rest"})
    assert (r.status, r.code) == (503, "log_full") and int(r.headers["retry-after"]) >= 1, r
    assert (await alice.rest.get("/readyz", expect=200)).body == {"status": "ready, log full"}
    for role in ("edge-rest", "edge-ws"):
        assert events(stack, role, "log_full")[-1]["refused"] == "sends" and stack.metrics(role)["log_full_refused_total"] >= 1

    # What was taken is delivered, receipts go on and are seen, and so do reads and log-ins.
    alice.read(chat)
    bob.read(chat)
    await alice.wait(lambda: alice.tick(first) == "read", 20, "the tick of the first message")
    assert (await alice.rest.get(f"/api/chats/{chat}/messages", expect=200)).body["messages"]
    _, dora = await net.user("dora")
    await dora.online()
    assert disk.free_mb() > FREE_MIN_MB / 4

    # With next to nothing left receipts are refused too; a log-out is not.
    disk.leave(FREE_MIN_MB / 8)
    await all_say(stack, 2)
    raw = await net.raw(dora.tokens, auto_ok=True)
    await raw.ready()
    await raw.send({"t": "receipt", "chatId": chat, "delivered": first.seq})
    assert (await raw.expect(lambda f: f["t"] == "error", "the receipt to be refused"))["code"] == "log_full"
    r = await dora.rest.call("PATCH", "/api/me", {"name": "Dora Two"})
    assert (r.status, r.code) == (503, "log_full")
    await dora.stop()
    assert (await dora.rest.post("/api/logout", {})).status == 200
    assert await raw.closed() == 4401
    assert stack.kafka.alive() and stack.kafka.starts == 1, "the broker has ended"

    # Room: whoever was refused sends again by itself, in order, and everything is there once.
    disk.free()
    await all_say(stack, 0)
    r = await alice.rest.post("/api/messages", {"chatId": chat, "content": f"{MARK} by rest", "type": "text", "clientId": "by-rest"}, expect=201)
    for o in sent:
        who = alice if o.client_id in alice.outbox else bob
        await who.acked(await who.verdict(o))
        assert not o.rejected
    wanted = sorted([o.client_id for o in sent] + ["by-rest"])
    got = await rows_when(stack, "SELECT client_id FROM view.messages WHERE chat_id = %s", chat, enough=lambda rows: len(rows) >= len(wanted))
    assert sorted(x["client_id"] for x in got) == wanted
    for who in (alice, bob):
        await who.wait(lambda who=who: len(who.contents(chat)) >= len(wanted), 20, "all messages")
        assert len(who.contents(chat)) == len(wanted) == len(set(who.contents(chat)))
    for role in ("edge-rest", "edge-ws"):
        assert events(stack, role, "log_has_room")
    assert (await alice.rest.get("/readyz", expect=200)).body == {"status": "ready"}
    assert stack.kafka.starts == 1
