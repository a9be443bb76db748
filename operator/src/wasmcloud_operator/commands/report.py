"""`report`: a zip for an issue. Secrets are never read, and what has the shape of a secret is blacked out."""

from __future__ import annotations

import asyncio
import json
import platform
import zipfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.base.printable import printable
from wasmcloud_operator.commands.overview import operator_pods
from wasmcloud_operator.commands.overview.screens import Screen
from wasmcloud_operator.commands.printable import say
from wasmcloud_operator.commands.redaction.objects import blackened_object
from wasmcloud_operator.commands.redaction.texts import blackened
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import ApiError, KubeError
from wasmcloud_operator.kube.objects import LAST_APPLIED, Unstructured
from wasmcloud_operator.kube.resources import (
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    LEASE,
    POD,
    SERVICE,
    Key,
    Resource,
)
from wasmcloud_operator.names import MANAGED_SELECTOR

LOG_LINES = 5000
_LOG_BYTES = 4 * 1024 * 1024
_AT_ONCE = 8
# What is gathered: no Secret, neither by name nor in a list.
_OURS = (
    (HOST_CONFIG, ""),
    (APPLICATION, ""),
    (POD, MANAGED_SELECTOR),
    (DEPLOYMENT, MANAGED_SELECTOR),
    (DAEMON_SET, MANAGED_SELECTOR),
    (SERVICE, MANAGED_SELECTOR),
    (CONFIG_MAP, MANAGED_SELECTOR),
)


@dataclass(slots=True)
class _Files:
    """The files of the archive, by path, and what could not be read."""

    texts: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def add(self, path: str, objects: list[JsonObject]) -> None:
        """Adds objects as JSON, without what is secret."""
        if objects:
            self.texts[path] = json.dumps([blackened_object(_quiet(each)) for each in objects], indent=1)


def report_screen(namespace: str, output: Path | None) -> Screen:
    """Returns the screen of `report`, which is the name of the file that it wrote."""

    async def screen(client: Reader) -> int:
        texts = await gather(client, namespace)
        path = output or default_name(datetime.now(UTC))
        try:
            write_zip(path, texts)
        except OSError as error:
            say(f"cannot write {path}: {error.strerror}", err=True)
            return 2
        missing = texts["missing.txt"].splitlines()
        say(f"{path}: {len(texts)} files{f', {len(missing)} could not be read (missing.txt)' if missing else ''}")
        return 1 if missing else 0

    return screen


async def gather(client: Reader, namespace: str = "") -> Mapping[str, str]:
    """Returns the texts of the archive by path; what the user may not read is listed in `missing.txt`.

    Raises the errors of `kube.errors` where the API server is out of reach.
    """
    files = _Files()
    versions = await _versions(client, files)
    pods = []
    for resource, selector in _OURS:
        found = await _listed(client, files, resource, namespace, selector)
        files.add(f"objects/{resource.plural}.json", found)
        pods += found if resource is POD else []
    labelled = await _listed(client, files, POD, namespace, operator_pods.SELECTOR)
    operators = [pod for pod in labelled if operator_pods.runs_operator(pod)]
    files.add("objects/pods-operator.json", operators)
    deployments = await _listed(client, files, DEPLOYMENT, namespace, operator_pods.DEPLOYMENT_SELECTOR)
    files.add("objects/deployments-operator.json", deployments)
    await _surroundings(client, files, namespace)
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one_at_a_time(read: Coroutine[None, None, None]) -> None:
        async with limit:
            await read

    async with asyncio.TaskGroup() as group:
        for pod in (*pods, *operators):
            for read in _of_pod(client, files, pod):
                group.create_task(one_at_a_time(read))
    files.texts["missing.txt"] = "".join(f"{printable(line)}\n" for line in sorted(files.missing))
    files.texts["versions.json"] = json.dumps(versions, indent=1)
    return files.texts


def write_zip(path: Path, texts: Mapping[str, str]) -> None:
    """Writes the archive; the file may be read by its owner alone. Raises OSError, FileExistsError among them."""
    path.touch(mode=0o600, exist_ok=False)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(texts.items()):
            archive.writestr(name, text)


