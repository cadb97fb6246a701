# SPDX-License-Identifier: MIT
"""What others build on: the clients of clients/, by their examples, and tests/conformance."""
import asyncio
import itertools
import json
import os
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import conform
import conform_checks  # noqa: F401  (fills conform.CHECKS)
import conform_kinds  # noqa: F401
import conform_limits  # noqa: F401
import pytest
from client import scenario, until
from signals import Eye
from spoiler import Close, Spoiler

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.sys.executable
EXAMPLES = {"python": [PYTHON, ROOT / "clients/python/example.py"], "js": ["node", ROOT / "clients/js/example.mjs"]}
MISSING = "7a1f0c44-3b7e-4d0e-9c55-2f3a1b6c7d88"
LANGUAGES = pytest.mark.parametrize("language", EXAMPLES)


@asynccontextmanager
async def example(language, url, number, name):
    """An example that is ready, as its user's id and process."""
    process = await asyncio.create_subprocess_exec(*EXAMPLES[language], url, number, name, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        word, _, user = (await process.stdout.readline()).decode().strip().partition(" ")
        assert word == "ready", (await process.stderr.read()).decode()
        yield user
    finally:
        if process.returncode is None:
            process.kill()
        _, said = await process.communicate()
        assert not said, said.decode()


@LANGUAGES
@scenario(limit_s=60)
async def test_an_example_answers(stack, language, net):
    """Both ways, with ticks of both kinds, and each message once."""
    (alice,) = await net.people("alice")
    async with example(language, stack.rest_url(), net.phone(), language) as bob:
        outs = [alice.send(f"line {i} ä 🙂", peer=bob) for i in range(40)]
        for i in range(40):
            await alice.sees(f"you said: line {i} ä 🙂")
        await alice.wait(lambda: all(alice.tick(out) == "read" for out in outs), 20, "read ticks")
    replies = [text for text in alice.contents() if text.startswith("you said")]
    assert replies == [f"you said: line {i} ä 🙂" for i in range(40)]


class Trouble:
    """What a client has to live through, each once: an ack that is lost with the socket, a nack, a socket that asks for a fresh
    token, a sync that has to wait, a receipt that is not taken."""

    def __init__(self):
        self.done = []
        self.told = False  # of all but the last message

    def once(self, name):
        if name in self.done:
            return False
        self.done.append(name)
        return True

    def down(self, frame):
        if frame["t"] == "ack" and self.once("ack"):
            raise Close(0)
        if frame["t"] == "message" and frame["content"] == "token" and self.once("token"):
            raise Close(4401)
        return [frame]

    def back(self, frame):
        if frame["t"] == "message.send" and "slowly" in frame["content"] and self.once("nack"):
            return {"t": "nack", "clientId": frame["clientId"], "code": "slow_down", "retryAfter": 50}
        if self.told and frame["t"] == "receipt" and "read" in frame and self.once("receipt"):
            return {"t": "error", "code": "slow_down", "message": "later", "of": "receipt", "chatId": frame["chatId"]}
        return None

    def rest(self, method, path, body):
        if path == "/api/sync" and self.once("sync"):
            return 503, {"Retry-After": "0"}, {"error": {"code": "unavailable", "message": "later", "requestId": "0"}}
        if path == "/api/token/refresh":
            self.done.append("refresh")
        return None


async def troubled(stack, language, net):
    (alice,) = await net.people(f"alice of {language}")
    trouble = Trouble()
    proxy = Spoiler(stack.rest_url(), stack.ws_url(1), down=trouble.down, back=trouble.back, rest=trouble.rest)
    async with proxy as url, example(language, url, net.phone(), language) as bob:
        outs = []
        for text in ("hello", "slowly", "token", "last"):
            if text == "last":
                await alice.wait(lambda: all(alice.tick(out) == "read" for out in outs), 20, "read ticks of the first three")
                trouble.told = True
            outs.append(alice.send(text, peer=bob))
            await alice.sees(f"you said: {text}")
        await alice.wait(lambda: all(alice.tick(out) == "read" for out in outs), 20, "read ticks")
        assert set(trouble.done) == {"ack", "nack", "sync", "receipt", "refresh", "token"}
        replies = [text for text in alice.contents() if text.startswith("you said")]
        assert replies == [f"you said: {text}" for text in ("hello", "slowly", "token", "last")]
        sends = [frame["clientId"] for frame in proxy.sent if frame["t"] == "message.send"]
        assert len(set(sends)) == 4 and len(sends) > 4, "what had no ack goes again, under its clientId"
        await until(lambda: [frame for frame in proxy.sent if frame["t"] == "ok"], 10, "an ok")
        assert proxy.sockets >= 3


@scenario(limit_s=60)
async def test_a_client_lives_through_trouble(stack, net):
    async with asyncio.TaskGroup() as group:
        for language in EXAMPLES:
            group.create_task(troubled(stack, language, net))


DRIVEN = {"python": [PYTHON, ROOT / "tests/clients/driven.py"], "js": ["node", ROOT / "tests/clients/driven.mjs"]}


class Driven:
    """A client that does what it is told, see tests/clients/driven.mjs: its events, and answers to what it was told."""

    def __init__(self, process):
        self.process, self.events, self.answers, self.shown = process, [], {}, []
        self.asked = itertools.count()

    @classmethod
    @asynccontextmanager
    async def of(cls, language, url):
        process = await asyncio.create_subprocess_exec(*DRIVEN[language], url, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 24)
        driven = cls(process)
        reading = asyncio.create_task(driven._read())
        try:
            yield driven
        finally:
            if process.returncode is None:
                process.kill()
            await reading
            await process.wait()

    async def _read(self):
        while line := await self.process.stdout.readline():
            said = json.loads(line)
            if "event" in said:
                self.events.append(said["event"])
            elif "show" in said:
                self.shown.append(said["show"])
            else:
                self.answers[said["id"]] = said

    def tell(self, what, **how):
        """The number of its answer."""
        i = next(self.asked)
        self.process.stdin.write(json.dumps({"id": i, "do": what, **how}).encode() + b"\n")
        return i

    async def answer(self, i):
        await until(lambda: i in self.answers, 30, f"the answer to {i}")
        return self.answers[i].get("result", self.answers[i].get("error"))

    async def do(self, what, **how):
        return await self.answer(self.tell(what, **how))

    async def event(self, kind, **members):
        def found():
            return next((e for e in self.events if e["t"] == kind and all(e.get(name) == value for name, value in members.items())), None)

        return await until(found, 30, lambda: f"{kind} {members}; there are {[e['t'] for e in self.events]}")


class Spoiled:
    """A socket that ends when told, the sync after that with rows of our own, a deletion whose answer is lost."""

    def __init__(self):
        self.ends, self.rows, self.marks, self.calls = False, [], [], []

    def down(self, frame):
        if self.ends:
            self.ends = False
            raise Close(0)
        return [frame]

    def rest(self, method, path, body):
        self.calls.append((method, path))

    def answer(self, path, body):
        if path == "/api/sync" and self.rows:
            body["messages"] += self.rows
            body["marks"] = body.get("marks", []) + self.marks
            self.rows = []
        if path == "/api/me" and not body and self.calls.count(("DELETE", "/api/me")) == 1:
            raise ConnectionError("the answer is lost")
        return body


async def linked(net, caller, driven):
    """A client that is a device of the caller's user, by a link."""
    waits = driven.tell("link")
    await until(lambda: driven.shown, 30, "the code of a link")
    asked = (await caller.rest.post("/api/links/look", {"code": driven.shown[0]}, expect=200)).body["link"]
    assert (asked["platform"], asked["label"]) == ("web", "linked")
    await caller.rest.post("/api/links/answer", {"code": driven.shown[0], "approve": True}, expect=200)
    assert len(await driven.answer(waits)) == 36
    await driven.do("start")
    await driven.event("caught_up")
    # and it lets others in, but for one that it does not know
    for label, yes in (("third", True), ("stranger", False)):
        link = (await net.rest.post("/api/links", {"platform": "ios", "label": label}, expect=200)).body
        assert await driven.do("approve", code=link["code"]) is yes
        await net.rest.post("/api/links/claim", {"secret": link["secret"]}, expect=200 if yes else 401)


async def polled(bob, alice, driven):
    """A poll of its own: asked, chosen, chosen anew, pinned, closed; a vote behind the end counts for nothing."""
    poll = await driven.do("send", content="which?", to={"peer": alice.user_id, "poll": {"options": ["red", "green"]}})
    held = poll["id"]
    assert (await driven.do("vote", message=held, options=[0]))["options"] == [0]
    assert (await driven.do("vote", message=held, options=[1]))["options"] == [1]
    assert (await driven.do("pin", message=held))["pinned"] is True
    assert (await driven.do("close", message=held))["messageId"] == held
    assert (await driven.do("vote", message=held, options=[0]))["options"] == [0], "it was taken"
    book = await driven.do("book")
    (message,) = [m for m in book["messages"] if m["id"] == held]
    (chat,) = [c for c in book["chats"] if c["chatId"] == poll["chatId"]]
    assert message["poll"]["mine"]["options"] == [1] and message["poll"]["closed"] and held in book["unsure"]
    assert [pin["messageId"] for pin in chat["pins"]] == [held]
    return message


async def synced(spoiled, alice, driven, poll):
    """What happened while it was away to a message that it has: a star, a result, a place that is lower; and marks."""
    told = [e for e in driven.events if (e["t"], e.get("id")) == ("message", poll["id"])]
    row = {name: value for name, value in poll.items() if name not in ("starred", "shown", "tick")} | {"deliveredAt": None, "seenAt": None}
    later = row | {"seq": poll["seq"] - 1, "starred": True, "poll": row["poll"] | {"seq": poll["seq"] + 100, "counts": [0, 2], "voters": 2}}
    spoiled.marks = [{"chatId": poll["chatId"], "marks": {"seq": 1, "archived": True}}]
    spoiled.rows, spoiled.ends = [row | {"starred": True}, later], True
    alice.send("the end of a socket", peer=poll["from"])
    await driven.event("page", marks=spoiled.marks)
    again = [(e["seq"], e.get("starred"), e["poll"].get("voters")) for e in driven.events if (e["t"], e.get("id")) == ("message", poll["id"])][len(told):]
    assert again == [(poll["seq"], None, 1), (poll["seq"], True, None), (poll["seq"] - 1, True, 2)], "the server's own row, and both of ours"


async def heard(say, has):
    """The first signals may come before the owner of the chat knows who looks; a socket has one a second."""
    async def was_heard():
        await say()
        await asyncio.sleep(1.1)
        return has()

    await until(was_heard, 30, "a signal")


async def walked(stack, language, net):
    """A user of two devices, one of the clients, by a proxy."""
    alice, bob = await net.people(f"alice of {language}", f"bob of {language}")
    spoiled = Spoiled()
    proxy = Spoiler(stack.rest_url(), stack.ws_url(1), down=spoiled.down, rest=spoiled.rest, answer=spoiled.answer)
    async with proxy as url, Driven.of(language, url) as driven:
        await linked(net, bob, driven)
        poll = await polled(bob, alice, driven)
        await driven.do("look", at={"chatId": poll["chatId"]})
        await synced(spoiled, alice, driven, poll)
        eye = await Eye.open(net, alice, 0)
        await eye.looks(poll["chatId"])
        await until(lambda: sum(e["t"] == "looking" for e in driven.events) >= 2, 20, "another look by the new socket")
        await heard(lambda: eye.types(poll["chatId"], "typing"), lambda: [e for e in driven.events if e["t"] == "typing" and e["userId"] == alice.user_id])
        await heard(lambda: driven.do("signal", chatId=poll["chatId"], state="recording"), lambda: (bob.user_id, "recording") in eye.seen(poll["chatId"]))
        assert await driven.do("look", at={"userId": MISSING}) == "not_found"
        await driven.do("here", isHere=False)
        await until(lambda: {"t": "away"} in proxy.sent, 10, "that it is away")
        phone = next(user.phone for user in net.users if user.user_id == bob.user_id)
        assert await driven.do("number", to=net.phone(), present=phone, wrong="000000") == "bad_code"
        assert spoiled.calls.count(("PUT", "/api/me/number")) == 1 and ("POST", "/api/token/refresh") not in spoiled.calls
        await bob.stop()
        assert await driven.do("remove", phone=phone) in (None, {})
        assert spoiled.calls.count(("DELETE", "/api/me")) == 2, "the first answer was lost"
        await driven.event("signed_out")


@scenario(limit_s=100)
async def test_what_a_client_can_do(stack, net):
    """Both languages: a device by a link, polls, pins, marks and stars, who types, a wrong code, the end of the account."""
    async with asyncio.TaskGroup() as group:
        for language in DRIVEN:
            group.create_task(walked(stack, language, net))


def words_of(lines):
    """{check: ok, left or FAIL}"""
    return {name: word for word, name, *_ in map(str.split, lines)}


def doubled(frame):
    """Another message for each that is sent again."""
    return [frame | {"id": frame["id"][:-1] + ("0" if frame["id"][-1] != "0" else "1")}] if frame["t"] == "ack" else [frame]


def turned():
    """Every second seq is too low."""
    count = itertools.count()
    return lambda f: [f | {"seq": f["seq"] - 2**40 * (next(count) % 2)}] if f["t"] == "message" else [f]


def without(kind):
    return lambda f: [] if f["t"] == kind else [f]


def nacked(code, retry_after, where):
    return lambda f: {"t": "nack", "clientId": f["clientId"], "code": code, "retryAfter": retry_after} if where(f) else None


def on(place, change):
    """A change of the answers of one route."""
    return lambda path, body: change(body) or body if path.endswith(place) else body


def flooded():
    """One message is refused, the first time."""
    refused = []

    def back(frame):
        if frame.get("content") != "flood 7" or refused:
            return None
        refused.append(frame)
        return {"t": "nack", "clientId": frame["clientId"], "code": "slow_down", "retryAfter": 20}

    return back


def searched():
    """What was found once is found for ever."""
    found = []

    def answer(path, body):
        if path == "/api/search":
            found[:] = found or body["messages"]
            body["messages"] = body["messages"] or found
        return body

    return answer


def listed():
    """Files of every kind, whatever was asked for."""
    rows = []

    def answer(body):
        if "messages" in body:
            rows[:] = rows or body["messages"]
            body["messages"] = body["messages"] or rows

    return answer


FEW = {"answer": on("/config", lambda body: body["limits"].update(messagesAtOnce=5, messagesPerMinute=600))}
LIE_WAIT_S = 4  # for what a liar does not send

LIES = [  # the check that says so, words of its reason, and what a server does wrong
    ("message", "waiting for message;", {"down": doubled}),
    ("order", "seqs [[", {"down": turned()}),
    ("ticks", "tick delivered", {"down": without("status")}),
    ("bad_receipt", "waiting for refusal;", {"down": without("receipt_rejected")}),
    ("frames", "numbers of a socket", {"down": lambda f: [f | {"n": f["n"] + 1}] if f["t"] != "ready" and "n" in f else [f]}),
    ("frames", "capabilities", {"down": lambda f: [{name: f[name] for name in f if name != "capabilities"}]}),
    ("welcome", "'ready'", {"down": without("welcome")}),
    ("not_understood", "waiting for error;", {"down": lambda f: [f | {"of": "auth"}] if f["t"] == "error" else [f]}),
    ("content_bytes", "4000 of", {"down": lambda f: [f | {"content": f["content"][:4000]}] if f["t"] == "message" else [f]}),
    ("unknown_members", "a plain message is refused", {"back": nacked("bad_request", 0, lambda f: "fromTheFuture" in f)}),
    ("at_once", "waiting for message of the burst;", {"back": nacked("slow_down", 10, lambda f: f.get("content") == "burst 3")}),
    ("slow_down", "waiting for nack;", FEW),
    ("config", "limits without a number: ['messagesAtOnce']", {"answer": on("/config", lambda body: body["limits"].pop("messagesAtOnce") and None)}),
    ("polls", "waiting for that there was a vote;", {"down": lambda f: [] if f["t"] == "vote" and "options" not in f else [f]}),
    ("polls", "waiting for its end;", {"down": without("poll_closed")}),
    ("anonymous_polls", "is told", {"answer": on("/votes", lambda body: body["votes"].append({"userId": "x", "options": [0], "at": 1}))}),
    ("pins", "a sync with the newest three pins", {"answer": on("/sync", lambda body: [row.pop("pins", None) for row in body["chats"]] and None)}),
    ("stars", "waiting for the star;", {"down": without("starred")}),
    ("marks", "a sync with the marks", {"answer": on("/sync", lambda body: body.update(marks=[]))}),
    ("rights", "waiting for the rights;", {"down": without("rights")}),
    ("heirs", "'change': 'remove'}]", {"down": lambda f: [f | {"changes": f["changes"][:1]}] if f["t"] == "member" else [f]}),
    ("invites", "404 of a link that is over", {"rest": lambda method, path, body: (200, {}, {"invite": {}}) if method == "GET" and path.startswith("/api/invites/") else None}),
    ("info", "that he has read it, and since when", {"answer": on("/receipts", lambda body: [row.update(read=False) for row in body["receipts"]] and None)}),
    ("search", "with {} is found", {"answer": searched()}),
    ("shared", "{'kind': 'image'}", {"answer": on("/media", listed())}),
    ("not_staying", "it ends at 1", {"answer": on("/messages", lambda body: body.get("message", {}).update(expiresAt=1))}),
    ("typing", "that he types", {"down": without("typing")}),
    ("content_bounds", "got 201", {"rest": lambda method, path, body: (201, {}, {"message": json.loads(body)}) if path == "/api/messages" else None}),
    ("device_link", "wanted 401 bad_code, got 202", {"rest": lambda method, path, body: (202, {}, {"retryAfter": 1}) if path == "/api/links/claim" else None}),
    ("account_end", "an empty name, and `deleted`", {"answer": lambda path, body: {"user": {**body["user"], "name": "Cay"}} if "user" in body else body}),
    ("links", "'changes'", {"down": lambda f: [{name: f[name] for name in f if name != "invitedBy"}]}),
    ("sync", "five messages in the sync", {"answer": on("/sync", lambda body: body.update(messages=body["messages"][1:]))}),
    ("history", "by `after`", {"answer": on("/messages", lambda body: body.update(more=False) if "more" in body else None)}),
    ("not_found", "got 404 {'error': 'nothing'}", {"rest": lambda method, path, body: (404, {}, {"error": "nothing"}) if path.endswith("/receipts") else None}),
    ("unauthorized", "wanted 401 unauthorized, got 200", {"rest": lambda method, path, body: (200, {}, {"userId": "x"}) if path == "/api/me" else None}),
]


async def tried(stack, name, hooks, **more):
    """The exit code, and what is said of one check before a server with these changes."""
    said = []
    async with Spoiler(stack.rest_url(), stack.ws_url(), **hooks) as url:
        code = await conform.run(url, [], [name], False, more.get("wait_s", conform.World.wait_s), said.append)
    return code, said[0]


@scenario(limit_s=60)
async def test_a_refusal_that_is_taken_back_is_no_fault(stack, net):
    code, said = await tried(stack, "slow_down", FEW | {"back": flooded()})
    assert (code, words_of([said])) == (0, {"slow_down": "ok"}), said


@scenario(limit_s=300)
async def test_conformance(stack, net):
    """This server keeps the protocol; each lie breaks the check that is there for it."""
    process = await asyncio.create_subprocess_exec(PYTHON, ROOT / "tests/conformance", stack.rest_url(), stdout=subprocess.PIPE)
    few = asyncio.Semaphore(4)  # a world each, on a machine that may be slow

    async def lied(name, why, hooks):
        async with few:
            code, said = await tried(stack, name, hooks, wait_s=LIE_WAIT_S)
            if why not in said:  # an honest step before it may have taken longer than that
                code, said = await tried(stack, name, hooks, wait_s=20)
        line, _, reason = said.partition("\n")
        assert (code, words_of([line])) == (1, {name: "FAIL"}) and why in reason, f"{name}, for {why!r}: {said}"

    try:
        async with asyncio.TaskGroup() as group:
            for lie in LIES:
                group.create_task(lied(*lie))
        said = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    found = words_of(line for line in said.splitlines()[:-1] if not line.startswith(" "))
    assert process.returncode == 0 and found.keys() == set(conform.names()), said
    assert [name for name, word in found.items() if word != "ok"] == ["slow_down"], said  # this stack has no rates to go beyond


def test_each_check_says_where_it_is_promised():
    headings = {line.lstrip("# ") for line in (ROOT / "docs/protocol.md").read_text().splitlines() if line.startswith("##")}
    assert not {one.where for one in conform.CHECKS} - headings


def test_no_server_is_told_apart_from_a_bad_one():
    done = subprocess.run([PYTHON, ROOT / "tests/conformance", "http://127.0.0.1:1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "nothing could be tried" in done.stdout, done.stdout
