# SPDX-License-Identifier: MIT
"""What is declared in C functions is called by names that a reader can look for."""

import re

from tree import strip_c

SHORT_FUNCTION = 15  # lines between the braces, both counted: up to here a reader sees a name and its declaration at once
FREE = frozenset("inps")  # an index, a count, a pointer, a span or size: everywhere
WORD = r"(?:struct|enum|union)\s+\w+|unsigned(?:\s+(?:int|char|long|short))?|(?:long\s+)*(?:int|char|double|float|bool|short|void|long)|\w+_t|va_list|\w+_fn"
QUALIFIER = r"(?:(?:const|static|volatile|register|cq_auto\(\w+\)|_Thread_local)\s+)*"
DECLARATOR = re.compile(r"\s*((?:\*\s*(?:const\s+|volatile\s+|restrict\s+)*)*)([A-Za-z_]\w*)\s*((?:\[[^\]]*\])*)")


def functions(text):
    """(name, first line, lines, head, body) of each function in C text that strip_c() has made bare."""
    lines, began = text.splitlines(), None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            began = number
        elif line.startswith("}") and began:
            top = began - 1
            while top > 1 and _goes_on(lines[top - 2]):
                top -= 1
            head = "\n".join(lines[top - 1:began - 1])
            names = re.findall(r"(\w+)\s*\(", head)
            yield (names[0] if names else "?", top, number - began + 1, head, "\n".join(lines[began - 1:number]))
            began = None


def _goes_on(line):
    """Whether the head of a function may go on below it."""
    return line.strip() and not line.startswith(("}", "#")) and not line.rstrip().endswith((";", "\\"))


def _split(text):
    """Its pieces between commas that stand in no brackets."""
    pieces, depth, piece = [], 0, ""
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:
            break
        if char == "," and not depth:
            pieces.append(piece)
            piece = ""
        else:
            piece += char
    return [*pieces, piece]


def _parameters(head):
    at = head.find("(")
    return _split(head[at + 1:]) if at >= 0 else []


def declared(head, body):
    """(type, stars, name) of each parameter and local."""
    found = []
    for parameter in _parameters(head):
        match = re.match(rf"\s*{QUALIFIER}({WORD})(?:\s+const)*\s*(?=[\s*])", parameter)
        name = match and DECLARATOR.match(parameter, match.end())
        if name:
            found.append((re.sub(r"\s+", " ", match[1]), "*" * name[1].count("*") + ("*" if name[3] else ""), name[2]))
    for statement in re.finditer(rf"(?:(?<=[;{{}}])|(?<=\bfor \()|(?<=:))\s*{QUALIFIER}({WORD})(?:\s+const)*(?=[\s*])", body):
        rest = re.match(r"[^;{]*(?:\{[^;]*)?", body[statement.end():])[0]
        for piece in _split(rest):
            name = DECLARATOR.match(piece)
            if not name or piece[name.end():].lstrip()[:1] not in ("", "=", ":"):
                continue
            found.append((re.sub(r"\s+", " ", statement[1]), "*" * name[1].count("*") + ("*" if name[3] else ""), name[2]))
    return found


def names(tree):
    """A name of one letter only where its declaration is in sight, and never for a struct: that is called by its type's name, the same everywhere."""
    complaints = []
    for file in tree.c_files:
        for function, line, lines, head, body in functions(strip_c(tree.text(file))):
            found = {one for one in declared(head, body) if len(one[2]) == 1}
            for kind, stars, name in sorted(found):
                two_of_a_kind = sum(kind == other for other, _, _ in found) > 1
                if lines > SHORT_FUNCTION and name not in FREE:
                    complaints.append(f"{file}:{line}: {function}() has {lines} lines and declares {kind} {stars}{name}: over {SHORT_FUNCTION} lines "
                                      "a name has three letters or more, but for i, n, p, s")
                elif kind.startswith("struct") and not two_of_a_kind:
                    complaints.append(f"{file}:{line}: {function}() calls a {kind} {stars}{name}: call it by its type's name")
    return complaints
