# SPDX-License-Identifier: MIT
"""Browsers are woken: by a push service of the tests, where http_ece decrypts what came and py_vapid says who sent it."""
import os
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from client import MARK, scenario, until
from conftest import BASE_PORT
from look import record_when, records, routed, rows_when
from stack import ROOT, TEST_SETTINGS, Stack
from webpush import Browser, Service, sender, vapid_keys

SUBJECT = "mailto:push@example.org"
AT_ONCE = 8  # PUSH_IN_FLIGHT: one service of many has a quarter


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """One that answers, one that does not, one that is not listed."""
    folder = tmp_path_factory.mktemp("webpush")
    trap = Service(folder)
    good = Service(folder, moved_to=f"{trap.origin}/ok/moved")
    still = Service(folder)
    yield good, still, trap
    for service in (good, still, trap):
        service.stop()


CHASQUI = Path(os.environ.get("CHASQUI_BUILD") or ROOT / "build/release") / "chasqui"


@pytest.fixture(scope="module")
def keys():
    return vapid_keys(CHASQUI)


@pytest.fixture(scope="module")
def webbed(services, keys):
    good, still, _ = services
    settings = {**keys, "VAPID_SUBJECT": SUBJECT, "WEBPUSH_MORE": f"{good.origin},{still.origin}", "WEBPUSH_PRIVATE": "1",
                "PUSH_CA_FILE": good.ca_file, "PUSH_IN_FLIGHT": AT_ONCE, "PUSH_CONNECTIONS": AT_ONCE}
    with Stack(base_port=BASE_PORT + 640, settings=settings) as s:
        yield s.start()


async def register(device, browser: Browser, **more):
    path = f"/api/devices/{device.device_id}/push"
    return await device.rest.call("PUT", path, {"kind": "web", "subscription": browser.subscription(), **more})


async def subscribed(net, name: str, service: Service, mode: str = "ok", **more):
    """A user whose one device is a browser that is closed, and its subscription."""
    _, device = await net.user(name)
    browser = Browser(service.origin, mode)
    assert (await register(device, browser, **more)).status == 200
    return device, browser


async def outcome(stack, message: str, device, *results: str) -> dict:
    def mine(r):
        return r["messageId"] == message and r["deviceId"] == device.device_id and (r["outcome"] != "RETRIED" or "RETRIED" in results)

    found = await record_when(stack, "push.outcomes", mine, f"{message} to {device.name}", 60)
    assert found["outcome"] in results, found
    return found


@scenario(stack="webbed")
async def test_a_browser_is_woken(webbed, services, keys, net):
    good, _, _ = services
    (alice,) = await net.people("alice")
    bob, browser = await subscribed(net, "bob", good)
    config = (await alice.rest.get("/api/config")).body
    assert config["webPushKey"] == keys["VAPID_PUBLIC_KEY"]
    text = f"{MARK} hello \"there\" \N{WAVING HAND SIGN}"
    out = await alice.told(text, peer=bob.user_id)
    o = await outcome(webbed, out.id, bob, "ACCEPTED")
    assert (o["provider"], o["status"], o["attempt"]) == ("WEB", 201, 1)
    (came,) = good.of(browser)
    assert came["said"] == {"kind": "message", "chatId": out.chat_id, "messageId": out.id, "seq": out.seq, "badge": 1,
                            "title": "alice", "body": text}
    assert text.encode() not in came["body"] and (len(came["body"]) - 86 - 17) % 256 == 0
    h = came["headers"]
    assert (h["content-encoding"], h["urgency"]) == ("aes128gcm", "high") and 86000 < int(h["ttl"]) <= 86400
    claims = sender(came)
    assert (claims["aud"], claims["sub"], claims["k"]) == (good.origin, SUBJECT, config["webPushKey"])
    assert 0 < claims["exp"] - time.time() <= 24 * 3600

    # of a chat the newer replaces the older; a service does not see that two browsers share one
    carol, other = await subscribed(net, "carol", good, privacy="name", locale="de")
    group = await net.group(alice, bob, carol, name="club")
    told = [await alice.told(f"{MARK} {i} " + "\N{GRINNING FACE}" * 900, group) for i in range(2)]
    for device in (bob, carol):
        for o in told:
            await outcome(webbed, o.id, device, "ACCEPTED")
    one, two = [r for r in good.of(browser) if r["said"]["chatId"] == group and r["said"]["kind"] == "message"]
    assert one["headers"]["topic"] == two["headers"]["topic"] != h["topic"] and len(h["topic"]) <= 32
    assert one["said"]["title"] == "club" and one["said"]["body"].startswith(f"alice: {MARK} 0 ") and len(one["body"]) <= 4096
    third = [r for r in good.of(other) if r["said"]["kind"] == "message"][0]
    assert third["headers"]["topic"] != one["headers"]["topic"]
    assert (third["said"]["title"], third["said"]["body"]) == ("club", "Neue Nachricht")
    assert {r["headers"]["authorization"] for r in good.requests} == {h["authorization"]}, "one signature for all of a service"


