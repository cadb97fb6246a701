# SPDX-License-Identifier: MIT
"""Printed by clients/print_types from docs/frames.schema.json; docs/protocol.md says what each means."""
from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, Union

WelcomeLimits = TypedDict("WelcomeLimits", {"contentBytes": int, "clientIdChars": int, "mentions": int, "frameBytes": int})
Welcome = TypedDict("Welcome", {"t": Literal["welcome"], "capabilities": list[str], "limits": WelcomeLimits})
Ready = TypedDict("Ready", {"n": int, "t": Literal["ready"], "session": str, "at": str})
Ack = TypedDict("Ack", {"t": Literal["ack"], "clientId": str, "id": str})
Nack = TypedDict("Nack", {"t": Literal["nack"], "clientId": str, "code": str, "retryAfter": int})
MessageReplyTo = TypedDict("MessageReplyTo", {"id": str, "seq": int})
MessageLocation = TypedDict("MessageLocation", {"latitude": float, "longitude": float, "accuracy": NotRequired[int], "name": NotRequired[str],
    "address": NotRequired[str]})
MessageContact = TypedDict("MessageContact", {"name": str, "numbers": list[str], "userId": NotRequired[str]})
MessageVoice = TypedDict("MessageVoice", {"durationMs": int, "waveform": str})
MessagePreview = TypedDict("MessagePreview", {"url": str, "title": NotRequired[str], "description": NotRequired[str], "mediaId": NotRequired[str]})
MessagePoll = TypedDict("MessagePoll", {"options": list[str], "choices": int, "anonymous": bool, "closesAt": NotRequired[int]})
Message = TypedDict("Message", {"n": int, "t": Literal["message"], "id": str, "clientId": str, "chatId": str, "seq": int, "from": str,
    "peer": NotRequired[str], "type": Literal["text", "image", "video", "audio", "document"], "content": str, "mediaId": NotRequired[str],
    "replyTo": NotRequired[MessageReplyTo], "mentions": NotRequired[list[str]], "forwarded": NotRequired[int],
    "location": NotRequired[MessageLocation], "contact": NotRequired[MessageContact], "voice": NotRequired[MessageVoice],
    "preview": NotRequired[MessagePreview], "poll": NotRequired[MessagePoll], "sentAt": int, "expiresAt": NotRequired[int]})
Rejected = TypedDict("Rejected", {"n": int, "t": Literal["rejected"], "clientId": str, "id": str, "chatId": str, "code": str})
ReceiptRejected = TypedDict("ReceiptRejected", {"n": int, "t": Literal["receipt_rejected"], "chatId": str, "code": str})
StatusExcept = TypedDict("StatusExcept", {"after": int, "before": int})
Status = TypedDict("Status", {"n": int, "t": Literal["status"], "chatId": str, "delivered": int, "read": int,
    "except": NotRequired[list[StatusExcept]], "at": int})
Read = TypedDict("Read", {"n": int, "t": Literal["read"], "chatId": str, "seq": int, "at": int})
ProfilePrivacy = TypedDict("ProfilePrivacy", {"lastSeen": NotRequired[Literal["everyone", "contacts", "nobody"]],
    "picture": NotRequired[Literal["everyone", "contacts", "nobody"]], "about": NotRequired[Literal["everyone", "contacts", "nobody"]]})
Profile = TypedDict("Profile", {"n": int, "t": Literal["profile"], "name": NotRequired[str], "about": NotRequired[str], "picture": NotRequired[str],
    "privacy": NotRequired[ProfilePrivacy], "readReceipts": NotRequired[bool], "at": int})
Marked = TypedDict("Marked", {"n": int, "t": Literal["marked"], "chatId": str, "seq": int, "archived": NotRequired[bool], "pinned": NotRequired[bool],
    "markedUnread": NotRequired[bool], "readSeq": NotRequired[int], "draft": NotRequired[str], "draftAfter": NotRequired[int],
    "mutedUntil": NotRequired[int], "at": int})
ChatMembers = TypedDict("ChatMembers", {"userId": str, "role": Literal["member", "admin", "owner"]})
Chat = TypedDict("Chat", {"n": int, "t": Literal["chat"], "chatId": str, "seq": int, "name": str, "by": str, "at": int,
    "members": NotRequired[list[ChatMembers]]})
