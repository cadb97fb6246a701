# SPDX-License-Identifier: MIT
"""What strangers may do to accounts: codes, guesses, lookups, devices, chats with nobody. Edges at their default limits.

Each test speaks from a loopback address of its own, so that no other test's budget is touched.
"""
import asyncio
import http.server
import itertools
import threading
import uuid

import aiohttp
import metrics
import pytest
from client import MARK, Rest, scenario, sign_in, until
from conftest import BASE_PORT
from look import one_more
from rest import Reply
from stack import Stack

EDGE, DOOR, HOOK = BASE_PORT + 700, BASE_PORT + 701, BASE_PORT + 702
addresses = itertools.count(2)
LIMITS = ("CODE_", "GUESS_", "LINK_", "LOOKUP_", "RATE_")  # raised by TEST_SETTINGS


def an_edge(stack, **settings):
    """One more edge-rest of the stack, at the default limits but for `settings`."""
    env = {"REST_LISTEN": f"127.0.0.1:{EDGE}", "METRICS_LISTEN": f"127.0.0.1:{DOOR}", "CODE_DRIVER": "log", **settings}
    return one_more(stack, "edge-rest", "edge-rest-strict", env, without=LIMITS)


class From(Rest):
    """A caller at a loopback address of its own."""

    def __init__(self, base_url=f"http://127.0.0.1:{EDGE}", address=None, token=None):
        super().__init__(base_url, token)
        self.address = address or f"127.0.0.{next(addresses)}"

    async def call(self, *args, **kw) -> Reply:
        if not self._session:
            connector = aiohttp.TCPConnector(local_addr=(self.address, 0), limit=0, force_close=True)
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        return await super().call(*args, **kw)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.close()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128


