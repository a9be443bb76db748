"""Applications through a real API server, a real NATS and a real wadm, onto test hosts."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import nats
import pytest

from latticehost import Lattice, LatticeHost
from operatorfixture import RunningOperator
from testbed import Admin, ControlPlane, NatsServer, Server, eventually
from testbed.admin import condition

APP = "core.oam.dev/v1beta1/Application"
CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"


def host_config(namespace: str, lattice: str, nats_url: str, name: str = "pool") -> dict[str, Any]:
    return {
        "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
        "kind": "WasmCloudHostConfig",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"lattice": lattice, "version": "1.9.0", "natsAddress": nats_url},
    }


def application(namespace: str, name: str = "hello", image: str = "x/web:1", **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "components": [
                {
                    "name": "web",
                    "type": "component",
                    "properties": {"image": image},
                    "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
                }
            ]
        },
    }


@dataclass
class Bench:
    """What a test needs: a namespace with a host config of a lattice of its own, the operator, and wadm's own word."""

    admin: Admin
    namespace: str
    lattice: str
    nats: NatsServer
    client: Any

    async def wadm(self, operation: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        payload = b"" if body is None else json.dumps(body).encode()
        answer = await self.client.request(f"wadm.api.{self.lattice}.model.{operation}", payload, timeout=5)
        return json.loads(answer.data)

    async def versions(self, name: str = "hello") -> dict[str, bool]:
        answer = await self.wadm(f"versions.{name}")
        return {entry["version"]: entry["deployed"] for entry in answer.get("versions") or ()}

    async def create(self, name: str = "hello", **options: Any) -> None:
        await self.admin.create(application(self.namespace, name, **options))

    async def reaches(self, predicate: Callable[[dict[str, Any]], object], name: str = "hello", **options: Any) -> dict:
        found = await self.admin.wait_for(
            APP, name, self.namespace, lambda obj: obj is not None and predicate(obj), **options
        )
        assert found is not None
        return found

    async def phase(self, phase: str, name: str = "hello", **options: Any) -> dict[str, Any]:
        def there(obj: dict[str, Any]) -> bool:
            told = obj["status"]
            return told.get("phase") == phase and told["observedGeneration"] == obj["metadata"]["generation"]

        return await self.reaches(there, name, message=f"phase {phase}", **options)


@pytest.fixture
async def bench(
    operator: RunningOperator, namespace: str, admin: Admin, nats_server: NatsServer, wadm: Server
) -> AsyncIterator[Bench]:
    lattice = f"l-{secrets.token_hex(3)}"
    client = await nats.connect(nats_server.url)
    await admin.create(host_config(namespace, lattice, nats_server.url))
    try:
        yield Bench(admin, namespace, lattice, nats_server, client)
        await admin.delete_all(APP, namespace)
        await eventually(lambda: _none_left(admin, namespace), timeout=15)
    finally:
        await client.close()


async def _none_left(admin: Admin, namespace: str) -> bool:
    return not await admin.list(APP, namespace)


@contextlib.asynccontextmanager
async def host(bench: Bench) -> AsyncIterator[LatticeHost]:
    async with LatticeHost.running(bench.nats.url, Lattice(bench.lattice)) as running:
        yield running


async def test_from_apply_to_running_and_back(bench: Bench, crds: ControlPlane) -> None:
    async with host(bench) as lattice_host:
        await bench.create()
        app = await bench.phase("Deployed")
        version = app["status"]["deployedVersion"]
        assert app["status"]["lattice"] == bench.lattice
        assert app["status"]["hostConfig"] == "pool"
        assert app["status"]["versions"] == [version]
        assert app["status"]["wadm"]["type"] == "deployed"
        assert app["status"]["scalers"], "wadm tells of each scaler"
        assert {entry["type"]: entry["status"] for entry in app["status"]["conditions"]} == {
            "Ready": "True",
            "Reconciling": "False",
            "Stalled": "False",
            "Synced": "True",
            "LatticeConnected": "True",
        }
        assert await bench.versions() == {version: True}
        assert lattice_host.components

        await bench.admin.delete(APP, "hello", bench.namespace)
        await bench.admin.wait_for(APP, "hello", bench.namespace, lambda obj: obj is None)
        assert (await bench.wadm("get.hello", {}))["result"] == "notfound"
        await eventually(lambda: not lattice_host.components)


async def test_a_change_is_a_new_version_and_only_that(bench: Bench) -> None:
    async with host(bench):
        await bench.create()
        first = (await bench.phase("Deployed"))["status"]["deployedVersion"]
        patch = {"spec": {"components": application("x", image="x/web:2")["spec"]["components"]}}
        await bench.admin.patch(APP, "hello", bench.namespace, patch)
        app = await bench.phase("Deployed")
        second = app["status"]["deployedVersion"]
        assert await bench.versions() == {first: False, second: True}
        assert app["status"]["versions"] == [first, second]


async def test_an_invalid_manifest_never_reaches_wadm(bench: Bench) -> None:
    body = application(bench.namespace)
    body["spec"]["components"] *= 2
    await bench.admin.create(body)
    app = await bench.phase("Failed")
    assert "spec.components[1].name" in app["status"]["message"]
    assert condition(app, "Stalled")["reason"] == "InvalidManifest"
    assert "finalizers" not in app["metadata"]
    assert (await bench.wadm("get.hello", {}))["result"] == "notfound"
