"""The reconciler of readiness: opens the gate of a host pod once its host serves. Keys are pods."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime

import msgspec

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import as_object
from wasmcloud_operator.hostpool.serving import Circumstances, Patience, PoolConnection, is_gated, judge, others
from wasmcloud_operator.kube.conditions import Condition
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import Conflict, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Pod
from wasmcloud_operator.kube.queue import Priority, WorkQueue
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.kube.timestamps import rfc3339
from wasmcloud_operator.lattice.connection_types import ConnectionState
from wasmcloud_operator.lattice.host_types import InventoryChange
from wasmcloud_operator.lattice.lattice import Lattice, LatticeEvent
from wasmcloud_operator.names import SERVING_GATE
from wasmcloud_operator.shared.context import pool_of
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.placement_gaps import PlacementGaps
from wasmcloud_operator.shared.pools import Pool, Pools
from wasmcloud_operator_types import InvalidObjectError, Rollout, parse

# A pod that waits is looked at again: what it waits for need not be in any news.
_LOOK_AGAIN_SECONDS = 2.0
# A pod that is held up no longer than this needs no word about it: one patch a pod.
_SILENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessReconciler:
    """Judges pods whose containers are ready. A gate that was opened stays open: from then on probes count."""

    configs: Informer[CustomResource]
    pods: Informer[Pod]
    pools: Pools
    hosts_in_pods: HostsInPods
    placements: PlacementGaps
    part: StatusPart[Pod]
    clock: Clock

    async def reconcile(self, key: Key) -> Result:
        """Raises the errors of `kube.errors`."""
        pod = self.pods.store.get(key)
        if pod is None or not awaits_gate(pod):
            return DONE
        ready_since = pod.condition("ContainersReady")
        if ready_since is None or ready_since.status != "True":
            return Result.waiting("the pod's containers to be ready")
        waited = self._seconds_since(ready_since.last_transition_time)
        condition = judge(self._circumstances(pod, waited))
        held = pod.condition(SERVING_GATE)
        unchanged = held is not None and (held.status, held.reason, held.message) == (
            condition.status,
            condition.reason,
            condition.message,
        )
        if condition.status == "True" or (waited >= _SILENT_SECONDS and not unchanged):
            await self._write(pod, condition)
        return (
            DONE
            if condition.status == "True"
            else Result.waiting(f"the host: {condition.message}", _LOOK_AGAIN_SECONDS)
        )

    def _circumstances(self, pod: Pod, waited: float) -> Circumstances:
        key = pool_of(pod) or pod.metadata.key
        pool = self.pools.get(key)
        patience = Patience.of(_rollout(self.configs.store.get(key)))
        beside = others(pod, self.hosts_in_pods.pods_of(key))
        if pool is None:
            # After a start every pool's lattice is known within moments; one that is refused has none.
            none = PoolConnection(False, waited < _SILENT_SECONDS, "the host config does not lead to one")
            return Circumstances(patience=patience, waited=waited, connection=none, others=beside)
        lattice = pool.lattice
        found = self.hosts_in_pods.host_in(pod, lattice)
        placement = self.placements.on(lattice, found.host) if found.host is not None else None
        state = lattice.connection.state
        route = self.pools.route_state(key) or state
        why = "" if route.connected or route.connecting else route.message
        connection = PoolConnection(state.connected, state.connecting, state.message, why)
        return Circumstances(
            patience=patience,
            waited=waited,
            lattice=lattice.name,
            connection=connection,
            hosts_known=lattice.hosts.synced,
            host=found,
            placement=placement,
            others=beside,
        )

    async def _write(self, pod: Pod, condition: Condition) -> None:
        held = pod.condition(SERVING_GATE)
        flipped = held is None or held.status != condition.status
        since = rfc3339(self.clock.now()) if flipped else held.last_transition_time if held is not None else None
        shown = {**asdict(condition), "lastTransitionTime": since}
        before = {"conditions": [msgspec.to_builtins(held)] if held is not None else []}
        with suppress(NotFound, Conflict):  # gone, or another pod has the name: the watch reports it
            await self.part.write_and_cache(self.pods, pod, before, {"conditions": [shown]})

    def _seconds_since(self, moment: str | None) -> float:
        now = self.part.client.server_now
        if not moment or now is None:
            return 0.0
        return max(0.0, (now - datetime.fromisoformat(moment)).total_seconds())


def awaits_gate(pod: Pod) -> bool:
    """Whether the pod has the gate and it was not opened."""
    if pod.metadata.deleting or not is_gated(pod):
        return False
    held = pod.condition(SERVING_GATE)
    return held is None or held.status != "True"


def can_be_judged(pod: Pod) -> bool:
    """Whether the pod waits for nothing but its gate: until its containers are ready there is nothing to decide."""
    ready = pod.condition("ContainersReady")
    return ready is not None and ready.status == "True" and awaits_gate(pod)


def wire(queue: WorkQueue[Key], pools: Pools, hosts_in_pods: HostsInPods, pods: Informer[Pod]) -> None:
    """Have each change that can open a pod's gate put its key into the queue."""

    def look(waiting: Iterable[Pod]) -> None:
        for pod in waiting:
            if can_be_judged(pod):
                queue.add(pod.metadata.key)

    def on_pod(change: Change[Pod], listed: bool) -> None:
        if change.new is not None and can_be_judged(change.new):
            queue.add(change.key, Priority.of(listed))

    def on_hosts(_: Lattice, concerned: Iterable[Key]) -> None:
        look(pod for key in concerned if (pod := pods.store.get(key)) is not None)

    def on_news(lattice: Lattice, news: LatticeEvent) -> None:
        if isinstance(news, ConnectionState) or (isinstance(news, InventoryChange) and news.synced):
            for pool in pools.of(lattice):
                on_pool(pool)

    def on_pool(pool: Pool) -> None:
        look(hosts_in_pods.pods_of(pool.key))

    pods.on_change(on_pod)
    hosts_in_pods.listen(on_hosts)
    pools.lattices.listen(on_news)
    pools.listen(on_pool)


def _rollout(item: CustomResource | None) -> Rollout | None:
    written = as_object(item and item.spec).get("rollout")
    try:
        return parse(Rollout, written) if isinstance(written, dict) else None
    except InvalidObjectError:
        return None  # the API server refuses such a one
