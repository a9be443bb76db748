"""The reconciler of host pools: from a WasmCloudHostConfig to its children in the cluster and its status."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from wasmcloud_operator.base.jsontypes import JsonObject, as_object
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.apply import RETRY_SECONDS, PoolApplier, owned_by
from wasmcloud_operator.hostpool.inputs import Facts, registry_in_environment
from wasmcloud_operator.hostpool.lattice_status import in_lattice
from wasmcloud_operator.hostpool.nats_connection import lattice_route
from wasmcloud_operator.hostpool.natsconf import DEFAULT_PAYLOAD
from wasmcloud_operator.hostpool.other_budgets import budget_warnings, selects
from wasmcloud_operator.hostpool.pod_reasons import CRASHING, PodReason, first_reason, lacks_pods
from wasmcloud_operator.hostpool.reference_checks import ExaminedReferences
from wasmcloud_operator.hostpool.references import ReferenceReader
from wasmcloud_operator.hostpool.registries import RegistryService
from wasmcloud_operator.hostpool.render_workload import WORKLOADS, Children, leaf_warnings
from wasmcloud_operator.hostpool.renderings import Renderings
from wasmcloud_operator.hostpool.reports import reports_of
from wasmcloud_operator.hostpool.status import WorkloadState, is_rolled_out, warning_conditions, workload_state
from wasmcloud_operator.hostpool.status_writer import StatusWriter
from wasmcloud_operator.kube.apply import ManagedKind
from wasmcloud_operator.kube.conditions import Condition, progressing
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP, SERVICE, Key, Resource
from wasmcloud_operator.legacy.hostpools import FINALIZER, RIVAL_SECONDS, RustPools
from wasmcloud_operator.names import RESUMPTION, UNREADABLE, is_paused
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.context import NAMESPACE_INDEX
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator.shared.problem import Problem, SecretsError, SpecError
from wasmcloud_operator.shared.unowned_problems import UnownedProblems
from wasmcloud_operator_types import InvalidObjectError, WasmCloudHostConfig, WasmCloudHostConfigSpec, parse

_SECRETS_VALID = Condition("SecretsValid", "True", Reason.VALID)
# Events are not watched: of a DaemonSet that lacks pods they are looked at so often.
_LACKING_SECONDS = 10.0
_RIVAL = Problem(
    Reason.OTHER_OPERATOR_RUNS,
    "",
    "the operator written in Rust still runs, since its finalizer came back: stop it; nothing is written until then",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfigReconciler:
    """Brings one host pool to what its config asks for. Every outcome is in the config's status."""

    configs: Informer[CustomResource]
    kinds: Mapping[Resource, ManagedKind]
    reader: ReferenceReader
    renderings: Renderings
    children: PoolApplier
    registries: RegistryService
    rust: RustPools
    pools: Pools
    status: StatusWriter
    hosts_in_pods: HostsInPods
    unowned: UnownedProblems
    budgets: Informer[Unstructured]  # everybody's
    refusal_of_pods: Callable[[Unstructured], Awaitable[PodReason | None]]
    # Sends the running hosts of a pool their registries, in the background.
    send_registries: Callable[[Key], None]

    async def reconcile(self, key: Key) -> Result:  # noqa: PLR0911 - one for each thing that may be waited for
        """Bring the pool of that key to its config. Raises the errors of `kube.errors`."""
        item = self.configs.store.get(key)
        if key in self.configs.store.unreadable:  # not deleted: its children, pool and lattice stay as they are
            return Result.waiting(UNREADABLE)
        if item is None or item.metadata.deleting:
            return await self._end(key, item)
        if is_paused(item.metadata.annotations):
            await self._declare_paused(item)
            await self.status.show_paused(item)
            return Result.waiting(RESUMPTION)
        pool = self.pools.get(key)
        if pool is not None and pool.uid != item.metadata.uid:
            self._forget(key)  # another config took the name before anybody saw that the former one was gone
        if self.rust.still_runs(item):
            await self._refuse(item, [_RIVAL])
            return Result.waiting("the end of the operator written in Rust", RIVAL_SECONDS)
        try:
            return await self._follow(item)
        except SecretsError as error:
            invalid = Condition("SecretsValid", "False", error.problems[0].reason, str(error))
            await self._refuse(item, error.problems, [invalid])
            return Result.waiting(f"Secrets that can be used: {error}")
        except SpecError as error:
            await self._refuse(item, error.problems)
            return Result.waiting(f"what is refused to be mended: {error}", RETRY_SECONDS)

    async def _follow(self, item: CustomResource) -> Result:
        config = parsed(item)
        examined = await self.reader.read(item.metadata.key, config.spec)
        if examined.problems:
            raise SecretsError(*examined.problems)
        self._declare(item, config, examined)
        try:
            return await self._apply(item, config, examined)
        except SpecError as error:
            await self._refuse(item, error.problems, [_SECRETS_VALID])
            return Result.waiting(f"what is refused to be mended: {error}", RETRY_SECONDS)

    async def _apply(self, item: CustomResource, config: WasmCloudHostConfig, examined: ExaminedReferences) -> Result:
        facts = replace(
            examined.facts,
            leaf_service_kept=self._keeps_leaf_service(item),
            max_payload=self._max_payload(item),
            other_budget=self._other_budget(item, config),
        )
        children = self.renderings.of(item, config, facts)
        await self.rust.take_over(item, (child.resource for child in children.all))
        complete = await self.children.apply(
            item, config, children, facts, lambda reason, note: self._record_event(item, reason, note)
        )
        if not complete:
            return Result.waiting("news of the workload, which was changed just now")
        workload = children.workload.resource
        held = self.kinds[workload].informer.store.get(item.metadata.key)
        rolled_out = held is not None and is_rolled_out(workload.kind, held.body)
        if await self.rust.clean_up(item, workload, rolled_out=rolled_out):
            self._record_event(item, Reason.ADOPTED, "Adopted from the operator written in Rust")
        contested, again = self.children.contested(item.metadata.key, children)
        warnings = [
            *contested,
            *examined.warnings,
            *leaf_warnings(config.spec, facts),
            *budget_warnings(config.spec, facts),
            *self._unowned(item),
        ]
        self._keep_hosts_informed(item.metadata.key, config.spec, facts)
        shown = await self._show_workload(item, config, children, warnings)
        return shown if again is None else shown.or_sooner("who sets a child back to leave it alone", again)

    async def report(self, key: Key, error: Exception) -> None:
        """Show a failure that is no fault of the config in its status."""
        item = self.configs.store.get(key)
        if item is None or item.metadata.deleting or is_paused(item.metadata.annotations):
            return
        message = f"{type(error).__name__}: {error}; trying again"
        await self.status.show(item, progressing(Reason.RECONCILE_FAILED, message), keep=True)

    async def _end(self, key: Key, item: CustomResource | None) -> Result:
        """The config is gone or going: the garbage collector takes the children."""
        self._forget(key)
        self.pools.withdraw(key)
        if item is not None:
            await self.rust.release(item)
        self.rust.forget(key)
        return DONE

    def _forget(self, key: Key) -> None:
        self.children.forget(key)
        self.reader.forget(key)
        self.registries.forget(key)

    def _declare(self, item: CustomResource, config: WasmCloudHostConfig, examined: ExaminedReferences) -> None:
        if examined.values is None:
            return  # as when it was declared
        key = item.metadata.key
        try:
            self.pools.declare(key, item.metadata.uid, lattice_route(config.spec, examined.values))
        except SpecError:
            self.reader.forget(key)  # or the next look would find nothing new, and nothing wrong
            raise

    async def _declare_paused(self, item: CustomResource) -> None:
        """Its hosts run on, and applications on them: after a start their lattice has to be known, too."""
        pool = self.pools.get(item.metadata.key)
        if pool is not None and pool.uid == item.metadata.uid:
            return  # as when it was paused
        with contextlib.suppress(SpecError):  # reported when it is followed again
            config = parsed(item)
            examined = await self.reader.read(item.metadata.key, config.spec)
            if not examined.problems:
                self._declare(item, config, examined)

    def _keeps_leaf_service(self, item: CustomResource) -> bool:
        """Whether the leaf nodes' Service is one of the operator written in Rust, or was once."""
        if FINALIZER in item.metadata.finalizers:
            return True
        held = self.kinds[SERVICE].informer.store.get(item.metadata.key)
        return (
            held is not None
            and held.metadata.belongs_to(item.metadata.uid)
            and naming.ADOPTED in held.metadata.annotations
        )

    def _unowned(self, item: CustomResource) -> Iterable[Problem]:
        """What keeps applications that came over NATS from being reached: no other object can show it."""
        pool = self.pools.get(item.metadata.key)
        return self.unowned.of(item.metadata.namespace, pool.lattice) if pool is not None else ()

    def _other_budget(self, item: CustomResource, config: WasmCloudHostConfig) -> str:
        labels, ours = naming.pod_labels(config), owned_by(item)
        for budget in self.budgets.store.by_index(NAMESPACE_INDEX, item.metadata.namespace):
            if not ours(budget.metadata) and selects(budget.body, labels):
                return budget.metadata.name
        return ""

    def _max_payload(self, item: CustomResource) -> int:
        """The hub's, or what was last known of it: an outage must not change the leafs, and so restart the hosts."""
        pool = self.pools.get(item.metadata.key)
        if pool is not None and pool.lattice.connection.state.connected:
            return pool.lattice.connection.max_payload
        held = self.kinds[CONFIG_MAP].informer.store.get(item.metadata.key)
        known = held.metadata.annotations.get(naming.MAX_PAYLOAD, "") if held is not None else ""
        return int(known) if known.isdecimal() and len(known) < 12 else DEFAULT_PAYLOAD

    def _keep_hosts_informed(self, key: Key, spec: WasmCloudHostConfigSpec, facts: Facts) -> None:
        pool = self.pools.get(key)
        if pool is None or not facts.registries or registry_in_environment(spec, facts.registries):
            self.registries.forget(key)
        elif self.registries.due(key, facts.registry_digest, pool.lattice):
            self.send_registries(key)

    async def _show_workload(
        self, item: CustomResource, config: WasmCloudHostConfig, children: Children, warnings: Iterable[Problem]
    ) -> Result:
        resource = children.workload.resource
        held = self.kinds[resource].informer.store.get(item.metadata.key)
        held_up = first_reason(self.hosts_in_pods.pods_of(item.metadata.key))
        lacking = held is not None and lacks_pods(resource.kind, held.body)
        if held is not None and lacking and held_up is None:
            held_up = await self.refusal_of_pods(held)
        seen = self.status.seen(item)
        if held_up is not None and held_up.reason == CRASHING and seen is not None and not seen.connection.connected:
            held_up = replace(held_up, message=f"{held_up.message}; {seen.connection.message}")  # a host may end of it
        state = workload_state(resource.kind, held.body if held else None, held_up)
        progress = state.progress
        if held is not None and is_rolled_out(resource.kind, held.body):
            before = as_object(item.status)
            progress = tuple(in_lattice(list(progress), state.wanted, seen, before, item.metadata.generation))
        fields = {**_counts(state), "selector": naming.selector_text(config), "leafService": children.leaf_address}
        warned = warning_conditions(warnings)
        conditions = [*progress, *state.available, _SECRETS_VALID, *warned]
        await self.status.show(item, conditions, fields, reports=reports_of(held_up, warned))
        return Result.waiting("pods of the DaemonSet, which are not made", _LACKING_SECONDS) if lacking else DONE

    async def _refuse(
        self, item: CustomResource, problems: Iterable[Problem], others: Iterable[Condition] = ()
    ) -> None:
        """Show what only a user can mend, and how the workload does meanwhile."""
        for resource in WORKLOADS:
            held = self.kinds[resource].informer.store.get(item.metadata.key)
            if held is not None and held.metadata.belongs_to(item.metadata.uid):
                state = workload_state(resource.kind, held.body)
                await self.status.refuse(item, problems, [*others, *state.available], _counts(state))
                return
        await self.status.refuse(item, problems, others)

    def _record_event(self, item: CustomResource, reason: Reason, note: str) -> None:
        self.status.event(item, "Normal", reason, note)


def parsed(item: CustomResource) -> WasmCloudHostConfig:
    """Returns the config as its model. Raises SpecError where the spec does not fit."""
    metadata = {"name": item.metadata.name, "namespace": item.metadata.namespace, "uid": item.metadata.uid}
    try:
        return parse(WasmCloudHostConfig, {"metadata": metadata, "spec": item.spec})
    except InvalidObjectError as error:
        raise SpecError(
            *(Problem(Reason.INVALID_SPEC, f".{fault.path}", fault.message) for fault in error.errors)
        ) from error


def _counts(state: WorkloadState) -> JsonObject:
    return {"replicas": state.replicas, "readyReplicas": state.ready_replicas}
