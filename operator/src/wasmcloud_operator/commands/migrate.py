"""`wasmcloud-operator migrate`: what coming from the operator written in Rust will change, before it does.

The operator adopts by itself what that one left. This command shows it, and removes what is in the way of it: the
APIService through which the other one served applications.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace

import click

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.commands.checking import rules
from wasmcloud_operator.commands.overview.screens import Screen
from wasmcloud_operator.commands.printable import say
from wasmcloud_operator.commands.redaction.texts import blackened
from wasmcloud_operator.hostpool.nats_connection import lattice_route
from wasmcloud_operator.hostpool.owned_secrets import needed_secrets
from wasmcloud_operator.hostpool.platform import Platform, platform_seen
from wasmcloud_operator.hostpool.reconciler import parsed
from wasmcloud_operator.hostpool.references import read_references
from wasmcloud_operator.hostpool.render_workload import Children, leaf_warnings, render
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED
from wasmcloud_operator.kube.difference import difference
from wasmcloud_operator.kube.managed_fields import taken_over
from wasmcloud_operator.kube.objects import CustomResource, Unstructured
from wasmcloud_operator.kube.resources import API_SERVICE, DEPLOYMENT, SECRET, Key
from wasmcloud_operator.legacy.differences import pod_differences
from wasmcloud_operator.legacy.hostpools import FIELD_MANAGERS, FINALIZER, leftovers
from wasmcloud_operator.names import MANAGED_BY, IpFamily
from wasmcloud_operator.shared.problem import SpecError

FORMER_API_SERVICE = "v1beta1.core.oam.dev"
# Its image up to 0.5.0 and since; the first is the name of ours, too.
_IMAGES = ("wasmcloud-operator", "wadm-operator")
# Its streams in NATS, likewise; its consumers are in them.
_STREAMS = ("wasmcloud_operator_events", "wadm_operator_events")


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What was found, a line for each thing: what will change, what stands in the way of the change itself (the other
    operator runs), and what has to be mended in single host configs.
    """

    lines: tuple[str, ...]
    obstacles: tuple[str, ...]
    faults: tuple[str, ...]


async def plan(client: Reader, namespace: str = "", family: IpFamily = "auto") -> MigrationPlan:
    """Look at every host config (of one namespace, or all). Writes nothing; raises the errors of `kube.errors`."""
    platform = await platform_seen(client, family)
    lines: list[str] = []
    faults: list[str] = []
    was_here = False
    obstacles = [f"{where}: still runs; scale it to 0 first" async for where in _running(client, namespace)]
    if await _api_service(client) is not None:
        lines.append(f"APIService {FORMER_API_SERVICE}: is removed, the CRD serves applications from then on")
    for item in await client.list_all(HOST_CONFIG, CUSTOM_RESOURCE, namespace=namespace):
        name = f"{HOST_CONFIG.kind} {item.metadata.key}"
        ignored = [f"{path} is no field: it is ignored, and strict clients refuse it" for path in unknown_in(item.spec)]
        try:
            found = await pool_changes(client, item, platform)
        except SpecError as error:
            lines += [f"{name}: {line}" for line in ignored]
            faults += [f"{name}: {problem}" for problem in error.problems]
        else:
            lines += [f"{name}: {line}" for line in (*ignored, *found)] or [f"{name}: nothing changes"]
        was_here = was_here or FINALIZER in item.metadata.finalizers
    if was_here:
        lines.append(f"NATS: its stream stays in each hub; `nats stream rm` removes it: {' or '.join(_STREAMS)}")
    return MigrationPlan(tuple(lines), tuple(obstacles), tuple(faults))


async def clear_the_way(client: Writer) -> list[str]:
    """Remove the other one's APIService; a line for what was done. Raises the errors of `kube.errors`."""
    found = await _api_service(client)
    if found is None:
        return []
    await client.delete(API_SERVICE, Key("", FORMER_API_SERVICE), uid=found.metadata.uid)
    return [f"APIService {FORMER_API_SERVICE}: removed"]


