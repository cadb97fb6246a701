# SPDX-License-Identifier: MIT
"""F25: the power of the machine goes. `tests/faults/run --fault F25`, on a disk that keeps what was synced and nothing else (tests/power)."""
from __future__ import annotations

import asyncio
import random
import signal
import time

from nemesis import READY_S, Nemesis, fault
from stack import Failure


def kill_all(stack) -> None:
    """Every process, at once."""
    procs = [*stack.roles(), *stack.kafkas, stack.postgres]
    for p in procs:
        p.auto_restart = False
    for p in procs:
        p.signal(signal.SIGKILL)
    for p in procs:
        p.wait(60)


def power_on(stack) -> str:
    """As compose/supervise starts everything. Why an operator was needed for it; "": none was."""
    services = stack.services
    services.start_kafka()
    services.start_postgres()
    services.prepare()
    why = ""
    try:
        services.check_log()
    except Failure as failure:
        why = str(failure)
        services.mend_log()
    for p in stack.roles():
        p.start()
    for p in stack.roles():
        p.wait_ready(READY_S)
    for p in stack.roles():
        p.auto_restart = True
    return why


@fault("F25", "the power goes: everything dies at once, and what was not synced is gone", short=False, needs="power")
async def power_cut(m: Nemesis, rng: random.Random) -> str:
    await asyncio.sleep(rng.uniform(4, 9))
    for p in m.stack.roles():
        p.auto_restart = False
        p.signal(signal.SIGSTOP)  # who could hear of the disk's errors and tell a client
    lost = await asyncio.to_thread(m.disk.fs.cut, rng.randrange(1, 2**31))
    await asyncio.to_thread(kill_all, m.stack)
    await asyncio.to_thread(m.disk.fs.mount)
    began = time.monotonic()
    why = await asyncio.to_thread(power_on, m.stack)
    if why and m.stack.services.settings["DURABILITY"] == "synced":
        m.h.add("odd", text=f"F25: an operator was needed: {why}")
    return (f"{lost['bytes'] // 1024} KiB in {lost['files']} files and {lost['names']} names were not synced, {lost['torn']} files torn; "
            f"all ready {time.monotonic() - began:.1f} s after Kafka's start")
