# SPDX-License-Identifier: MIT
"""Every route and every frame, how it is asked, and who is answered what: the one table of tests. Standard library only: `tests/lint/run routes` reads it."""
from __future__ import annotations

import re

# In this order, so that what is allowed comes after what is refused. `other` is another device of the owner's.
ROLES = ("stranger", "ex", "member", "admin", "other", "owner")
TUS = {"Tus-Resumable": "1.0.0"}
IN_FUTURE = 4102444800000


def is_in(role: str) -> bool:
    return role not in ("stranger", "ex")


def each(*statuses) -> dict:
    """One for all roles, one for those outside and one for those in the group, or one for each."""
    if len(statuses) == 1:
        statuses *= len(ROLES)
    if len(statuses) == 2:
        statuses = (statuses[0],) * 2 + (statuses[1],) * 4
    return dict(zip(ROLES, statuses, strict=True))


class Row:
    """`path` and `body` have names of the world in braces. `target` names what is put in its place by an id that nothing has:
    where a role gets 404, it gets exactly the same for that. Status 0: that role does not ask.
    `view`: it reads the view, and answers 503 while that is not whole."""

    def __init__(self, method, route, path, expect, body=None, target=None, headers=None, raw=None, view=True):
        self.method, self.route, self.path, self.expect = method, route, path, expect
        self.body, self.target, self.headers, self.raw, self.view = body, target, headers or {}, raw, view


def of_group(method, rest, expect, body=None):
    return Row(method, "/api/chats/{}" + re.sub(r"\{\w+\}", "{}", rest), "/api/chats/{group}" + rest, expect, body, "group")


