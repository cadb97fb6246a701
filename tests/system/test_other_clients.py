# SPDX-License-Identifier: MIT
"""What others build on: the clients of clients/, by their examples, and tests/conformance."""
import asyncio
import itertools
import os
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import conform
import conform_checks  # noqa: F401  (fills conform.CHECKS)
import conform_limits  # noqa: F401
import pytest
from client import scenario, until
from spoiler import Close, Spoiler

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.sys.executable
EXAMPLES = {"python": [PYTHON, ROOT / "clients/python/example.py"], "js": ["node", ROOT / "clients/js/example.mjs"]}
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


@scenario(limit_s=100)
async def test_conformance(stack, net):
    """This server keeps the protocol; each lie breaks the check that is there for it."""
    process = await asyncio.create_subprocess_exec(PYTHON, ROOT / "tests/conformance", stack.rest_url(), stdout=subprocess.PIPE)
    few = asyncio.Semaphore(4)  # a world each, on a machine that may be slow

    async def lied(name, why, hooks):
        async with few:
            code, said = await tried(stack, name, hooks, wait_s=LIE_WAIT_S)
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


def test_no_server_is_told_apart_from_a_bad_one():
    done = subprocess.run([PYTHON, ROOT / "tests/conformance", "http://127.0.0.1:1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "nothing could be tried" in done.stdout, done.stdout
