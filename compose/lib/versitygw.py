# SPDX-License-Identifier: MIT
"""versitygw: S3 over a folder. Built once with Go into the state folder, about two minutes when nothing of it is cached."""

import os
import shutil
import sys
from pathlib import Path

from process import Failure, Proc

MODULE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"


def program(home, progress=None, build=True):
    """The executable in `home`, or on the path; built when there is neither and a Go tool chain is there. None: cannot be had."""
    from services import Progress, locked, run_step

    found = Path(home) / "versitygw"
    if found.exists():
        return found
    if on_path := shutil.which("versitygw"):
        return Path(on_path)
    go = shutil.which("go") or ("/usr/local/go/bin/go" if Path("/usr/local/go/bin/go").exists() else None)
    if not go or not build:
        return None
    with locked(Path(home) / "versitygw.lock"), (progress or Progress()).step("versitygw: build it with Go"):
        if not found.exists():
            run_step("build versitygw", [go, "install", MODULE], Path(home) / "versitygw.log", timeout=900,
                     env={**os.environ, "GOBIN": str(Path(home).resolve())})
    if not found.exists():
        raise Failure("build versitygw", "go install made no executable", Path(home) / "versitygw.log")
    return found


def server(executable, folder, port, access_key, secret_key, log_path, guard=None, host="127.0.0.1"):
    """A Proc that serves the buckets (sub-folders) of `folder`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    env = {"PATH": os.environ["PATH"], "ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key}
    return Proc("versitygw", [executable, "--port", f"{host}:{port}", "posix", folder], log_path, "service listening on", env=env, guard=guard)


if __name__ == "__main__":
    print(program(sys.argv[1]) or "no versitygw on the path, and no Go to build it")
