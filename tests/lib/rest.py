# SPDX-License-Identifier: MIT
"""One REST caller, signing in, and the secrets that tests look for in logs."""
from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Callable

import aiohttp

SIGN_IN_LIMIT_S = 30.0


class Secrets:
    """What must never be seen in a log: gathered by every client of the process."""

    contents: set[str] = set()
    tokens: set[str] = set()
    phones: set[str] = set()


class ApiError(Exception):
    def __init__(self, what: str, reply: "Reply"):
        super().__init__(f"{what}: {reply.status} {reply.body}")
        self.reply = reply


@dataclass
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: Any

    @property
    def code(self) -> str | None:
        try:
            return self.body["error"]["code"]
        except (TypeError, KeyError):
            return None


class Rest:
    """One caller. `token` may be a text or a function that gives one."""

    def __init__(self, base_url: str, token: str | Callable[[], str | None] | None = None, timeout_s: float = 30):
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def call(self, method: str, path: str, body: Any = None, params: dict | None = None,
                   token: str | None = None, expect: int | tuple[int, ...] | None = None) -> Reply:
        """A reply, whatever its status, unless `expect` names others. No connection: status 0."""
        if not self._session:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        token = token or (self.token() if callable(self.token) else self.token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._session.request(method, self.base_url + path, json=body, params=params,
                                             headers=headers) as r:
                raw = await r.read()
                try:
                    parsed = json.loads(raw) if raw else None
                except ValueError:
                    parsed = raw.decode("utf-8", "replace")
                reply = Reply(r.status, {k.lower(): v for k, v in r.headers.items()}, parsed)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as e:
            reply = Reply(0, {}, f"{type(e).__name__}: {e}")
        if expect is not None and reply.status not in (expect if isinstance(expect, tuple) else (expect,)):
            raise ApiError(f"{method} {path}", reply)
        return reply

    async def get(self, path: str, expect: int | tuple[int, ...] | None = None, **params) -> Reply:
        return await self.call("GET", path, params={k: str(v) for k, v in params.items()}, expect=expect)

    async def post(self, path: str, body: Any, expect: int | tuple[int, ...] | None = None) -> Reply:
        return await self.call("POST", path, body, expect=expect)


@dataclass
class Tokens:
    user_id: str
    device_id: str
    access: str
    refresh: str

    @staticmethod
    def of(body: dict) -> "Tokens":
        Secrets.tokens.update((body["accessToken"], body["refreshToken"]))
        return Tokens(body["userId"], body["deviceId"], body["accessToken"], body["refreshToken"])


async def sign_in(rest: Rest, phone: str, name: str | None = None, platform: str = "android",
                  label: str = "test") -> Tokens:
    """Register (with a name) or log in, with the development code. 503 means: from the beginning, a little later."""
    Secrets.phones.add(phone)
    end = asyncio.get_running_loop().time() + SIGN_IN_LIMIT_S
    while True:
        path, body = ("/api/login", {"phoneNumber": phone}) if name is None else (
            "/api/register", {"name": name, "phoneNumber": phone})
        r = await rest.call("POST", path, body)
        if r.status == 200:
            body = {"challenge": r.body["challenge"], "code": r.body["devCode"], "platform": platform, "label": label}
            path = "/api/verify"
            r = await rest.call("POST", path, body)
        if r.status == 200:
            return Tokens.of(r.body)
        if r.status != 503 or asyncio.get_running_loop().time() > end:
            raise ApiError(f"POST {path}", r)
        await asyncio.sleep(min(float(r.headers["retry-after"]), 2.0))


async def register_push(rest: Rest, device_id: str, kind: str = "fcm_token", token: str | None = None, caller: str | None = None,
                        **more) -> str:
    """Say where the device can be woken. 503 means: again, a little later. The token. `caller`: an access token other than that of `rest`."""
    token = token or f"token-of-{device_id}"
    Secrets.tokens.add(token)
    end = asyncio.get_running_loop().time() + SIGN_IN_LIMIT_S
    while True:
        r = await rest.call("PUT", f"/api/devices/{device_id}/push", {"kind": kind, "token": token, **more}, token=caller)
        if r.status == 200:
            return token
        if r.status != 503 or asyncio.get_running_loop().time() > end:
            raise ApiError("PUT a push address", r)
        await asyncio.sleep(min(float(r.headers.get("retry-after", 1)), 2.0))
