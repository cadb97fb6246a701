# SPDX-License-Identifier: MIT
"""What others build on: the clients of clients/, by their examples, and tests/conformance."""
import asyncio
import os
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

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


@LANGUAGES
@scenario(limit_s=60)
async def test_a_client_lives_through_trouble(stack, language, net):
    (alice,) = await net.people("alice")
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