def default_name(now: datetime) -> Path:
    """Returns the file's name for a report made now."""
    return Path(f"wasmcloud-report-{now.astimezone(UTC):%Y%m%d-%H%M%S}.zip")


async def _surroundings(client: Reader, files: _Files, namespace: str) -> None:
    events = await _listed(client, files, EVENT, namespace)
    kinds = {HOST_CONFIG.kind, APPLICATION.kind, "Pod", "Deployment", "DaemonSet", "Service", "Lease"}
    files.add("events.json", [event for event in events if as_object(event.get("regarding")).get("kind") in kinds])
    leases = await _listed(client, files, LEASE, namespace)
    files.add("objects/leases.json", [lease for lease in leases if "wasmcloud" in lease["metadata"]["name"]])
    crds = [found async for found in _definitions(client, files)]
    files.add("objects/crds.json", [{key: crd.get(key) for key in ("metadata", "status")} for crd in crds])


async def _definitions(client: Reader, files: _Files) -> AsyncIterator[JsonObject]:
    """Yields both CRDs, each by its name: all that a cluster has may be a hundred megabytes."""
    for resource in (HOST_CONFIG, APPLICATION):
        try:
            found = await client.find_whole(CUSTOM_RESOURCE_DEFINITION, Key("", str(resource)))
        except KubeError as error:
            files.missing.append(f"{CUSTOM_RESOURCE_DEFINITION} {resource}: {blackened(str(error))}")
        else:
            if found is not None:
                yield found


async def _listed(
    client: Reader, files: _Files, resource: Resource, namespace: str, selector: str = ""
) -> list[JsonObject]:
    where = namespace if resource.namespaced else ""
    try:
        found: list[Unstructured] = await client.list_all(resource, UNSTRUCTURED, namespace=where, selector=selector)
    except KubeError as error:
        files.missing.append(f"{resource}: {blackened(str(error))}")
        return []
    return [item.body for item in found]


def _of_pod(client: Reader, files: _Files, pod: JsonObject) -> Iterator[Coroutine[None, None, None]]:
    """Yields what is read of a pod: the logs of each container, also of the one before, and the operator's metrics."""
    metadata, spec = pod["metadata"], as_object(pod.get("spec"))
    key = Key(metadata["namespace"], metadata["name"])
    folder = f"pods/{key.namespace}/{key.name}"
    status = as_object(pod.get("status"))
    restarted = {
        entry.get("name")
        for part in ("containerStatuses", "initContainerStatuses")
        for entry in as_objects(status.get(part))
        if entry.get("restartCount")
    }
    for container in (*as_objects(spec.get("initContainers")), *as_objects(spec.get("containers"))):
        name = str(container.get("name"))
        query = [("container", name), ("tailLines", str(LOG_LINES)), ("limitBytes", str(_LOG_BYTES))]
        path = POD.path(key, "log")
        yield _text(client, files, f"{folder}/{name}.log", path, query)
        if name in restarted:
            yield _text(client, files, f"{folder}/{name}.previous.log", path, [*query, ("previous", "true")])
    if operator_pods.runs_operator(pod):
        yield _text(client, files, f"{folder}/metrics.txt", operator_pods.metrics_path(key), [])


async def _text(client: Reader, files: _Files, name: str, path: str, query: list[tuple[str, str]]) -> None:
    try:
        files.texts[name] = blackened(await client.get_text(path, query))
    except KubeError as error:
        files.missing.append(f"{name}: {blackened(str(error))}")


async def _versions(client: Reader, files: _Files) -> JsonObject:
    known: JsonObject = {"wasmcloud-operator": version("wasmcloud-operator"), "python": platform.python_version()}
    try:
        known["kubernetes"] = await client.get_path("/version")
    except ApiError as error:
        files.missing.append(f"version: {blackened(str(error))}")
    return known


def _quiet(body: JsonObject) -> JsonObject:
    """The object without managedFields, and without annotations that hold it a second time."""
    metadata = {name: value for name, value in as_object(body.get("metadata")).items() if name != "managedFields"}
    if isinstance(metadata.get("annotations"), dict):
        entries = metadata["annotations"].items()
        metadata["annotations"] = {key: value for key, value in entries if key != LAST_APPLIED}
    return {**body, "metadata": metadata}
