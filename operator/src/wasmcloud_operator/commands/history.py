"""`history` and `rollback`: the versions of an application that wadm keeps, and the way back to one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

import click

from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.commands.nats_options import NatsOptions
from wasmcloud_operator.commands.overview import drawing
from wasmcloud_operator.commands.overview.screens import Screen, by_hand
from wasmcloud_operator.commands.overview.tables import Row, Table
from wasmcloud_operator.commands.printable import say
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.client import JSON_PATCH, Reader
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.errors import ApiError
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.content import VERSION, owner_of
from wasmcloud_operator.lattice.errors import LatticeError, WadmNotFound

_TRACKING = "argocd.argoproj.io/tracking-id"
_FLUX = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
# Field managers of tools that write an object again and again, by the tool.
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "helm": "Helm",
}


class Refused(Exception):
    """Why there is no way back, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One version that wadm keeps."""

    version: str
    deployed: bool


def kept(application: JsonObject) -> list[Kept]:
    """Returns the versions that wadm keeps by the status, the oldest first."""
    status = as_object(application.get("status"))
    deployed = status.get("deployedVersion")
    versions = status.get("versions")
    return [Kept(str(version), version == deployed) for version in (versions if isinstance(versions, list) else ())]


def table(versions: Sequence[Kept]) -> Table:
    """Returns a row for each version, in their order."""
    states = ((each, "deployed" if each.deployed else "") for each in versions)
    rows = tuple(Row((each.version, state), each.deployed or None) for each, state in states)
    return Table(("VERSION", "STATE"), rows, state=1)


def history_screen(name: str, namespace: str, output: str) -> Screen:
    """Returns the screen of `history`: a line for each version, from Kubernetes alone."""

    async def screen(client: Reader) -> int:
        try:
            found = kept(await _application(client, name, namespace))
        except Refused as error:
            say(str(error), err=True)
            return 2
        if output == "json":
            listed = [{"version": each.version, "deployed": each.deployed} for each in found]
            click.echo(json.dumps(listed, indent=2))
        else:
            drawing.on_stdout().tables([table(found)], [] if found else ["wadm keeps no version of it"])
        return 0

    return screen


def rollback_screen(name: str, namespace: str, to: str, nats: NatsOptions, *, dry_run: bool) -> Screen:
    """Returns the screen of `rollback`: the content of a version that wadm keeps becomes the Application's again."""

    async def screen(client: Reader) -> int:
        try:
            application = await _application(client, name, namespace)
            if reason := other_owner(application["metadata"]):
                raise Refused(f"Application {namespace}/{name} {reason}")
            version = to or before_deployed(kept(application))
            manifest = await _from_wadm(nats, application, version)
            patch = way_back(application, manifest, version)
            key = Key(namespace, name)
            await by_hand(client).patch(APPLICATION, key, patch, JSON_PATCH, CUSTOM_RESOURCE, dry_run=dry_run)
        except (Refused, ApiError, LatticeError, UnicodeDecodeError) as error:
            say(f"no rollback: {error}", err=True)
            return 2
        say(f"Application {namespace}/{name} {'would have' if dry_run else 'has'} the content of version {version}")
        return 0

    return screen


def before_deployed(versions: Sequence[Kept]) -> str:
    """Returns the version before the deployed one. Raises Refused where there is none."""
    places = [index for index, each in enumerate(versions) if each.deployed]
    if not versions:
        raise Refused("wadm keeps no version of it")
    if not places or places[0] == 0:
        known = ", ".join(each.version for each in versions) or "none"
        raise Refused(f"no version is before the deployed one; wadm keeps: {known}; choose with --to")
    return versions[places[0] - 1].version


def other_owner(metadata: JsonObject) -> str:
    """Returns how a tool owns an object, which would undo the rollback, and where to roll back; empty for none."""
    labels, annotations = as_object(metadata.get("labels")), as_object(metadata.get("annotations"))
    writers = {str(entry.get("manager")) for entry in as_objects(metadata.get("managedFields"))}
    tools = {tool for manager, tool in _MANAGERS.items() if manager in writers}
    if _TRACKING in annotations or "Argo CD" in tools:
        instance = str(annotations.get(_TRACKING, "")).partition(":")[0]
        return (
            f"belongs to Argo CD{f' (application {instance})' if instance else ''}, which would undo it: revert in Git"
        )
    if "Flux" in tools or any(label in labels for label in _FLUX):
        return "belongs to Flux, which would undo it: revert in Git"
    if "Helm" in tools or labels.get("app.kubernetes.io/managed-by") == "Helm":
        release = annotations.get("meta.helm.sh/release-name", "RELEASE")
        return f"belongs to a Helm release, whose next upgrade would undo it: helm rollback {quote(str(release))}"
    return ""


def way_back(application: JsonObject, manifest: JsonObject, version: str) -> list[JsonObject]:
    """Returns the JSON patch that puts the content of a stored manifest into an Application, whatever is in it now.

    It fails if the object is changed meanwhile. An Application that names its version names the former one then.
    Raises Refused for a manifest of somebody else's.
    """
    metadata = application["metadata"]
    owner = owner_of(manifest)
    where = (metadata["namespace"], metadata["name"])
    if owner is None or (owner.namespace, owner.name) != where or owner.uid not in ("", metadata["uid"]):
        raise Refused(f"version {version} in wadm is not of this Application")
    patch: list[JsonObject] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "replace", "path": "/spec", "value": as_object(manifest.get("spec"))},
    ]
    if VERSION in as_object(metadata.get("annotations")):
        # Of a version that the operator made of a declared one and the content, the declared part.
        declared = version.partition("+")[0]
        patch.append({"op": "replace", "path": f"/metadata/annotations/{VERSION}", "value": declared})
    return patch


async def _application(client: Reader, name: str, namespace: str) -> JsonObject:
    found = await client.find_whole(APPLICATION, Key(namespace, name))
    if found is None:
        raise Refused(f"there is no Application {namespace}/{name}")
    return found


async def _from_wadm(nats: NatsOptions, application: JsonObject, version: str) -> JsonObject:
    lattice = as_object(application.get("status")).get("lattice")
    if not isinstance(lattice, str) or not lattice:
        raise Refused("the Application is in no lattice yet")
    name = application["metadata"]["name"]
    try:
        return await nats.ask(lattice, lambda wadm: wadm.get(name, version))
    except WadmNotFound:
        raise Refused(f"wadm keeps no version {version} of {name} in lattice {lattice}: see history") from None
