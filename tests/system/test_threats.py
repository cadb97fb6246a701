# SPDX-License-Identifier: MIT
"""Threats of docs/security.md that have no better place: T23, T25, T31, T42, T44.

Each check gets its answers from an `ask`. test_the_checks_bite gives it one that answers as it must not.
"""
import asyncio
import base64
import json
import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from client import MARK, scenario, until
from stack import ROOT, TEST_SETTINGS

EVILS = ("a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\0X-Evil: 1")
CHAT = "6e0b9d2c-4f1a-8b7e-a3d5-1c2b3a495867"
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
INTERNALS = re.compile(r"SELECT |INSERT |UPDATE |view\.|auth\.|media\.|libpq|librdkafka|ERROR:|SQLSTATE|\.c:\d|/home|/tmp|0x[0-9a-f]{6}|errno", re.I)
SECRET_FILES = re.compile(rb"root:x?:0:0|JWT_SECRET|DATABASE_URL|#include|SPDX-License")


class Answer(SimpleNamespace):
    """status, head (text, in lower case), headers (by name in lower case), body (bytes)."""

    @staticmethod
    def of(raw):
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        return Answer(status=int(lines[0].split()[1]) if len(lines[0].split()) > 1 else 0, head=head.decode("latin-1").lower(), body=body,
                      headers={k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:] if ":" in x)})


def asker(base_url, token=None):
    """ask(method, target, body, *headers): one request as it stands, on a connection of its own."""
    url = urlsplit(base_url)

    async def ask(method, target, body=None, *headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", *headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if data:
            lines += [f"Content-Length: {len(data)}"]
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        try:
            writer.write("".join(f"{x}\r\n" for x in lines).encode("latin-1") + b"\r\n" + data)
            return Answer.of(await asyncio.wait_for(reader.read(), 20))
        finally:
            writer.close()

    return ask


async def check_t23_line_feeds_in_values(ask):
    """What may reach a header, a log line or a push is refused with a line feed or NUL in it, or never stands there by itself."""
    for evil in EVILS:
        meta = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in (("chatId", CHAT), ("filename", evil)))
        quoted = evil.encode().hex("%")
        rows = [
            ("PATCH", "/api/me", {"name": evil}), ("POST", "/api/register", {"name": evil, "phoneNumber": "+4915550000001"}),
            ("POST", "/api/chats", {"clientId": "c", "name": evil, "members": []}),
            ("POST", "/api/messages", {"chatId": CHAT, "clientId": evil, "type": "text", "content": "x"}),
            ("POST", "/api/media", {"chatId": CHAT, "type": "image", "size": 5, "name": evil}),
            ("POST", "/api/media", {"chatId": CHAT, "type": "image", "size": 5, "contentType": evil}),
            ("POST", "/api/media/uploads", None, "Tus-Resumable: 1.0.0", "Upload-Length: 5", f"Upload-Metadata: {meta}"),
            ("POST", "/api/login", {"phoneNumber": evil}), ("GET", f"/api/sync?cursor=%{quoted}"),
            ("GET", f"/api/chats/{CHAT}/messages?before=%{quoted}"), ("GET", f"/api/media/{CHAT}?user=%{quoted}"),
        ]
        for method, target, *more in rows:
            got = await ask(method, target, *more)
            assert 400 <= got.status < 500, f"{method} {target} {more}: {got.status}"
            assert "x-evil" not in got.head, f"{method} {target}: {got.head}"


async def check_t25_paths_lead_nowhere(ask):
    outside = ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%2e%2e%2f%2e%2e%2fetc/passwd", "/etc/passwd",
               "..\\..\\etc\\passwd", "....//....//etc/passwd", "%c0%ae%c0%ae/etc/passwd", "..;/etc/passwd", "%00/etc/passwd",
               "../../../../../../proc/self/environ", "../../CMakeLists.txt", "../rest/http.c", "%2e%2e/rest/http.c"]
    for place in ("/", "/api/media/", f"/api/media/{CHAT}/", f"/api/media/{CHAT}%00", "//"):
        for path in outside:
            got = await ask("GET", place + path)
            assert got.status in (400, 404, 405), f"{place + path}: {got.status}"
            assert not SECRET_FILES.search(got.body), f"{place + path}: {got.body[:80]}"
    for path in ("/icon.svg%00.html", "/index.html%00", "/%00index.html", "/index.html/", "/index.html%2f", "/v/../../chasqui", "/v/%2e%2e/%2e%2e/chasqui", "http://127.0.0.1/../../etc/passwd"):
        got = await ask("GET", path)
        assert got.status in (301, 400, 404), f"{path}: {got.status}"