TABLE = [
    # anybody, and a token changes nothing
    Row("POST", "/api/register", "/api/register", each(200), {"name": "New", "phoneNumber": "{phone}"}, view=False),
    Row("POST", "/api/login", "/api/login", each(200), {"phoneNumber": "{phone}"}, view=False),
    Row("POST", "/api/verify", "/api/verify", each(401), {"challenge": "{missing}", "code": "000000"}, view=False),
    Row("POST", "/api/token/refresh", "/api/token/refresh", each(401), {"refreshToken": "q1Zb0r0p2m4VdJtQm0b6m1eQv9yq7m3hXk2cW8nYF5s"}, view=False),
    Row("POST", "/api/links", "/api/links", each(200), {"platform": "web", "label": "New"}, view=False),
    Row("POST", "/api/links/claim", "/api/links/claim", each(401), {"secret": "q1Zb0r0p2m4VdJtQm0b6m1eQv9yq7m3hXk2cW8nYF5s"}, view=False),
    Row("GET", "/api/config", "/api/config", each(200), view=False),
    # one's own
    Row("GET", "/api/me", "/api/me", each(200)),
    Row("PATCH", "/api/me", "/api/me", each(200), {"name": "{role}", "privacy": {"picture": "everyone"}}),
    # with a right code: test_deleted.py
    Row("DELETE", "/api/me", "/api/me", each(401), {"challenge": "{missing}", "code": "000000"}, view=False),
    Row("PUT", "/api/me/number", "/api/me/number", each(401), {"challenge": "{missing}", "code": "000000", "oldChallenge": "{missing}",
                                                               "oldCode": "000000"}, view=False),
    # with a right code, and of the device that asked: test_export.py
    Row("POST", "/api/me/export", "/api/me/export", each(401), {"challenge": "{missing}", "code": "000000"}, view=False),
    Row("GET", "/api/me/export", "/api/me/export", each(404), view=False),
    *(Row(method, "/api/me/export/{}", "/api/me/export/{missing}", each(404), view=False) for method in ("GET", "HEAD")),
    Row("GET", "/api/chats", "/api/chats", each(200)),
    Row("GET", "/api/sync", "/api/sync", each(200)),
    Row("GET", "/api/search", "/api/search?q=all&in={group}", each(404, 200, 200, 200, 200, 200), target="group"),
    Row("GET", "/api/devices", "/api/devices", each(200)),
    Row("POST", "/api/contacts/lookup", "/api/contacts/lookup", each(200), {"phoneNumbers": ["{phone}"]}),
    Row("POST", "/api/users/lookup", "/api/users/lookup", each(200), {"userIds": ["{owner_user}"]}),
    Row("POST", "/api/chats", "/api/chats", each(200), {"userId": "{extra}"}),
    # other people: whoever is or was in a chat with one
    Row("GET", "/api/users/{}", "/api/users/{owner_user}", each(404, 200, 200, 200, 200, 200), target="owner_user"),
    # anybody may block anybody, and learns nothing by it; it is taken back at once
    Row("PUT", "/api/users/{}/block", "/api/users/{extra}/block", each(200), target="extra"),
    Row("DELETE", "/api/users/{}/block", "/api/users/{extra}/block", each(200), target="extra"),
    Row("GET", "/api/blocks", "/api/blocks", each(200)),
    # devices: the owner's spare one may be ended by the owner's, and nobody else can tell that it is there
    Row("PUT", "/api/devices/{}/push", "/api/devices/{owner_device}/push", each(403, 403, 403, 403, 403, 200),
        {"kind": "fcm_token", "token": "rights-token"}),
    Row("DELETE", "/api/devices/{}/push", "/api/devices/{owner_device}/push", each(403, 403, 403, 403, 403, 200), view=False),
    Row("DELETE", "/api/devices/{}", "/api/devices/{spare_device}", each(404, 404, 404, 404, 200, 404), target="spare_device", view=False),
    # a new device: whoever has its code, if nobody else has answered it (test_devices.py)
    Row("POST", "/api/links/look", "/api/links/look", each(404), {"code": "q1Zb0r0p2m4VdJtQm0b6m1"}, view=False),
    Row("POST", "/api/links/answer", "/api/links/answer", each(404), {"code": "q1Zb0r0p2m4VdJtQm0b6m1", "approve": True}, view=False),
    # all others of one's own: the owner has two, so test_rights.py asks for him by itself
    Row("DELETE", "/api/devices", "/api/devices", each(200, 200, 200, 200, 0, 0), view=False),
    # a group: T12, T15
    of_group("GET", "", each(404, 200)),
    of_group("PATCH", "", each(404, 404, 403, 200, 200, 200), {"name": "by {role}"}),
    of_group("POST", "/members", each(404, 404, 403, 200, 200, 200), {"add": ["{extra}"]}),
    of_group("PUT", "/members/{extra}", each(404, 404, 403, 403, 200, 200), {"role": "admin"}),
    of_group("DELETE", "/members/{owner_user}", each(404, 404, 403, 403, 0, 0)),
    of_group("PUT", "/members/{owner_user}", each(404, 404, 403, 403, 0, 0), {"role": "member"}),
    of_group("DELETE", "/members/{extra}", each(404, 404, 403, 200, 404, 404)),
    of_group("GET", "/messages", each(404, 200, 200, 200, 200, 200)),
    of_group("GET", "/lines", each(404, 200, 200, 200, 200, 200)),
    of_group("GET", "/media", each(404, 200, 200, 200, 200, 200)),
    of_group("POST", "/read", each(404, 202), {"seq": "{seq}"}),
    of_group("PUT", "/mute", each(404, 200), {"until": IN_FUTURE}),
    of_group("DELETE", "/mute", each(404, 200)),
    of_group("PATCH", "/marks", each(404, 200), {"archived": True, "markedUnread": True}),
    of_group("PATCH", "/marks", each(404, 200, 200, 200, 200, 200), {"archived": False, "markedUnread": False}),  # who left takes back what he had marked
    Row("PATCH", "/api/chats/{}/marks", "/api/chats/{direct}/marks", each(404, 404, 200, 404, 200, 200), {"pinned": True}, "direct"),
    of_group("PUT", "/description", each(404, 404, 403, 200, 200, 200), {"description": "by {role}"}),
    of_group("PUT", "/picture", each(404, 404, 403, 200, 200, 200), {"picture": ""}),
    of_group("PUT", "/rights", each(404, 404, 403, 200, 200, 200), {"info": "admins"}),
    Row("PUT", "/api/chats/{}/rights", "/api/chats/{direct}/rights", each(404, 404, 400, 404, 400, 400), {"send": "admins"}, "direct"),
    of_group("GET", "/invites", each(404, 404, 403, 200, 200, 200)),
    of_group("POST", "/invites", each(404, 404, 403, 201, 201, 201), {"uses": 3}),
    Row("GET", "/api/requests", "/api/requests", each(200)),
    of_group("GET", "/requests", each(404, 404, 403, 200, 200, 200)),
    of_group("PUT", "/requests/{extra}", each(404, 404, 403, 404, 404, 404)),
    of_group("DELETE", "/requests/{extra}", each(404, 404, 403, 404, 404, 404)),
    of_group("DELETE", "/invites/{missing}", each(404, 404, 403, 404, 404, 404)),
    *(Row(method, "/api/invites/{}/{}", "/api/invites/{group}/{missing}", each(404), body, "group") for method, body in (("GET", None), ("POST", {}))),
    of_group("PUT", "/timer", each(404, 404, 403, 200, 200, 200), {"seconds": 7776000}),
    Row("PUT", "/api/chats/{}/timer", "/api/chats/{direct}/timer", each(404, 404, 200, 404, 200, 200), {"seconds": 604800}, "direct"),
    # a message of the owner's, sent while `ex` was in the group
    Row("PATCH", "/api/chats/{}/messages/{}", "/api/chats/{group}/messages/{message}", each(404, 404, 403, 403, 200, 200),
        {"content": "{mark} edited by {role}"}, target="message"),
    Row("PUT", "/api/chats/{}/messages/{}/star", "/api/chats/{group}/messages/{message}/star", each(404, 200, 200, 200, 200, 200), target="message"),
    Row("DELETE", "/api/chats/{}/messages/{}", "/api/chats/{group}/messages/{message}", each(404, 404, 403, 200, 200, 200), target="message"),
    Row("PUT", "/api/chats/{}/messages/{}/reaction", "/api/chats/{group}/messages/{after}/reaction", each(404, 404, 200, 200, 200, 200),
        {"reaction": "+1"}, target="after"),
    Row("DELETE", "/api/chats/{}/messages/{}/reaction", "/api/chats/{group}/messages/{after}/reaction", each(404, 404, 200, 200, 200, 200), target="after"),
    *(Row(method, "/api/chats/{}/messages/{}/" + what, "/api/chats/{group}/messages/{after}/" + what, each(404, 404, member, 200, 200, 200), target="after")
      for what, member in (("pin", 403), ("star", 200)) for method in ("PUT", "DELETE")),
    Row("GET", "/api/starred", "/api/starred", each(200)),
    *(Row(method, "/api/chats/{}/messages/{}/" + what, "/api/chats/{group}/messages/{after}/" + what, each(404, 404, member, member, 200, 200), body, target="after")
      for method, what, member, body in (("PUT", "vote", 200, {"options": [1]}), ("DELETE", "vote", 200, None), ("GET", "poll", 200, None), ("GET", "votes", 200, None),
                                         ("PUT", "close", 403, None))),
    of_group("POST", "/ticket", each(404, 200), {"session": "{missing}"}),
    Row("POST", "/api/messages", "/api/messages", each(404, 201), {"chatId": "{group}", "type": "text", "content": "{mark} {role}"}, "group"),
    # what it answers may be nothing that the sender can read, and whom it mentions anybody: neither tells him anything
    Row("POST", "/api/messages", "/api/messages", each(404, 201),
        {"chatId": "{group}", "type": "text", "content": "{mark} about {role}", "replyTo": {"id": "{missing}", "seq": 1},
         "mentions": ["{extra}"], "forwardedFrom": 3}, "group"),
    # a card may name anybody: it opens nothing of him
    Row("POST", "/api/messages", "/api/messages", each(404, 201),
        {"chatId": "{group}", "type": "text", "content": "{mark} card of {role}", "contact": {"name": "Ann", "numbers": ["1"], "userId": "{extra}"}}, "group"),
    Row("GET", "/api/messages/{}/receipts", "/api/messages/{message}/receipts", each(404, 404, 404, 404, 200, 200), target="message"),
    # gone for those who hid them: nothing of them is asked for after this
    Row("POST", "/api/chats/{}/hidden", "/api/chats/{group}/hidden", each(404, 200, 200, 200, 0, 0), {"messages": ["{message}"]}, target="message"),
    Row("POST", "/api/chats/{}/hidden", "/api/chats/{group}/hidden", each(404, 404, 200, 200, 200, 200), {"messages": ["{after}"]}, target="after"),
    # a direct chat of owner and member, to which admin and ex are as much strangers as the stranger
    Row("GET", "/api/chats/{}", "/api/chats/{direct}", each(404, 404, 200, 404, 200, 200), target="direct"),
    Row("GET", "/api/chats/{}/messages", "/api/chats/{direct}/messages", each(404, 404, 200, 404, 200, 200), target="direct"),
    Row("POST", "/api/chats/{}/read", "/api/chats/{direct}/read", each(404, 404, 202, 404, 202, 202), {"seq": 1}, "direct"),
    Row("POST", "/api/messages", "/api/messages", each(404, 404, 201, 404, 201, 201),
        {"chatId": "{direct}", "type": "text", "content": "{mark} direct {role}"}, "direct"),
    Row("POST", "/api/chats/{}/ticket", "/api/chats/{direct}/ticket", each(404, 404, 200, 404, 200, 200), {"session": "{missing}"}, "direct"),
    # who is here: the contacts of a user, to whom he has written. The owner wrote to the member
    Row("POST", "/api/users/{}/ticket", "/api/users/{owner_user}/ticket", each(404, 404, 200, 404, 404, 404), {"session": "{missing}"}, "owner_user"),
    Row("PATCH", "/api/chats/{}", "/api/chats/{direct}", each(404, 404, 400, 404, 400, 400), {"name": "no"}, "direct"),
    # files: T13. `media` was shown while `ex` was in the group, `later` after that, `picture` is the owner's own, `upload` is the owner's and not complete
    Row("POST", "/api/media", "/api/media", each(404, 201), {"chatId": "{group}", "type": "image", "size": 10}, "group"),
    Row("POST", "/api/media/uploads", "/api/media/uploads", each(404, 201), target="group",
        headers={**TUS, "Upload-Length": "10", "Upload-Metadata": "chatId {group64},type aW1hZ2U="}),
    Row("HEAD", "/api/media/{}/upload", "/api/media/{upload}/upload", each(404, 404, 404, 404, 200, 200), target="upload", headers=TUS, view=False),
    Row("PATCH", "/api/media/{}/upload", "/api/media/{upload}/upload", each(404, 404, 404, 404, 204, 409), target="upload", raw=b"12345",
        headers={**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}, view=False),
    Row("POST", "/api/media/{}/complete", "/api/media/{upload}/complete", each(404, 404, 404, 404, 409, 409), target="upload"),
    Row("DELETE", "/api/media/{}/upload", "/api/media/{upload}/upload", each(404, 404, 404, 404, 204, 404), target="upload", headers=TUS, view=False),
    *(Row(method, "/api/media/{}" + rest, "/api/media/{" + which + "}" + rest, each(404, first, 200, 200, 200, 200), target=which)
      for which, first in (("media", 200), ("later", 404), ("picture", 200))
      for method, rest in (("GET", "/link"), ("GET", ""), ("HEAD", ""), ("GET", "/thumbnail"), ("HEAD", "/thumbnail"))),
    # its owner's right alone, from whichever device: the second time it is gone already
    Row("DELETE", "/api/media/{}", "/api/media/{later}", each(404, 404, 404, 404, 200, 200), target="later"),
    # it ends the device that asks, so test_rights.py asks for it by itself, at the end
    Row("POST", "/api/logout", "/api/logout", each(0), view=False),
]

