# SPDX-License-Identifier: MIT
"""One run: a Chasqui with two of every role, people who use it, faults that befall it, and the verdict."""
from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import time
import xml.etree.ElementTree as xml
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib"), str(HERE.parent / "power")]

import dark  # noqa: E402, F401  (F25)
import deleting  # noqa: E402
import dump  # noqa: E402
import keeping  # noqa: E402
import nemesis as nem  # noqa: E402
import three  # noqa: E402
from checker import FD_SLACK, NEAR_FDS, NEAR_MB, Line, check  # noqa: E402
from client import MARK, until  # noqa: E402
from history import History  # noqa: E402
from look import ends_now, log_faults, rows_now  # noqa: E402
from metrics import Watch  # noqa: E402
from people import Cast  # noqa: E402
from rig import Rig  # noqa: E402
from stack import ROLES, ROOT, Stack  # noqa: E402

AUTHORIZER = {  # everybody may do everything, but for what a fault forbids
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found": "true"}
CAP_MB = {"edge-ws": 400, "edge-rest": 400}
CAP_MB_ELSE = 500
FAULT_S = 420.0
RECOVER_S = 90.0
COME_DOWN_S = 15.0
RECOVER_PLANTED_S = 20.0
SETTLE_S = 240.0
STANDING_EVERY_S = 4.0
# Eight partitions, three times, in five Java machines are more than two cores keep in sync under load.
THREE_BROKERS = {"PARTITIONS": "4", "SLOTS": "4"}
LOG_TOPICS = ("chat.actions", "chat.events", "rejections", "members", "user.inbox", "user.events", "presence", "delivery.status",
              "ws.push", "mobile.push", "push.outcomes")


class Say:
    """Prints, and keeps what was printed beside the run's other files."""

    def __init__(self, path: Path):
        self.out = open(path, "w", encoding="utf-8")  # noqa: SIM115

    def __call__(self, text: str) -> None:
        print(text, flush=True)
        self.out.write(text + "\n")
        self.out.flush()


class Memory:
    """RSS and descriptors of every role, looked at each second."""

    def __init__(self, stack):
        self.stack, self.seen = stack, {}

    @staticmethod
    def of(pid: int) -> tuple[int, int]:
        """(MB resident, open descriptors); (0, 0) of one that is gone."""
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            rss = next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS"))
            return rss // 1024, len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, StopIteration):
            return 0, 0

    def base(self) -> None:
        for p in self.stack.roles():
            mb, fds = self.of(p.pid)
            cap = CAP_MB.get(p.name.rpartition("-")[0], CAP_MB_ELSE)
            self.seen[p.name] = {"base_mb": mb, "fds_base": fds, "most_mb": mb, "most_fds": fds, "cap_mb": cap}

    def now(self) -> dict[str, tuple[int, int]]:
        return {p.name: self.of(p.pid) for p in self.stack.roles()}

    def near(self, base: dict[str, tuple[int, int]]) -> bool:
        """Whether everybody holds about as much as at `base`; checker.py has the bounds."""
        return all(mb <= base[name][0] + NEAR_MB and fds <= base[name][1] + NEAR_FDS.get(name.rpartition("-")[0], FD_SLACK)
                   for name, (mb, fds) in self.now().items())

    async def watch(self) -> None:
        while True:
            for p in self.stack.roles():
                mb, fds = self.of(p.pid)
                x = self.seen[p.name]
                x["most_mb"], x["most_fds"] = max(x["most_mb"], mb), max(x["most_fds"], fds)
            await asyncio.sleep(1)

    def end(self) -> None:
        for p in self.stack.roles():
            x = self.seen[p.name]
            x["end_mb"], x["fds_end"] = self.of(p.pid)


class Drive:
    def __init__(self, options, out: Path):
        self.o, self.out = options, out
        self.say = Say(out / "report.txt")
        self.h = History(out / "history.jsonl")
        self.begin = time.monotonic()
        self.meta: dict = {"seed": options.seed, "began_ms": self.h.began_ms}
        self.held: list[tuple[str, dict]] = []  # after each fault: name → (MB, descriptors)

    def at(self) -> str:
        return f"[{time.monotonic() - self.begin:6.1f} s]"

    # ---- the run -------------------------------------------------------------------------------

    def run(self) -> list[Line]:
        o = self.o
        self.say(f"seed {o.seed}, {o.profile}, {o.minutes:g} minutes, {'faults ' + ' '.join(o.fault) if o.fault else 'drawn faults'}")
        build = Path(os.environ.get("CHASQUI_BUILD") or ROOT / "build/release").resolve()
        self.rig = Rig(o.want, o.base_port, build, self.out, self.say)
        try:
            with Stack(build=build, base_port=o.base_port, copies={r: 2 for r in ROLES},
                       settings={**self.rig.settings, "DURABILITY": o.durability, **(THREE_BROKERS if o.brokers > 1 else {})},
                       state=self.rig.state(), durable="power" in o.want,
                       ports=self.rig.ports, broker_settings=AUTHORIZER if o.brokers == 1 else None, brokers=o.brokers,
                       controllers=three.CONTROLLERS if o.brokers > 1 else 0) as stack:
                try:
                    stack.start()
                    dump.install_audit(stack)
                    asyncio.run(self.live(stack))
                    return self.judge(stack)
                finally:
                    if not self.rig.disk and stack.services.log_dir.exists():
                        shutil.copytree(stack.services.log_dir, self.out / "log", dirs_exist_ok=True)
        finally:
            self.rig.close()

    async def live(self, stack) -> None:
        o = self.o
        self.say(f"{self.at()} {len(stack.roles())} processes are ready")
        memory = Memory(stack)
        memory.base()
        cast = Cast(stack, self.h, o.seed, self.rig.ws_urls(stack), o.users, o.rate)
        cast.deeds += [keeping.keep, deleting.delete]
        m = nem.Nemesis(stack, cast, self.h, self.rig.proxies, self.rig.disk, self.rig.preloads)
        for p in stack.roles():
            p.auto_restart = True
        watching = asyncio.create_task(memory.watch())
        looking = asyncio.create_task(self.look_who_stands(stack))
        numbers = Watch(stack, every=1.0)
        numbers.__enter__()
        try:
            await cast.prepare()
            self.say(f"{self.at()} {len(cast.all_players())} devices of {o.users} people, {len(cast.direct)} direct chats, "
                     f"{len(cast.groups)} groups")
            cast.play()
            await self.probe(cast, RECOVER_S)
            self.memory, self.used = memory, memory.now()
            await self.harm(m, cast)
            self.print_held()
            await m.heal()
            await self.finish(stack, cast)
        finally:
            watching.cancel()
            looking.cancel()
            await asyncio.to_thread(numbers.__exit__)
            self.meta["numbers"] = {f"{role} {name}": n for (role, name), n in numbers.all_seen().items()}
            await cast.close()
        try:  # without clients, processes hold what they hold for themselves
            await until(lambda: all(memory.of(p.pid)[1] <= memory.seen[p.name]["fds_base"] + 8 for p in stack.roles()), 30,
                        "descriptors to be closed")
            await until(lambda: not dump.behind(stack), 30, "the last words of the sockets to be consumed")
        except AssertionError as e:
            self.say(f"{self.at()} {e}")  # the checker looks at the same numbers
        memory.end()
        self.meta["memory"] = memory.seen

    async def look_who_stands(self, stack) -> None:
        while True:
            for x in await asyncio.to_thread(dump.standing, stack):
                self.h.add("lag", **x)
            await asyncio.sleep(STANDING_EVERY_S)

    async def harm(self, m: nem.Nemesis, cast: Cast) -> None:
        o = self.o
        end = time.monotonic() + o.minutes * 60
        rng = random.Random(f"{o.seed}/gaps")
        if o.fault:
            plan = [(f, f"{o.seed}/{name}") for name in o.fault for f in nem.named(name) if not f.needs or f.needs in self.rig.have]
            assert plan, f"no such fault: {o.fault}"
        else:
            plan = nem.plan(o.seed, 1000, self.rig.have, o.profile == "short")
        left = False
        for f, seed in plan:
            if time.monotonic() > end and not o.fault:
                break
            if not left and (o.fault or time.monotonic() > end - o.minutes * 36):
                left = True
                await cast.leave_some()
            await asyncio.sleep(rng.uniform(1, 3))
            await self.one(f, seed, m, cast)

    async def one(self, f: nem.Fault, seed: str, m: nem.Nemesis, cast: Cast) -> None:
        self.h.add("fault", fault=f.name)
        began = time.monotonic()
        try:
            async with asyncio.timeout(FAULT_S):
                detail = await f.do(m, random.Random(seed))
            healed = time.monotonic()
            await self.probe(cast, RECOVER_PLANTED_S if self.o.planted else RECOVER_S)
            seconds = round(time.monotonic() - healed, 1)
            self.h.add("recovered", fault=f.name, seconds=seconds, detail=detail)
            await self.look_after(f.name)
            self.say(f"{self.at()} {f.name:16} {f.what}: {detail}; {healed - began:.1f} s, well again {seconds} s later")
        except Exception as e:  # noqa: BLE001  (the run goes on; the checker counts it)
            self.h.add("not_recovered", fault=f.name, why=f"{type(e).__name__}: {e}"[:500])
            self.say(f"{self.at()} {f.name:16} {f.what}: NOT WELL AGAIN: {type(e).__name__}: {str(e)[:300]}")
            await m.heal()

    async def look_after(self, fault: str) -> None:
        """What everybody holds once a fault is over; he who holds more gets some seconds to give it back."""
        try:
            await until(lambda: self.memory.near(self.used), COME_DOWN_S, "memory and descriptors to come back")
        except AssertionError:
            pass  # the checker looks at the same numbers
        self.held.append((fault, self.memory.now()))
        self.h.add("after", fault=fault, of=self.held[-1][1], base=self.used)

    def print_held(self) -> None:
        """A row for each fault: what each role held after it, its copies added up."""
        roles = [r for r in ROLES if any(n.rpartition("-")[0] == r for n in self.used)]

        def row(of) -> str:
            sums = [[sum(x[k] for n, x in of.items() if n.rpartition("-")[0] == r) for k in (0, 1)] for r in roles]
            return " ".join(f"{f'{mb}/{fds}':>{max(len(r), 8)}}" for r, (mb, fds) in zip(roles, sums))

        self.say(f"MB/descriptors after {'':15} " + " ".join(f"{r:>8}" for r in roles))
        for name, of in [("the beginning", self.used), *self.held]:
            self.say(f"  {name:32} {row(of)}")

    async def probe(self, cast: Cast, limit_s: float) -> None:
        """Something that everybody says now is accepted."""
        outs = []
        for p in cast.people:
            d = p.players[0]
            d.start()
            chat = p.chats[len(outs) % len(p.chats)]
            outs.append((d, d.send(f"{MARK} probe {self.h.counts.get('send', 0)} {p.name}", chat)))
        await until(lambda: all(o.verdict for _, o in outs), limit_s,
                    lambda: f"probes of {[repr(d) for d, o in outs if not o.verdict][:3]}")

    # ---- its end -------------------------------------------------------------------------------

    async def finish(self, stack, cast: Cast) -> None:
        self.say(f"{self.at()} healed: {cast.sent} messages so far; waiting until all is quiet")
        await cast.stop_playing()
        await asyncio.gather(*(m.end() for m in cast.mutes))
        await self.settled_or_said(stack, cast)
        self.h.add("mark", name="quiet")
        self.cursors_quiet = await asyncio.to_thread(rows_now, stack, dump.TABLES["cursors"])
        self.say(f"{self.at()} quiet; now those who were away come back, and new devices come")
        await cast.welcome_back()
        for p in cast.people[:3]:
            (await cast.device(p, "web")).start()
        await self.settled_or_said(stack, cast)
        self.h.add("mark", name="end")
        await cast.look_parted()
        await cast.look_polls()
        await keeping.look_searched(cast)
        for d in cast.all_players():
            for text in d.anomalies:
                d.note("odd", text=text)

    async def settled_or_said(self, stack, cast: Cast) -> None:
        """What never comes to rest is judged as it stands."""
        try:
            await self.settled(stack, cast, 30.0 if self.o.planted else SETTLE_S)
        except AssertionError as e:
            self.say(f"{self.at()} NEVER QUIET: {str(e)[:600]}")
            self.h.add("odd", text=f"never quiet: {str(e)[:600]}")

    async def settled(self, stack, cast: Cast, limit_s: float) -> None:
        for p in stack.roles():
            await until(lambda p=p: p.alive() and p.is_ready(), limit_s, f"{p.name} to be ready")
        await cast.posts_done(limit_s)
        await deleting.all_left(stack, limit_s)
        here = [d for d in cast.all_players() if not d.away_for_good]

        def open_ones():
            return [d for d in here if not d.caught_up or d.waiting or any(not o.verdict for o in d.outbox.values())]

        await until(lambda: not open_ones(), limit_s, lambda: f"every send to have ack and verdict: {self.describe(open_ones())}")
        last: dict = {}

        async def level():
            for d in here:
                if not d._timers and not d._writes and d.caught_up:
                    continue
                return False
            lacking = await asyncio.to_thread(dump.behind, stack)
            ends = await asyncio.to_thread(ends_now, stack, LOG_TOPICS)
            same = last.get("ends") == ends
            last.update(ends=ends, behind=lacking)
            await asyncio.sleep(0.5)
            return same and not lacking

        try:
            await until(level, limit_s, "everything to be consumed")
        except AssertionError as e:
            raise AssertionError(f"{e}: {str(last.get('behind'))[:300]}") from None

    @staticmethod
    def describe(devices) -> str:
        return "; ".join(f"{d!r} {[o for o in d.outbox.values() if not o.verdict][:2]}" for d in devices[:3])

    # ---- the verdict ---------------------------------------------------------------------------

    def judge(self, stack) -> list[Line]:
        self.h.close()
        self.meta["behind"] = dump.behind_still(stack)
        self.meta["commits"] = dump.commits(stack)
        self.meta["audit"] = [{k: str(v) for k, v in r.items()} for r in rows_now(stack, "SELECT * FROM audit.backwards")]
        self.meta["log_faults"] = log_faults(stack)
        topics, tables = dump.read_log(stack), dump.read_tables(stack)
        tables["cursors_quiet"] = [dump.plain(r) for r in self.cursors_quiet]
        if not self.o.planted:
            self.meta["rebuilt"] = self.rebuilt(stack)
        self.say(f"{self.at()} dumped: {sum(map(len, topics.values()))} records, {sum(map(len, tables.values()))} rows")
        dump.save(self.out, topics, tables, self.meta)
        return check(dump.load(self.out))

    @staticmethod
    def rebuilt(stack) -> dict:
        """The view forgotten and made anew from the log."""
        from look import view_is_level

        sinks = [p for p in stack.roles() if p.name.startswith(("persistence", "status", "search"))]
        for p in sinks:
            p.stop()
        stack.services.rebuild()
        for p in sinks:
            p.start()
        for p in sinks:
            p.wait_ready(60)
        asyncio.run(view_is_level(stack, 180))
        return dump.read_tables(stack, [t for t in dump.TABLES if t not in dump.NOT_REBUILT])


def write_junit(path: Path, name: str, lines: list[Line]) -> None:
    suite = xml.Element("testsuite", name=name, tests=str(len(lines)), failures=str(sum(not x.ok for x in lines)))
    for x in lines:
        case = xml.SubElement(suite, "testcase", classname=name, name=f"{name}: {x.name} {x.what}")
        if not x.ok:
            xml.SubElement(case, "failure", message=x.bad[0][:300]).text = "\n".join(x.bad[:50])
    path.parent.mkdir(parents=True, exist_ok=True)
    xml.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def tell(say, seed: str, lines: list[Line]) -> bool:
    for x in lines:
        say(str(x))
    good = all(x.ok for x in lines)
    say(f"seed {seed}: {sum(x.ok for x in lines)} of {len(lines)} invariants hold" + ("" if good else "  BROKEN"))
    return good


def proof(say, lines: list[Line]) -> list[Line]:
    """Without syncs a loss of power has to cost acknowledged messages, or the disk of the test is none that loses anything."""
    if lines[0].name == "RUN":
        return lines
    broken = [x for x in lines if not x.ok]
    for x in broken:
        say(f"as it must be: {x}")
    lost = any(x.name == "I1" for x in broken)
    return [Line("F25", "with DURABILITY=cached acknowledged messages are lost", "",
                 [] if lost else ["nothing was lost: the disk keeps what was not synced, and F25 proves nothing"])]


def parse(argv) -> argparse.Namespace:
    a = argparse.ArgumentParser(prog="tests/faults/run", description=__doc__)
    a.add_argument("--minutes", type=float, default=10)
    a.add_argument("--seed", default="1")
    a.add_argument("--profile", choices=("short", "long"), default="long")
    a.add_argument("--fault", action="append", default=[], help="this one by itself (F4: all of F4), as often as wanted")
    a.add_argument("--keep", help="folder for report, history, dump and logs (build/faults/seed-SEED)")
    a.add_argument("--check", metavar="FOLDER", help="only judge what an earlier run kept")
    a.add_argument("--list", action="store_true", help="name the faults")
    a.add_argument("--plan", action="store_true", help="print the faults of this seed in their order")
    a.add_argument("--base-port", type=int, default=int(os.environ.get("CHASQUI_FAULTS_PORT", "30000")))
    a.add_argument("--users", type=int, default=8)
    a.add_argument("--rate", type=float, default=30.0, help="messages a second")
    a.add_argument("--plain", action="store_true", help="long profile without a disk of its own and without proxies")
    a.add_argument("--brokers", type=int, choices=(1, three.BROKERS), help="Kafka as a cluster; only F6 is for that, and F6 needs it")
    a.add_argument("--junit", type=Path)
    a.add_argument("--planted", action="store_true", help="leave out what a planted bug need not wait for")
    a.add_argument("--durability", choices=("cached", "synced"), default="cached",
                   help="with F25 and cached the run is good when acknowledged messages are lost: else the disk lost nothing")
    o = a.parse_args(argv)
    for_three = {f.needs == "brokers" for name in o.fault for f in nem.named(name)}
    o.brokers = o.brokers or (three.BROKERS if for_three == {True} else 1)
    if o.fault and for_three != {o.brokers > 1}:
        a.error(f"not with --brokers {o.brokers}, or no fault at all: {' '.join(o.fault)}")
    if o.brokers > 1:
        o.fault, o.want = o.fault or ["F6"], {"brokers"}
        return o
    for_power = {f.needs == "power" for name in o.fault for f in nem.named(name)}
    if True in for_power:
        if for_power != {True}:
            a.error("F25 goes with no other fault: it needs a disk of its own kind")
        o.want = {"power"}
        o.planted = o.planted or o.durability == "cached"  # what is lost there need not be waited for
        return o
    o.want = {"fatal"} if o.profile == "short" else {"fatal", *([] if o.plain else ["disk", "proxies", "slow", "clock"])}
    return o


def main(argv=None) -> int:
    o = parse(argv)
    if o.list:
        print("\n".join(f"{f.name:20} {f.what}" for f in nem.FAULTS))
        return 0
    if o.plan:
        print("\n".join(f.name for f, _ in nem.plan(o.seed, 60, o.want, o.profile == "short")))
        return 0
    if o.check:
        kept = dump.load(Path(o.check))
        return 0 if tell(print, kept.meta["seed"], check(kept)) else 1
    out = Path(o.keep or ROOT / f"build/faults/seed-{o.seed}").resolve()  # links lead to it from elsewhere
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    drive = Drive(o, out)
    try:
        lines = drive.run()
    except Exception as e:  # noqa: BLE001
        import traceback

        drive.say(traceback.format_exc())
        lines = [Line("RUN", "the run came to its end", "", [f"{type(e).__name__}: {str(e)[:1000]}"])]
    if "power" in o.want and o.durability == "cached":
        lines = proof(drive.say, lines)
    good = tell(drive.say, o.seed, lines)
    drive.say(f"{drive.at()} files: {out}")
    if o.junit:
        write_junit(o.junit, f"faults seed {o.seed}", lines)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