async def check_t44_errors_say_nothing_of_the_inside(ask):
    tus = "Tus-Resumable: 1.0.0"
    rows = [("GET", "/api/nothing", None), ("DELETE", "/api/me", None), ("POST", "/api/messages", b"{"), ("POST", "/api/messages", {}),
            ("POST", "/api/messages", b"[" * 100), ("POST", "/api/login", b"x" * 70000), ("GET", f"/api/chats/{CHAT}", None),
            ("GET", "/api/sync?cursor=!!!", None), ("POST", "/api/token/refresh", {"refreshToken": "x"}),
            ("PATCH", f"/api/media/{CHAT}/upload", b"x", tus, "Content-Type: text/plain"), ("POST", "/api/media/uploads", None),
            ("POST", "/api/chats", {"clientId": "c", "name": "'; DROP TABLE auth.accounts; --", "members": ["'"]}),
            ("GET", f"/api/chats/{CHAT}/messages?limit=1'", None), ("PUT", f"/api/chats/{CHAT}/members/{CHAT}", {"role": "owner'"})]
    for method, target, *more in rows:
        got = await ask(method, target, *more)
        what = f"{method} {target}: {got.status} {got.body[:200]}"
        assert 400 <= got.status < 500, what
        error = json.loads(got.body)
        assert list(error) == ["error"] and set(error["error"]) <= {"code", "message", "requestId"}, what
        assert ID.fullmatch(error["error"]["requestId"]), what
        assert not INTERNALS.search(got.body.decode()) and got.headers.get("server", "chasqui") == "chasqui", what


CHECKS = [check_t23_line_feeds_in_values, check_t25_paths_lead_nowhere, check_t44_errors_say_nothing_of_the_inside]


@scenario(limit_s=60)
async def test_t23_line_feeds_in_values(stack, net):
    (alice,) = await net.people("alice")
    await check_t23_line_feeds_in_values(asker(stack.rest_url(), alice.tokens.access))
    for proc in stack.roles():
        assert not re.search(r"^X-Evil", Path(proc.log_path).read_text(errors="replace"), re.M), proc.name


@scenario(limit_s=60)
async def test_t25_paths_lead_nowhere(stack, net):
    (alice,) = await net.people("alice")
    await check_t25_paths_lead_nowhere(asker(stack.rest_url(), alice.tokens.access))


@scenario(limit_s=60)
async def test_t44_errors_say_nothing_of_the_inside(stack, net):
    (alice,) = await net.people("alice")
    await check_t44_errors_say_nothing_of_the_inside(asker(stack.rest_url(), alice.tokens.access))


def nobody_came(visits):
    assert not visits, f"something asked for an address that a client named: {visits}"


@scenario(limit_s=60)
async def test_t31_nobody_fetches_what_clients_name(stack, net):
    """Content, names and push addresses with a link in them: nothing of ours opens it."""
    visits = []

    async def visit(reader, writer):
        visits.append(await reader.read(100))
        writer.close()

    trap = await asyncio.start_server(visit, "127.0.0.1", 0)
    link = f"http://127.0.0.1:{trap.sockets[0].getsockname()[1]}/x.png"
    alice, bob = await net.people("alice", "bob")
    out = await alice.told(f"{MARK} {link}", peer=bob.user_id, beside={"preview": {"url": link, "title": link, "description": link}})
    assert (await bob.sees(out.content)).beside["preview"]["url"] == link
    assert (await alice.rest.call("PATCH", "/api/me", {"name": link[:90]})).status == 200
    push = {"kind": "fcm_token", "token": link, "app": link, "locale": "en"}
    assert (await bob.rest.call("PUT", f"/api/devices/{bob.device_id}/push", push)).status in (200, 400)
    media = {"chatId": out.verdict["chatId"], "type": "image", "size": 5, "name": "x", "contentType": link.replace(":", "")}
    assert (await alice.rest.post("/api/media", media)).status in (200, 201, 400, 404)
    again = await alice.told(f"{MARK} after all that", peer=bob.user_id)
    await bob.sees(again.content)

    async def renamed():
        return (await alice.rest.get("/api/me")).body["name"] == link[:90]

    await until(renamed, 20, "the name in the view")
    nobody_came(visits)
    trap.close()


def shown_secrets(texts):
    """Secrets that stand in any of {place: text}."""
    secrets = (TEST_SETTINGS["JWT_SECRET"], TEST_SETTINGS["PHONE_PEPPER"])
    return [f"{place} shows {secret[:8]}…" for place, text in texts.items() for secret in secrets if secret in text]


def settings_of_others(table, role, environment):
    """Settings in a role's environment that the table does not name for it. `table`: setting → roles."""
    return sorted(name for name in environment if table.get(name, "all") != "all" and role not in table[name].split(", "))


def test_t42_each_role_has_its_own_settings_only(stack):
    """So a hole in one role shows the secrets of no other: as compose/supervise starts them, by the same code."""
    rows = [line.split(" | ") for line in (ROOT / "docs/settings.md").read_text().splitlines() if line.startswith("| `")]
    table = {row[0].strip("| `"): row[5] for row in rows}
    secret = {row[0].strip("| `") for row in rows if row[4] == "yes"}
    assert set(table["JWT_SECRET"].split(", ")) == {"edge-rest", "edge-ws"} and {"JWT_SECRET", "DATABASE_URL", "KAFKA_PASSWORD"} <= secret
    seen = set()
    for proc in stack.roles():
        raw = Path(f"/proc/{proc.pid}/environ").read_bytes().decode()
        names = {pair.partition("=")[0] for pair in raw.split("\0") if pair}
        assert settings_of_others(table, proc.name.rsplit("-", 1)[0], names) == [], proc.name
        seen |= names
    assert {"JWT_SECRET", "PHONE_PEPPER", "DATABASE_URL"} <= seen  # they are there, where they belong


