"""Host configs on a live control plane: make them, wait for what becomes of them, count what the operator writes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.operators.in_process import USER_AGENT
from testbed import Admin, ApiError, ControlPlane, NatsServer
from testbed.admin import Object, condition
from testbed.audit import AuditEvent
from testbed.cache import ensure

CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
DEPLOYMENT, DAEMON_SET = "apps/v1/Deployment", "apps/v1/DaemonSet"
BUDGET = "policy/v1/PodDisruptionBudget"
EVENT = "events.k8s.io/v1/Event"
# Nobody listens there: pools whose lattice does not matter.
NOWHERE = "nats://127.0.0.1:9"


def host_config(namespace: str, name: str = "pool", /, **spec: Any) -> Object:
    """A config; lattice, version and a NATS address where nobody listens are there unless given."""
    return {
        "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
        "kind": "WasmCloudHostConfig",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"lattice": "default", "version": "1.6.0", "natsAddress": NOWHERE, **spec},
    }


def secret(namespace: str, name: str, data: Mapping[str, str], type_: str = "Opaque") -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type_, "stringData": dict(data)}


async def shown(
    admin: Admin, namespace: str, name: str = "pool", /, *, timeout: float = 60, **wanted: str
) -> dict[str, Any]:
    """The config's status when its conditions (by type) have these statuses or reasons."""

    def as_wanted(item: Object | None) -> bool:
        found = {type_: condition(item, type_) for type_ in wanted}
        return (
            item is not None
            and all(one is not None and wanted[type_] in (one["status"], one["reason"]) for type_, one in found.items())
            and item["status"]["observedGeneration"] == item["metadata"]["generation"]
            and (condition(item, "Reconciling") or {}).get("reason") != "ReconcileFailed"  # tried again at once
        )

    item = await admin.wait_for(CONFIG, name, namespace, as_wanted, timeout=timeout)
    assert item is not None
    return item["status"]


async def exists(admin: Admin, kind: str, namespace: str, name: str = "pool", /, *, timeout: float = 60) -> Object:
    """The object when it is there."""
    item = await admin.wait_for(kind, name, namespace, lambda found: found is not None, timeout=timeout)
    assert item is not None
    return item


async def at_generation(admin: Admin, namespace: str, number: int) -> Object | None:
    """The pool's Deployment, if its generation is that."""
    found = await admin.get(DEPLOYMENT, "pool", namespace)
    return found if found["metadata"]["generation"] == number else None


def checksums(workload: Object) -> dict[str, str]:
    """What rolls the pods, by annotation."""
    annotations = workload["spec"]["template"]["metadata"]["annotations"]
    return {key: value for key, value in annotations.items() if key.startswith("checksum.")}


def decoded(item: Object) -> dict[str, str]:
    """The values of a Secret."""
    return {key: base64.b64decode(value).decode() for key, value in item["data"].items()}


async def leafs(hub: NatsServer, number: int) -> bool:
    """Whether so many leaf nodes are connected to the hub."""
    found: int = (await hub.monitor("leafz"))["leafnodes"]
    return found == number


@contextlib.asynccontextmanager
async def leaf_of(admin: Admin, namespace: str, folder: Path, mounts: Mapping[str, str]) -> AsyncIterator[None]:
    """nats-server on the pool's nats.conf; only its folders and ports are the test's.

    `mounts` are Secrets by the path at which the pod has them.
    """
    text = (await admin.get("v1/ConfigMap", "pool", namespace))["data"]["nats.conf"]
    for path, name in mounts.items():
        place = folder / name
        place.mkdir(parents=True)
        for key, value in decoded(await admin.get("v1/Secret", name, namespace)).items():
            (place / key).write_text(value)
        text = text.replace(f"{path}/", f"{place}/")
    async with running_leaf(text, folder):
        yield


@contextlib.asynccontextmanager
async def running_leaf(text: str, folder: Path) -> AsyncIterator[None]:
    """nats-server on a pool's nats.conf; only its folder and ports are the test's."""
    program = await ensure("nats-server")
    conf = folder / "nats.conf"
    conf.write_text(
        text.replace('"/data"', f'"{folder / "data"}"')
        .replace("0.0.0.0:4222", "127.0.0.1:-1")
        .replace("127.0.0.1:4222", "127.0.0.1:-1")
        .replace("0.0.0.0:8222", "127.0.0.1:-1")
    )
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(program, "-js", "--config", conf, stderr=quiet)
    try:
        yield
        assert process.returncode is None
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def gone(admin: Admin, kind: str, namespace: str, name: str = "pool", /, *, timeout: float = 60) -> None:
    """Until the object is not there."""
    await admin.wait_for(kind, name, namespace, lambda found: found is None, timeout=timeout)


async def events(admin: Admin, namespace: str, reason: str) -> list[Object]:
    """The Events of that reason."""
    return [event for event in await admin.list(EVENT, namespace) if event["reason"] == reason]


async def have_been_ready(admin: Admin, namespace: str) -> None:
    """Have the namespace's pods be ready for an hour, so that no minReadySeconds has to be waited for."""
    since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"status": {"conditions": [{"type": "Ready", "lastTransitionTime": since}]}}
    for pod in await admin.list("v1/Pod", namespace):
        try:
            await admin.patch(
                "v1/Pod", pod["metadata"]["name"], namespace, ready, how="strategic", subresource="status"
            )
        except ApiError as error:
            if error.status != 404:  # it is gone since it was listed: a rollout goes on meanwhile
                raise


def writes(cluster: ControlPlane, since: int, namespace: str) -> list[AuditEvent]:
    """What the operator wrote in the namespace since that end of the audit log."""
    assert cluster.audit is not None
    return [
        event
        for event in cluster.audit.events(since)
        if event.is_write and event.user_agent.startswith(USER_AGENT) and event.namespace == namespace
    ]


async def at_rest(cluster: ControlPlane, namespace: str, quiet: float = 1.5, timeout: float = 60) -> int:
    """Until the operator has written nothing there for so many seconds; returns the end of the audit log.

    News of pods and lattices may wait for a second, so that a burst of them is looked at once.
    """
    assert cluster.audit is not None
    async with asyncio.timeout(timeout):
        while True:
            since = cluster.audit.end
            await asyncio.sleep(quiet)  # the measured stretch itself
            if not writes(cluster, since, namespace):
                return since
