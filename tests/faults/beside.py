# SPDX-License-Identifier: MIT
"""What a message says beside its content, as the log has it and as clients see it."""
from typing import Any


def _without_null(x: Any) -> Any:
    return {k: _without_null(v) for k, v in x.items() if v is not None} if isinstance(x, dict) else x


def said_beside(fact: dict) -> dict:
    """As clients see it."""
    place = (fact.get("contents") or {}).get("location")
    shown = {"location": {**place, **{k: place[k] / 1e7 for k in ("latitude", "longitude")}}} if place else {}
    return _without_null({k: fact[k] for k in ("replyTo", "mentions", "forwarded", "preview") if fact.get(k)} | shown)
