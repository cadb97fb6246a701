#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether executables have what the compiler offers against exploits, read off the files themselves.

hardened.py --flags compile_commands.json EXECUTABLE…: and whether each file was compiled with it
hardened.py --bites: small programs that lack one thing each are all found out.
"""

import json
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

X86 = platform.machine() == "x86_64"
GOOD = ["-O2", "-fPIE", "-pie", "-fstack-protector-strong", "-fstack-clash-protection", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3",
        "-Wl,-z,relro,-z,now,-z,noexecstack", *(["-fcf-protection"] if X86 else [])]
# flags that take one thing away → what is said then
WEAK = [(["-no-pie", "-fno-pie"], "not position independent"), (["-Wl,-z,norelro"], "no RELRO"), (["-Wl,-z,lazy"], "binds lazily"),
        (["-Wl,-z,execstack"], "stack can be executed"), (["-fno-stack-protector"], "no stack protector"),
        (["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"], "fortified less than level 3"), (["-Wl,-rpath,/tmp"], "rpath")]
if X86:
    WEAK += [(["-fcf-protection=none"], "no landing pads"), (["-fno-stack-clash-protection"], "no probes of the stack")]
# main() wants a large frame, a protected array, and a copy whose bound only level 3 finds
PROGRAM = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static __attribute__((noinline)) int use(size_t n) { char v[20000]; if (read(0, v, sizeof v) < 9) return 1; memcpy(v, v + 99, n & 77); return v[n % 99]; }
int main(int argc, char **argv)
{
    char *copy = malloc((size_t)argc * 4);
    memcpy(copy, argv[0], strlen(argv[0]));
    return use((size_t)argc) + copy[0];
}
"""


def read(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def faults(path):
    """What it lacks."""
    head, program, dynamic = read("readelf", "-hW", path), read("readelf", "-lW", path), read("readelf", "-dW", path)
    symbols = read("readelf", "--dyn-syms", "-W", path)
    found = []
    if not re.search(r"Type:\s+DYN", head) or "PIE" not in dynamic:
        found.append("not position independent")
    if "GNU_RELRO" not in program:
        found.append("no RELRO")
    if not re.search(r"FLAGS.*\bNOW\b", dynamic):
        found.append("binds lazily")
    if not re.search(r"GNU_STACK.* RW ", program):
        found.append("stack can be executed")
    if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
        found.append("has an rpath")
    if "(TEXTREL)" in dynamic:
        found.append("has relocations in its code")
    if "__stack_chk_fail" not in symbols:
        found.append("no stack protector")
    if not re.search(r"__(memcpy|memmove|snprintf|dprintf|read)_chk", symbols):
        found.append("not fortified")
    if X86:
        code = read("objdump", "-d", "--no-show-raw-insn", path)
        main = code.partition("<main>:\n")[2].partition("\n")[0]
        if "endbr64" not in main:
            found.append("no landing pads (-fcf-protection)")
        if any(4096 < int(n, 16) < 1 << 31 for n in re.findall(r"\bsub +\$0x([0-9a-f]+),%rsp", code)):  # a page passed over untouched
            found.append("no probes of the stack (-fstack-clash-protection)")
    return found


def level(path):
    """For PROGRAM only: it copies to where only level 3 knows the size."""
    return [] if "__memcpy_chk" in read("readelf", "--dyn-syms", "-W", path) else ["fortified less than level 3"]


def compiled(commands):
    """Commands that lack one of the flags. A flag for another level, or against one of these, comes later and would win."""
    wanted = [f for f in GOOD if f.startswith(("-f", "-D")) and f not in ("-fPIE",)]
    return [f"{c['file']}: compiled without {flag}" for c in json.loads(Path(commands).read_text()) for flag in wanted
            if flag not in c["command"].split() or "-D_FORTIFY_SOURCE=2" in c["command"] or "-fno-stack" in c["command"]]


def bites():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "program.c"
        source.write_text(PROGRAM)
        for flags, word in [([], None), *WEAK]:
            binary = Path(folder) / "program"
            subprocess.run(["gcc", *GOOD, *flags, source, "-o", binary], check=True)
            said = faults(binary) + level(binary)
            if (word is None) != (not said) or (word and not any(word in s for s in said)):
                failed += 1
                print(f"{' '.join(flags) or 'all of it'}: wanted {word!r}, said {said}")
    print(f"{len(WEAK) + 1 - failed} of {len(WEAK) + 1} as they should be")
    return failed


def main():
    if sys.argv[1:] == ["--bites"]:
        return 1 if bites() else 0
    if len(sys.argv) < 4 or sys.argv[1] != "--flags":
        print(__doc__)
        return 2
    said = compiled(sys.argv[2]) + [f"{path}: {fault}" for path in sys.argv[3:] for fault in faults(path)]
    print("\n".join(said))
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