@scenario(limit_s=60)
async def test_t42_secrets_stay_in_the_environment(stack, net):
    """Not in arguments, logs or metrics; and what shows metrics is no door of the clients'."""
    import urllib.request

    await net.people("alice")
    texts = {}
    for proc in stack.roles():
        texts[f"{proc.name}'s arguments"] = Path(f"/proc/{proc.pid}/cmdline").read_bytes().decode().replace("\0", " ")
        texts[f"{proc.name}'s log"] = Path(proc.log_path).read_text(errors="replace")
        role, i = proc.name.rsplit("-", 1)
        url = f"http://127.0.0.1:{stack.services.metrics_port(role, int(i))}/metrics"
        texts[f"{proc.name}'s metrics"] = await asyncio.to_thread(lambda u=url: urllib.request.urlopen(u, timeout=10).read().decode())
    assert len(texts) >= 3 * 8 and all(texts.values())
    assert shown_secrets(texts) == []
    for door in (stack.rest_url(), stack.ws_url().replace("ws://", "http://").removesuffix("/ws")):
        for path in ("/metrics", "/admin", "/debug"):
            assert (await asker(door)("GET", path)).status == 404, door + path


@scenario()
async def test_members_have_their_form(stack, net):
    """Found by schemathesis: a place above 2^53 was taken as read, an object as a locale or a number."""
    alice, bob = await net.people("alice", "bob")
    out = await alice.told(f"{MARK} hello", peer=bob.user_id)
    chat = out.verdict["chatId"]

    async def there():
        return (await bob.rest.get(f"/api/chats/{chat}")).status == 200

    await until(there, 20, "the chat in the view")
    for seq in (2**53, 2**63 - 1, 0, -1, "1"):
        r = await bob.rest.post(f"/api/chats/{chat}/read", {"seq": seq})
        assert (r.status, r.code) == (400, "bad_request"), seq
    address = {"kind": "fcm_token", "token": "a-token-of-bob"}
    for more in ({"locale": {}}, {"locale": 5}, {"app": []}):
        r = await bob.rest.call("PUT", f"/api/devices/{bob.device_id}/push", {**address, **more})
        assert (r.status, r.code) == (400, "bad_request"), more
    r = await bob.rest.post("/api/contacts/lookup", {"phoneNumbers": ["no number", {}]})
    assert (r.status, r.code) == (400, "bad_request")
    r = await bob.rest.post("/api/login", {"phoneNumber": net.phone(), "refreshToken": {}})
    assert (r.status, r.code) == (400, "bad_request")
    for path in ("/healthz", "/readyz"):
        r = await bob.rest.call("DELETE", path)
        assert (r.status, r.code, r.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD"), path
        assert (await bob.rest.call("GET", path)).status == 200


# ---- answers that must not be --------------------------------------------------------------------

ERROR = b'{"error":{"code":"x","message":"%s","requestId":"6e0b9d2c-4f1a-8b7e-a3d5-1c2b3a495867"}}'
SPOILED = {
    "t23": [b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.1 400 Bad\r\nContent-Disposition: a\r\nX-Evil: 1\r\n\r\n{}"],
    "t25": [b"HTTP/1.1 404 Not Found\r\n\r\nroot:x:0:0:root", b"HTTP/1.1 200 OK\r\n\r\n<html>"],
    "t44": [b"HTTP/1.1 400 Bad\r\n\r\n" + ERROR % b"ERROR:  relation view.chats", b"HTTP/1.1 500 Internal\r\n\r\n" + ERROR % b"x",
            b"HTTP/1.1 400 Bad\r\n\r\n" + ERROR.replace(b"requestId", b"trace") % b"x", b"HTTP/1.1 400 Bad\r\nServer: h2o\r\n\r\n" + ERROR % b"x"],
}


@pytest.mark.parametrize(("check", "raw"), [(c, raw) for c in CHECKS for raw in SPOILED[c.__name__.split("_")[1]]])
def test_the_checks_bite(check, raw):
    async def ask(*_):
        return Answer.of(raw)

    with pytest.raises(AssertionError):
        asyncio.run(check(ask))


def test_the_other_checks_bite():
    with pytest.raises(AssertionError):
        nobody_came([b"GET /x.png"])
    assert settings_of_others({"JWT_SECRET": "edge-rest, edge-ws"}, "chat", {"JWT_SECRET", "PATH"}) == ["JWT_SECRET"]
    assert shown_secrets({"a log": f"started with {TEST_SETTINGS['JWT_SECRET']}"}) and not shown_secrets({"a log": "started"})
