"""Writes the status of host pools, and Events of what is new in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject, as_object
from wasmcloud_operator.hostpool.lattice_status import CONNECTED, FIELDS, WADM, HostInPod, SeenLattice, lattice_status
from wasmcloud_operator.hostpool.reports import Report, news, of_lattice
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.conditions import Condition, stalled, to_status
from wasmcloud_operator.kube.events import EventRecorder, EventType
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.lattice.ledger import ListState
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator.shared.problem import Problem

_WADM_ANSWERS = {ListState.CURRENT: True, ListState.FAILED: False, ListState.AWAITED: None}
_WORKLOAD_FIELDS = ("replicas", "readyReplicas", "selector", "leafService")
# Said while it holds, and gone with the next status that does not say it.
_PAUSED = Condition("Paused", "True", Reason.PAUSED, "no writes while paused")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWriter:
    """Decides which parts of a status stay when a reconcile ended before they were found out anew."""

    configs: Informer[CustomResource]
    pools: Pools
    hosts_in_pods: HostsInPods
    part: StatusPart[CustomResource]
    recorder: EventRecorder
    clock: Clock

    def seen(self, item: CustomResource) -> SeenLattice | None:
        """What is known of the config's lattice; None while its lattice is not known."""
        pool = self.pools.get(item.metadata.key)
        if pool is None or pool.uid != item.metadata.uid:
            return None
        lattice = pool.lattice
        known = lattice.connection.state.connected and lattice.hosts.synced
        hosts = self.hosts_in_pods.hosts_of(item.metadata.key, lattice)
        return SeenLattice(
            lattice=lattice.name,
            addresses=pool.route.spec.addresses,
            connection=self.pools.route_state(pool.key) or lattice.connection.state,
            hosts=tuple(HostInPod(pod.metadata.name, pod.spec.node_name, host) for pod, host in hosts)
            if known
            else None,
            apps=lattice.ledger.listed,
            wadm=_WADM_ANSWERS[lattice.ledger.listing],
            left_out=lattice.hosts.left_out,
        )

    async def show(
        self,
        item: CustomResource,
        conditions: Iterable[Condition],
        fields: JsonObject | None = None,
        *,
        keep: bool = False,
        reports: Iterable[Report] = (),
    ) -> None:
        """Writes the status if it differs, with an Event for each new report.

        With `keep`, conditions and fields that are not given stay as they are.
        """
        before = as_object(item.status)
        about_lattice, lattice_fields = self._lattice(item, before)
        written = to_status(
            [*conditions, *about_lattice], before.get("conditions"), item.metadata.generation, self.clock.now()
        )
        superseded = {condition["type"] for condition in written} | {_PAUSED.type}
        kept = _WORKLOAD_FIELDS if keep else ()
        written += [
            old
            for old in before.get("conditions") or ()
            if old["type"] not in superseded and (keep or old["type"] in (CONNECTED, WADM))
        ]
        status = {
            **{name: before[name] for name in (*kept, *FIELDS) if name in before},
            **lattice_fields,
            **(fields or {}),
            "observedGeneration": item.metadata.generation,
            "conditions": written,
        }
        if await self.part.write_and_cache(self.configs, item, before, status):
            for report in (*news(before, status, reports), *of_lattice(before, about_lattice)):
                self.event(item, report.type, report.reason, report.note)

    async def show_paused(self, item: CustomResource) -> None:
        """Shows the pause alone. All else stays, so that the new spec does not look followed."""
        before = as_object(item.status)
        old = before.get("conditions") or ()
        written = to_status([_PAUSED], old, item.metadata.generation, self.clock.now())
        conditions = [condition for condition in old if condition["type"] != _PAUSED.type] + written
        await self.part.write_and_cache(self.configs, item, before, {**before, "conditions": conditions})

    async def refuse(
        self,
        item: CustomResource,
        problems: Iterable[Problem],
        others: Iterable[Condition] = (),
        fields: JsonObject | None = None,
    ) -> None:
        """Show what only a user can mend, with an Event when it is new; what runs is left alone."""
        problems = list(problems)
        reason, message = problems[0].reason, "; ".join(str(problem) for problem in problems)
        conditions = [*stalled(reason, message), *others]
        await self.show(item, conditions, fields, keep=True, reports=[Report("Ready", reason, message)])

    def event(self, item: CustomResource, type_: EventType, reason: str, note: str) -> None:
        """An Event about the config."""
        self.recorder.event(HOST_CONFIG, item.metadata, type_, reason, note, action="Reconcile")

    def _lattice(self, item: CustomResource, before: JsonObject) -> tuple[list[Condition], JsonObject]:
        seen = self.seen(item)
        return ([], {}) if seen is None else lattice_status(seen, before)
