"""What the tests of host pools share: a config from a few fields, and handy views of what is rendered from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from wasmcloud_operator.hostpool.inputs import Authority, Facts
from wasmcloud_operator.hostpool.render_workload import Children, render
from wasmcloud_operator.kube.objects import ObjectMeta, Pod
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.store import Change, Store
from wasmcloud_operator.shared.context import INSTANCE_INDEX, NAMESPACE_INDEX, own_namespace, own_pool
from wasmcloud_operator_types import WasmCloudHostConfig, parse

SAMPLE = {
    "hostReplicas": 2,
    "issuers": ["CDKEXAMPLE"],
    "lattice": "83a5b52e-17cf-4080-bac8-f844099f142e",
    "hostLabels": {"some-label": "value"},
    "natsAddress": "nats://nats-cluster.default.svc.cluster.local",
    "version": "1.0.2",
    "secretName": "my-wasmcloud-cluster",
}


ONE_REGISTRY = Facts(registries=("ghcr.io",), registry_digest="r1")
AUTHORITY = Facts(authorities=(Authority("roots", ("a.crt", "b.crt"), "c1"),))
SECRET_CA = {"name": "roots", "secret": {"secretName": "ca"}}


def authority(source: dict[str, Any]) -> dict[str, Any]:
    """A spec with that volume of CA certificates."""
    return {"certificates": {"authorities": [source]}}


def scheduling(**fields: Any) -> dict[str, Any]:
    """A spec with these scheduling options."""
    return {"schedulingOptions": fields}


def config(spec: dict[str, Any], *, name: str = "pool", namespace: str = "team") -> WasmCloudHostConfig:
    """A config of that spec; lattice and version are there unless given."""
    return parse(
        WasmCloudHostConfig,
        {
            "metadata": {"name": name, "namespace": namespace, "uid": "8b9d2e5c-0000-4000-8000-000000000001"},
            "spec": {"lattice": "default", "version": "1.6.0", **spec},
        },
    )


@dataclass(frozen=True)
class Rendered:
    """The children of a config, with the parts that tests look at."""

    children: Children

    def child(self, kind: str) -> dict[str, Any] | None:
        return next((child.body for child in self.children.all if child.body["kind"] == kind), None)

    @property
    def kinds(self) -> list[str]:
        return [child.body["kind"] for child in self.children.all]

    @property
    def workload(self) -> dict[str, Any]:
        return self.children.workload.body

    @property
    def template(self) -> dict[str, Any]:
        return self.workload["spec"]["template"]

    @property
    def pod(self) -> dict[str, Any]:
        return self.template["spec"]

    @property
    def leaf(self) -> dict[str, Any]:
        return next(one for one in self.pod["initContainers"] if one["name"] == "nats-leaf")

    @property
    def host(self) -> dict[str, Any]:
        return next(one for one in self.pod["containers"] if one["name"] == "wasmcloud-host")

    @property
    def env(self) -> dict[str, Any]:
        return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in self.host["env"]}

    @property
    def args(self) -> list[str]:
        return self.host.get("args", [])

    @property
    def volumes(self) -> dict[str, Any]:
        return {volume["name"]: volume for volume in self.pod["volumes"]}

    @property
    def nats_conf(self) -> str:
        conf = self.child("ConfigMap")
        assert conf is not None
        return conf["data"]["nats.conf"]

    @property
    def checksums(self) -> dict[str, str]:
        prefix = "checksum.k8s.wasmcloud.dev/"
        return {key.removeprefix(prefix): value for key, value in self.template["metadata"]["annotations"].items()}


def rendered(spec: dict[str, Any], facts: Facts | None = None, **identity: str) -> Rendered:
    """What a config of that spec is rendered to."""
    return Rendered(render(config(spec, **identity), facts or Facts()))


class PodsByHand:
    """An informer of host pods, its store and handlers fed by the test."""

    INSTANCE = "app.kubernetes.io/instance"

    def __init__(self) -> None:
        self.store: Store[Pod] = Store({INSTANCE_INDEX: own_pool, NAMESPACE_INDEX: own_namespace})
        self._version = 0
        self._handlers: list[Callable[[Change[Pod], bool], None]] = []

    def on_change(self, handler: Callable[[Change[Pod], bool], None]) -> None:
        self._handlers.append(handler)

    def add(self, namespace: str, name: str, instance: str) -> None:
        """A pod of that pool is there."""
        self._version += 1
        labels = {self.INSTANCE: instance}
        self._notify(
            self.store.put(Pod(ObjectMeta(name, namespace, f"{namespace}/{name}", str(self._version), labels=labels)))
        )

    def replace(self, namespace: str, name: str, instance: str, uid: str) -> None:
        """Another pod of that name is there."""
        self._version += 1
        metadata = ObjectMeta(name, namespace, uid, str(self._version), labels={self.INSTANCE: instance})
        self._notify(self.store.put(Pod(metadata)))

    def remove(self, namespace: str, name: str) -> None:
        """The pod is gone."""
        self._notify(self.store.delete(Key(namespace, name), f"{namespace}/{name}"))

    def _notify(self, changes: Iterable[Change[Pod]]) -> None:
        for change in changes:
            for handler in self._handlers:
                handler(change, False)


class NewsByHand:
    """The lattices' news, published by the test."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Any, Any], None]] = []

    def listen(self, listener: Callable[[Any, Any], None]) -> None:
        self._listeners.append(listener)

    def send(self, lattice: Any, news: Any) -> None:
        for listener in self._listeners:
            listener(lattice, news)
