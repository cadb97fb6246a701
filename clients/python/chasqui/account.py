# SPDX-License-Identifier: MIT
"""What concerns an account as a whole: a device that comes by a link, another number, the end."""
from __future__ import annotations

import asyncio
import inspect
from typing import Any, Callable

from .session import REPEATED, ApiError, Session, SignedOut, Tokens, backoff, request

LOOKS_AT_A_LINK = 3  # when another device looked meanwhile


async def _said(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


async def link(url: str, show: Callable[[str, int], Any], confirm: Callable[[dict], Any], platform: str = "other", label: str = "",
               keep: Callable[[Tokens], None] | None = None) -> Session:
    """A device of its own without a code to the number. `show(code, expires_at_ms)` puts the code on the screen, as a QR code, for a
    device of the same user that is signed in; `confirm(me)` shows name and number of the account, and is true when that is the user's:
    whoever reads a code can take the device into an account of his own. ApiError `bad_code`: the link is over, or was refused. Ask for
    a new one."""
    url = url.rstrip("/")
    begun = answer = await request("POST", f"{url}/api/links", {"platform": platform, "label": label})
    await _said(show(begun["code"], begun["expiresAt"]))
    attempt = 0
    while "accessToken" not in answer:
        await asyncio.sleep(answer["retryAfter"] + (backoff(attempt) if attempt else 0))
        try:
            answer, attempt = await request("POST", f"{url}/api/links/claim", {"secret": begun["secret"]}), 0
        except ApiError as refusal:
            if refusal.status not in (0, 429):
                raise  # after a 503 it may be used up
            answer, attempt = {"retryAfter": max(begun["retryAfter"], refusal.retry_after_s)}, attempt + 1
    session = Session(url, Tokens.of(answer), keep)
    if not await _said(confirm(await session.insist("GET", "/api/me"))):
        await session.insist("POST", "/api/logout", {})
        raise SignedOut("this is not the account of who asked: the device is logged out")
    session.kept()
    return session


async def approve(session: Session, code: str, ask: Callable[[dict], Any]) -> bool:
    """Let a device in whose code was read. `ask(link)` shows what it says of itself, and from which network; true lets it in."""
    for i in range(LOOKS_AT_A_LINK):
        asked = (await session.call("POST", "/api/links/look", {"code": code}))["link"]
        yes = bool(await _said(ask(asked)))
        try:
            await session.insist("POST", "/api/links/answer", {"code": code, "approve": yes})
            return yes
        except ApiError as refusal:
            if refusal.code != "conflict" or i + 1 == LOOKS_AT_A_LINK:
                raise  # else another device looked last
    raise AssertionError("LOOKS_AT_A_LINK is at least 1")


async def _proof(url: str, phone_number: str, code: Callable[[], Any] | None) -> dict:
    """A code that was sent to the number."""
    begun = await request("POST", f"{url}/api/login", {"phoneNumber": phone_number})
    return {"challenge": begun["challenge"], "code": await _said(code()) if code else begun.get("devCode")}


async def change_number(session: Session, phone_number: str, present: str, code: Callable[[], Any] | None = None,
                        old_code: Callable[[], Any] | None = None) -> dict:
    """The id, devices and chats stay. `code` and `old_code` ask for the six digits that the new and the present number got."""
    fresh, old = await _proof(session.url, phone_number, code), await _proof(session.url, present, old_code)
    return await session.call("PUT", "/api/me/number", {**fresh, "oldChallenge": old["challenge"], "oldCode": old["code"]})


async def delete_account(session: Session, phone_number: str, code: Callable[[], Any] | None = None) -> None:
    """The account ends. Forget its tokens, and what the device keeps."""
    body = await _proof(session.url, phone_number, code)
    for attempt in range(6):
        try:
            await session.call("DELETE", "/api/me", body)
            return
        except (ApiError, SignedOut) as refusal:
            is_over = isinstance(refusal, SignedOut) or refusal.status == 401 and refusal.code != "bad_code"
            if attempt and is_over:
                return  # the answer to an earlier try was lost
            if isinstance(refusal, SignedOut) or refusal.status not in REPEATED or attempt == 5:
                raise
            await asyncio.sleep(refusal.retry_after_s + backoff(attempt))
