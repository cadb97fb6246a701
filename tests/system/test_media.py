# SPDX-License-Identifier: MIT
"""Files from one member to the others, kept in a folder: uploads, links, who may read what, and what goes wrong."""

import asyncio

import pytest
from client import MARK, scenario
from files import Files, png, sha256
from stack import wait_until

do = asyncio.to_thread


def files_of(net, device):
    f = Files(net.rest_url, device.tokens.access)

    class Closer:
        async def close(self):
            f.close()

    net.open.append(Closer())
    return f


async def shown(device, chat, media, content="", type="image"):
    """A message that shows it, by REST."""
    body = {"chatId": chat, "type": type, "content": content, "mediaId": media}
    return await device.rest.post("/api/messages", body)


@scenario()
async def test_a_picture_reaches_the_members(stack, net):
    alice, bob, mallory = await net.people("alice", "bob", "mallory")
    group = await net.group(alice, bob)
    a, b, m = files_of(net, alice), files_of(net, bob), files_of(net, mallory)
    data = png(seed=3) + bytes(3 << 20)  # what follows a picture's end is part of the file, not of the picture
    media = await do(a.send, group, data, sha256=sha256(data), name="machu picchu.png")

    assert (await do(b.get, media)).status_code == 404, "not shown to anybody yet"
    r = await shown(alice, group, media, f"{MARK} look")
    assert r.status == 201, r.body
    assert r.body["message"]["mediaId"] == media and r.body["message"]["media"]["contentType"] == "image/png"
    seen = await bob.sees(f"{MARK} look")
    assert seen.type == "image"
    for reader in (a, b):
        got = await do(reader.get, media)
        assert got.status_code == 200 and got.content == data
        assert got.headers["content-type"] == "image/png"
    assert (await do(m.get, media)).status_code == 404
    assert (await do(m.link, media)).status_code == 404
