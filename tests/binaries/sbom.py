#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compose/sbom names every library that the executables want, with the version that is installed: sbom.py EXECUTABLE…"""

import functools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(folder, *executables):
    out = Path(folder) / "bom.json"
    done = subprocess.run([ROOT / "compose/sbom", "--version", "1.2.3", "--output", out, *executables], capture_output=True, text=True,
                          check=False)
    return done, out.read_bytes() if done.returncode == 0 else b""


@functools.cache
def installed(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False).stdout


@functools.cache
def wanted(executable):
    out = subprocess.run(["readelf", "-dW", executable], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", out)


def faults_of(bom, executables):
    """What the document leaves out or gets wrong."""
    faults = []
    refs = {c["bom-ref"]: c for c in bom["components"]}
    if (bom["bomFormat"], bom["specVersion"]) != ("CycloneDX", "1.5") or not bom["serialNumber"].startswith("urn:uuid:"):
        faults.append("not the head of CycloneDX 1.5")
    for dependency in bom["dependencies"]:
        if not set(dependency["dependsOn"]) <= set(refs):
            faults.append(f"{dependency['ref']} depends on what is not listed")
    by_executable = {d["ref"]: [refs[r] for r in d["dependsOn"] if r in refs] for d in bom["dependencies"]}
    for executable in map(Path, executables):
        found = by_executable[f"chasqui/{executable.name}@1.2.3"]
        files = {Path(p["value"]).name for c in found for p in c["properties"] if p["name"] == "file"}
        for name in wanted(executable):
            if not any(f.startswith(name.partition(".so")[0]) for f in files):
                faults.append(f"{executable.name} wants {name}, which no package brings")
    for c in refs.values():
        if c["type"] != "library":
            continue
        if c["version"] not in installed(c["name"]) or not c["purl"].startswith(f"pkg:deb/debian/{c['name']}@"):
            faults.append(f"{c['name']} {c['version']}: installed is {installed(c['name'])}")
    return faults


def unnoticed(raw, executables):
    """Documents with something wrong in them that pass all the same."""
    found = []
    for what in ("a library left out", "another version", "another format"):
        bom = json.loads(raw)
        library = next(c for c in bom["components"] if c["type"] == "library")
        if what == "a library left out":
            bom["components"].remove(library)
        elif what == "another version":
            library["version"] = "0.0.0-spoiled"
        else:
            bom["specVersion"] = "0"
        if not faults_of(bom, executables):
            found.append(f"{what} goes unnoticed")
    return found


def main():
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        done, raw = make(folder, *sys.argv[1:])
        if not raw:
            print(done.stderr)
            return 1
        if make(folder, *sys.argv[1:])[1] != raw:
            faults.append("two runs differ")
        components = len(json.loads(raw)["components"])
        faults += faults_of(json.loads(raw), sys.argv[1:]) + unnoticed(raw, sys.argv[1:])
        # a library of no package is said, not left out
        lib, using = Path(folder) / "libown.so", Path(folder) / "using"
        for argv, text in ((["-shared", "-fPIC", "-o", lib], "int own(void) { return 0; }"),
                           (["-o", using, lib, f"-Wl,-rpath,{folder}"], "int own(void); int main(void) { return own(); }")):
            source = Path(folder) / "source.c"
            source.write_text(text)
            subprocess.run(["gcc", source, *argv], check=True)
        done, raw = make(folder, using)
        if raw or "libown.so" not in done.stderr:
            faults.append("a library of no package went unsaid")
    print("\n".join(faults) or f"{components} components")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
