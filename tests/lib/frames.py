# SPDX-License-Identifier: MIT
"""Frames against docs/frames.schema.json, of which it understands what is in it. Stricter than a client may be: a member that the
schema does not name is a fault, too."""

import json
import re
import uuid
from pathlib import Path

DEFS = json.loads((Path(__file__).resolve().parents[2] / "docs/frames.schema.json").read_text())["$defs"]
NUMBERED = frozenset(t for t, schema in DEFS.items() if "n" in schema.get("required", ()) and t != "ok")
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
SERVER = {choice["$ref"].rpartition("/")[2] for choice in DEFS["server"]["oneOf"]}


def _faults(schema, value, where):
    """What is wrong with a value, in words."""
    if "const" in schema and value != schema["const"] or "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {value!r}"
    kind = TYPES.get(schema.get("type"), object)
    if not isinstance(value, kind) or kind is int and isinstance(value, bool):
        yield f"{where} is no {schema['type']}: {value!r}"
        return
    if kind is int and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{where} is {value}"
    if schema.get("format") == "uuid" and (not re.fullmatch(r"[0-9a-f-]{36}", value) or str(uuid.UUID(value)) != value):
        yield f"{where} is no id: {value!r}"
    if kind is list:
        for i, item in enumerate(value):
            yield from _faults(schema["items"], item, f"{where}[{i}]")
    if kind is dict:
        yield from (f"{where}.{name} is missing" for name in schema["required"] if name not in value)
        yield from (f"{where}.{name} is unknown" for name in value if name not in schema["properties"])
        for name in value.keys() & schema["properties"].keys():
            yield from _faults(schema["properties"][name], value[name], f"{where}.{name}")


def faults(frame) -> list[str]:
    """Of a frame that a server sent."""
    kind = frame.get("t") if isinstance(frame, dict) else None
    return list(_faults(DEFS[kind], frame, kind)) if kind in SERVER else [f"no frame of a server: {frame!r}"]