@scenario(stack="webbed")
async def test_t54_only_listed_services_are_asked(webbed, services, net):
    good, _, trap = services
    alice, bob = await net.people("alice", "bob")
    fine = Browser(good.origin).subscription()
    port = good.origin.rpartition(":")[2]
    for endpoint in (f"{trap.origin}/ok/x", "https://localhost/x", "https://127.0.0.1/x", f"http://localhost:{port}/x", f"https://a@localhost:{port}/x",
                     f"https://localhost:{port}@evil.example/x", "https://[::1]/x", "https://fcm.googleapis.com:8443/x",
                     "https://fcm.googleapis.com.evil.example/x", "https://169.254.169.254/latest", "file:///etc/passwd", "x", ""):
        r = await bob.rest.call("PUT", f"/api/devices/{bob.device_id}/push", {"kind": "web", "subscription": {**fine, "endpoint": endpoint}})
        assert (r.status, r.code) == (400, "bad_request"), (endpoint, r)
    for wrong in ({"kind": "web"}, {"kind": "web", "token": f"{trap.origin}/x"}, {"kind": "web", "subscription": "x"},
                  {"kind": "web", "subscription": fine, "token": "ok:something"}, {"kind": "fcm_token", "token": "ok:something", "subscription": fine},
                  {"kind": "web", "subscription": {**fine, "keys": {**fine["keys"], "auth": "x"}}},
                  {"kind": "web", "subscription": {**fine, "endpoint": f"{good.origin}/{'x' * 1024}"}}):
        r = await bob.rest.call("PUT", f"/api/devices/{bob.device_id}/push", wrong)
        assert (r.status, r.code) == (400, "bad_request"), (wrong, r)

    # one that sends us elsewhere is not followed
    carol, _ = await subscribed(net, "carol", good, "moved")
    out = await alice.told(f"{MARK} follow me", peer=carol.user_id)
    o = await outcome(webbed, out.id, carol, "DROPPED")
    assert o["status"] == 307 and not trap.connections and not trap.requests


@scenario(stack="webbed")
async def test_what_a_service_answers(webbed, services, net):
    good, _, _ = services
    (alice,) = await net.people("alice")
    browsers = {mode: await subscribed(net, mode, good, mode) for mode in ("ok", "gone", "unknown", "foreign", "later", "flood", "heads")}
    device, _ = browsers["ok"]
    await outcome(webbed, (await alice.told(f"{MARK} first", peer=device.user_id)).id, device, "ACCEPTED")
    told = {mode: await alice.told(f"{MARK} {mode}", peer=device.user_id) for mode, (device, _) in browsers.items()}

    # what is gone is forgotten; so is a subscription with another key than ours, once the service took something with ours
    for mode in ("gone", "unknown", "foreign"):
        device, _ = browsers[mode]
        await outcome(webbed, told[mode].id, device, "TOKEN_DEAD")
        await rows_when(webbed, "SELECT 1 FROM view.push_targets WHERE device_id = %s", device.device_id, enough=lambda r: not r)

    # a wait without end is ten minutes, and parked
    device, _ = browsers["later"]
    o = await outcome(webbed, told["later"].id, device, "RETRIED")
    assert o["status"] == 429
    parked = await record_when(webbed, "mobile.push", lambda r: r["messageId"] == told["later"].id and r["attempt"] == 1, "what is parked")
    assert 8 * 60_000 < parked["notBeforeMs"] - time.time() * 1000 < 13 * 60_000

    # answers without an end are not read to it: a body says no more than its status, heads are trouble
    await outcome(webbed, told["flood"].id, browsers["flood"][0], "ACCEPTED")
    await until(lambda: len(good.of(browsers["heads"][1])) >= 2, 30, "another try")
    device, _ = browsers["ok"]
    await outcome(webbed, (await alice.told(f"{MARK} still here", peer=device.user_id)).id, device, "ACCEPTED")


