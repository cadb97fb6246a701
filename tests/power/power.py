# SPDX-License-Identifier: MIT
"""A folder on powerfs (powerfs.c), whose power can be cut. Needs root and /dev/fuse. Standard library only."""
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

WAIT_S = 20.0


class PowerFs:
    """`path` is the folder, the same one before and after a cut; what a disk would keep is in `backing`."""

    def __init__(self, program):
        self.program = program
        self.base = Path(tempfile.mkdtemp(prefix="chasqui-power-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.base.chmod(0o755)
        self.backing, self.path, self.log = self.base / "backing", self.base / "mount", self.base / "powerfs.log"
        self.backing.mkdir()
        self.path.mkdir()
        self.process = None
        try:
            self.mount()
        except BaseException:
            self.close()
            raise

    def mount(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.program, self.backing, self.path, "-f", "-o", "allow_other,default_permissions"],
                                            stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + WAIT_S
        while not os.path.ismount(self.path):
            if self.process.poll() is not None or time.monotonic() > end:
                raise OSError(f"powerfs cannot be mounted: {self.log.read_text()[-300:]}")
            time.sleep(0.01)

    def cut(self, seed):
        """Everything that was not synced is gone, and whoever has a file open gets errors. What was lost, as a dict. mount() comes next."""
        with open(self.path / ".power", "wb", buffering=0) as control:
            control.write(f"cut {seed}".encode())
        self._unmount()
        return json.loads([line for line in self.log.read_text().splitlines() if line.startswith("{")][-1])  # others are a sanitizer's

    def _unmount(self):
        subprocess.run(["umount", "-l", self.path], capture_output=True, check=False)
        if self.process:
            self.process.kill()  # who still has a file open would keep it alive
            self.process.wait()
            self.process = None

    def close(self):
        self._unmount()
        shutil.rmtree(self.base, ignore_errors=True)
