#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Answers each message: example.py URL NUMBER NAME (of a development server, which shows the code)."""
import asyncio
import sys

from chasqui import Client, sign_in


async def main(url: str, number: str, name: str) -> None:
    session = await sign_in(url, number, name)
    async with Client(session) as client:
        async for event in client:
            if event["t"] == "caught_up":
                print("ready", session.user_id, flush=True)
            elif event["t"] == "message" and event["from"] != session.user_id:
                client.read(event)
                asyncio.create_task(client.reply(event, f"you said: {event['content']}"))


asyncio.run(main(*sys.argv[1:]))
