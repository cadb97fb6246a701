# SPDX-License-Identifier: MIT
"""Users and chats for a load, made over REST as any client would; tokens are kept fresh."""

import asyncio
import time

import aiohttp

AT_A_TIME = 16
FRESH_S = 240  # a token older than this is renewed before a run


class People:
    """A growing pool of users; chats between the first of them are made on demand and kept."""

    def __init__(self, rest_url, seed):
        self.rest_url, self.seed = rest_url, seed
        self.users = []  # {"userId", "accessToken", "refreshToken", "at"}
        self.direct = {}  # (i, j) -> chat id
        self.groups = {}  # (first, size) -> chat id

    async def _call(self, session, method, path, body, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for attempt in range(30):
            async with session.request(method, self.rest_url + path, json=body, headers=headers) as answer:
                if answer.status in (429, 503):
                    await answer.read()
                    await asyncio.sleep(0.1 * (attempt + 1))
                    continue
                text = await answer.text()
                if answer.status >= 300:
                    raise RuntimeError(f"{method} {path}: {answer.status} {text}")
                return await answer.json()
        raise RuntimeError(f"{method} {path}: still refused")

    async def _many(self, jobs):
        """Run coroutine functions taking a session, some at a time, in no order; their results in order."""
        queue = iter(list(enumerate(jobs)))
        results = [None] * len(jobs)

        async def worker(session):
            for i, job in queue:
                results[i] = await job(session)

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            await asyncio.gather(*(worker(session) for _ in range(min(AT_A_TIME, len(jobs)))))
        return results

    def need(self, n):
        """At least n users, all with tokens that last for a run."""
        asyncio.run(self._need(n))

    async def _need(self, n):
        async def renew(session, user):
            answer = await self._call(session, "POST", "/api/token/refresh", {"refreshToken": user["refreshToken"]})
            user.update(answer, at=time.monotonic())

        old = [u for u in self.users[:n] if time.monotonic() - u["at"] > FRESH_S]
        await self._many([lambda s, u=u: renew(s, u) for u in old])

        async def register(session, number):
            phone = f"+99{self.seed:06d}{number:07d}"
            started = await self._call(session, "POST", "/api/register", {"name": f"Load {number}", "phoneNumber": phone})
            proof = {"challenge": started["challenge"], "code": started["devCode"], "platform": "web"}
            return {**await self._call(session, "POST", "/api/verify", proof), "at": time.monotonic()}

        self.users += await self._many([lambda s, i=i: register(s, i) for i in range(len(self.users), n)])

    def sync(self, numbers):
        """The first sync of each of these users."""
        async def first(session, user):
            await self._call(session, "GET", "/api/sync", None, user["accessToken"])

        asyncio.run(self._many([lambda s, u=self.users[i]: first(s, u) for i in numbers]))

    def pairs(self, n):
        """Chat ids of n direct chats, of users 0 and 1, 2 and 3, …"""
        async def open_chat(session, i, j):
            body = {"userId": self.users[j]["userId"]}
            answer = await self._call(session, "POST", "/api/chats", body, self.users[i]["accessToken"])
            self.direct[i, j] = answer["chat"]["chatId"]

        wanted = [(2 * k, 2 * k + 1) for k in range(n)]
        jobs = [lambda s, i=i, j=j: open_chat(s, i, j) for i, j in wanted if (i, j) not in self.direct]
        asyncio.run(self._many(jobs))
        return [(self.direct[pair], pair) for pair in wanted]

    def some_groups(self, n, size):
        """n groups of `size` users each, none in two of them."""
        async def create(session, first):
            ids = [u["userId"] for u in self.users[first:first + size]]
            body = {"name": f"Group {first}", "members": ids[1:], "clientId": f"bench-{first}-{size}"}
            answer = await self._call(session, "POST", "/api/chats", body, self.users[first]["accessToken"])
            self.groups[first, size] = answer["chat"]["chatId"]

        starts = [k * size for k in range(n)]
        asyncio.run(self._many([lambda s, f=f: create(s, f) for f in starts if (f, size) not in self.groups]))
        return [(self.groups[f, size], range(f, f + size)) for f in starts]
