# SPDX-License-Identifier: MIT
"""What is run: each workload is a plan (who connects, which chats) and arguments of the load generator."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Workload:
    name: str
    kind: str  # pairs | group
    users: int  # that connect; those beyond the chats only stay connected
    chats: int
    size: int = 2  # members of a chat
    senders: int = 0  # first members that send; 0: all
    rate: float = 0  # messages a second, open loop
    window: int = 0  # or messages in flight a sender, closed loop
    receipts: str = "delivered"
    bytes: int = 100
    independent: bool = False  # each client by its own clock; else one loop says what all have to say, as bursts
    processes: int = 1  # load generators that share the chats
    impatient: bool = False  # what falls due while the server says to wait is not sent
    about: str = ""


def pairs(rate, users=1000, **more):
    name = f"pairs-{rate:g}" + ("-of-200" if users == 200 else "")
    return Workload(name, "pairs", users, users // 2, rate=rate, about="1:1, Poisson arrivals, latency from the due time", **more)


def closed(window, users=200, **more):
    return Workload(f"max-{window}", "pairs", users, users // 2, window=window, about="1:1, as much as is taken", **more)


def group(size, rate, senders=1, **more):
    name = f"group-{size}" + ("" if senders == 1 else f"x{senders}")
    return Workload(name, "group", size, 1, size=size, senders=senders, rate=rate, about="one group, all online", **more)


def groups(size, n, rate):
    """`n` groups, so that a sender of a small one stays below the rate of a user."""
    return Workload(f"groups-{size}", "group", n * size, n, size=size, rate=rate, about=f"{n} groups, all online")


def group_closed(size, window, senders=1, **more):
    name = f"gmax-{size}" + ("" if senders == 1 else f"x{senders}")
    return Workload(name, "group", size, 1, size=size, senders=senders, window=window, about="one group, all online, as much as is taken", **more)


def idle(users, rate=100, **more):
    return Workload(f"idle-{users}", "pairs", users, 50, rate=rate, about="connections that say nothing, 50 pairs that do", **more)


def clients(name, about, **more):
    """Independent clients: what people with phones do. `pairs`, `max` and the others move in lockstep."""
    return Workload(f"clients-{name}", "pairs", 200, 100, independent=True, processes=2, about=f"200 independent clients, {about}", **more)


CLIENTS = [*(clients(f"{rate}", "1:1, Poisson arrivals", rate=rate) for rate in (50, 500, 5000)),
           *(clients(f"max-{window}", "1:1, as much as is taken", window=window) for window in (1, 8)),
           replace(clients("gmax-100x10", "", window=1), kind="group", users=100, chats=1, size=100, senders=10, processes=1,
                   about="100 independent clients, one group, ten send as much as is taken")]
FULL = [*CLIENTS, pairs(500), pairs(2000), pairs(5000), pairs(500, users=200), pairs(5000, users=200), closed(1), closed(8),
        group(10, 200), group(100, 50), group(100, 50, senders=10), group(1000, 4),
        group_closed(100, 16), group_closed(100, 4, senders=10), group_closed(1024, 8),
        *(replace(w, name=f"{w.name}-read", receipts="read") for w in (pairs(500), closed(1), closed(8))), idle(10000, rate=500)]
QUICK = [replace(clients("200", "1:1, Poisson arrivals", rate=200), users=100, chats=50), pairs(200, users=100), closed(8, users=50), group(50, 20), idle(300, rate=50)]


def chosen(names, quick, rate, users):
    """The workloads of the list, or those whose name begins with one of `names`, with the rate and users asked for."""
    found = [w for w in (QUICK if quick else FULL) if not names or any(w.name.startswith(n) for n in names)]
    if rate:
        families = [w for w in found if w.rate]
        found = [replace(w, rate=rate, name=f"{w.name.rsplit('-', 1)[0] if w.kind == 'pairs' else w.name}-{rate:g}") for w in families[:1]]
    if users:
        found = [replace(w, users=users, chats=min(w.chats, users // 2) if w.name.startswith("idle") else users // 2)
                 if w.kind == "pairs" else replace(w, users=users, size=users, name=f"group-{users}") for w in found]
    return found


def plans(workload, people, ws_addresses, runs):
    """Texts of the plan files, one for each load generator and its `run`: they share the chats, and the users who have none."""
    people.need(workload.users)
    if workload.kind == "pairs":
        chats = [(chat, "direct", pair) for chat, pair in people.pairs(workload.chats)]
    else:
        chats = [(chat, "group", members) for chat, members in people.some_groups(workload.chats, workload.size)]
    talking = {user for _, _, members in chats for user in members}
    silent = [user for user in range(workload.users) if user not in talking]
    return [plan(run, people, ws_addresses, chats[i::len(runs)], silent[i::len(runs)]) for i, run in enumerate(runs)]


def plan(run, people, ws_addresses, chats, silent):
    users = sorted({user for _, _, members in chats for user in members}) + silent
    place = {user: i for i, user in enumerate(users)}
    lines = [f"run {run}"]
    lines += [f"ws {address}" for address in ws_addresses]
    lines += [f"user {people.users[u]['userId']} {people.users[u]['accessToken']}" for u in users]
    lines += [f"chat {chat} {kind} {','.join(str(place[u]) for u in members)}" for chat, kind, members in chats]
    return "\n".join(lines) + "\n"


def arguments(workload, seconds, warmup, settle, seed):
    """Of one of its processes."""
    pace = ["--rate", str(workload.rate / workload.processes)] if workload.rate else ["--window", str(workload.window)]
    return [*pace, "--senders", str(workload.senders), "--bytes", str(workload.bytes), "--receipts", workload.receipts,
            "--seconds", str(seconds), "--warmup", str(warmup), "--settle", str(settle), "--seed", str(seed), "--messages-max", "6000000",
            *(["--independent"] if workload.independent else []), *(["--impatient"] if workload.impatient else [])]
