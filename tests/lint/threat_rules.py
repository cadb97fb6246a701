# SPDX-License-Identifier: MIT
"""docs/security.md against the tests: each threat names tests, which exist and bear its number."""

import re

PAGE = "docs/security.md"
THREATS = (*range(1, 51), 54, 56)
OPEN = "not shown:"  # in place of a test: why there is none
SPOILED = "tests/threats/spoiled.py"
BESIDE = ("lint.", "binaries.")  # these spoil what they look at themselves
ROW = re.compile(r"^\| (T\d+) \|(.*)\|$")
NAME = re.compile(r"`([a-z0-9_.]+)`")
WORDS = r"(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|DROP|ALTER)\b"
MADE = re.compile(rf'\b(\w*printf|buf_add_str|buf_add|strcat)\s*\([^;]*"[^"]*\b{WORDS} [^"]*"')
RUN = re.compile(r"\bpg_(run|run_once|found|script)\(\s*([^,()]+),\s*([^;]{1,80})")
# a text, a name that begins with sql, a choice of two of these, or the column of a table of constants
CONSTANT = re.compile(r'\s*([^?;]+\? (sql\w*|"[A-Z ]+") : (sql\w*|"[A-Z ]+")|"|sql\w*\b|(rows\[i\]\.|migration->)sql\b)')


def known_tests(tree):
    """Names of the tests in Python and C, and those that ctest has: lint.x, binaries.x, fuzz.x, unit.x."""
    found = set()
    for file in tree.files:
        if file.startswith("tests/") and file.endswith(".py"):
            found |= set(re.findall(r"^(?:async )?def (test_\w+)", tree.text(file), re.M))
        elif file.startswith("tests/") and file.endswith(".c"):
            found |= set(re.findall(r"^TEST\((\w+)\)", tree.text(file), re.M))
            if match := re.search(r"/(fuzz|test)_(\w+)\.c$", file):
                found.add(f"{'unit' if match[1] == 'test' else 'fuzz'}.{match[2]}")
        elif file.startswith("tests/") and file.endswith("CMakeLists.txt"):
            found |= set(re.findall(r"add_test\(NAME ([\w.]+)", tree.text(file)))
            for names in re.findall(r"foreach\(lint ([^)]+)\)", tree.text(file)):
                found |= {f"lint.{n}" for n in names.split()}
    return found


def bites(tree, name, row, named):
    """Whether a threat's tests are shown to fail: by a planted bug, a spoiled answer, or a test beside them."""
    planted = [f for f in tree.files if f.startswith(f"tests/threats/planted/{name.lower()}-")]
    if "**P**" in row and planted or any(test.startswith(BESIDE) for test in named):
        return True
    spoiled = tree.text(SPOILED) if SPOILED in tree.files else ""
    beside = "".join(tree.text(f) for f in tree.files if f.endswith(".py") and "checks_bite(" in tree.text(f))
    return any(f"::{test}\"" in spoiled or f"def {test}(" in beside for test in named)


def threats(tree):
    """Every threat has its row; what a row names exists; one of its tests bears the threat's number and is shown to bite, or the row says why not."""
    rows = {m[1]: m[2] for line in tree.lines(PAGE) if (m := ROW.match(line))} if PAGE in tree.files else {}
    known, complaints = known_tests(tree), []
    for number in THREATS:
        name = f"T{number}"
        if name not in rows:
            complaints.append(f"{PAGE}: no row for {name}")
            continue
        shown_by = rows[name].rsplit("|", 1)[-1]
        if shown_by.strip().startswith(OPEN):
            continue
        named = NAME.findall(shown_by)
        complaints += [f"{PAGE}: {name} names {test}, which is no test" for test in named if test not in known]
        own = re.compile(rf"(^|_){name.lower()}_|\.")  # ctest's names have none
        if not any(own.search(test) for test in named):
            complaints.append(f"{PAGE}: {name} names no test that bears its number")
        elif not bites(tree, name, rows[name], named):
            complaints.append(f"{PAGE}: {name}: nothing shows that its tests bite; add a row to {SPOILED}, or plant a bug and mark it **P**")
    return complaints


def statements(tree):
    """SQL is constant text: what comes from outside is a parameter (T41)."""
    complaints = []
    for file in tree.c_files:
        if file.startswith(("tests/", "lib/pg/")):
            continue
        text = tree.text(file)
        for match in MADE.finditer(text):
            complaints.append(f"{file}:{text.count(chr(10), 0, match.start()) + 1}: SQL put together by {match[1]}()")
        for match in RUN.finditer(text):
            if not CONSTANT.match(match[3]):
                complaints.append(f"{file}:{text.count(chr(10), 0, match.start()) + 1}: pg_{match[1]}() of what is no constant")
    return complaints