# A frame → what each role sees of it ("closed": by the server; "silence": no answer and no effect; "rejected": `not_found`, "forbidden": that;
# "error": that frame),
# and what it says.
FRAMES = {
    "auth": (each("ready"), {"token": "{token}"}),
    "ping": (each("pong"), {}),
    "ok": (each("silence"), {"n": 1}),
    "message.send": ({role: "message" if is_in(role) else "rejected" for role in ROLES},
                     {"clientId": "by-{role}", "chatId": "{group}", "content": "{mark} {role}", "type": "text", "from": "{owner_user}"}),
    # a message of the owner's; an edit names it as one of the role's own, which for others is none
    "message.edit": (each("rejected", "edited"),
                     {"clientId": "edit-{role}", "chatId": "{group}", "messageClientId": "{message_client}", "messageSeq": "{seq}", "content": "{mark} by {role}"}),
    "message.delete": (each("rejected", "rejected", "forbidden", "deleted", "deleted", "deleted"),
                       {"clientId": "delete-{role}", "chatId": "{group}", "messageFrom": "{owner_user}", "messageClientId": "{message_client}",
                        "messageSeq": "{seq}"}),
    "message.react": (each("rejected", "reaction"),
                      {"clientId": "react-{role}", "chatId": "{group}", "messageFrom": "{owner_user}", "messageClientId": "{after_client}",
                       "messageSeq": "{after_seq}", "reaction": "+1"}),
    "message.pin": (each("rejected", "rejected", "forbidden", "pinned", "pinned", "pinned"),
                    {"clientId": "pin-{role}", "chatId": "{group}", "messageFrom": "{owner_user}", "messageClientId": "{after_client}",
                     "messageSeq": "{after_seq}", "pinned": True}),
    # whether it is a poll the view knows; a poll of somebody else's is none of the role's own
    "poll.vote": (each("rejected", "vote"),
                  {"clientId": "vote-{role}", "chatId": "{group}", "messageFrom": "{owner_user}", "messageClientId": "{after_client}",
                   "messageSeq": "{after_seq}", "options": [0]}),
    "poll.close": (each("rejected", "poll_closed"),
                   {"clientId": "close-{role}", "chatId": "{group}", "messageClientId": "{after_client}", "messageSeq": "{after_seq}"}),
    "receipt": (each("silence"), {"chatId": "{group}", "delivered": "{after_seq}", "read": "{after_seq}"}),
    # who is not in the group gets no ticket, and shows one of another's session
    "look": ({role: "looking" if is_in(role) else "error" for role in ROLES}, {"ticket": "{ticket}"}),
    "signal": ({role: "silence" if is_in(role) else "error" for role in ROLES}, {"chatId": "{group}", "state": "typing"}),
    "unlook": (each("silence"), {"chatId": "{group}"}),
    "here": (each("silence"), {}),
    "away": (each("silence"), {}),
}


def fill(value, names):
    """A path, or a body, with what stands for the names in braces."""
    if isinstance(value, dict):
        return {k: fill(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, names) for v in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\{(\w+)\}", value)
    return names[whole[1]] if whole else re.sub(r"\{(\w+)\}", lambda m: str(names[m[1]]), value)
