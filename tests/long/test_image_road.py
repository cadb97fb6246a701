# SPDX-License-Identifier: MIT
"""All roles in the folder that is the container image (tests/trixie makes it), as its user; Kafka and PostgreSQL beside
it: people register, chat, are woken, and send a picture."""
import asyncio
import os
import shutil
from pathlib import Path

import pytest
from client import MARK, scenario, until
from files import Files, png, sha256
from look import all_end_in_good_order, log_faults
from push import Doubles
from stack import Stack
from system_conftest import BASE_PORT

IMAGE = os.environ.get("CHASQUI_IMAGE")
pytestmark = pytest.mark.skipif(not IMAGE, reason="CHASQUI_IMAGE names no folder: tests/trixie makes one")
PROGRAM = """#!/bin/sh
exec chroot --userspec=chasqui:chasqui {image} /usr/local/bin/chasqui "$@"
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The folder, with a place for what the roles share; and a program that enters it."""
    inside = Path(IMAGE)
    road = inside / "road"
    shutil.rmtree(road, ignore_errors=True)
    (road / "media").mkdir(parents=True)
    user = next(line.split(":") for line in (inside / "etc/passwd").read_text().splitlines() if line.startswith("chasqui:"))
    os.chown(road / "media", int(user[2]), int(user[3]))
    build = tmp_path_factory.mktemp("image")
    (build / "chasqui").write_text(PROGRAM.format(image=inside))
    (build / "chasqui").chmod(0o755)
    return inside, build


@pytest.fixture(scope="module")
def doubles(image):
    d = Doubles(image[0] / "road/push", BASE_PORT + 603, BASE_PORT + 604)
    for path in d.folder.iterdir():
        path.chmod(0o644)
    try:
        yield d.start()
    finally:
        d.stop()


@pytest.fixture(scope="module")
def road(image, doubles):
    inside, build = image
    settings = {name: str(value).removeprefix(str(inside)) for name, value in doubles.settings().items()}
    settings |= {"MEDIA_STORE": "local:/road/media", "LOG_DISK": "", "WEB_ROOT": "/usr/local/share/chasqui/web"}
    with Stack(build=build, base_port=BASE_PORT + 620, settings=settings) as s:
        yield s.start()


@scenario(limit_s=180, stack="road")
async def test_the_road_in_the_image(road, net, doubles):
    doubles.control(fcm="ok", apns="ok", oauth="ok")
    alice, bob = await net.people("alice", "bob")
    out = await alice.told(f"{MARK} in the image", peer=bob.user_id)
    await bob.sees(out.content)
    await alice.wait(lambda: alice.tick(out) == "delivered", 30, "the second tick")

    _, phone = await net.user("carol")
    await phone.rest.call("PUT", f"/api/devices/{phone.device_id}/push", {"kind": "fcm_token", "token": "ok:carol-1234"}, expect=200)
    pushed = await alice.told(f"{MARK} wake up", peer=phone.user_id)
    await until(lambda: asyncio.to_thread(doubles.pushes, pushed.id), 60, "Google's double to be asked")

    chat, picture = out.chat_id, png(640, 480)
    mine, theirs = (Files(f"http://127.0.0.1:{road.services.rest_port(0)}", d.tokens.access) for d in (alice, bob))
    try:
        media = await asyncio.to_thread(mine.send, chat, picture)
        body = {"chatId": chat, "content": f"{MARK} look", "type": "image", "mediaId": media, "clientId": "picture"}
        await alice.rest.call("POST", "/api/messages", body, expect=201)
        await bob.sees(f"{MARK} look")
        r = await asyncio.to_thread(theirs.call, "GET", f"/api/media/{media}")
        assert r.status_code == 200 and sha256(r.content) == sha256(picture)

        async def small():
            return (await asyncio.to_thread(mine.call, "GET", f"/api/media/{media}/thumbnail")).status_code == 200

        await until(small, 60, "the thumbnail, made by a process of the image")
    finally:
        mine.close()
        theirs.close()


def test_the_roles_end_in_good_order(road):
    asyncio.run(all_end_in_good_order(road))
    assert log_faults(road) == []
