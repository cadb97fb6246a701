# SPDX-License-Identifier: MIT
"""People who pin and star messages, set rights and timers, and at the end search: loops and looks of a Cast (people.py)."""
from __future__ import annotations

import asyncio
import random

from people import NO, Cast, Player

TIMERS = (0, 86400, 604800)  # none is over within a run


async def _ask(d: Player, kind: str, chat: str, method: str, path: str, body: dict | None = None, is_new: bool = False) -> None:
    """Until an answer says yes or no."""
    for _ in range(1000):
        r = await d.rest.call(method, f"/api/chats/{chat}/{path}", body)
        if r.status == 200 or r.status in NO:
            d.note("keep", kind=kind, chat=chat, status=r.status, is_new=is_new)
            return
        if r.status == 401:
            await d.refresh()
        elif r.status not in (0, 429, 503):
            d.note("odd", text=f"REST {kind}: {r.status} {r.body}")
        await asyncio.sleep(min(float(r.headers.get("retry-after", 0.3)), 2.0))


async def keep(cast: Cast) -> None:
    """Somebody pins a message or takes a pin back, stars one or takes that back, or an owner says who may change his group."""
    rng = random.Random(f"{cast.seed}/keeping")
    while True:
        await asyncio.sleep(rng.uniform(0.3, 1.2))
        p = rng.choice(cast.people)
        d, what = rng.choice(p.players), rng.choice(("pin", "pin", "star", "star", "rights", "timer"))
        seen = [m for m in list(d.messages.values())[-60:] if not m.gone and not m.deleted]
        if cast.paused or not d.caught_up or not seen:
            continue
        if what in ("pin", "star"):
            m = rng.choice(seen)
            kind = {"pin": "MessagePinned", "star": "MessageStarred"}[what]
            cast._track(_ask(d, kind, m.chat_id, rng.choice(("PUT", "PUT", "DELETE")), f"messages/{m.id}/{what}"))
        elif what == "rights":  # who may send stays as it is: each send has to get in
            chat, group = rng.choice(list(cast.groups.items()))
            body = {rng.choice(("info", "add")): rng.choice(("everyone", "admins"))}
            cast._track(_ask(group["owner"].players[0], "RightsSet", chat, "PUT", "rights", body, is_new=True))
        else:
            cast._track(_ask(d, "TimerSet", rng.choice(p.chats), "PUT", "timer", {"seconds": rng.choice(TIMERS)}))


async def look_searched(cast: Cast) -> None:
    """What each of some people finds once all is quiet, beside what his first device shows. A deletion is not told to who has left or
    blocked by then: his device keeps the text, and no search finds it."""
    deleted = {m.id for d in cast.all_players() for m in d.messages.values() if m.deleted}
    for p in cast.people[:4]:
        d = p.players[0]
        await d.refresh()
        await d.sync()  # an edit is not told to who was out since the message
        for word in ("edit", "probe"):
            found, page = [], {"more": True}
            while page["more"]:
                r = await d.rest.get("/api/search", q=word, **({"cursor": page["cursor"]} if "cursor" in page else {}))
                if r.status == 429:
                    await asyncio.sleep(float(r.headers.get("retry-after", 1)))
                    continue
                assert r.status == 200, r
                page = r.body
                found += [m["id"] for m in page["messages"]]
            want = [m.id for m in d.messages.values() if not m.gone and m.id not in deleted and word in m.content.split()]
            d.note("searched", q=word, found=found, want=want)