class Provider:
    """A double of a provider of codes. `gate` holds every answer back; `status` is what it says."""

    def __init__(self):
        self.gate, self.status, self.got = threading.Event(), 200, []
        self.gate.set()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                provider.got.append(self.rfile.read(int(self.headers["content-length"])))
                provider.gate.wait(30)
                self.send_response(provider.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *a):
                pass

        self.server = Server(("127.0.0.1", HOOK), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


WEBHOOK = {"CODE_DRIVER": "webhook", "CODE_WEBHOOK_URL": f"http://127.0.0.1:{HOOK}/sms", "RATE_PER_MINUTE": "100000000",
           "CODE_PER_ADDRESS_HOUR": "100000"}


def log_has(proc, event):
    return any(line.get("event") == event for line in proc.log_lines())


@scenario()
async def test_a_provider_that_hangs_holds_up_nobody(stack, net):
    """The provider answers nothing at all: whoever asks for a code or for anything else is answered, the lane fills to its
    bound, and beyond it 503 with Retry-After."""
    (alice,) = await net.people("alice")
    with Provider() as provider, an_edge(stack, **WEBHOOK) as edge:
        provider.gate.clear()
        async with From() as stranger, From(token=alice.tokens.access) as victim:
            async def ask():
                return await stranger.post("/api/login", {"phoneNumber": net.phone()})

            answers = await asyncio.gather(*(ask() for _ in range(300)))
            taken = [r for r in answers if r.status == 200]
            refused = [r for r in answers if r.status == 503]
            assert len(taken) == 256 and len(refused) == 44, [r.status for r in answers]
            assert all(r.code == "unavailable" and int(r.headers["retry-after"]) >= 1 for r in refused)
            assert (await victim.get("/api/me")).status == 200
            shown = metrics.read(DOOR)
            assert shown["codes_held"] == 256 and shown["codes_refused_total"] == 44
            await until(lambda: len(provider.got) == 32, 20, lambda: f"32 requests under way, there are {len(provider.got)}")
            provider.gate.set()
            await until(lambda: metrics.read(DOOR)["codes_sent_total"] == 256, 30, "what waits to leave")
            assert (await ask()).status == 200


@scenario()
async def test_a_provider_that_fails_is_left_alone_and_tried_again(stack, net):
    with Provider() as provider, an_edge(stack, **WEBHOOK) as edge:
        async with From() as asker:
            async def ask():
                return await asker.post("/api/login", {"phoneNumber": net.phone()})

            provider.status = 422  # of a number, not of the provider
            for n in range(6):
                assert (await ask()).status == 200
                await until(lambda: metrics.read(DOOR)["codes_failed_total"] == n + 1, 20, "its answer to be read")
            assert metrics.read(DOOR)["codes_paused"] == 0
            provider.status = 500
            for n in range(5):
                assert (await ask()).status == 200
                await until(lambda: metrics.read(DOOR)["codes_failed_total"] == n + 7, 20, "its answer to be read")
            r = await ask()
            assert (r.status, r.code) == (503, "unavailable") and int(r.headers["retry-after"]) >= 1
            assert metrics.read(DOOR)["codes_paused"] == 1 and len(provider.got) == 11
            await until(lambda: log_has(edge, "code_provider_paused"), 20, "the log to say so")
            provider.status = 200

            async def works():
                return (await ask()).status == 200

            await until(works, 30, "a trial to be let through")
            await until(lambda: metrics.read(DOOR)["codes_paused"] == 0, 20, "the breaker to close")
            await until(lambda: log_has(edge, "code_provider_works"), 20, "the log to say so")


# --- Codes and guesses --------------------------------------------------------------------------

# more requests than the default limits have in a minute: what is tested are the budgets behind them
QUICK = {"RATE_PER_MINUTE": "100000000"}


def wrong(challenge, n=1):
    return {"challenge": challenge["challenge"], "code": f"{(int(challenge['devCode']) + n) % 1000000:06d}"}


def right(challenge):
    return {"challenge": challenge["challenge"], "code": challenge["devCode"]}


async def a_code(caller, phone, **more):
    return (await caller.post("/api/login", {"phoneNumber": phone, **more}, expect=200)).body


async def limited(caller, phone, what, status=429, **more):
    r = await caller.post("/api/login", {"phoneNumber": phone, **more})
    assert (r.status, r.code) == (status, "rate_limited" if status == 429 else "unavailable"), r
    assert what in r.body["error"]["message"] and int(r.headers["retry-after"]) >= 1
    return int(r.headers["retry-after"])


@scenario()
async def test_t35_codes(stack, net):
    """Six digits, five tries, one use, hashed at rest; three an hour for a number, thirty for an address, whatever restarts."""
    phone = net.phone()
    async with From() as caller:
        with an_edge(stack, **QUICK):
            first = await a_code(caller, phone)
            assert len(first["devCode"]) == 6 and first["devCode"].isdigit()
            with stack.db() as db:
                row = db.execute("SELECT c::text, octet_length(code_hash) FROM auth.challenges c WHERE challenge = %s",
                                 (first["challenge"],)).fetchone()
            assert first["devCode"] not in row[0].replace(str(first["challenge"]), "") and row[1] == 32
            for n in range(1, 6):
                r = await caller.post("/api/verify", wrong(first, n))
                assert (r.status, r.code) == (401, "bad_code")
            r = await caller.post("/api/verify", right(first))
            assert (r.status, r.code) == (401, "bad_code"), "the sixth try is not looked at"
            for _ in range(2):
                await a_code(caller, phone)
            assert 3500 < await limited(caller, phone, "this number") <= 3601
        with an_edge(stack, **QUICK):
            async with From() as other:
                assert 3400 < await limited(other, phone, "this number") <= 3601, "a restart forgets nothing, an address is no way round"
            for _ in range(27):
                await a_code(caller, net.phone())
            assert await limited(caller, net.phone(), "this address") <= 121
        with an_edge(stack, **QUICK):
            await limited(caller, net.phone(), "this address")
            async with From() as other:
                challenge = await a_code(other, net.phone())
                assert (await other.post("/api/verify", right(challenge))).status == 200
                assert (await other.post("/api/verify", right(challenge))).status == 401


@scenario()
async def test_t35_codes_asked_for_at_once(stack, net):
    async with From() as caller:
        with an_edge(stack, **QUICK):
            answers = await asyncio.gather(*(caller.post("/api/login", {"phoneNumber": net.phone()}) for _ in range(60)))
            assert sorted(r.status for r in answers) == [200] * 30 + [429] * 30


@scenario()
async def test_t35_strangers_codes_a_day(stack, net):
    phone = net.phone()
    with an_edge(stack, **QUICK, CODE_PER_NUMBER_HOUR="100"):
        for _ in range(10):
            async with From() as caller:
                await a_code(caller, phone)
        async with From() as caller:
            assert await limited(caller, phone, "this number") > 80000


@scenario()
async def test_t35_guesses_from_one_address(stack, net):
    """Sixty wrong codes an hour; beyond it each code has one try, so that who holds one can use it."""
    async with From() as caller:
        with an_edge(stack, **QUICK):
            for _ in range(12):
                challenge = await a_code(caller, net.phone())
                for n in range(1, 6):
                    assert (await caller.post("/api/verify", wrong(challenge, n))).status == 401
            challenge = await a_code(caller, net.phone())
        with an_edge(stack, **QUICK):
            assert (await caller.post("/api/verify", wrong(challenge))).status == 401
            r = await caller.post("/api/verify", right(challenge))
            assert (r.status, r.code) == (429, "rate_limited") and int(r.headers["retry-after"]) >= 1
            r = await caller.post("/api/verify", {"challenge": str(uuid.uuid4()), "code": "000000"})
            assert r.status == 429, "what was never made is told the same"
            assert metrics.read(DOOR)["guesses_refused_total"] == 2
            challenge = await a_code(caller, net.phone())
            assert (await caller.post("/api/verify", right(challenge))).status == 200


@scenario()
async def test_t36_another_code_gives_no_more_guesses(stack, net):
    phone = net.phone()
    with an_edge(stack, **QUICK, CODE_PER_NUMBER_HOUR="100"):
        for _ in range(4):  # 20 a day, wherever they come from
            async with From() as caller:
                challenge = await a_code(caller, phone)
                for n in range(1, 6):
                    assert (await caller.post("/api/verify", wrong(challenge, n))).status == 401
        async with From() as caller:
            for _ in range(2):
                challenge = await a_code(caller, phone)
                assert (await caller.post("/api/verify", wrong(challenge))).status == 401
                for code in (wrong(challenge, 2), right(challenge)):
                    assert (await caller.post("/api/verify", code)).status == 429
            challenge = await a_code(caller, phone)
            assert (await caller.post("/api/verify", right(challenge))).status == 200


@scenario()
async def test_t37_nobody_is_locked_out_of_his_number(stack, net):
    phone = net.phone()
    with an_edge(stack, **QUICK):
        async with From() as home, From() as elsewhere:
            tokens = (await home.post("/api/verify", right(await a_code(home, phone)), expect=200)).body
            issued = await a_code(elsewhere, phone)
            for _ in range(4):  # strangers ask until nobody unknown gets a code, and guess at theirs
                async with From() as stranger:
                    r = await stranger.post("/api/login", {"phoneNumber": phone})
                    for n in range(1, 6 if r.status == 200 else 1):
                        await stranger.post("/api/verify", wrong(r.body, n))
            await limited(elsewhere, phone, "this number")
            # a code in hand stays good
            assert (await elsewhere.post("/api/verify", right(issued))).status == 200
            # where the number is used from, codes are had
            for _ in range(3):
                challenge = await a_code(home, phone)
            assert (await home.post("/api/verify", right(challenge))).status == 200
            await limited(home, phone, "this number")
            # anywhere, with a refresh token of any age
            async with From() as abroad:
                await limited(abroad, phone, "this number")
                challenge = await a_code(abroad, phone, refreshToken=tokens["refreshToken"])
                assert (await abroad.post("/api/verify", right(challenge))).status == 200
            # which opens nobody else's number
            async with From() as stranger:
                await limited(stranger, phone, "this number", refreshToken="no-such-token")
                own = (await stranger.post("/api/verify", right(await a_code(stranger, net.phone())), expect=200)).body
                await limited(stranger, phone, "this number", refreshToken=own["refreshToken"])


@scenario()
async def test_t37_who_is_known_has_the_strangers_codes_too(stack, net):
    """The first log-in took one of the strangers' three: at the known place there are three more, and then the other two."""
    phone = net.phone()
    async with From() as home:
        with an_edge(stack, **QUICK):
            assert (await home.post("/api/verify", right(await a_code(net.rest, phone)))).status == 200
            for _ in range(5):
                await a_code(home, phone)
            assert await limited(home, phone, "this number") > 3400


@scenario()
async def test_t37_an_address_used_up_by_others(stack, net):
    """Behind one address with an attacker: who was there before still gets a code."""
    phone = net.phone()
    with an_edge(stack, **QUICK, CODE_PER_ADDRESS_HOUR="2"):
        async with From() as shared:
            assert (await shared.post("/api/verify", right(await a_code(shared, phone)))).status == 200
            await a_code(shared, net.phone())
            await limited(shared, net.phone(), "this address")
            assert (await shared.post("/api/verify", right(await a_code(shared, phone)))).status == 200


@scenario()
async def test_the_ceiling_of_all_codes(stack, net):
    """Strangers are refused at four fifths, known places at the end; metric, gauge and log say so."""
    phone = net.phone()
    with stack.db() as db:
        db.execute("DELETE FROM auth.budgets WHERE kind = 1")
    with an_edge(stack, **QUICK, CODE_TOTAL_HOUR="10") as edge:
        async with From() as home, From() as stranger:
            assert (await home.post("/api/verify", right(await a_code(home, phone)))).status == 200
            for _ in range(7):
                await a_code(stranger, net.phone())
            assert await limited(stranger, net.phone(), "to everybody", 503) <= 361
            for _ in range(2):
                await a_code(home, phone)
            await limited(home, phone, "to everybody", 503)
            assert metrics.read(DOOR)["codes_over_total"] == 2
            await until(lambda: log_has(edge, "codes_at_ceiling"), 20, "the log to say so")
            await until(lambda: metrics.read(DOOR)["codes_used_percent"] >= 80, 30, "the gauge to say so")
    with stack.db() as db:
        db.execute("DELETE FROM auth.budgets WHERE kind = 1")


@scenario()
async def test_t34_known_and_unknown_numbers_are_answered_alike(stack, net):
    known, unknown = net.phone(), net.phone()
    with an_edge(stack, **QUICK):
        async with From() as owner, From() as stranger:
            assert (await owner.post("/api/verify", right(await a_code(owner, known)))).status == 200
            for path, more in (("/api/login", {}), ("/api/register", {"name": "Nosy"})):
                seen = []
                for phone in (known, unknown):
                    r = await stranger.post(path, {"phoneNumber": phone, **more})
                    seen.append((r.status, sorted(r.headers), sorted(r.body), r.body["retryAfter"]))
                    bad = await stranger.post("/api/verify", wrong(r.body))
                    seen[-1] += (bad.status, bad.code, bad.body["error"]["message"])
                assert seen[0] == seen[1] and seen[0][0] == 200
            await a_code(stranger, unknown)  # the third one, as its owner's was
            assert await limited(stranger, known, "this number") > 3500 and await limited(stranger, unknown, "this number") > 3500


# --- Token buckets ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow():
    """A Stack of its own with one request, or frame, a minute: a bucket holds twenty."""
    settings = {"RATE_PER_MINUTE": "1", "DIRECT_PEERS_DAY": "3", "PARTITIONS": "2", "SLOTS": "2"}
    with Stack(base_port=BASE_PORT + 720, copies={"media": 0, "mobile": 0, "status": 0}, settings=settings) as s:
        yield s.start()


@scenario(stack="slow")
async def test_t32_buckets_survive_reconnecting(slow, net):
    alice, bob = [await sign_in(net.rest, net.phone(), name) for name in ("alice", "bob")]
    # an address, on routes without a token: four of twenty are used
    for _ in range(16):
        config = await net.rest.get("/api/config", expect=200)
    limits = config.body["limits"]
    assert limits["requestsAtOnce"] == limits["messagesAtOnce"] == 20, "the numbers are those that hold"
    for _ in range(2):
        r = await net.rest.get("/api/config")
        assert (r.status, r.code) == (429, "rate_limited") and 1 <= int(r.headers["retry-after"]) <= 60
        await net.rest.close()  # the next one is another connection
    # a user, on routes with one, whatever the address
    rest = Rest(net.rest_url, alice.access)
    net.open.append(rest)
    for _ in range(20):
        assert (await rest.get("/api/me")).status == 200
    for _ in range(2):
        r = await rest.get("/api/me")
        assert (r.status, r.code) == (429, "rate_limited") and 1 <= int(r.headers["retry-after"]) <= 60
        await rest.close()
    async with From(net.rest_url, token=alice.access) as elsewhere:
        assert (await elsewhere.get("/api/me")).status == 429
    async with From(net.rest_url, token=bob.access) as other:
        assert (await other.get("/api/me")).status == 200
    # a user's frames, whatever the socket
    ws = await net.raw(alice, auto_ok=True)
    await ws.ready()
    for n in range(20):
        await ws.send(send_to(bob.user_id))
    await until(lambda: sum(f["t"] == "ack" for f in ws.frames) == 20, 20, "all of a bucket to be taken")
    for _ in range(2):
        await ws.send(send_to(bob.user_id))
        nack = await ws.expect(lambda f: f["t"] == "nack", "a nack")
        assert nack["code"] == "slow_down" and 500 < nack["retryAfter"] <= 60000
        await ws.send(send_to(bob.user_id))
        follower = await ws.expect(lambda f: f["t"] == "nack" and f["code"] == "retry", "the nack of what follows it")
        assert 500 < follower["retryAfter"] <= nack["retryAfter"], "what the first has to wait, it waits"
        await ws.close()
        ws = await net.raw(alice, auto_ok=True)
        await ws.ready()


def send_to(peer):
    return {"t": "message.send", "clientId": str(uuid.uuid4()), "peer": peer, "content": f"{MARK} quick", "type": "text"}


# --- Chats with nobody --------------------------------------------------------------------------


@scenario(stack="slow")
async def test_a_user_cannot_make_chats_with_nobody_without_end(slow, net):
    """ws cannot know who is registered, so it counts people: at the bound, and whatever PostgreSQL does."""
    async with From(net.rest_url) as rest:
        alice, bob = [await sign_in(rest, net.phone(), name) for name in ("alice", "bob")]
    ws = await net.raw(alice, auto_ok=True)
    await ws.ready()
    nobody = [str(uuid.uuid4()) for _ in range(3)]

    async def sent(peer):
        """The answer to a message to `peer`."""
        frame = send_to(peer)
        await ws.send(frame)
        return await ws.expect(lambda f: f["t"] in ("ack", "nack") and f["clientId"] == frame["clientId"], "an answer")

    assert [(await sent(peer))["t"] for peer in (bob.user_id, *nobody[:2], bob.user_id)] == ["ack"] * 4
    slow.postgres.stop()
    try:
        nack = await sent(nobody[2])
        assert (nack["t"], nack["code"], nack["retryAfter"]) == ("nack", "too_many_chats", 0)
        assert (await sent(bob.user_id))["t"] == "ack", "what comes after it passes"
    finally:
        slow.postgres.start()
        slow.postgres.wait_ready()
    assert slow.metrics("edge-ws")["peers_refused_total"] == 1


@scenario()
async def test_rest_refuses_people_that_nobody_registered(stack, net):
    alice, bob = await net.people("alice", "bob")
    nobody = str(uuid.uuid4())
    group = await net.group(alice, bob)
    for method, path, body in (("POST", "/api/chats", {"userId": nobody}),
                               ("POST", "/api/chats", {"name": "ghosts", "members": [bob.user_id, nobody]}),
                               ("POST", f"/api/chats/{group}/members", {"add": [nobody]})):
        r = await alice.rest.call(method, path, body)
        assert (r.status, r.code) == (404, "not_found"), body
    # a chat with nobody that was made by ws
    out = await alice.told(f"{MARK} to nobody", peer=nobody)

    async def in_list():
        return any(c["chatId"] == out.chat_id for c in (await alice.rest.get("/api/chats")).body["chats"])

    await until(in_list, 20, "the chat to be in its maker's list")
    for more in ({}, {"peer": nobody}):
        r = await alice.rest.post("/api/messages", {"chatId": out.chat_id, "content": f"{MARK} again", "type": "text", **more})
        assert (r.status, r.code) == (404, "not_found") and "registered" in r.body["error"]["message"]
    assert not any(c["chatId"] == out.chat_id for c in (await bob.rest.get("/api/chats")).body["chats"])
    with stack.db() as db:
        members = db.execute("SELECT user_id::text FROM view.members WHERE chat_id = %s", (out.chat_id,)).fetchall()
        assert {m[0] for m in members} == {alice.user_id, nobody}
        # schema auth says who is registered, the view only shows it: other tests need the row again
        row = db.execute("DELETE FROM view.users WHERE user_id = %s RETURNING *", (bob.user_id,)).fetchone()
    r = await alice.rest.post("/api/chats", {"userId": bob.user_id}, expect=200)
    r = await alice.rest.post("/api/messages", {"chatId": r.body["chat"]["chatId"], "content": f"{MARK} to bob", "type": "text"})
    assert r.status == 201
    with stack.db() as db:
        db.execute(f"INSERT INTO view.users VALUES ({', '.join(['%s'] * len(row))})", row)


# --- Lookups ------------------------------------------------------------------------------------


@scenario()
async def test_t34_a_list_of_contacts_can_be_looked_up_and_a_country_cannot(stack, net):
    (nosy, friend) = await net.people("nosy", "friend")
    await nosy.told(f"{MARK} hello", peer=friend.user_id)
    await nosy.told(f"{MARK} on the way to the view", peer=friend.user_id)
    known = net.users[1].phone

    async def in_view():
        r = await nosy.rest.get("/api/chats")
        return any(c.get("peer") == friend.user_id for c in r.body["chats"])

    await until(in_view, 20, "the view to have the chat")
    strangers = [net.phone() for _ in range(190)] + [net.users[0].phone, known]
    for _ in range(10):  # ten people who are here, and whom nosy has no chat with
        strangers.append((await net.user("passer-by"))[0].phone)
    with an_edge(stack, **QUICK):
        async with From(token=nosy.tokens.access) as caller:
            async def look(numbers):
                return await caller.post("/api/contacts/lookup", {"phoneNumbers": numbers})

            for at in range(0, len(strangers), 100):
                r = await look(strangers[at:at + 100])
                assert r.status == 200
            # 200 strangers, oneself and a friend: at the bound
            assert [(await look([n])).status for n in (strangers[0], strangers[-1], known, net.users[0].phone)] == [200] * 4
            r = await look([net.phone()])
            assert (r.status, r.code) == (429, "rate_limited") and 80000 < int(r.headers["retry-after"]) <= 86401
            r = await look([known, net.phone()])
            assert r.status == 429, "all or nothing"
            assert len((await look([known, strangers[-1]])).body["contacts"]) == 2
            assert metrics.read(DOOR)["lookups_refused_total"] == 3
        with stack.db() as db:  # a day later
            db.execute("UPDATE auth.lookups SET at = at - 86400000 WHERE user_id = %s", (nosy.user_id,))
        async with From(token=nosy.tokens.access) as caller:
            assert (await look_one(caller, net.phone())).status == 200


async def look_one(caller, number):
    return await caller.post("/api/contacts/lookup", {"phoneNumbers": [number]})


@scenario()
async def test_t34_lookups_from_one_address_and_in_all(stack, net):
    _, first = await net.user("first")
    _, second = await net.user("second")
    with an_edge(stack, **QUICK, LOOKUP_PER_ADDRESS_DAY="100"):
        async with From(token=first.tokens.access) as one, From(address=one.address, token=second.tokens.access) as same:
            numbers = [net.phone() for _ in range(100)]
            assert (await one.post("/api/contacts/lookup", {"phoneNumbers": numbers})).status == 200
            assert (await look_one(same, net.phone())).status == 429, "another account at the same address"
            async with From(token=second.tokens.access) as other:
                assert (await look_one(other, net.phone())).status == 200
    with stack.db() as db:
        db.execute("DELETE FROM auth.budgets WHERE kind = 6")
    with an_edge(stack, **QUICK, LOOKUP_TOTAL_DAY="100"):
        async with From(token=second.tokens.access) as one, From(token=first.tokens.access) as other:
            numbers = [net.phone() for _ in range(100)]
            assert (await one.post("/api/contacts/lookup", {"phoneNumbers": numbers})).status == 200
            assert (await look_one(other, net.phone())).status == 429
    with stack.db() as db:
        db.execute("DELETE FROM auth.budgets WHERE kind = 6")


# --- Sweeping -----------------------------------------------------------------------------------


@scenario()
async def test_what_is_over_is_swept(stack, net):
    """More rows than one turn takes, and what still counts stays."""
    _, device = await net.user("kept")
    day = 86400000
    with stack.db() as db:
        db.execute("INSERT INTO auth.challenges (challenge, phone_number, code_hash, tries_left, created_at, expires_at) SELECT "
                   "gen_random_uuid(), '+490000000', '', 5, extract(epoch FROM now()) * 1000 - %s, 0 FROM generate_series(1, 1200)",
                   (2 * day,))
        old = "extract(epoch FROM now()) * 1000 - %s::bigint * 86400000"
        db.execute(f"INSERT INTO auth.refresh_tokens VALUES ('used', %s, %s, 0, 9e15, {old})", (device.device_id, device.user_id, 8))
        db.execute(f"INSERT INTO auth.refresh_tokens VALUES ('expired', %s, %s, 0, {old}, NULL)", (device.device_id, device.user_id, 8))
        db.execute(f"INSERT INTO auth.refresh_tokens VALUES ('fresh', %s, %s, 0, 9e15, {old})", (device.device_id, device.user_id, 6))
        db.execute(f"INSERT INTO auth.devices SELECT gen_random_uuid(), %s, 0, {old}", (device.user_id, 31))
        db.execute(f"INSERT INTO auth.lookups SELECT %s, gen_random_uuid(), {old}", (device.user_id, 2))
        db.execute("INSERT INTO auth.links VALUES ('over', 'over', '', '', '', gen_random_uuid(), 1, 1)")
        db.execute("INSERT INTO auth.budgets VALUES (0, gen_random_uuid(), 1)")
        db.execute(f"INSERT INTO auth.known_places SELECT %s, gen_random_uuid(), {old}", (device.user_id, 91))

        def left():
            one = db.execute("SELECT (SELECT count(*) FROM auth.challenges WHERE phone_number = '+490000000'), (SELECT count(*) FROM "
                             "auth.lookups WHERE user_id = %(u)s), (SELECT count(*) FROM auth.devices WHERE user_id = %(u)s), (SELECT "
                             "count(*) FROM auth.known_places WHERE user_id = %(u)s), (SELECT count(*) FROM auth.budgets WHERE full_at "
                             "= 1), (SELECT count(*) FROM auth.links WHERE expires_at = 1)", {"u": device.user_id}).fetchone()
            tokens = db.execute("SELECT token_hash FROM auth.refresh_tokens WHERE octet_length(token_hash) < 32").fetchall()
            return one, sorted(bytes(t[0]) for t in tokens)

        await until(lambda: left() == ((0, 0, 1, 1, 0, 0), [b"fresh"]), 40, lambda: f"what is over to be gone, there is {left()}")
        await until(lambda: stack.metrics("edge-rest")["auth_swept_total"] >= 1207, 10, "what went to be counted")
        db.execute("DELETE FROM auth.refresh_tokens WHERE token_hash = 'fresh'")
    assert await device.refresh()


# --- Devices ------------------------------------------------------------------------------------


@scenario()
async def test_t33_the_17th_device_ends_the_oldest_wholly(stack, net):
    (bob,) = await net.people("bob")
    phone = net.phone()
    oldest = await sign_in(net.rest, phone, "Many")
    socket = await net.raw(oldest, auto_ok=True)
    await socket.ready()
    others = [await sign_in(net.rest, phone, label=f"device {i}") for i in range(15)]
    r = await net.rest.call("GET", "/api/devices", token=oldest.access, expect=200)
    assert [d["deviceId"] for d in r.body["devices"]] == [t.device_id for t in [*reversed(others), oldest]], "at the bound nobody goes"
    newest = await sign_in(net.rest, phone)
    # its access token, its refresh token, its socket: nothing of it is left
    r = await net.rest.call("GET", "/api/me", token=oldest.access)
    assert (r.status, r.code) == (401, "unauthorized")
    r = await net.rest.post("/api/token/refresh", {"refreshToken": oldest.refresh})
    assert (r.status, r.code) == (401, "unauthorized")
    assert await socket.closed(20) == 4401
    late = await net.raw(oldest)
    assert await late.closed(20) == 4401 and not [f for f in late.frames if f["t"] == "ready"]
    # and of the others everything is
    r = await net.rest.call("GET", "/api/devices", token=newest.access, expect=200)
    assert [d["deviceId"] for d in r.body["devices"]] == [t.device_id for t in [newest, *reversed(others)]]
    for t in others:
        r = await net.rest.post("/api/token/refresh", {"refreshToken": t.refresh}, expect=200)
    ws = await net.raw(others[0], auto_ok=True)
    await ws.ready()
    out = await bob.told(f"{MARK} to those who stayed", peer=newest.user_id)
    await ws.expect(lambda f: f.get("content") == out.content, "the message")


@scenario()
async def test_t33_log_ins_at_once_end_one_device_each(stack, net):
    phone = net.phone()
    first = [await sign_in(net.rest, phone, "Many") for _ in range(16)]
    late = await asyncio.gather(*(sign_in(net.rest, phone) for _ in range(3)))
    r = await net.rest.call("GET", "/api/devices", token=late[0].access, expect=200)
    assert {d["deviceId"] for d in r.body["devices"]} == {t.device_id for t in [*first[3:], *late]}
    for t in first[:3]:
        assert (await net.rest.post("/api/token/refresh", {"refreshToken": t.refresh})).status == 401
    for t in [*first[3:], *late]:
        ws = await net.raw(t)
        await ws.ready()


@scenario()
async def test_a_user_sees_and_ends_own_devices(stack, net):
    anna, a1 = await net.user("anna")
    a2 = await anna.device("web")
    (bob,) = await net.people("bob")
    await asyncio.gather(a1.online(), a2.online())
    r = await a1.rest.get("/api/devices", expect=200)
    assert [(d["deviceId"], d["platform"], d["label"], d["current"]) for d in r.body["devices"]] == [
        (a2.device_id, "web", "test", False), (a1.device_id, "android", "test", True)]
    assert all(d["seenAt"] >= d["addedAt"] > 0 for d in r.body["devices"])
    for other in (bob.device_id, str(uuid.uuid4()), "no-id"):
        r = await a1.rest.call("DELETE", f"/api/devices/{other}")
        assert (r.status, r.code) == (404, "not_found"), other
    assert (await bob.rest.get("/api/me")).status == 200 and bob.connected
    await a1.rest.call("DELETE", f"/api/devices/{a2.device_id}", expect=200)
    await a2.wait(lambda: a2.logged_out, 30, "its socket to be closed and no way back")
    assert a2.closes[-1][0] == 4401
    assert (await a2.rest.get("/api/me")).status == 401
    assert (await net.rest.post("/api/token/refresh", {"refreshToken": a2.tokens.refresh})).status == 401
    assert (await a1.rest.call("DELETE", f"/api/devices/{a2.device_id}")).status == 404
    assert [d["deviceId"] for d in (await a1.rest.get("/api/devices")).body["devices"]] == [a1.device_id]
    out = await bob.told(f"{MARK} for the one that stays", peer=a1.user_id)
    await a1.sees(out.content)
    # the one that asks, too
    await a1.rest.call("DELETE", f"/api/devices/{a1.device_id}", expect=200)
    assert (await a1.rest.get("/api/devices")).status == 401
    await a1.wait(lambda: a1.logged_out, 30, "its own socket to be closed")


@scenario()
async def test_t18_nobody_says_how_anothers_device_is_woken(stack, net):
    anna, a1 = await net.user("anna")
    a2 = await anna.device("web")
    _, mallory = await net.user("mallory")
    body = {"kind": "fcm_token", "token": "stolen-stolen-stolen"}
    for device in (mallory, a2):  # a stranger, and another device of the same person
        for method in ("PUT", "DELETE"):
            r = await device.rest.call(method, f"/api/devices/{a1.device_id}/push", body if method == "PUT" else None)
            assert (r.status, r.code) == (403, "forbidden"), (device, method)
    with stack.db() as db:
        rows = db.execute("SELECT device_id FROM view.push_targets WHERE device_id = ANY(%s)",
                          ([a1.device_id, a2.device_id, mallory.device_id],)).fetchall()
    assert rows == []
