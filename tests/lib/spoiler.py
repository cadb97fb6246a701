# SPDX-License-Identifier: MIT
"""A server between a client and a stack that passes everything on, but for what a test spoils."""
from __future__ import annotations

import asyncio
import json
from typing import Any, Callable

import aiohttp
from aiohttp import web

HOP = ("content-length", "transfer-encoding", "content-encoding", "connection", "date", "server")


class Close(Exception):
    """Raised by a hook of frames: the client's socket is closed with this code; 0: reset."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


class Spoiler:
    """`async with Spoiler(rest_url, ws_url, …) as url`. The hooks may be None, and get the frame as a dict:

    up(frame), down(frame)    a list of what goes on in place of it
    back(frame)               what is sent to the client in place of a frame of its own that goes no further; None: it goes on
    rest(method, path, body)  (status, headers, JSON) in place of an answer, or None
    answer(path, JSON)        the JSON to answer with
    """

    def __init__(self, rest_url: str, ws_url: str, up: Callable | None = None, down: Callable | None = None, back: Callable | None = None,
                 rest: Callable | None = None, answer: Callable | None = None):
        self.rest_url, self.ws_url = rest_url, ws_url
        self.up, self.down, self.back = up or (lambda f: [f]), down or (lambda f: [f]), back or (lambda f: None)
        self.rest, self.answer = rest or (lambda *_: None), answer or (lambda path, body: body)
        self.sent: list[dict] = []  # frames of clients, as they came
        self.sockets = 0

    async def __aenter__(self) -> str:
        self._session = aiohttp.ClientSession()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/ws", self._socket)
        app.router.add_route("*", "/{path:.*}", self._request)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        return self.url

    async def __aexit__(self, *_) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def _request(self, request: web.Request) -> web.Response:
        body = await request.read()
        instead = self.rest(request.method, request.path, body)
        if instead:
            status, headers, said = instead
            return web.json_response(said, status=status, headers=headers)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in (*HOP, "host")}
        async with self._session.request(request.method, self.rest_url + request.raw_path, data=body or None, headers=headers) as reply:
            raw = await reply.read()
            kept = {name: value for name, value in reply.headers.items() if name.lower() not in HOP}
            if reply.status < 300 and raw and "json" in reply.headers.get("content-type", ""):
                said: Any = self.answer(request.path, json.loads(raw))
                if request.path == "/api/config":
                    said["wsUrl"] = self.url.replace("http", "ws") + "/ws"
                raw = json.dumps(said).encode()
            return web.Response(status=reply.status, body=raw, headers=kept)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        self.sockets += 1
        client = web.WebSocketResponse(compress=False, max_msg_size=1 << 22)
        await client.prepare(request)
        headers = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
        async with self._session.ws_connect(self.ws_url, max_msg_size=1 << 22, headers=headers) as server:
            tasks = [asyncio.create_task(self._pass(client, server, True)), asyncio.create_task(self._pass(server, client, False))]
            try:
                done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in rest:
                    task.cancel()
                await asyncio.gather(*rest, return_exceptions=True)
                next(iter(done)).result()
            except Close as close:
                if close.code:
                    await client.close(code=close.code)
                elif request.transport:
                    request.transport.abort()
            else:
                code = server.close_code if server.closed else client.close_code
                usual = code if code and code not in (1005, 1006) else 1000
                await client.close(code=usual)
                await server.close(code=usual)
        return client

    async def _pass(self, source, sink, upward: bool) -> None:
        async for message in source:
            if message.type == aiohttp.WSMsgType.BINARY:
                await sink.send_bytes(message.data)
                continue
            if message.type != aiohttp.WSMsgType.TEXT:
                continue
            try:
                frame = json.loads(message.data)
            except ValueError:
                await sink.send_str(message.data)
                continue
            if upward:
                self.sent.append(frame)
                said = self.back(frame)
                if said:
                    await source.send_str(json.dumps(said))
                    continue
            for out in (self.up if upward else self.down)(frame):
                await sink.send_str(message.data if out is frame else json.dumps(out, ensure_ascii=False))
