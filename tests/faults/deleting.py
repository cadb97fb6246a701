# SPDX-License-Identifier: MIT
"""People who come, are added to a group and delete their accounts, while they are added once more: a loop of a Cast (people.py)."""
from __future__ import annotations

import asyncio
import random

from client import ApiError, Rest, sign_in, until
from look import rows
from people import Cast

IN_GROUPS = ("SELECT m.user_id FROM auth.accounts a JOIN view.members m USING (user_id) JOIN view.chats c USING (part, chat_id) "
             "WHERE a.deleted_at IS NOT NULL AND m.left_seq IS NULL AND c.kind = 1")


async def _delete(cast: Cast, rest: Rest, phone: str, user: str) -> None:
    """Until it is answered; after an answer that got lost the session says whether it was done."""
    for _ in range(100):
        sent = await rest.post("/api/login", {"phoneNumber": phone})
        if sent.status == 200:
            r = await rest.call("DELETE", "/api/me", {"challenge": sent.body["challenge"], "code": sent.body["devCode"]})
            if r.status == 200 or r.code == "unauthorized":
                cast.h.add("deleted_end", user=user, status=200, answered=r.status)
                return
        await asyncio.sleep(0.5)


async def _come_and_go(cast: Cast, rng: random.Random) -> None:
    phone = cast.phone()
    try:
        t = await sign_in(cast.rest, phone, "dying")
    except (ApiError, KeyError):
        return
    chat, g = rng.choice([(chat, g) for chat, g in cast.groups.items() if g["churn"]])
    d, rest = g["owner"].players[0], Rest(cast.rest.base_url, t.access)
    try:
        r = await d.rest.post(f"/api/chats/{chat}/members", {"add": [t.user_id]})
        if r.status == 401:
            await d.refresh()
        await asyncio.gather(_delete(cast, rest, phone, t.user_id), _add(d, chat, t.user_id, rng.uniform(0, 0.3)))
    finally:
        await rest.close()


async def _add(d, chat: str, user: str, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await d.rest.post(f"/api/chats/{chat}/members", {"add": [user]})


async def delete(cast: Cast) -> None:
    rng = random.Random(f"{cast.seed}/deleting")
    while True:
        await asyncio.sleep(rng.uniform(3.0, 8.0))
        if not cast.paused and not cast.churn_rests:
            cast._track(_come_and_go(cast, rng))


async def all_left(stack, limit_s: float) -> None:
    """Until the view shows none of them in a group."""
    async def left():
        return not await rows(stack, IN_GROUPS)

    await until(left, limit_s, "the deleted to be out of their groups")
