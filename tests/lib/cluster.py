# SPDX-License-Identifier: MIT
"""Kafka as it is run where nothing may be lost: several brokers, every record on three of them, two in sync or no ack.

The brokers are controllers too (KRaft); further nodes are controllers only, so that the quorum outlives the death of all
brokers but one: then it is `min.insync.replicas` that refuses, and not a cluster that can decide nothing any more.
"""

import json
import os
import shutil

from process import Proc, check_port_free
from services import Services, kafka_argv, broker_properties, kafka_fetch, kafka_uuid

REPLICAS, IN_SYNC = 3, 2
# Five Java machines on the cores of one: what would be a flap of the scheduler is not taken for a death.
PATIENCE = {"broker.session.timeout.ms": 6000, "broker.heartbeat.interval.ms": 1000, "controller.quorum.fetch.timeout.ms": 4000,
            "controller.quorum.election.timeout.ms": 2000}
KEPT = {"min.insync.replicas": IN_SYNC, "default.replication.factor": REPLICAS,
        **{f"{name}.replication.factor": REPLICAS for name in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")},
        **{f"{name}.min.isr": IN_SYNC for name in ("transaction.state.log", "share.coordinator.state.topic")}}


class Node:
    """One of the cluster: its number, its ports (kafka 0: a controller only), and its process once there is one."""

    def __init__(self, number, kafka, controller):
        self.number, self.kafka, self.controller = number, kafka, controller
        self.name = f"kafka-{number}" if kafka else f"controller-{number}"
        self.proc = None

    def properties(self, nodes, data, more=()):
        """Its file: that of a broker by itself, but for what a cluster has otherwise."""
        found = dict(line.split("=", 1) for line in
                     broker_properties({"kafka": self.kafka, "controller": self.controller}, data).splitlines()
                     if line and not line.startswith("#"))
        found.update({"node.id": self.number, **PATIENCE, **KEPT,
                      "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.controller}" for n in nodes)})
        if not self.kafka:
            own = f"CONTROLLER://127.0.0.1:{self.controller}"
            found.update({"process.roles": "controller", "listeners": own, "advertised.listeners": own})
        found.update(more)
        return "".join(f"{name}={value}\n" for name, value in found.items())


def nodes_at(base_port, brokers, controllers):
    """`brokers` brokers and as many further controllers, on base_port to base_port + 9 without + 2 (PostgreSQL)."""
    free = iter([base_port, base_port + 1, *range(base_port + 3, base_port + 10)])
    return [Node(1 + i, next(free) if i < brokers else 0, next(free)) for i in range(brokers + controllers)]


class Cluster(Services):
    """Services with `nodes` for Kafka. `broker` names all of them."""

    def __init__(self, *args, nodes, **options):
        super().__init__(*args, **options)
        self.nodes, self.cluster_id = nodes, kafka_uuid()
        self.broker = ",".join(f"127.0.0.1:{n.kafka}" for n in nodes if n.kafka)
        self.settings.setdefault("REPLICATION", str(REPLICAS))

    def check_ports(self):
        super().check_ports()
        for n in self.nodes:
            for port in filter(None, (n.kafka, n.controller)):
                check_port_free(port, n.name)

    def log_disk(self):
        return self.state  # a node's own folder is taken away now and then

    def data(self, node):
        return self.state / f"{node.name}-data"

    def format(self, node):
        """An empty folder, as on a new disk: the number and the cluster are the same, the folder's own id is another."""
        data = self.data(node)
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.kafka_home / "formatted", data, ignore=shutil.ignore_patterns("meta.properties"))
        (data / "meta.properties").write_text(
            f"node.id={node.number}\nversion=1\ncluster.id={self.cluster_id}\ndirectory.id={kafka_uuid()}\n")

    def start_kafka(self):
        kafka_fetch(self.kafka_home, self.progress)
        with self.progress.step("Kafka"):
            extra = [f"-XX:SharedArchiveFile={self.kafka_home / 'classes.jsa'}"]
            if self.quick_jit:
                extra.append("-XX:TieredStopAtLevel=1")
            for n in self.nodes:
                self.format(n)
                properties = self.state / f"{n.name}.properties"
                properties.write_text(n.properties(self.nodes, self.data(n), self.broker_settings))
                n.proc = Proc(n.name, kafka_argv(self.kafka_home, properties, self.heap_mb if n.kafka else 128, extra),
                              self.log_dir / f"{n.name}.log", "Kafka Server started", guard=self.guard)
                self.procs.append(n.proc)
                n.proc.start()
            for n in self.nodes:
                n.proc.wait_ready(120)

    def active_controller(self):
        """(epoch, node) of the quorum's leader, as the nodes' own files have it; (0, None) when none has."""
        found = (0, None)
        for n in self.nodes:
            try:
                state = json.loads((self.data(n) / "__cluster_metadata-0/quorum-state").read_text())
            except (OSError, ValueError):
                continue  # not made yet, or just being written
            if state["leaderId"] > 0 and state["leaderEpoch"] > found[0]:
                found = (state["leaderEpoch"], self.nodes[state["leaderId"] - 1])
        return found

    def kafkas(self):
        return [n.proc for n in self.nodes if n.proc]

    def stop(self):
        """As ever, but that the nodes end at once: in good order each would wait for a quorum that goes with the others."""
        for p in self.roles():
            p.auto_restart = False
        for p in self.roles():
            p.cont()
            p.term()
        for p in self.roles():
            p.stop()
        for p in self.kafkas():
            p.auto_restart = False
            p.kill9()
        super().stop()


def cut_tails(data, rng):
    """What a loss of power leaves of a broker's folder: each partition's last segment ends somewhere before its end.

    The quorum's own log is left alone: Kafka syncs it. (number of files, bytes cut)
    """
    files = cut = 0
    for folder in sorted(data.glob("*-[0-9]*")):
        if folder.name.startswith("__cluster_metadata") or not (segments := sorted(folder.glob("*.log"))):
            continue
        size = segments[-1].stat().st_size
        keep = int(size * rng.random())
        if size > keep:
            os.truncate(segments[-1], keep)
            files, cut = files + 1, cut + size - keep
    return files, cut
