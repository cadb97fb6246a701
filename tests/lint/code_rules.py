# SPDX-License-Identifier: MIT
"""What C code may look like and call."""

import re
import shutil
import subprocess

from tree import Skip, strip_c

FUNCTION_WARN, FUNCTION_FAIL = 60, 100  # lines between the braces, both counted
FILE_WARN, FILE_FAIL = 500, 900

BANNED = {
    "strcpy": "memcpy with a known length", "strcat": "buf_add", "sprintf": "snprintf or buf_printf",
    "vsprintf": "vsnprintf", "gets": "nothing", "atoi": "strtoll with its checks", "atol": "strtoll", "atoll": "strtoll",
    "atof": "strtod", "strtok": "spans", "strtok_r": "spans", "scanf": "spans", "sscanf": "spans", "rand": "random_bytes",
    "srand": "random_bytes", "random": "random_bytes", "gmtime": "gmtime_r", "localtime": "nothing", "ctime": "nothing",
    "assert": "CQ_ASSERT, which a release has, too", "alloca": "an arena", "system": "nothing", "popen": "nothing", "tmpnam": "mkstemp",
    "rd_kafka_consume_batch_queue": "rd_kafka_consumer_poll (the batch call skips offsets after a pause)",
    "jwt_decode": None,  # only where the algorithm is pinned
    "consumer_poll": "holds_poll, which judges what only a newer build can read",
}
# where they are in order; a test's random numbers come from a seed, so that a failure can be repeated
BANNED_EXCEPT = {"jwt_decode": ("lib/jwt/",), "consumer_poll": ("lib/bus/bus.h", "lib/bus/consumer.c", "lib/bus/hold.c", "tests/"), "rand": ("tests/",), "srand": ("tests/",)}

# What is released at the end of its block, and has no value until later: a return before that releases whatever lies there.
BARE = re.compile(r"^\s+(?:cq_auto\(\w+\)|__attribute__\(\(cleanup\(\w+\)\)\)) [\w ]+[ *](\w+)(?:;|, \*?\w+(?:;|,))")

# Pure files decide; these know the world.
CLOCK = re.compile(r'#\s*include\s*(<time\.h>|<sys/time\.h>|"lib/base/clock\.h")')
PURE = re.compile(r"(processors/[a-z]+/(?!role\.c).*\.c|schemas/(names|frame|topics|codec|bounds)\.c)")
MAINS = re.compile(r"(.*/role\.c|chasqui\.c|admin(_cut)?\.c|security\.c)")
# what a main alone does: log above debug, read settings, end the process
MAINS_ONLY = re.compile(r"\b(log_info|log_warn|log_error|setting_text|setting_int|setting_bool|settings_load|getenv|exit|_exit)"
                        r"\s*\(")
# a program of its own, and its start; the one line for each dead letter, and for a server that is away
MAINS_ONLY_EXCEPT = re.compile(r"lib/base/(settings|log)\.[ch]|schemas/gen(_bounds|_frames)?\.c|sinks/media/(look|thumbnail)\.c|lib/bus/letter\.c"
                               r"|lib/base/contact\.c")


def size(tree):
    """Functions and files that a person can hold in the head."""
    complaints = []
    for file in tree.c_files + list(tree.scripts):
        lines = len(tree.lines(file))
        if lines > FILE_FAIL:
            complaints.append(f"{file}: {lines} lines, at most {FILE_FAIL}")
        elif lines > FILE_WARN:
            tree.warnings.append(f"size: {file}: {lines} lines, better under {FILE_WARN}")
    for file in tree.c_files:
        for name, line, lines in functions(tree.text(file)):
            if lines > FUNCTION_FAIL:
                complaints.append(f"{file}:{line}: {name} has {lines} lines, at most {FUNCTION_FAIL}")
            elif lines > FUNCTION_WARN:
                tree.warnings.append(f"size: {file}:{line}: {name} has {lines} lines, better under {FUNCTION_WARN}")
    return complaints


def functions(text):
    """(name, first line, lines) of each function: its braces stand alone in column 0, as our format puts them."""
    found, lines, began = [], strip_c(text).splitlines(), None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            began = number
        elif line.startswith("}") and began:
            head = "\n".join(lines[max(0, began - 8):began - 1])
            names = re.findall(r"^(?![ \t#}]).*?(\w+)\s*\(", head, flags=re.M)
            found.append((names[-1] if names else "?", began - 1, number - began + 1))
            began = None
    return found


def banned(tree):
    """Calls with a better replacement."""
    complaints = []
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for file in tree.c_files:
        for number, line in enumerate(strip_c(tree.text(file)).splitlines(), 1):
            for name in pattern.findall(line):
                if not file.startswith(BANNED_EXCEPT.get(name, ("nowhere/",))):
                    instead = BANNED[name]
                    complaints.append(f"{file}:{number}: {name}()" + (f": use {instead}" if instead else " has one place"))
            if bare := BARE.search(line):
                complaints.append(f"{file}:{number}: {bare[1]} has no value yet, and is released on every way out: = {{ 0 }} or NULL")
    return complaints


def roles(tree):
    """Only a role.c (and the two mains) logs above debug, reads settings or ends the process; pure files have no clock."""
    complaints = []
    for file in tree.c_files:
        if file.startswith("tests/"):
            continue
        for number, line in enumerate(strip_c(tree.text(file)).splitlines(), 1):
            if not MAINS.fullmatch(file) and not MAINS_ONLY_EXCEPT.fullmatch(file) and (call := MAINS_ONLY.search(line)):
                if not line.lstrip().startswith("#"):
                    complaints.append(f"{file}:{number}: {call[1]}() is for role.c, chasqui.c, admin.c, admin_cut.c and security.c")
        if PURE.fullmatch(file):
            for number, line in enumerate(tree.lines(file), 1):
                if CLOCK.search(line):
                    complaints.append(f"{file}:{number}: a pure file reads no clock")
    return complaints


def formatting(tree):
    """clang-format 14 has nothing to change."""
    tool = shutil.which("clang-format-14")
    if not tool:
        raise Skip("clang-format-14 is not installed")
    if not tree.c_files:
        return []
    result = subprocess.run([tool, "--dry-run", "--style=file", *tree.c_files], cwd=tree.root, capture_output=True, text=True,
                            check=False)
    found = {}
    for line in result.stderr.splitlines():
        if match := re.match(r"(\S+?):(\d+):\d+: (warning|error): (.*)", line):
            found.setdefault(match[1], (match[2], match[4]))
    if result.returncode and not found:
        return [result.stderr.strip()]
    return [f"{file}:{line}: not as clang-format-14 writes it" for file, (line, _) in found.items()]