@scenario(stack="webbed")
async def test_a_service_that_stands_still_holds_up_no_other(webbed, services, net):
    good, still, _ = services
    (alice,) = await net.people("alice")
    bob, _ = await subscribed(net, "bob", still, "stall")
    carol, _ = await subscribed(net, "carol", good)
    held = [await alice.told(f"{MARK} stuck {i}", peer=bob.user_id) for i in range(AT_ONCE + 1)]
    await until(lambda: still.most_stalled >= AT_ONCE // 4, 30, "what stands still")
    await routed(webbed, held[-1].id, bob.user_id)
    out = await alice.told(f"{MARK} past it", peer=carol.user_id)
    await outcome(webbed, out.id, carol, "ACCEPTED")
    # one that is not answered is hung up on after a while, and comes again
    assert still.most_stalled == AT_ONCE // 4, "no more than its share"
    assert not [r for _, _, r in await records(webbed, "push.outcomes") if r["deviceId"] == bob.device_id and r["outcome"] != "RETRIED"]
    still.go_on.set()
    for message in held:
        await outcome(webbed, message.id, bob, "ACCEPTED")


@scenario(stack="webbed")
async def test_what_is_read_elsewhere_is_taken_back(webbed, services, net):
    good, _, _ = services
    (alice,) = await net.people("alice")
    user, away = await net.user("rita")
    browser, alerts = Browser(good.origin), Browser(good.origin)
    assert (await register(away, browser)).status == 200
    loud = await user.device("web")
    assert (await register(loud, alerts, mode="notification")).status == 200
    tab = await user.device("web")
    await tab.online()
    out = await alice.told(f"{MARK} read me", peer=away.user_id)
    await tab.sees(out.content)
    for device in (away, loud):
        await outcome(webbed, out.id, device, "ACCEPTED")
    tab.read(out.chat_id, out.seq)

    def silent(device):
        return lambda r: (r["deviceId"], r["chatId"], r["messageId"]) == (device.device_id, out.chat_id, str(uuid.UUID(int=0)))

    o = await record_when(webbed, "push.outcomes", silent(away), "what was read", 60)
    assert o["outcome"] == "ACCEPTED"
    shown, gone = good.of(browser)
    assert gone["said"] == {"kind": "read", "chatId": out.chat_id, "seq": out.seq, "badge": 0}
    assert gone["headers"]["urgency"] == "normal" and gone["headers"]["topic"] == shown["headers"]["topic"]
    o = await record_when(webbed, "push.outcomes", silent(loud), "what was read", 60)
    assert (o["outcome"], o["detail"]) == ("DROPPED", "registered for alerts only") and len(good.of(alerts)) == 1


def test_check_config_judges_the_keys(keys):
    def said(**settings):
        env = {**TEST_SETTINGS, "DATABASE_URL": "postgresql://x", **{k: v for k, v in settings.items() if v is not None}}
        done = subprocess.run([CHASQUI, "check-config"], env=env, text=True, capture_output=True, timeout=30, check=False)
        assert "BEGIN PRIVATE" not in done.stdout + done.stderr
        return done.returncode, done.stderr.strip()

    good = {**keys, "VAPID_SUBJECT": SUBJECT}
    assert said(**good) == (0, "")
    for wrong, name in (({"VAPID_SUBJECT": None}, "VAPID_SUBJECT"), ({"VAPID_SUBJECT": "me"}, "VAPID_SUBJECT"), ({"VAPID_KEY": None}, "VAPID_KEY"),
                        ({"VAPID_KEY": "/nowhere"}, "VAPID_KEY"), ({"VAPID_PUBLIC_KEY": vapid_keys(CHASQUI)["VAPID_PUBLIC_KEY"]}, "VAPID_PUBLIC_KEY"),
                        ({"WEBPUSH_MORE": "http://push.example.org"}, "WEBPUSH_MORE"), ({"WEBPUSH_SERVICES": "Push.Example.org"}, "WEBPUSH_SERVICES")):
        code, text = said(**{**good, **wrong})
        assert code == 2 and name in text, (wrong, text)
