#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is synced on powerfs survives a cut of the power, and what is not is gone. Without that F25 would prove nothing.

    tests/power/test_powerfs.py POWERFS        as root, with /dev/fuse
"""
import mmap
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from power import PowerFs  # noqa: E402

PROGRAM = None
OLD, NEW = b"old " * 1024, b"new " * 1024
SEEDS = range(1, 13)


def save(path, data, sync=True, flags=0, at=0):
    out = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
    os.pwrite(out, data, at)
    if sync:
        os.fsync(out)
    os.close(out)


def sync_folder(path):
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


class Survival(unittest.TestCase):
    def setUp(self):
        self.disk = PowerFs(PROGRAM)
        self.addCleanup(self.disk.close)
        self.at = self.disk.path

    def cut(self, seed=1):
        self.disk.cut(seed)
        self.disk.mount()

    def test_an_append_that_was_not_synced_is_never_whole_for_all_seeds(self):
        kept = []
        for seed in SEEDS:
            save(self.at / "log", b"synced ")
            with open(self.at / "log", "ab") as out:
                out.write(b"x" * 10000)
            self.assertEqual((self.at / "log").stat().st_size, 7 + 10000)
            self.cut(seed)
            data = (self.at / "log").read_bytes()
            self.assertTrue(data.startswith(b"synced "))
            kept.append(len(data) - 7)
            (self.at / "log").unlink()
        self.assertIn(0, kept)
        self.assertTrue(any(0 < n < 10000 for n in kept), f"no seed tore the append: {kept}")

    def test_what_was_synced_is_there_whatever_the_seed(self):
        for seed in SEEDS:
            save(self.at / f"file-{seed}", OLD + NEW)
            self.cut(seed)
            for n in range(1, seed + 1):
                self.assertEqual((self.at / f"file-{n}").read_bytes(), OLD + NEW)

    def test_fdatasync_and_synchronous_writes_keep_data(self):
        out = os.open(self.at / "data", os.O_WRONLY | os.O_CREAT)
        os.write(out, NEW)
        os.fdatasync(out)
        os.close(out)
        save(self.at / "sync", NEW, sync=False, flags=os.O_SYNC)
        save(self.at / "dsync", NEW, sync=False, flags=os.O_DSYNC)
        self.cut()
        for name in ("data", "sync", "dsync"):
            self.assertEqual((self.at / name).read_bytes(), NEW, name)

    def test_overwritten_bytes_come_back_in_part_or_whole(self):
        seen = set()
        for seed in SEEDS:
            save(self.at / "page", OLD)
            save(self.at / "page", NEW, sync=False)
            self.cut(seed)
            data = (self.at / "page").read_bytes()
            sectors = {data[i:i + 512] for i in range(0, 4096, 512)}
            self.assertLessEqual(sectors, {OLD[:512], NEW[:512]})
            seen.add(len(sectors) if data != OLD else 0)
        self.assertEqual(seen, {0, 2}, "every cut should leave the old page or a torn one, and both should happen")

    def test_what_was_cut_short_comes_back(self):
        save(self.at / "log", OLD + NEW)
        os.truncate(self.at / "log", 10)
        save(self.at / "log", b"after", sync=False, at=10)
        self.cut()
        self.assertEqual((self.at / "log").read_bytes()[4096:], NEW)

    def test_a_mapping_is_lost_without_msync_and_kept_with_it(self):
        for flush, wanted in ((False, b"\0"), (True, b"m")):
            name = self.at / f"index-{flush}"
            save(name, b"\0" * 8192)
            with open(name, "r+b") as file:
                mapped = mmap.mmap(file.fileno(), 8192)
                mapped[0:8192] = b"m" * 8192
                if flush:
                    mapped.flush()
                self.disk.cut(2)
                try:
                    mapped.close()
                except OSError:
                    pass
            self.disk.mount()
            data = name.read_bytes()
            self.assertEqual(data, wanted * 8192, f"flush {flush}")

    def test_a_name_needs_a_sync_of_its_folder_or_of_a_file(self):
        (self.at / "made").touch()
        (self.at / "folder").mkdir()
        self.cut()
        self.assertEqual(os.listdir(self.at), [])
        (self.at / "folder").mkdir()
        (self.at / "folder/made").touch()
        sync_folder(self.at)
        self.cut()
        self.assertEqual((self.at / "folder/made").read_bytes(), b"")
        save(self.at / "other", NEW)
        self.cut()
        self.assertEqual((self.at / "other").read_bytes(), NEW)

    def test_the_data_of_a_new_file_is_not_kept_by_another_ones_sync(self):
        save(self.at / "unsynced", NEW, sync=False)
        save(self.at / "synced", NEW)
        self.cut(4)
        self.assertEqual((self.at / "synced").read_bytes(), NEW)
        self.assertNotEqual((self.at / "unsynced").read_bytes(), NEW)

    def test_renames_and_removals_are_undone_until_they_are_synced(self):
        save(self.at / "a", b"a")
        save(self.at / "b", b"b")
        os.rename(self.at / "a", self.at / "b")
        self.assertEqual((self.at / "b").read_bytes(), b"a")
        self.cut()
        self.assertEqual([(self.at / n).read_bytes() for n in "ab"], [b"a", b"b"])
        (self.at / "a").unlink()
        self.cut()
        self.assertEqual((self.at / "a").read_bytes(), b"a")
        os.rename(self.at / "a", self.at / "b")
        sync_folder(self.at)
        self.cut()
        self.assertEqual(os.listdir(self.at), ["b"])
        self.assertEqual((self.at / "b").read_bytes(), b"a")

    def test_a_removed_folder_comes_back_with_what_was_in_it(self):
        (self.at / "topic-0").mkdir()
        save(self.at / "topic-0/log", NEW)
        os.rename(self.at / "topic-0", self.at / "topic-0-delete")
        (self.at / "topic-0-delete/log").unlink()
        (self.at / "topic-0-delete").rmdir()
        self.cut()
        self.assertEqual((self.at / "topic-0/log").read_bytes(), NEW)

    def test_after_the_cut_nothing_works(self):
        with open(self.at / "log", "wb", buffering=0) as out:
            self.disk.cut(1)
            with self.assertRaises(OSError):
                out.write(b"late")
            with self.assertRaises(OSError):
                os.fsync(out.fileno())
        self.disk.mount()


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: not root, or no /dev/fuse")
        sys.exit(77)
    unittest.main()
