# SPDX-License-Identifier: MIT
"""Sockets that look at who types, and type: docs/protocol.md, "Typing"."""
from __future__ import annotations

import asyncio

from client import Device, RawWs, until

TYPING = ("idle", "typing", "recording")


async def ticket(device: Device, chat: str, session: str, expect=200):
    return (await device.rest.post(f"/api/chats/{chat}/ticket", {"session": session}, expect=expect)).body


class Eye:
    """A raw socket of a device, at a gateway of the test's choice."""

    def __init__(self, device: Device, ws: RawWs, session: str):
        self.device, self.ws, self.session = device, ws, session

    @staticmethod
    async def open(net, device: Device, gateway: int = 0) -> "Eye":
        ws = await net.raw(device.tokens, gateway, auto_ok=True)
        return Eye(device, ws, (await ws.ready())["session"])

    async def ask(self, chat: str) -> dict:
        return await ticket(self.device, chat, self.session)

    async def answered(self, frame: dict) -> list[dict]:
        """What came since this frame was sent until the pong behind it, numbered frames left out."""
        n = len(self.ws.frames)
        await self.ws.send(frame)
        await self.ws.send({"t": "ping"})
        await until(lambda: any(f["t"] == "pong" for f in self.ws.frames[n:]), 20, lambda: f"pong; {self.ws.frames[n:]}", self.ws._news)
        return [f for f in self.ws.frames[n:] if f["t"] in ("looking", "error")]

    async def looks(self, chat: str) -> dict:
        """Looks, with tickets of now until one is taken: not those of within two seconds of a change of members."""
        async def taken():
            given = await self.ask(chat)
            got = await self.answered({"t": "look", "ticket": given["ticket"]})
            if got and got[-1]["t"] == "looking":
                assert got[-1] == {"t": "looking", "chatId": chat, "until": given["until"]}
                return got[-1]
            assert got[-1]["code"] == "bad_ticket" and "change of members" in got[-1]["message"], got
            await asyncio.sleep(0.1)

        return await until(taken, 20, "a look")

    async def types(self, chat: str, state: str = "typing") -> None:
        await self.ws.send({"t": "signal", "chatId": chat, "state": state})

    def seen(self, chat: str) -> list[tuple[str, str]]:
        return [(f["userId"], f["state"]) for f in self.ws.frames if f["t"] == "typing" and f["chatId"] == chat]

    async def sees(self, chat: str, user: str, state: str = "typing", after: int = 0) -> None:
        await until(lambda: (user, state) in self.seen(chat)[after:], 20, lambda: f"{user} {state}; {self.seen(chat)}", self.ws._news)


async def reaches(writer: Eye, eye: Eye, chat: str, state: str = "typing") -> None:
    """One types until the other sees it: the first signals may come before the owner of the chat knows who looks."""
    user, before = writer.device.user_id, len(eye.seen(chat))

    async def seen():
        if (user, state) in eye.seen(chat)[before:]:
            return True
        await writer.types(chat, state)
        await asyncio.sleep(1.1)  # a socket has one signal a second
        return (user, state) in eye.seen(chat)[before:]

    await until(seen, 60, f"{state} of {writer.device.name} seen by {eye.device.name}")


# ---- who is here ---------------------------------------------------------------------------------


async def user_ticket(device: Device, user: str, session: str, expect=200):
    return (await device.rest.post(f"/api/users/{user}/ticket", {"session": session}, expect=expect)).body


async def looks_at(eye: Eye, user: str) -> dict:
    """The answer of REST, once the look is taken."""
    given = await user_ticket(eye.device, user, eye.session)
    got = await eye.answered({"t": "look", "ticket": given["ticket"]})
    assert got == [{"t": "looking", "userId": user, "until": given["until"]}], got
    return given


def states(eye: Eye, user: str) -> list[str]:
    return [f["state"] for f in eye.ws.frames if f["t"] == "presence" and f["userId"] == user]


async def shown(eye: Eye, user: str, want: list[str]) -> None:
    """These states in this order, and no others."""
    await until(lambda: len(states(eye, user)) >= len(want), 40, lambda: f"{want}; {states(eye, user)}", eye.ws._news)
    assert states(eye, user) == want
