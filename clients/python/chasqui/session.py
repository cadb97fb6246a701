# SPDX-License-Identifier: MIT
"""Who is signed in, and REST calls with that. HTTP is the standard library's, in a thread."""
from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Callable

TIMEOUT_S = 30
EARLY_S = 90  # a token is renewed so long before its end
ANSWER_MAX_BYTES = 16 << 20  # a page is 1 MiB and a row at most
REPEATED = (0, 429, 500, 502, 503, 504)  # 0: no answer


class ApiError(Exception):
    """A refusal, or status 0 and the code `network`: nothing answered."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: float = 0):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.retry_after_s = status, code, retry_after_s


class SignedOut(Exception):
    """The tokens of this device work no more: sign in again."""


@dataclass
class Tokens:
    """What to store of a device. `expires_at_ms`: of the access token."""

    user_id: str
    device_id: str
    access: str
    refresh: str
    expires_at_ms: int

    @staticmethod
    def of(answer: dict) -> "Tokens":
        return Tokens(answer["userId"], answer["deviceId"], answer["accessToken"], answer["refreshToken"], answer["expiresAt"])

    def as_dict(self) -> dict:
        return asdict(self)


def backoff(attempt: int, base_s: float = 0.5, cap_s: float = 30) -> float:
    """Full jitter: many clients of a server that was away must not come back in one wave."""
    return random.uniform(0, min(cap_s, base_s * 2 ** min(attempt, 16)))


def retry_after(headers) -> float:
    """Seconds of the header Retry-After; 0 when there is none."""
    try:
        return max(0.0, float(headers.get("Retry-After") or 0))
    except ValueError:
        return 0.0


def _request(method: str, url: str, body: Any, token: str | None) -> Any:
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body, ensure_ascii=False).encode(), "application/json"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=TIMEOUT_S) as answer:
            raw = answer.read(ANSWER_MAX_BYTES + 1)
    except urllib.error.HTTPError as refusal:
        with refusal:
            try:
                error = json.loads(refusal.read(65536))["error"]
                code, message = str(error["code"]), str(error["message"])
            except (ValueError, KeyError, TypeError, OSError):
                code, message = "", refusal.reason or ""
        raise ApiError(refusal.code, code, message, retry_after(refusal.headers)) from None
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise ApiError(0, "network", str(error)) from None
    if len(raw) > ANSWER_MAX_BYTES:
        raise ApiError(0, "network", f"the answer has more than {ANSWER_MAX_BYTES} bytes")
    return json.loads(raw) if raw else {}


async def request(method: str, url: str, body: Any = None, token: str | None = None) -> Any:
    """One request; its JSON, or ApiError."""
    try:
        return await asyncio.to_thread(_request, method, url, body, token)
    except json.JSONDecodeError as error:
        raise ApiError(0, "network", f"the answer is no JSON: {error}") from None


async def sign_in(url: str, phone_number: str, name: str | None = None, code: Callable[[], str] | None = None,
                  platform: str = "other", label: str = "", keep: Callable[[Tokens], None] | None = None) -> "Session":
    """Register (with a name) or log in. `code()` asks the person for the six digits; without it the code that a development
    server shows is taken."""
    url = url.rstrip("/")
    asked = {"phoneNumber": phone_number} if name is None else {"phoneNumber": phone_number, "name": name}
    begun = await request("POST", f"{url}/api/{'login' if name is None else 'register'}", asked)
    digits = await asyncio.to_thread(code) if code else begun.get("devCode")
    if not digits:
        raise ValueError("the server sent the code to the number and does not show it: pass code=, a function that asks for it")
    body = {"challenge": begun["challenge"], "code": digits, "platform": platform, "label": label}
    session = Session(url, Tokens.of(await request("POST", f"{url}/api/verify", body)), keep)
    session.kept()
    return session


class Session:
    """`keep(tokens)` is called with each new pair before it is used: store it. A refresh token works once, so processes that share a
    device have to refresh one at a time, and to look first what another one has stored: `alone()` gives what `async with` does that
    with, `stored()` the pair that is kept now, or None when the device was signed out."""

    def __init__(self, url: str, tokens: Tokens, keep: Callable[[Tokens], None] | None = None,
                 alone: Callable[[], AbstractAsyncContextManager] = nullcontext, stored: Callable[[], Tokens | None] | None = None):
        self.url, self.tokens, self.alone, self.stored = url.rstrip("/"), tokens, alone, stored
        self.kept = lambda: keep(self.tokens) if keep else None
        self._refreshing: asyncio.Task | None = None

    @property
    def user_id(self) -> str:
        return self.tokens.user_id

    async def access_token(self, bad: str | None = None) -> str:
        """A token that is good for a while. `bad`: one that was just refused. Whoever asks meanwhile waits for the same answer."""
        tokens = self.tokens
        if tokens.access != bad and tokens.expires_at_ms / 1000 - time.time() > EARLY_S:
            return tokens.access
        if not self._refreshing or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh(bad))
        try:
            await asyncio.shield(self._refreshing)
        except ApiError:
            if bad or tokens.expires_at_ms / 1000 < time.time():
                raise  # else the old one still works: the next caller tries again
        return self.tokens.access

    async def _refresh(self, bad: str | None) -> None:
        async with self.alone():
            await self._refresh_alone(bad)

    async def _refresh_alone(self, bad: str | None) -> None:
        if self.stored:
            kept = self.stored()
            if not kept:
                raise SignedOut("another process has signed out")
            self.tokens = kept
            if kept.access != bad and kept.expires_at_ms / 1000 - time.time() > EARLY_S:
                return  # another process has renewed it
        try:
            answer = await request("POST", self.url + "/api/token/refresh", {"refreshToken": self.tokens.refresh})
        except ApiError as refusal:
            if refusal.status == 401:
                raise SignedOut(str(refusal)) from None
            raise
        self.tokens = Tokens.of({"userId": self.tokens.user_id, "deviceId": self.tokens.device_id} | answer)
        self.kept()

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """A request as the signed-in user; renews the token once when it is refused."""
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        token = await self.access_token()
        try:
            return await request(method, url, body, token)
        except ApiError as refusal:
            if refusal.status != 401 or refusal.code == "bad_code":
                raise  # the token is good, and a wrong code is not to be tried twice
        return await request(method, url, body, await self.access_token(token))

    async def insist(self, method: str, path: str, body: Any = None, tries: int = 6, **query: Any) -> Any:
        """The same, but 429, 5xx and silence are asked again: for what is safe to repeat, as all that has a clientId is."""
        for attempt in range(tries):
            try:
                return await self.call(method, path, body, **query)
            except ApiError as refusal:
                if refusal.status not in REPEATED or attempt + 1 == tries:
                    raise
                await asyncio.sleep(refusal.retry_after_s + backoff(attempt))
        raise AssertionError("tries is at least 1")
