"""The reconciler of host pools: from a WasmCloudHostConfig to its children in the cluster and its status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from wasmcloud_operator.context import OWNER_INDEX
from wasmcloud_operator.hostconfig import names
from wasmcloud_operator.hostconfig.children import KINDS, Child, Children, render
from wasmcloud_operator.hostconfig.facts import Facts
from wasmcloud_operator.hostconfig.hub import lattice_key
from wasmcloud_operator.hostconfig.problems import Problem, SpecError
from wasmcloud_operator.hostconfig.reading import ReferenceReader
from wasmcloud_operator.hostconfig.registrysecret import RegistrySecrets
from wasmcloud_operator.hostconfig.status import workload_state
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.apply import Applied, Applier, ForeignObject, Kind
from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.conditions import Condition, stalled, to_status
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import ApiError, BadRequest, Forbidden, Invalid
from wasmcloud_operator.kube.events import EventRecorder, EventType
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import Key, Resource
from wasmcloud_operator.kube.together import together
from wasmcloud_operator.pools import Pools
from wasmcloud_operator_types import InvalidObjectError, WasmCloudHostConfig, parse

_SECRETS_VALID = Condition("SecretsValid", "True", "Valid")


@dataclass(frozen=True, slots=True)
class HostConfigReconciler:
    """Brings one host pool to what its config says. Every outcome is in the config's status."""

    configs: Informer[CustomResource]
    kinds: Mapping[Resource, Kind]
    reader: ReferenceReader
    registry_secrets: RegistrySecrets
    pools: Pools
    applier: Applier
    recorder: EventRecorder
    clock: Clock

    async def reconcile(self, key: Key) -> Result:
        """Bring the pool of that key to its config. Raises the errors of `kube.errors`."""
        item = self.configs.store.get(key)
        if item is None:
            self.reader.forget(key)
            self.pools.withdraw(key)
            return DONE
        if item.metadata.deleting:
            return DONE  # the garbage collector takes the children
        if item.metadata.annotations.get(names.PAUSED) == "true":
            await self._show(item, [Condition("Paused", "True", "Paused", "no writes while paused")], keep=True)
            return DONE
        try:
            config = _parsed(item)
            examined = await self.reader.read(key, config.spec)
            if examined.problems:
                await self._refuse(item, examined.problems, secrets=True)
                return DONE
            if examined.values is not None:
                self.pools.declare(key, item.metadata.uid, lattice_key(config.spec, examined.values))
            children = render(config, examined.facts)
            await self._apply(item, config, children, examined.facts)
        except SpecError as error:
            await self._refuse(item, error.problems, secrets=False)
        else:
            await self._show_workload(item, config, children)
        return DONE

    async def report(self, key: Key, error: Exception) -> None:
        """Show a failure that is no fault of the config in its status."""
        item = self.configs.store.get(key)
        if item is None or item.metadata.deleting:
            return
        message = f"{type(error).__name__}: {error}; trying again"
        conditions = [
            Condition("Ready", "Unknown", "ReconcileFailed", message),
            Condition("Reconciling", "True", "ReconcileFailed", message),
            Condition("Stalled", "False", "ReconcileFailed"),
        ]
        await self._show(item, conditions, keep=True)

    async def _apply(self, item: CustomResource, config: WasmCloudHostConfig, children: Children, facts: Facts) -> None:
        """Apply what the pods need, then the workload, then the rest; remove what is no longer wanted."""
        await self.registry_secrets.ensure(config, facts)
        await together(self._apply_child(item, child) for child in children.before)
        applied = await self._apply_child(item, children.workload)
        if applied.outcome == "created":
            kind, name = children.workload.resource.kind, item.metadata.name
            self._event(item, "Normal", "Created", f"Created {kind} {name}")
        await together(self._apply_child(item, child) for child in children.after)
        await self._remove_unwanted(item, children)

    async def _apply_child(self, item: CustomResource, child: Child) -> Applied:
        try:
            return await self.applier.apply(self.kinds[child.resource], child.body, _owned_by(item))
        except ForeignObject as error:
            raise SpecError(Problem("Conflict", "", str(error))) from error
        except (BadRequest, Invalid, Forbidden) as error:
            raise SpecError(_refusal(child, error)) from error

    async def _remove_unwanted(self, item: CustomResource, children: Children) -> None:
        wanted = {(child.resource, child.body["metadata"]["name"]) for child in children.all}
        for resource in KINDS:
            for held in self.kinds[resource].informer.store.by_index(OWNER_INDEX, item.metadata.uid):
                if (resource, held.metadata.name) not in wanted:
                    await self.applier.delete(self.kinds[resource], held, _owned_by(item))
                    self._event(item, "Normal", "Deleted", f"Deleted {resource.kind} {held.metadata.name}")

    async def _show_workload(self, item: CustomResource, config: WasmCloudHostConfig, children: Children) -> None:
        resource = children.workload.resource
        held = self.kinds[resource].informer.store.get(item.metadata.key)
        state = workload_state(resource.kind, held.body if held else None)
        counts = {
            "replicas": state.replicas,
            "readyReplicas": state.ready_replicas,
            "selector": names.selector_text(config),
        }
        await self._show(item, [*state.conditions, _SECRETS_VALID], counts)

    async def _refuse(self, item: CustomResource, problems: Iterable[Problem], *, secrets: bool) -> None:
        """Say what only a user can mend; what already runs is left alone."""
        problems = list(problems)
        reason, message = problems[0].reason, "; ".join(str(problem) for problem in problems)
        conditions = stalled(reason, message)
        if secrets:
            conditions.append(Condition("SecretsValid", "False", reason, message))
        if await self._show(item, conditions, keep=True):
            self._event(item, "Warning", reason, message)

    async def _show(
        self,
        item: CustomResource,
        conditions: list[Condition],
        fields: JsonObject | None = None,
        *,
        keep: bool = False,
    ) -> bool:
        """Write the status if it differs; with `keep` what is not said anew stays. Whether it was written."""
        before: JsonObject = item.status if isinstance(item.status, dict) else {}
        said = to_status(conditions, before.get("conditions"), item.metadata.generation, self.clock.now())
        kept = {name: before[name] for name in _KEPT if name in before} if keep else {}
        if keep:
            types = {condition["type"] for condition in said} | {"Paused"}
            said += [old for old in before.get("conditions") or () if old["type"] not in types]
        status = {**kept, **(fields or {}), "observedGeneration": item.metadata.generation, "conditions": said}
        return await self.applier.apply_status(HOST_CONFIG, self.configs, item, status)

    def _event(self, item: CustomResource, type_: EventType, reason: str, note: str) -> None:
        self.recorder.event(HOST_CONFIG, item.metadata, type_, reason, note, action="Reconcile")


_KEPT = ("replicas", "readyReplicas", "selector")


def _parsed(item: CustomResource) -> WasmCloudHostConfig:
    metadata = {"name": item.metadata.name, "namespace": item.metadata.namespace, "uid": item.metadata.uid}
    try:
        return parse(WasmCloudHostConfig, {"metadata": metadata, "spec": item.spec})
    except InvalidObjectError as error:
        raise SpecError(*(Problem("InvalidSpec", f".{fault.path}", fault.message) for fault in error.errors)) from error


def _owned_by(item: CustomResource) -> Callable[[ObjectMeta], bool]:
    return lambda metadata: any(owner.uid == item.metadata.uid for owner in metadata.owner_references)


def _refusal(child: Child, error: ApiError) -> Problem:
    """The API server's refusal, with the fields it names as paths in the config where they are the user's."""
    causes = "; ".join(f"{path}: {message}" for path, message in error.causes) or error.message
    return Problem(f"{child.resource.kind}Refused", "", f"{child.resource.kind} refused by the API server: {causes}")
