"""What tests of Services share: a pool of simulated pods in a namespace, hosts on them, applications with HTTP."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import nats

from support.objects.good_manifest import link
from testbed import Admin, NatsServer, eventually
from testbed.admin import condition, is_true
from wasmcloud_operator.lattice.testing import HTTP_SERVER, LatticeHost, SharedLattice, flushed

APP = "core.oam.dev/v1beta1/Application"
CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
SERVICE = "v1/Service"
SLICE = "discovery.k8s.io/v1/EndpointSlice"
SERVES = "serves.k8s.wasmcloud.dev/"


def http_link(config: dict[str, str], *, target: str = "web", name: str = "default") -> dict[str, Any]:
    source = {"config": [{"name": f"http-{secrets.token_hex(4)}", "properties": config}]}
    return link(target, name=name, source=source)


def web(name: str = "web") -> dict[str, Any]:
    return {
        "name": name,
        "type": "component",
        "properties": {"image": "registry.example/web:1"},
        "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
    }


def http_components(
    port: int = 8080,
    *,
    scaler: str = "spreadscaler",
    instances: int = 1,
    requirements: dict[str, str] | None = None,
    image: str = HTTP_SERVER,
    links: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """A component and an http-server provider for it."""
    scaling: dict[str, Any] = {"instances": instances}
    if requirements is not None:
        scaling["spread"] = [{"name": "some", "requirements": requirements}]
    server = {
        "name": "httpserver",
        "type": "capability",
        "properties": {"image": image},
        "traits": [
            *([http_link({"address": f"0.0.0.0:{port}"})] if links is None else links),
            {"type": scaler, "properties": scaling},
        ],
    }
    return [web(), server]


def manifest(
    name: str, components: list[dict[str, Any]], version: str = "v1", annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": name, "annotations": {"version": version, **(annotations or {})}},
        "spec": {"components": components},
    }


@dataclass
class ServiceSite:
    """A namespace with one pool in a lattice of its own, whose pods are simulated; wadm can be asked directly."""

    admin: Admin
    namespace: str
    lattice: SharedLattice
    server: NatsServer
    client: Any
    config: str = "pool"
    hosts: dict[str, LatticeHost] = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, admin: Admin, server: NatsServer, *, replicas: int = 1, lattice: str = "", namespace: str = "", **spec: Any
    ) -> AsyncIterator[ServiceSite]:
        token = secrets.token_hex(3)
        client = await nats.connect(server.url)
        site = cls(admin, namespace or f"http-{token}", SharedLattice(lattice or f"lattice-{token}"), server, client)
        await admin.create_namespace(site.namespace)
        try:
            await site.add_pool("pool", replicas, **spec)
            yield site
        finally:
            await client.close()
            await admin.delete_all(CONFIG, site.namespace)
            await admin.delete("v1/Namespace", site.namespace)

    async def add_pool(self, name: str, replicas: int = 1, **spec: Any) -> None:
        given = {"lattice": self.lattice.name, "version": "1.9.0", "natsAddress": self.server.url, **spec}
        await self.admin.create(
            {
                "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
                "kind": "WasmCloudHostConfig",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"hostReplicas": replicas, **given},
            }
        )
        await eventually(lambda: self._has_pods(name, replicas), message=f"{replicas} ready pods")

    async def _has_pods(self, config: str, count: int) -> bool:
        return len(await self.pods(config)) == count

    async def pods(self, config: str = "pool") -> list[str]:
        """The names of the pool's pods whose containers are ready: they wait for their hosts."""
        found = await self.admin.list("v1/Pod", self.namespace, labels=f"app.kubernetes.io/instance={config}")
        ready = [pod for pod in found if any(_ready(each) for each in pod["status"].get("conditions") or ())]
        return sorted(pod["metadata"]["name"] for pod in ready if not pod["metadata"].get("deletionTimestamp"))

    @contextlib.asynccontextmanager
    async def host_on(
        self, pod: str, labels: dict[str, str] | None = None, **options: Any
    ) -> AsyncIterator[LatticeHost]:
        """A host that runs in a pod, which is there."""
        found = await self.admin.get("v1/Pod", pod, self.namespace)
        mine = {"kubernetes_pod_name": pod, "kubernetes_pod_uid": found["metadata"]["uid"]}
        all_labels = {"kubernetes": "true", **mine, **(labels or {})}
        async with LatticeHost.running(self.server.url, self.lattice, labels=all_labels, **options) as host:
            self.hosts[pod] = host
            yield host

    async def wadm(self, operation: str, body: Any = None, *, timeout: float = 60) -> dict[str, Any]:
        payload = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if operation == "put" else None
        subject = f"wadm.api.{self.lattice.name}.model.{operation}"
        answer = await self.client.request(subject, payload, timeout=timeout, headers=headers)
        return json.loads(answer.data)

    async def wash_run(
        self,
        name: str,
        components: list[dict[str, Any]],
        version: str = "v1",
        annotations: dict[str, str] | None = None,
    ) -> None:
        """What `wash app deploy` does with a file."""
        answer = await self.wadm("put", manifest(name, components, version, annotations))
        assert answer["result"] in ("created", "newversion"), answer
        answer = await self.wadm(f"deploy.{name}", {"version": version})
        assert answer["result"] == "acknowledged", answer

    async def create(
        self, name: str, components: list[dict[str, Any]], annotations: dict[str, str] | None = None
    ) -> None:
        """An Application in the namespace."""
        made = manifest(name, components, annotations=annotations)
        made["metadata"]["namespace"] = self.namespace
        await self.admin.create(made)

    async def app(self, name: str, predicate: Callable[[Any], object], **options: Any) -> Any:
        return await self.admin.wait_for(
            APP, name, self.namespace, lambda obj: obj is not None and predicate(obj), **options
        )

    async def patch(self, name: str, patch: dict[str, Any]) -> None:
        await self.admin.patch(APP, name, self.namespace, patch)

    async def publish_unpublished(self, name: str) -> None:
        """Say what wadm says when an application is undeployed, though it is not."""
        await self._publish("manifest_unpublished", {"name": name})

    async def publish_published(self, name: str, components: list[dict[str, Any]]) -> None:
        """Say what wadm says when an application is deployed, though it is not."""
        await self._publish("manifest_published", manifest(name, components))

    async def _publish(self, event: str, data: dict[str, Any]) -> None:
        envelope = {
            "specversion": "1.0",
            "id": secrets.token_hex(8),
            "source": "tests",
            "type": f"com.wadm.{event}",
            "datacontenttype": "application/json",
            "data": data,
        }
        await self.client.publish(f"wadm.evt.{self.lattice.name}.{event}", json.dumps(envelope).encode())
        await flushed(self.client)

    async def put_config(self, name: str, config: dict[str, str]) -> None:
        """What `wash config put` does."""
        await self.client.request(
            f"wasmbus.ctl.v1.{self.lattice.name}.config.put.{name}", json.dumps(config).encode(), timeout=60
        )

    async def scale(self, replicas: int, config: str = "pool") -> None:
        await self.admin.scale(CONFIG, config, self.namespace, replicas)
        await eventually(lambda: self._has_pods(config, replicas), message=f"{replicas} ready pods")

    async def condition_of_pool(self, type_: str, status: str, config: str = "pool") -> None:
        def holds(obj: Any) -> bool:
            return (condition(obj, type_) or {}).get("status") == status

        await self.admin.wait_for(CONFIG, config, self.namespace, holds)

    async def pod(self, name: str, config: str = "pool") -> None:
        """A pod of a pool's, with a name of the test's choice, that is Ready when this returns."""
        labels = {
            "app.kubernetes.io/name": "wasmcloud",
            "app.kubernetes.io/instance": config,
            "app.kubernetes.io/managed-by": "wasmcloud-operator",
            "app.kubernetes.io/component": "host",
        }
        await self.admin.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
                "spec": {"nodeName": "node-0", "containers": [{"name": "wasmcloud-host", "image": "x/host:1"}]},
            }
        )
        await self.admin.wait_for("v1/Pod", name, self.namespace, lambda found: is_true(found, "Ready"))

    async def not_ready(self, pod: str) -> None:
        """As the kubelet reports of a pod whose probe fails."""
        found = await self.admin.get("v1/Pod", pod, self.namespace)
        conditions = [
            {**each, "status": "False"} if each["type"] in ("Ready", "ContainersReady") else each
            for each in found["status"]["conditions"]
        ]
        await self.admin.patch(
            "v1/Pod", pod, self.namespace, {"status": {"conditions": conditions}}, subresource="status"
        )

    async def left_by_the_rust_operator(
        self, name: str, managed_by: str, selector: dict[str, str] | None = None
    ) -> Any:
        """A Service as it makes them, with an EndpointSlice of its own for one without selector.

        `managed_by` is its label's value: wasmcloud-operator up to 0.5.0, wadm-operator since.
        """
        labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": managed_by}
        made = await self.admin.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {
                    "name": name,
                    "namespace": self.namespace,
                    "labels": labels,
                    "finalizers": ["operator.k8s.wasmcloud.dev/service"],
                },
                "spec": {"selector": selector or {}, "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]},
            },
            manager="operator.k8s.wasmcloud.dev/service",
        )
        if selector is None:
            await self._rust_slice(made, labels)
        return made

    async def _rust_slice(self, service: Any, labels: dict[str, str]) -> None:
        name = service["metadata"]["name"]
        owner = {
            "apiVersion": "v1",
            "kind": "Service",
            "name": name,
            "uid": service["metadata"]["uid"],
            "controller": True,
        }
        await self.admin.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": name,
                    "namespace": self.namespace,
                    "labels": {**labels, "kubernetes.io/service-name": name},
                    "ownerReferences": [owner],
                },
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.9.9.9"], "conditions": {"ready": True, "serving": True}}],
                "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            },
            manager="operator.k8s.wasmcloud.dev/wasmcloud-host-config",
        )

    async def ready_addresses(self, service: str) -> set[str]:
        """The addresses that a proxy may send a request for that Service to."""
        slices = await self.admin.list(SLICE, self.namespace, labels=f"kubernetes.io/service-name={service}")
        endpoints = (endpoint for each in slices for endpoint in each.get("endpoints") or ())
        return {
            address for endpoint in endpoints if endpoint["conditions"]["ready"] for address in endpoint["addresses"]
        }

    async def service(self, name: str, predicate: Callable[[Any], object], **options: Any) -> Any:
        return await self.admin.wait_for(SERVICE, name, self.namespace, predicate, **options)

    async def serving(
        self, service: str, predicate: Callable[[set[str]], object], *, namespace: str = "", timeout: float = 60
    ) -> set[str]:
        """The pods that carry the label of a Service, once they are as wanted."""

        async def labelled() -> set[str] | None:
            found = await self.admin.list("v1/Pod", namespace or self.namespace, labels=f"{SERVES}{service}=true")
            names = {pod["metadata"]["name"] for pod in found}
            if not predicate(names):
                raise AssertionError(f"labelled: {names}")
            return names or {""}

        return await eventually(labelled, timeout=timeout, message=f"pods that serve {service}") - {""}

    async def endpoints(
        self, service: str, predicate: Callable[[set[str]], object], *, namespace: str = "", timeout: float = 150
    ) -> None:
        """Wait until the ready endpoints of a Service, as names of pods, are as wanted."""

        async def ready() -> bool:
            found = await self.ready_endpoints(service, namespace)
            assert predicate(found), f"endpoints: {found}"
            return True

        await eventually(ready, timeout=timeout, message=f"endpoints of {service}")

    async def ready_endpoints(self, service: str, namespace: str = "") -> set[str]:
        slices = await self.admin.list(
            SLICE, namespace or self.namespace, labels=f"kubernetes.io/service-name={service}"
        )
        return {
            endpoint["targetRef"]["name"]
            for each in slices
            for endpoint in each.get("endpoints") or ()
            if endpoint["conditions"]["ready"]
        }


def reported_endpoints(app: dict[str, Any]) -> list[int]:
    """Returns how many ready endpoints the application's status has, for each of its Services."""
    return [service["readyEndpoints"] for service in app["status"].get("services", [])]


def _ready(condition: dict[str, Any]) -> bool:
    return (condition["type"], condition["status"]) == ("ContainersReady", "True")
