"""Brings a pool's children to what was rendered, and removes those that are no longer wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.owned_secrets import OwnedSecrets
from wasmcloud_operator.hostpool.refusal import refusal
from wasmcloud_operator.hostpool.render_workload import KINDS, WORKLOADS, Child, Children, holds_node_ports
from wasmcloud_operator.hostpool.status import is_rolled_out
from wasmcloud_operator.kube.apply import Applied, Applier, ForeignObject, ManagedKind
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.difference import fingerprint
from wasmcloud_operator.kube.errors import REFUSALS
from wasmcloud_operator.kube.gather_first_error import gather_first_error
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import Key, Resource
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.context import OWNER_INDEX
from wasmcloud_operator.shared.problem import Problem, SpecError, set_back
from wasmcloud_operator_types import WasmCloudHostConfig

RecordEvent = Callable[[Reason, str], None]

# A quota may be raised, an admission policy changed, a foreign object deleted: none of it is seen by a watch.
RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Refused:
    fingerprint: str
    until: float
    problem: Problem


@dataclass(slots=True)
class PoolApplier:
    """Applies children. One that was refused is not sent again unchanged within `RETRY_SECONDS`."""

    kinds: Mapping[Resource, ManagedKind]
    secrets: OwnedSecrets
    applier: Applier
    clock: Clock
    _refused: dict[tuple[Key, Resource], _Refused] = field(default_factory=dict)
    _brought: dict[Key, int] = field(default_factory=dict)  # the generation whose workload was applied last

    async def apply(
        self,
        item: CustomResource,
        config: WasmCloudHostConfig,
        children: Children,
        facts: Facts,
        record_event: RecordEvent,
    ) -> bool:
        """Apply what the pods need, then the workload, then the rest; remove what is no longer wanted.

        Returns whether all of that is done. It ends with a workload that a new generation of the config changes, so
        that of many such pools each gets its workload before any gets the rest. `record_event` takes (reason, note) of
        what users want to know. Raises SpecError for what is refused, or the errors of `kube.errors`.
        """
        try:
            await self.secrets.ensure(config, facts, children.secret_conf)
        except ForeignObject as error:
            raise SpecError(Problem(Reason.CONFLICT, "", str(error))) from error
        await gather_first_error(self._apply(item, config, child) for child in children.before)
        applied = await self._apply(item, config, children.workload)
        if applied.outcome == "created":
            record_event(Reason.CREATED, f"Created {children.workload.resource.kind} {item.metadata.name}")
        generation = self._brought.get(item.metadata.key)
        self._brought[item.metadata.key] = item.metadata.generation
        if applied.outcome != "unchanged" and generation != item.metadata.generation:
            return False
        await gather_first_error(self._apply(item, config, child) for child in children.after)
        held = applied.item
        rolled_out = held is not None and is_rolled_out(children.workload.resource.kind, held.body)
        await self._remove_unwanted(item, children, record_event, rolled_out=rolled_out)
        if rolled_out:  # until then old pods may read them
            await self.secrets.remove_unneeded(config, facts, children.secret_conf)
        return True

    def contested(self, key: Key, children: Children) -> tuple[list[Problem], float | None]:
        """Returns what others set back in the children, and the seconds until these are to be looked at again."""
        places = [
            WriteTarget(child.resource, Key(child.body["metadata"]["namespace"], child.body["metadata"]["name"]))
            for child in children.all
        ] + self.secrets.places(key)
        contests = self.applier.contests
        return [set_back(str(one)) for one in contests.of(places)], contests.again(places)

    def forget(self, key: Key) -> None:
        """The config is gone."""
        self.secrets.forget(key)
        self._brought.pop(key, None)
        for resource in KINDS:
            self._refused.pop((key, resource), None)

    async def _apply(self, item: CustomResource, config: WasmCloudHostConfig, child: Child) -> Applied:
        place = (item.metadata.key, child.resource)
        before = self._refused.get(place)
        if (
            before is not None
            and self.clock.monotonic() < before.until
            and before.fingerprint == fingerprint(child.body)
        ):
            raise SpecError(before.problem)
        try:
            applied = await self.applier.apply(self.kinds[child.resource], child.body, owned_by(item))
        except ForeignObject as error:
            raise SpecError(Problem(Reason.CONFLICT, "", str(error))) from error
        except REFUSALS as error:
            problem = refusal(child.resource, child.body, config, error)
            self._refused[place] = _Refused(fingerprint(child.body), self.clock.monotonic() + RETRY_SECONDS, problem)
            raise SpecError(problem) from error
        self._refused.pop(place, None)
        return applied

    async def _remove_unwanted(
        self, item: CustomResource, children: Children, record_event: RecordEvent, *, rolled_out: bool
    ) -> None:
        """Remove the rest; a workload of the other kind stays until the wanted one has rolled out: its hosts serve.

        Where both would hold the same ports of the nodes, the wanted one could not start beside it.
        """
        wanted = {(child.resource, child.body["metadata"]["name"]) for child in children.all}
        replaceable = rolled_out or holds_node_ports(children.workload.body["spec"]["template"]["spec"])
        for resource in KINDS if replaceable else (kind for kind in KINDS if kind not in WORKLOADS):
            for held in self.kinds[resource].informer.store.by_index(OWNER_INDEX, item.metadata.uid):
                unwanted = (resource, held.metadata.name) not in wanted
                if unwanted and await self.applier.delete(self.kinds[resource], held, owned_by(item)):
                    record_event(Reason.DELETED, f"Deleted {resource.kind} {held.metadata.name}")


def owned_by(item: CustomResource) -> Callable[[ObjectMeta], bool]:
    """Returns `naming.is_owned` of that config."""
    return partial(naming.is_owned, item.metadata.name, item.metadata.uid)
