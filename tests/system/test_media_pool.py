# SPDX-License-Identifier: MIT
"""Several files at a time: whose is next, and what happens to processes that are killed."""

import asyncio

import pytest
from client import scenario
from conftest import BASE_PORT
from files import Files, png
from stack import Stack, wait_until

do = asyncio.to_thread

# Stands before chasqui-thumbnail; the last bytes of a file say what is to happen to it.
PROGRAM = """#!/usr/bin/python3 -I
import os, signal, sys, time
from pathlib import Path

folder, real = Path({folder!r}), {real!r}
end = os.pread(0, 11, max(0, os.fstat(0).st_size - 11)) if sys.argv[1] != "cage" else b""
if end == b"KILLED ONCE":
    try:
        os.close(os.open(folder / "once", os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)
    except FileExistsError:
        pass
if end == b"CRASH EVER!":
    with open(folder / "crashes", "ab") as f:
        f.write(b"x")
    os.kill(os.getpid(), signal.SIGSEGV)
if end == b"BREAKS OUT!":
    os.kill(os.getpid(), signal.SIGSYS)
if end == b"HELD A BIT!":
    (folder / f"held-{{os.getpid()}}").touch()
    while not (folder / "go").exists():
        time.sleep(0.02)
os.execv(real, [real, *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("looks")


@pytest.fixture(scope="module")
def pooled(folder):
    program = folder / "program"
    with Stack(base_port=BASE_PORT + 400, settings={"THUMBNAIL_PROGRAM": str(program)}) as s:
        program.write_text(PROGRAM.format(folder=str(folder), real=str(s.build / "chasqui-thumbnail")))
        program.chmod(0o755)
        yield s.start()


def files_of(net, device):
    f = Files(net.rest_url, device.tokens.access)

    class Closer:
        async def close(self):
            f.close()

    net.open.append(Closer())
    return f


def fault_of(stack, media):
    with stack.db() as db:
        row = db.execute("SELECT fault FROM view.media_found WHERE media_id = %s", (media,)).fetchone()
        return row and row[0]


@scenario(stack="pooled")
async def test_a_stranger_does_not_wait_for_anothers_large_pictures(pooled, folder, net):
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a, b = files_of(net, alice), files_of(net, bob)
    slow = [await do(a.send, chat, png(seed=i) + b"HELD A BIT!") for i in range(3)]
    await do(wait_until, lambda: list(folder.glob("held-*")), 20, "one of hers is at work")
    quick = await do(b.send, chat, png(seed=9))
    await do(b.found, quick)
    assert len(list(folder.glob("held-*"))) == 1, "one user has half of the processes"
    assert [fault_of(pooled, m) for m in slow] == [None] * 3, "none of hers is done"
    # hers holds one process; his was given back a moment after his answer
    numbers = await do(wait_until, lambda: (n := pooled.metrics("media"))["looks_working"] <= 1 and n, 20, "his process is free again")
    assert numbers["looks_total"] >= 1
    (folder / "go").touch()
    for media in slow:
        await do(a.found, media)


@scenario(stack="pooled")
async def test_killed_processes(pooled, folder, net):
    """By somebody else: again, and all is well. By the file: three times, then it is given up, with the reason."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a = files_of(net, alice)
    before = await do(pooled.metrics, "media")
    once = await do(a.send, chat, png(seed=21) + b"KILLED ONCE")
    assert (await do(a.found, once))["thumbnail"]
    ever = await do(a.send, chat, png(seed=22) + b"CRASH EVER!")
    out = await do(a.send, chat, png(seed=23) + b"BREAKS OUT!")
    await do(wait_until, lambda: fault_of(pooled, ever) and fault_of(pooled, out), 60, "both are given up")
    assert fault_of(pooled, ever) == "ended by signal 11" and (folder / "crashes").read_bytes() == b"xxx"
    assert fault_of(pooled, out) == "ended by signal 31"
    found = (await do(pooled.metrics, "media")).since(before)
    assert (found["look_retries_total"], found["look_breakouts_total"], found["look_faults_total"]) == (3, 1, 2)
    after = await do(a.send, chat, png(seed=24))
    assert (await do(a.found, after))["thumbnail"]


@scenario(stack="pooled")
async def test_what_was_waiting_is_looked_into_after_a_kill(pooled, folder, net):
    """The role dies with files at work and in line: its commit stands before them, and the next start does them all."""
    alice, bob = await net.people("alice", "bob")
    chat = await net.direct(alice, bob)
    a, b = files_of(net, alice), files_of(net, bob)
    (folder / "go").unlink(missing_ok=True)
    held = {p.name for p in folder.glob("held-*")}
    slow = [await do(a.send, chat, png(seed=40 + i) + b"HELD A BIT!") for i in range(3)]
    await do(wait_until, lambda: {p.name for p in folder.glob("held-*")} - held, 20, "one is at work")
    await do(b.found, await do(b.send, chat, png(seed=49)))  # read and done after them
    pooled.role("media").kill9()
    (folder / "go").touch()
    pooled.role("media").start().wait_ready(30)
    for media in slow:
        await do(a.found, media)
