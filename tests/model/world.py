"""A cluster with pods, two NATS systems with wadm and hosts, and an operator that can be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from model.scriptedcluster import Cluster
from model.virtualloop import LoopClock
from wasmcloud_operator.application.coexistence import CrdState
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.access import ServerVersion
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.resources import DEPLOYMENT, EVENT, POD, Key
from wasmcloud_operator.kube.testing import ScriptedTransport
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.lattice.testing import ScriptedHost, ScriptedNats, ScriptedNetwork, ScriptedWadm
from wasmcloud_operator.names import FIRST_PLACE
from wasmcloud_operator.operator import Operator
from wasmcloud_operator.preflight import Findings
from wasmcloud_operator.settings import Settings
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator_types import POD_UID_LABEL

Json = dict[str, Any]

CLUSTER_ID = "cluster"
NAMESPACES = ("a", "b")
LATTICES = ("one", "two")
# The first two lead to one server.
ADDRESSES = ("nats://hub:4222", "nats://hub-b:4222", "nats://other:4222")
_POD_SECONDS = 0.5
_FINDINGS = Findings(
    version=ServerVersion(1, 35, "v1.35.0"),
    cluster_id=CLUSTER_ID,
    applications=CrdState("ours"),
    missing=(),
    openshift=False,
    may_watch_crds=False,
)


@dataclass
class World:
    """Everything around the operator, and the operator. What happens by chance comes from `random`."""

    random: random.Random
    clock: LoopClock = field(default_factory=LoopClock)
    hosts: dict[str, ScriptedHost] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    """Uids of Applications that may be left in wadm: so a user wanted it, or nobody could know."""

    _operator: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.clock, bookmark_seconds=300.0)
        self.systems = {name: ScriptedNats(name) for name in ("hub", "other")}
        self.network = ScriptedNetwork(
            dict(zip(ADDRESSES, map(self.systems.get, ("hub", "hub", "other")), strict=True))
        )
        self.wadms = {
            name: ScriptedWadm(system, lag=self._lag, random=self.random) for name, system in self.systems.items()
        }
        for wadm in self.wadms.values():
            wadm.start()
        self.cluster.watchers.append(self._on_object)
        self._pods = 0
        self._templates: dict[str, Json] = {}

    def _lag(self) -> float:
        return self.random.choice((0.05, 0.3, 2.5))

    # --- the operator -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._operator = asyncio.ensure_future(self._live())

    async def kill(self) -> None:
        """End as a killed process does."""
        if self._operator is not None:
            self._operator.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._operator
            self._operator = None

    @property
    def running(self) -> bool:
        return self._operator is not None

    async def _live(self) -> None:
        settings = Settings(
            leader_election=False,
            workers=4,
            identity="one",
            namespace="ops",
            cluster_id=CLUSTER_ID,
            connect_to_pods=False,
        )
        operator = Operator(settings, clock=self.clock)
        client = Reader(ScriptedTransport(self.cluster), metrics=operator._metrics)
        async with Lattices(gate=AlwaysOpen(), clock=self.clock, new_client=self.network.new_client) as lattices:
            manager = operator._made(client, _FINDINGS, Pools(lattices), None)
            for real in (
                "loop watchdog",
                "memory",
            ):  # of a loop without real time and threads there is nothing to watch
                manager._beside.pop(real)
            await manager.run(asyncio.Event())

    # --- pods and hosts -----------------------------------------------------------------------------------------------

    def _on_object(self, old: Json | None, new: Json | None) -> None:
        body = new or old or {}
        if body["kind"] == DEPLOYMENT.kind:
            key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
            asyncio.get_running_loop().call_later(_POD_SECONDS, self.roll_out, key)
        elif body["kind"] == POD.kind and new is None:
            self._end_host(body["metadata"]["uid"])
        elif body["kind"] == EVENT.kind and new is not None and new["reason"] in ("LeftInWadm", "Orphaned"):
            self.left.add(new["regarding"].get("uid", ""))

    def roll_out(self, key: Key) -> None:
        """One pod of the Deployment's present template, and none of another."""
        deployment = self.cluster.get(DEPLOYMENT, key)
        config = self.cluster.get(HOST_CONFIG, key)
        template = deployment["spec"]["template"] if deployment is not None else None
        held = {at: pod for at, pod in self.cluster.all(POD).items() if pod["metadata"]["labels"].get("of") == key.name}
        held = {at: pod for at, pod in held.items() if at.namespace == key.namespace}
        for at, pod in held.items():
            if config is None or template != self._templates.get(pod["metadata"]["uid"]):
                self.cluster.delete(POD, at)
        if template is None or config is None or any(at in self.cluster.all(POD) for at in held):
            return
        self._pods += 1
        name = f"{key.name}-{self._pods}"
        metadata = {**template["metadata"], "name": name, "namespace": key.namespace}
        metadata["labels"] = {**template["metadata"]["labels"], "of": key.name}
        metadata["ownerReferences"] = [{"kind": "Deployment", "name": key.name, "uid": deployment["metadata"]["uid"]}]
        ready = [{"type": "Ready", "status": "True"}]
        pod = self.cluster.put(POD, {"metadata": metadata, "spec": template["spec"], "status": {"conditions": ready}})
        self._templates[pod["metadata"]["uid"]] = template
        self._start_host(pod, config["spec"])
        replicas = {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
        status = {**replicas, "observedGeneration": deployment["metadata"]["generation"]}
        self.cluster.change(DEPLOYMENT, key, lambda body: body.update(status=status))

    def _start_host(self, pod: Json, spec: Json) -> None:
        uid = pod["metadata"]["uid"]
        server = self.network.servers[spec["natsAddress"].partition(",")[0]]
        host = ScriptedHost(f"N{uid[-6:].upper()}", spec["lattice"], {POD_UID_LABEL: uid}, server)
        host.start()
        self.hosts[uid] = host
        self.wadms[server.name].hosts.append(host)
        self.wadms[server.name].host_changed(host.lattice)

    def _end_host(self, uid: str) -> None:
        host = self.hosts.pop(uid, None)
        if host is not None:
            host.stop()
            wadm = self.wadms[host.server.name]
            wadm.hosts.remove(host)
            wadm.host_changed(host.lattice)

    # --- what users and outages do ------------------------------------------------------------------------------------

    def pool(self, namespace: str, name: str, lattice: str, address: str) -> None:
        spec = {"lattice": lattice, "version": "1.9.0", "natsAddress": address, "hostReplicas": 1}
        self._put(HOST_CONFIG, Key(namespace, name), spec, {})

    def application(self, namespace: str, name: str, spec: Json, annotations: dict[str, str]) -> None:
        self._put(APPLICATION, Key(namespace, name), spec, annotations)

    def _put(self, resource: Any, key: Key, spec: Json, annotations: dict[str, str]) -> None:
        """What `kubectl apply` does: an annotation that the operator has put there stays."""

        def edit(body: Json) -> None:
            before = body["metadata"].get("annotations") or {}
            kept = {name: value for name, value in before.items() if name == FIRST_PLACE}
            body["spec"] = spec
            body["metadata"]["annotations"] = {**annotations, **kept}

        live = self.cluster.get(resource, key)
        if live is None:
            metadata = {"name": key.name, "namespace": key.namespace, "annotations": annotations}
            self.cluster.put(resource, {"metadata": metadata, "spec": spec})
        elif not live["metadata"].get("deletionTimestamp"):
            self.cluster.change(resource, key, edit)

    def heal(self) -> None:
        """Every outage is over."""
        for system in self.systems.values():
            system.silent = False
            if not system.up:
                system.start()
        for wadm in self.wadms.values():
            wadm.swallow = 0.0
            wadm.start()
        if not self.running:
            self.start()


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """While open, full garbage collections are left out: an operator in memory leaves its process as it was."""
    with mock.patch("wasmcloud_operator.kube.manager.gc"):
        yield
