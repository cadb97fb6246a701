# SPDX-License-Identifier: MIT
"""A client of clients/python that does what it is told: see driven.mjs."""
import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients/python"))
import chasqui  # noqa: E402


def say(told):
    print(json.dumps(told), flush=True)


class Driven:
    def __init__(self, url):
        self.url = url
        self.session = self.client = self.book = None

    async def link(self):
        self.session = await chasqui.link(self.url, lambda code, _: say({"show": code}), lambda me: bool(me["phoneNumber"]), "web", "linked")
        return self.session.tokens.device_id

    async def start(self):
        self.book, self.client = chasqui.Book(self.session.user_id), chasqui.Client(self.session)
        self.events = asyncio.create_task(self._events())

    async def _events(self):
        async with self.client:
            try:
                async for event in self.client:
                    self.book.take(event)
                    say({"event": event})
            except chasqui.SignedOut:
                say({"event": {"t": "signed_out"}})

    async def do_book(self):
        return {"messages": list(self.book.messages.values()), "chats": list(self.book.chats.values()), "unsure": list(self.book.unsure)}

    async def do(self, asked):
        name, client = asked.pop("do"), self.client
        held = self.book and self.book.messages.get(asked.get("message"))
        at = {"chat_id": asked.get("at", {}).get("chatId"), "user_id": asked.get("at", {}).get("userId")}
        match name:
            case "link" | "start":
                return await getattr(self, name)()
            case "book":
                return await self.do_book()
            case "send":
                to = asked["to"]
                return await client.send(asked["content"], peer=to.pop("peer", None), **to)
            case "pin":
                return await client.pin(held)
            case "vote":
                return await client.vote(held, asked["options"])
            case "close":
                return await client.close_poll(held)
            case "look":
                return await client.look(**at)
            case "unlook":
                return await client.unlook(**at)
            case "signal":
                return await client.signal(asked["chatId"], asked["state"])
            case "here":
                return await client.here(asked["isHere"])
            case "read":
                return client.read(held)
            case "approve":
                return await chasqui.approve(self.session, asked["code"], lambda link: link["label"] == "third")
            case "number":
                wrong = (lambda: asked["wrong"]) if asked.get("wrong") else None
                return await chasqui.change_number(self.session, asked["to"], asked["present"], wrong)
            case "remove":
                return await chasqui.delete_account(self.session, asked["phone"])


async def main(url):
    driven, tasks = Driven(url), set()

    async def done(asked):
        i = asked.pop("id")
        try:
            say({"id": i, "result": await driven.do(asked)})
        except (chasqui.ApiError, chasqui.Refused) as refusal:
            say({"id": i, "error": refusal.code})
        except Exception as error:
            say({"id": i, "error": type(error).__name__})

    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(done(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main(sys.argv[1]))
