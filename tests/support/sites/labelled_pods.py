"""The labeler of pods with its real caches and view; lattices, pools and the API server's patches are in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from support.objects.good_manifest import link as http_link
from support.objects.hostpools import NewsByHand
from support.sites.lattices_in_memory import Lattice, Pools
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.expose import naming, render
from wasmcloud_operator.expose.annotations import read_options
from wasmcloud_operator.expose.by_application import ByApplication
from wasmcloud_operator.expose.lattice_books import LatticeBooks
from wasmcloud_operator.expose.listening import Connect, Listening, never
from wasmcloud_operator.expose.plan import Record, plan
from wasmcloud_operator.expose.pod_labels import PodLabeler
from wasmcloud_operator.expose.queries import ServiceQueries
from wasmcloud_operator.kube.codec import UNSTRUCTURED, Codec
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, Pod, Unstructured
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.host_types import APPSPEC_ANNOTATION, Host, InventoryChange, Provider, RunningComponent
from wasmcloud_operator.lattice.wadm_types import ModelSummary
from wasmcloud_operator.manifest.http_endpoints import exposure
from wasmcloud_operator.names import INSTANCE_LABEL
from wasmcloud_operator.shared.context import INSTANCE_INDEX, NAMESPACE_INDEX, own_namespace, own_pool
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator_types import POD_UID_LABEL

NOW = datetime.now(UTC)
POD_IP = "10.0.0.1"


class PatchedPods:
    """Takes merge patches of pods' labels, and returns the pod as it is then; `before_answer` may fail instead."""

    server_now = NOW
    field_manager = "us"

    def __init__(self, pods: Informer[Pod]) -> None:
        self.pods, self.count = pods, 0
        self.before_answer: Callable[[], None] = lambda: None

    async def get_whole(self, *_: object) -> Any:
        label = f"f:{naming.serves_label('one')}"
        return {
            "metadata": {"managedFields": [{"manager": "other", "fieldsV1": {"f:metadata": {"f:labels": {label: {}}}}}]}
        }

    async def patch(self, _: Any, key: Key, body: Any, __: Any, ___: Any) -> Pod:
        self.count += 1
        pod = self.pods.store.get(key)
        assert pod is not None
        assert body["metadata"]["uid"] == pod.metadata.uid
        self.before_answer()
        labels = {**pod.metadata.labels, **body["metadata"]["labels"]}
        kept = {name: value for name, value in labels.items() if value is not None}
        return _pod(key, kept, version=int(pod.metadata.resource_version) + 1)


class PodSite:
    def __init__(self, connect: Connect = never) -> None:
        self.pools = Pools()
        self.services: Informer[Unstructured] = _informer(UNSTRUCTURED)
        self.configs: Informer[CustomResource] = _informer(Codec.of(CustomResource))
        self.pods: Informer[Pod] = _informer(Codec.of(Pod), {INSTANCE_INDEX: own_pool})
        self.news, self.clock, self.patches = NewsByHand(), VirtualClock(NOW), PatchedPods(self.pods)
        owned = ByApplication(self.services, lambda *_: None)
        self.queries = ServiceQueries(
            pools=self.pools,
            books=LatticeBooks(self.pools.has),
            configs=self.configs,
            services=self.services,
            by_application=owned,
            applications=None,
            deployed=lambda *_: None,
        )
        paced = PacedWrites(self.patches, clock=self.clock)
        self.labeler = PodLabeler(
            queries=self.queries,
            hosts_in_pods=HostsInPods(self.pods, self.news),
            client=self.patches,
            pods=self.pods,
            clock=self.clock,
            paced=paced,
            listening=Listening(self.clock, connect),
        )

    def host(self, lattice: Lattice, pod: str, **of_host: Any) -> None:
        """A host that names the pod of this uid, with an inventory; the youngest there is unless it has a start."""
        name = f"N{len(lattice.hosts.hosts)}"
        labels = MappingProxyType({POD_UID_LABEL: pod})
        lattice.hosts.hosts[name] = Host(id=name, last_seen=0.0, labels=labels, inventoried=True, **of_host)
        self.news.send(lattice, InventoryChange(hosts=frozenset(lattice.hosts.hosts)))

    def deploy(self, lattice: Lattice, *manifests: dict[str, Any]) -> None:
        """What wadm has deployed there, of which the manifests are known."""
        records = [
            Record(application=made["metadata"]["name"], version="v1", exposure=exposure(made)) for made in manifests
        ]
        lattice.ledger.listed = tuple(
            ModelSummary(name=record.application, deployed_version="v1") for record in records
        )
        for record in records:
            self.queries.book(lattice).put(record.application, record)

    def service(self, manifest: dict[str, Any], namespace: str, lattice: Lattice) -> None:
        """The Services of an application, in the cache."""
        for planned in plan(
            Record(application=manifest["metadata"]["name"], version="v1", exposure=exposure(manifest)),
            read_options({}),
        ).services:
            body = render.service(planned, namespace, lattice.identity, [])
            body["metadata"] |= {"uid": planned.name, "resourceVersion": "1"}
            self.services.offer(Unstructured.from_body(body))

    def pod(self, key: Key, *services: str, version: int = 1) -> None:
        """A pod of the pool, with the labels of these Services."""
        labels = {naming.serves_label(service): "true" for service in services}
        self.pods.offer(_pod(key, {INSTANCE_LABEL: "pool", **labels}, version=version))

    def labelled(self, key: Key) -> set[str]:
        """Returns the labels of Services that the pod has."""
        pod = self.pods.store.get(key)
        assert pod is not None
        return {label for label in pod.metadata.labels if label.startswith(naming.SERVES_PREFIX)}


def provider(name: str = "one-http", *, image: str = "x", application: str = "one") -> Mapping[str, Provider]:
    return MappingProxyType({name: Provider(name, image, MappingProxyType({APPSPEC_ANNOTATION: application}))})


def component(application: str) -> Mapping[str, RunningComponent]:
    return MappingProxyType({f"{application}-web": RunningComponent(application)})


def app_manifest(name: str, servers: list[str], *, image: str = "x/http-server:1") -> dict[str, Any]:
    link = http_link(address="0.0.0.0:8080")
    made = [
        {"name": server, "type": "capability", "properties": {"image": image}, "traits": [link]} for server in servers
    ]
    everywhere = {"type": "daemonscaler", "properties": {"instances": 9}}
    web = {"name": "web", "type": "component", "properties": {"image": "x/web:1"}, "traits": [everywhere]}
    return {"metadata": {"name": name}, "spec": {"components": [web, *made]}}


def _informer(codec: Codec[Any], indexers: Any = None) -> Informer[Any]:
    by = indexers or {NAMESPACE_INDEX: own_namespace}
    return Informer("test", lambda _: None, codec, clock=SYSTEM_CLOCK, metrics=Metrics(), indexers=by)


def _pod(key: Key, labels: dict[str, str], *, version: int) -> Pod:
    pod = Pod(ObjectMeta(key.name, key.namespace, f"uid-{key}", str(version), labels=labels))
    return msgspec.structs.replace(pod, status=msgspec.structs.replace(pod.status, pod_ip=POD_IP))
