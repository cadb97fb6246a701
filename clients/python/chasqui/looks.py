# SPDX-License-Identifier: MIT
"""Which chats and people are looked at: tickets for the session of `ready`, renewed before their end, and asked for anew after an early
one."""
from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Awaitable, Callable

from .session import ApiError, SignedOut

LOOKS_MAX = 32  # of a socket, as docs/protocol.md has it
EARLY_S = 60  # another ticket, so long before the end of a look
AGAIN_S = 3  # after a look was ended or refused, and a fifth more at most: all members of a chat ask


@dataclass
class Look:
    path: str
    at: dict  # chatId or userId
    until: int = 0
    timer: asyncio.Task | None = None

    def stop(self) -> None:
        if self.timer and self.timer is not asyncio.current_task():
            self.timer.cancel()


class Looks:
    def __init__(self, write: Callable[[dict], Awaitable[None]], post: Callable[[str, dict], Awaitable[dict]]):
        self._write, self._post = write, post
        self._looks: dict[tuple, Look] = {}
        self._session = ""
        self._away = False

    async def look(self, chat_id: str | None, user_id: str | None) -> dict:
        key = chat_id, user_id
        if len(self._looks) >= LOOKS_MAX and key not in self._looks:
            raise ValueError(f"{LOOKS_MAX} chats and users are looked at: unlook() one of them")
        at, path = ({"chatId": chat_id}, f"/api/chats/{chat_id}/ticket") if chat_id else ({"userId": user_id}, f"/api/users/{user_id}/ticket")
        return await self._ask(self._looks.setdefault(key, Look(path, at)))

    async def unlook(self, chat_id: str | None, user_id: str | None) -> None:
        look = self._looks.pop((chat_id, user_id), None)
        if look:
            look.stop()
            if self._session:
                await self._write({"t": "unlook", **look.at})

    async def here(self, is_here: bool) -> None:
        if self._away == is_here:
            self._away = not is_here
            if self._session:
                await self._write({"t": "here" if is_here else "away"})

    async def ready(self, session: str) -> None:
        """Tickets are for its session; a new socket counts as in the foreground."""
        self._session = session
        if self._away:
            await self._write({"t": "away"})
        for look in self._looks.values():
            self._again(look, 0)

    def down(self) -> None:
        self._session = ""
        for look in self._looks.values():
            look.stop()

    def looking(self, frame: dict) -> None:
        """Until when, or 0: it has ended early."""
        look = self._looks.get((frame.get("chatId"), frame.get("userId")))
        if look:
            look.until = frame["until"]
            if not look.until:
                self._again(look, AGAIN_S)

    def refused(self) -> None:
        """An `error` of a look, which does not say of which: those without an answer."""
        for look in self._looks.values():
            if not look.until:
                self._again(look, AGAIN_S)

    def _again(self, look: Look, wait_s: float) -> None:
        look.stop()
        look.timer = asyncio.create_task(self._ask_later(look, wait_s * random.uniform(1, 1.2)))

    async def _ask_later(self, look: Look, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        try:
            await self._ask(look)
        except (ApiError, SignedOut):
            pass  # what can be asked again is, and the socket's end tells of the other

    async def _ask(self, look: Look) -> dict:
        session, key = self._session, (look.at.get("chatId"), look.at.get("userId"))
        if not session:
            return {}  # at the next `ready`
        try:
            answer = await self._post(look.path, {"session": session})
        except ApiError as refusal:
            if 400 <= refusal.status < 500 and refusal.status != 429:
                self._looks.pop(key, None)
            elif session == self._session:
                self._again(look, AGAIN_S)
            raise
        if session == self._session and self._looks.get(key) is look:
            look.until = 0
            await self._write({"t": "look", "ticket": answer["ticket"]})
            self._again(look, max(AGAIN_S, answer["until"] / 1000 - time.time() - EARLY_S))
        return answer
