# SPDX-License-Identifier: MIT
"""Random values of an Avro schema, as fastavro takes them. Named types have their full names. The same seed gives the same values."""

import random


class Maker:
    """Random values of a schema, with the edges that break varints, lengths and UTF-8."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.named = {}

    def integer(self, bits):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        pick = self.random.randrange(8)
        if pick < 4:
            return (low, high, 0, -1)[pick]
        return self.random.randint(low, high) >> self.random.randrange(bits)

    def text(self):
        size = self.random.choice([0, 1, 7, 8, 9, 63, 64, 200])
        return "".join(self.random.choice("aZ\"\\</\n\0ñ€𝄞") for _ in range(size))

    def record(self, schema):
        choices = {}
        for field in schema["fields"]:
            if "oneOf" in field:
                choices.setdefault(field["oneOf"], []).append(field["name"])
        chosen = {self.random.choice(names) for names in choices.values()}
        return {f["name"]: self.choice(f, f["name"] in chosen) if "oneOf" in f else self.value(f["type"]) for f in schema["fields"]}

    def choice(self, field, chosen):
        """A field of a oneOf: exactly one of them is there."""
        self.learn(field["type"])
        return self.branch(field["type"][1:]) if chosen else None

    def branch(self, schema):
        pick = self.random.choice(schema)
        named = pick if isinstance(pick, dict) else self.named.get(pick)
        if named and "name" in named:  # a number with a logical type has none
            return (named["name"], self.value(pick))
        return self.value(pick)

    def value(self, schema):
        if isinstance(schema, list):
            for branch in schema:  # a name may be defined in a branch that is not picked
                self.learn(branch)
            return self.branch(schema)
        self.learn(schema)
        if isinstance(schema, str) and schema in self.named:
            schema = self.named[schema]
        kind = schema if isinstance(schema, str) else schema["type"]
        if kind == "record":
            return self.record(schema)
        if kind == "array":
            size = self.random.choice([0, 1, 2, 5, 70])
            return [self.value(schema["items"]) for _ in range(size)]
        if kind == "enum":
            return self.random.choice([s for s in schema["symbols"] if s != schema["default"]])  # never written
        if kind == "fixed":
            return self.random.randbytes(schema["size"])
        return {
            "null": lambda: None,
            "boolean": lambda: self.random.random() < 0.5,
            "int": lambda: self.integer(32),
            "long": lambda: self.integer(64),
            "string": self.text,
            "bytes": lambda: self.random.randbytes(self.random.choice([0, 1, 16, 300])),
        }[kind]()

    def learn(self, schema):
        """Remember every named type inside."""
        if isinstance(schema, list):
            for branch in schema:
                self.learn(branch)
        elif isinstance(schema, dict):
            if "name" in schema:
                self.named[schema["name"]] = schema
            self.learn(schema.get("items"))
            for field in schema.get("fields", []):
                self.learn(field["type"])