MemberChanges = TypedDict("MemberChanges", {"userId": str, "change": Literal["add", "remove", "promote", "demote", "make_owner"]})
Member = TypedDict("Member", {"n": int, "t": Literal["member"], "chatId": str, "seq": int, "by": str, "at": int, "changes": list[MemberChanges],
    "invitedBy": NotRequired[str]})
Request = TypedDict("Request", {"n": int, "t": Literal["request"], "chatId": str, "seq": int, "userId": str, "by": str, "open": bool, "at": int})
Deleted = TypedDict("Deleted", {"n": int, "t": Literal["deleted"], "clientId": str, "chatId": str, "seq": int, "messageId": str, "messageSeq": int,
    "by": str, "at": int})
Edited = TypedDict("Edited", {"n": int, "t": Literal["edited"], "clientId": str, "chatId": str, "seq": int, "messageId": str, "messageSeq": int,
    "by": str, "content": str, "preview": NotRequired[MessagePreview], "at": int})
Reaction = TypedDict("Reaction", {"n": int, "t": Literal["reaction"], "clientId": str, "chatId": str, "seq": int, "messageId": str, "messageSeq": int,
    "by": str, "reaction": str, "at": int})
Blocked = TypedDict("Blocked", {"n": int, "t": Literal["blocked"], "chatId": str, "seq": int, "userId": str, "at": int})
Unblocked = TypedDict("Unblocked", {"n": int, "t": Literal["unblocked"], "chatId": str, "seq": int, "userId": str, "at": int})
Timer = TypedDict("Timer", {"n": int, "t": Literal["timer"], "chatId": str, "seq": int, "peer": NotRequired[str], "by": str, "seconds": int,
    "at": int})
Picture = TypedDict("Picture", {"n": int, "t": Literal["picture"], "chatId": str, "seq": int, "by": str, "picture": NotRequired[str], "at": int})
Rights = TypedDict("Rights", {"n": int, "t": Literal["rights"], "chatId": str, "seq": int, "by": str, "send": Literal["everyone", "admins"],
    "info": Literal["everyone", "admins"], "add": Literal["everyone", "admins"], "at": int})
HiddenMessages = TypedDict("HiddenMessages", {"id": str, "seq": int})
Hidden = TypedDict("Hidden", {"n": int, "t": Literal["hidden"], "chatId": str, "seq": int, "messages": list[HiddenMessages], "at": int})
Pinned = TypedDict("Pinned", {"n": int, "t": Literal["pinned"], "clientId": NotRequired[str], "chatId": str, "seq": int, "messageId": NotRequired[str],
    "messageSeq": int, "by": NotRequired[str], "pinned": bool, "at": int})
Starred = TypedDict("Starred", {"n": int, "t": Literal["starred"], "chatId": str, "seq": int, "messageId": str, "messageSeq": int, "starred": bool,
    "at": int})
Vote = TypedDict("Vote", {"n": int, "t": Literal["vote"], "clientId": NotRequired[str], "chatId": str, "seq": int, "messageId": str, "messageSeq": int,
    "options": NotRequired[list[int]], "at": NotRequired[int]})
PollClosed = TypedDict("PollClosed", {"n": int, "t": Literal["poll_closed"], "clientId": str, "chatId": str, "seq": int, "messageId": str,
    "messageSeq": int, "by": str, "at": int})
Media = TypedDict("Media", {"n": int, "t": Literal["media"], "mediaId": str, "chatId": str, "width": int, "height": int, "durationMs": int,
    "thumbnail": bool})
Looking = TypedDict("Looking", {"t": Literal["looking"], "chatId": NotRequired[str], "userId": NotRequired[str], "until": int})
Typing = TypedDict("Typing", {"t": Literal["typing"], "chatId": str, "userId": str, "state": Literal["idle", "typing", "recording"]})
Presence = TypedDict("Presence", {"t": Literal["presence"], "userId": str, "state": Literal["away", "here"], "at": NotRequired[int]})
Pong = TypedDict("Pong", {"t": Literal["pong"]})
Error = TypedDict("Error", {"t": Literal["error"], "code": str, "message": str, "of": NotRequired[str], "clientId": NotRequired[str],
    "chatId": NotRequired[str]})
MediaDeleted = TypedDict("MediaDeleted", {"n": int, "t": Literal["media_deleted"], "clientId": str, "chatId": str, "seq": int, "by": str,
    "mediaId": str, "at": int})
