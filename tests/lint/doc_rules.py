# SPDX-License-Identifier: MIT
"""What documents say of the code is so: links, files, functions, and pictures of states."""

import re
from pathlib import Path

from tree import strip_c

# Documents that lead through the code: each file and function that they name is looked up.
GUIDES = ("docs/start.md", "docs/glossary.md", "docs/add-a-kind.md")

FENCE = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)+/?|[\w-]+\.(?:c|h))`")
FUNCTION = re.compile(r"`(\w+)\(\)`")
PICTURE = re.compile(r"`enum (\w+)`.*?`([\w./-]+\.h)`[^`]*?^```\n(.*?)^```", re.M | re.S)


def slug(heading):
    """The anchor that Markdown's renderers make of a heading."""
    text = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
    return re.sub(r"\s", "-", text.strip())


def anchors(text):
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.M)}


def links(tree):
    """Links from one document to another lead to a file, and to a heading in it."""
    complaints = []
    for file in tree.files:
        if not file.endswith(".md"):
            continue
        for target in LINK.findall(FENCE.sub("", tree.text(file))):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (tree.root / file).parent / path if path else tree.root / file
            if not there.exists():
                complaints.append(f"{file}: the link to {target} leads nowhere")
            elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text()):
                complaints.append(f"{file}: {target}: there is no such heading")
    return complaints


def blocks(text):
    """Paragraphs and items of lists."""
    return [block for block in re.split(r"\n\s*\n|\n(?=\s*(?:-|\d+\.) )", FENCE.sub("\n\n", text)) if block.strip()]


def is_there(tree, name):
    if "/" in name:
        return (tree.root / name).exists()
    return any(Path(file).name == name for file in tree.c_files)


def defines(tree, file, function):
    """Whether C text begins something called so in the first column: a function, or its prototype."""
    return re.search(rf"^\w[^;{{}}\n]*\b{function}\(", strip_c(tree.text(file)), re.M) is not None


def enumerators(tree, name, file):
    """The names in `enum name` of a header, without the count at its end; None: there is no such enum."""
    body = re.search(rf"^enum {name} \{{(.*?)\}}", strip_c(tree.text(file)), re.M | re.S)
    return body and {word for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", body[1]) if not word.endswith("_N")}


def pictures(tree, guide, text):
    complaints = []
    for name, file, picture in PICTURE.findall(text):
        known = enumerators(tree, name, file) if file in tree.files else None
        if known is None:
            complaints.append(f"{guide}: {file} has no enum {name}")
            continue
        prefix = next(iter(known)).split("_")[0] + "_"
        shown = {word for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", picture) if word.startswith(prefix)}
        for word in sorted(known ^ shown):
            complaints.append(f"{guide}: {word}: is in only one of enum {name} and its picture")
    return complaints


def paths(tree):
    """Files, functions and states that the guides name are there; a function in a file that its paragraph names."""
    complaints = []
    for guide in GUIDES:
        if guide not in tree.files:
            complaints.append(f"{guide}: is missing")
            continue
        text = tree.text(guide)
        for block in blocks(text):
            files = set(FILE.findall(block))
            complaints += [f"{guide}: {name}: no such file" for name in sorted(files) if not is_there(tree, name)]
            sources = [name for name in files if name in tree.c_files]
            for function in sorted(set(FUNCTION.findall(block))):
                if not any(defines(tree, file, function) for file in sources):
                    complaints.append(f"{guide}: {function}() is in none of the files that its paragraph names ({', '.join(sorted(sources))})")
        complaints += pictures(tree, guide, text)
    return complaints
