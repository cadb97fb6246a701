# SPDX-License-Identifier: MIT
"""Threats of docs/security.md that no other file has."""
from client import scenario, until


@scenario()
async def test_members_have_their_form(stack, net):
    """Found by schemathesis: a place above 2^53 was taken as read, an object as a locale."""
    alice, bob = await net.people("alice", "bob")
    out = await alice.told("hello", peer=bob.user_id)
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
    for path in ("/healthz", "/readyz"):
        r = await bob.rest.call("DELETE", path)
        assert (r.status, r.code, r.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD"), path
        assert (await bob.rest.call("GET", path)).status == 200