Description = TypedDict("Description", {"n": int, "t": Literal["description"], "clientId": str, "chatId": str, "seq": int, "by": str,
    "description": str, "at": int})
AccountDeleted = TypedDict("AccountDeleted", {"n": int, "t": Literal["account_deleted"], "clientId": str, "chatId": str, "seq": int, "by": str,
    "peer": NotRequired[str], "at": int})
Auth = TypedDict("Auth", {"t": Literal["auth"], "token": str})
MessageSendPoll = TypedDict("MessageSendPoll", {"options": list[str], "choices": NotRequired[int], "anonymous": NotRequired[bool],
    "closesIn": NotRequired[int]})
MessageSend = TypedDict("MessageSend", {"t": Literal["message.send"], "clientId": str, "chatId": NotRequired[str], "peer": NotRequired[str],
    "type": Literal["text", "image", "video", "audio", "document"], "mediaId": NotRequired[str], "content": str,
    "replyTo": NotRequired[MessageReplyTo], "mentions": NotRequired[list[str]], "location": NotRequired[MessageLocation],
    "contact": NotRequired[MessageContact], "voice": NotRequired[MessageVoice], "preview": NotRequired[MessagePreview],
    "forwardedFrom": NotRequired[int], "poll": NotRequired[MessageSendPoll]})
MessageDelete = TypedDict("MessageDelete", {"t": Literal["message.delete"], "clientId": str, "chatId": NotRequired[str], "peer": NotRequired[str],
    "messageFrom": NotRequired[str], "messageClientId": str, "messageSeq": int})
MessageEdit = TypedDict("MessageEdit", {"t": Literal["message.edit"], "clientId": str, "chatId": NotRequired[str], "peer": NotRequired[str],
    "messageClientId": str, "messageSeq": int, "content": str, "preview": NotRequired[MessagePreview]})
MessageReact = TypedDict("MessageReact", {"t": Literal["message.react"], "clientId": str, "chatId": NotRequired[str], "peer": NotRequired[str],
    "messageFrom": NotRequired[str], "messageClientId": str, "messageSeq": int, "reaction": str})
MessagePin = TypedDict("MessagePin", {"t": Literal["message.pin"], "clientId": str, "chatId": NotRequired[str], "peer": NotRequired[str],
    "messageFrom": NotRequired[str], "messageClientId": str, "messageSeq": int, "pinned": bool})
PollVote = TypedDict("PollVote", {"t": Literal["poll.vote"], "clientId": str, "chatId": NotRequired[str], "peer": NotRequired[str],
    "messageFrom": NotRequired[str], "messageClientId": str, "messageSeq": int, "options": list[int]})
PollClose = TypedDict("PollClose", {"t": Literal["poll.close"], "clientId": str, "chatId": NotRequired[str], "peer": NotRequired[str],
    "messageClientId": str, "messageSeq": int})
Receipt = TypedDict("Receipt", {"t": Literal["receipt"], "chatId": NotRequired[str], "peer": NotRequired[str], "delivered": NotRequired[int],
    "read": NotRequired[int]})
Look = TypedDict("Look", {"t": Literal["look"], "ticket": str})
Unlook = TypedDict("Unlook", {"t": Literal["unlook"], "chatId": NotRequired[str], "userId": NotRequired[str]})
Signal = TypedDict("Signal", {"t": Literal["signal"], "chatId": str, "state": Literal["idle", "typing", "recording"]})
Here = TypedDict("Here", {"t": Literal["here"]})
Away = TypedDict("Away", {"t": Literal["away"]})
Ok = TypedDict("Ok", {"t": Literal["ok"], "n": int})
Ping = TypedDict("Ping", {"t": Literal["ping"]})
Frame = Union[Welcome, Ready, Ack, Nack, Message, Rejected, ReceiptRejected, Status, Read, Profile, Marked, Chat, Member, Request, Deleted, Edited,
    Reaction, Blocked, Unblocked, Timer, Picture, Rights, Hidden, Pinned, Starred, Vote, PollClosed, Media, Looking, Typing, Presence, Pong, Error,
    MediaDeleted, Description, AccountDeleted]
Sent = Union[Auth, MessageSend, MessageDelete, MessageEdit, MessageReact, MessagePin, PollVote, PollClose, Receipt, Look, Unlook, Signal, Here, Away,
    Ok, Ping]