@dataclass(frozen=True, slots=True)
class Migration:
    """What was found, and a line for each thing that was done."""

    plan: MigrationPlan
    done: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 where something has to be mended first, else 0."""
        return 1 if self.plan.obstacles or self.plan.faults else 0


async def run_migration(client: Reader, namespace: str, family: IpFamily, *, dry_run: bool) -> Migration:
    """Looks, and clears the way unless something stands in it. Raises the errors of `kube.errors`."""
    found = await plan(client, namespace, family)
    if dry_run or found.obstacles:
        return Migration(found, ())
    # It runs before the operator does: nobody else may hold a lease.
    writer = Writer(client, field_manager=MANAGED_BY, gate=AlwaysOpen())
    return Migration(found, tuple(await clear_the_way(writer)))


def migration_screen(namespace: str, family: IpFamily, output: str, *, dry_run: bool) -> Screen:
    """Returns the screen of `migrate`: a line for each thing, or one JSON object."""

    async def screen(client: Reader) -> int:
        done = await run_migration(client, namespace, family, dry_run=dry_run)
        if output == "json":
            click.echo(as_json(done))
        else:
            place = f"namespace {namespace}" if namespace else "any namespace"
            say(*as_lines(done) or [f"nothing to migrate: no {HOST_CONFIG.kind} is in {place}"])
        return done.exit_code

    return screen


def as_lines(migration: Migration) -> list[str]:
    """Returns what people read."""
    found = migration.plan
    faults = [f"TO MEND: {fault}" for fault in found.faults]
    obstacles = [f"TO MEND FIRST: {obstacle}" for obstacle in found.obstacles]
    return [*found.lines, *faults, *obstacles, *migration.done]


def as_json(migration: Migration) -> str:
    """Returns the same as one JSON object."""
    return json.dumps({**asdict(migration.plan), "done": migration.done}, indent=2)


async def pool_changes(client: Reader, item: CustomResource, platform: Platform) -> list[str]:
    """Returns what becomes of the children of a host config, a line each. Raises SpecError, errors of `kube.errors`."""
    config = parsed(item)
    examined = await read_references(client, item.metadata.key, config.spec, platform)
    if examined.problems:
        raise SpecError(*examined.problems)
    if examined.values is not None:
        lattice_route(config.spec, examined.values)
    facts = replace(examined.facts, leaf_service_kept=FINALIZER in item.metadata.finalizers)
    children = render(config, facts)
    lines = [
        f"Secret {name} is created"
        for name in needed_secrets(config, examined.facts, children.secret_conf)
        if await client.find_whole(SECRET, Key(item.metadata.namespace, name)) is None
    ]
    lines += map(str, (*examined.warnings, *leaf_warnings(config.spec, facts)))
    lines += await _children(client, item, children)
    if FINALIZER in item.metadata.finalizers:
        for resource in leftovers(children.workload.resource):
            live = await client.find_whole(resource, item.metadata.key)
            if live is not None and _owned(live.get("metadata") or {}, item):
                lines.append(f"{resource.kind} {item.metadata.name} is removed")
        lines.append(f"finalizer {FINALIZER} is taken off")
    return lines


async def _children(client: Reader, item: CustomResource, children: Children) -> list[str]:
    lines = []
    for child in children.all:
        what = f"{child.resource.kind} {item.metadata.name}"
        live = await client.find_whole(child.resource, item.metadata.key)
        if live is None:
            lines.append(f"{what} is created")
            continue
        metadata = live["metadata"]
        if not _owned(metadata, item):
            lines.append(f"{what} belongs to somebody else: Conflict until the host config is renamed")
            continue
        entries = metadata.get("managedFields") or []
        former = taken_over(entries, FIELD_MANAGERS, MANAGED_BY) != entries
        where = difference(child.body, live)
        if former or where is not None:
            how = "adopted" if former else "changed"
            template = child is children.workload and (former or _in_template(child.body, live))
            lines.append(f"{what} is {how}" + ("; its pods restart once" if template else ""))
            if template:
                before, after = live["spec"]["template"]["spec"], child.body["spec"]["template"]["spec"]
                lines += [f"{what}: pods: {blackened(line)}" for line in pod_differences(before, after)]
    return lines


def unknown_in(spec: Json) -> list[str]:
    """The paths in a host config's spec that are no fields of it."""
    return [f".{path}" for path in rules.unknown_in({"spec": spec})]


def _in_template(body: JsonObject, live: JsonObject) -> bool:
    return difference(body["spec"]["template"], live["spec"]["template"]) is not None


async def _running(client: Reader, namespace: str) -> AsyncIterator[str]:
    """Deployments that run the other operator: its image without our command."""
    for found in await client.list_all(DEPLOYMENT, UNSTRUCTURED, namespace=namespace):
        spec = found.body["spec"]
        for container in spec["template"]["spec"]["containers"]:
            image = container.get("image", "").partition("@")[0].rpartition("/")[2].partition(":")[0]
            ours = "run" in (*(container.get("command") or ()), *(container.get("args") or ()))
            if image in _IMAGES and not ours and spec.get("replicas", 1):
                yield f"Deployment {found.metadata.key} ({container['image']})"


async def _api_service(client: Reader) -> Unstructured | None:
    """Returns the Rust operator's APIService, if there is one: the APIService of a CRD names no Service."""
    found = await client.find(API_SERVICE, Key("", FORMER_API_SERVICE))
    return found if found is not None and found.body["spec"].get("service") else None


def _owned(metadata: JsonObject, item: CustomResource) -> bool:
    return any(owner.get("uid") == item.metadata.uid for owner in metadata.get("ownerReferences") or ())
