"""The rule itself, on random lattices: labelled pods = the pods of a lattice whose host runs the provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.objects.hostpools import NewsByHand
from wasmcloud_operator.expose import naming, render
from wasmcloud_operator.expose.annotations import read_options
from wasmcloud_operator.expose.by_application import ByApplication
from wasmcloud_operator.expose.directory import Directory
from wasmcloud_operator.expose.plan import Claim, Record, claim_of, plan
from wasmcloud_operator.expose.pod_labels import LABELS, PodLabeler
from wasmcloud_operator.expose.view import View
from wasmcloud_operator.kube.clock import SYSTEM_CLOCK
from wasmcloud_operator.kube.codec import UNSTRUCTURED, Codec
from wasmcloud_operator.kube.contest import Place
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, Pod, Unstructured
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import POD, Key
from wasmcloud_operator.kube.testing import VirtualClock
from wasmcloud_operator.lattice.host_types import APPSPEC_ANNOTATION, Change, Component, Host, Provider
from wasmcloud_operator.lattice.identity import LatticeIdentity, LatticeRoute
from wasmcloud_operator.lattice.ledger import Listing
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.wadm_types import ModelSummary
from wasmcloud_operator.manifest.http_endpoints import exposure
from wasmcloud_operator.names import INSTANCE_LABEL
from wasmcloud_operator.shared.context import INSTANCE_INDEX, NAMESPACE_INDEX, own_namespace, own_pool
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.pools import Pool
from wasmcloud_operator_types import POD_UID_LABEL

NOW = datetime.now(UTC)
NAMESPACES = ("ns-a", "ns-b")
PODS = ("pod-0", "pod-1", "pod-2")


@dataclass
class Hosts:
    hosts: dict[str, Host] = field(default_factory=dict)
    synced: bool = True
    settled: bool = True


@dataclass
class Apps:
    listed: tuple[ModelSummary, ...] | None = ()
    listing: Listing = Listing.CURRENT

    @property
    def deployed_versions(self) -> dict[str, str]:
        return {app.name: app.deployed_version for app in self.listed or ()}


@dataclass(eq=False)
class FakeLattice:
    """As much of a `Lattice` as is read here, without a connection."""

    key: LatticeRoute
    hosts: Hosts = field(default_factory=Hosts)
    ledger: Apps = field(default_factory=Apps)

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def identity(self) -> LatticeIdentity:
        return self.key.identity


@dataclass
class FakePools:
    """Pools by key, as `Pools` gives them."""

    held: dict[Key, Pool]

    def get(self, key: Key) -> Pool | None:
        return self.held.get(key)

    def all(self) -> tuple[Pool, ...]:
        return tuple(self.held.values())

    def in_namespace(self, namespace: str) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.all() if pool.key.namespace == namespace)

    def of(self, lattice: Any) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.all() if pool.lattice is lattice)

    def has(self, lattice: Any) -> bool:
        return bool(self.of(lattice))

    def known_as(self, lattice_id: str) -> list[Any]:
        return [pool.lattice for pool in self.all() if lattice_id in pool.lattice.identity.ids]

    def among(self, lattices: Any) -> list[Any]:
        return [lattice for lattice in lattices if self.has(lattice)]


@dataclass
class Patches:
    """Takes merge patches of pods' labels, and gives the pod as it is then."""

    pods: Informer[Pod]
    count: int = 0
    server_now: datetime = NOW
    field_manager: str = "us"

    async def get_path(self, _: str) -> Any:
        label = f"f:{naming.serves_label('one')}"
        return {
            "metadata": {"managedFields": [{"manager": "other", "fieldsV1": {"f:metadata": {"f:labels": {label: {}}}}}]}
        }

    async def patch(self, _: Any, key: Key, body: Any, __: Any, ___: Any) -> Pod:
        self.count += 1
        pod = self.pods.store.get(key)
        assert pod is not None
        assert body["metadata"]["uid"] == pod.metadata.uid
        labels = {**pod.metadata.labels, **body["metadata"]["labels"]}
        kept = {name: value for name, value in labels.items() if value is not None}
        return a_pod(key, kept, version=int(pod.metadata.resource_version) + 1)


def a_pod(key: Key, labels: dict[str, str], *, version: int = 1) -> Pod:
    return Pod(
        ObjectMeta(
            name=key.name,
            namespace=key.namespace,
            uid=f"uid-{key}",
            resource_version=str(version),
            labels=labels,
        )
    )


def informer(codec: Codec[Any]) -> Informer[Any]:
    indexers = {NAMESPACE_INDEX: own_namespace}
    return Informer("test", lambda _: None, codec, clock=SYSTEM_CLOCK, metrics=Metrics(), indexers=indexers)


def host_pods() -> Informer[Pod]:
    return Informer(
        "pods",
        lambda _: None,
        Codec.of(Pod),
        clock=SYSTEM_CLOCK,
        metrics=Metrics(),
        indexers={INSTANCE_INDEX: own_pool},
    )


def a_view(held: dict[Key, Pool], configs: Informer[CustomResource], services: Informer[Unstructured]) -> View:
    by_application = ByApplication(services, lambda *_: None)
    pools = FakePools(held)
    return View(pools, Directory(pools.has), configs, services, by_application, None, lambda *_: None)


PROVIDERS = st.sampled_from([f"{app}-{server}" for app in ("one", "two") for server in ("http", "admin")])
HOST = st.fixed_dictionaries(
    {
        "lattice": st.integers(0, 2),
        "pod": st.sampled_from([f"uid-{namespace}/{pod}" for namespace in NAMESPACES for pod in PODS] + ["nobodys"]),
        "age": st.sampled_from([5, 30, 3600]),
        "providers": st.sets(PROVIDERS),
        "claims": st.booleans(),  # whether the providers say for which application they run
    }
)


def app_manifest(name: str, servers: list[str], *, image: str = "x/http-server:1") -> dict[str, Any]:
    link = {
        "type": "link",
        "properties": {
            "namespace": "wasi",
            "package": "http",
            "interfaces": ["incoming-handler"],
            "target": {"name": "web"},
            "source": {"config": [{"name": "c", "properties": {"address": "0.0.0.0:8080"}}]},
        },
    }
    made = [
        {"name": server, "type": "capability", "properties": {"image": image}, "traits": [link]} for server in servers
    ]
    everywhere = {"type": "daemonscaler", "properties": {"instances": 9}}
    web = {"name": "web", "type": "component", "properties": {"image": "x/web:1"}, "traits": [everywhere]}
    return {"metadata": {"name": name}, "spec": {"components": [web, *made]}}


@settings(max_examples=150)
@given(
    deployed=st.lists(
        st.dictionaries(
            st.sampled_from(["one", "two"]), st.lists(st.sampled_from(["http", "admin"]), min_size=1, unique=True)
        ),
        min_size=3,
        max_size=3,
    ),
    hosts=st.lists(HOST, max_size=8),
    before=st.dictionaries(
        st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(PODS)), st.sets(st.sampled_from(["one", "two", "old"]))
    ),
    pools=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
async def test_labelled_pods_are_those_whose_host_runs_the_provider(
    deployed: list[dict[str, list[str]]],
    hosts: list[dict[str, Any]],
    before: dict[tuple[str, str], set[str]],
    pools: tuple[int, int],
) -> None:
    # Two lattices of one name on different NATS systems, and another.
    spec = [("nats://a:4222", "default"), ("nats://b:4222", "default"), ("nats://a:4222", "other")]
    lattices = [FakeLattice(LatticeRoute(ConnectionSpec((url,)), name)) for url, name in spec]
    for number, about in enumerate(hosts):
        provider_ids = {key: key.partition("-")[0] if about["claims"] else "" for key in about["providers"]}
        lattices[about["lattice"]].hosts.hosts[f"N{number}"] = Host(
            f"N{number}",
            0.0,
            labels=MappingProxyType({POD_UID_LABEL: about["pod"]}),
            started_at=NOW - timedelta(seconds=about["age"], milliseconds=number),
            providers=MappingProxyType(
                {
                    key: Provider(key, "x", MappingProxyType({APPSPEC_ANNOTATION: app}))
                    for key, app in provider_ids.items()
                }
            ),
            inventoried=True,
        )
    held = {
        Key(namespace, "pool"): Pool(Key(namespace, "pool"), f"uid-{namespace}", lattices[at], lattices[at].key)
        for namespace, at in zip(NAMESPACES, pools, strict=True)
    }
    services, pods, news = informer(UNSTRUCTURED), host_pods(), NewsByHand()
    hosts_in_pods = HostsInPods(pods, news)
    for lattice in lattices:
        news.tell(lattice, Change(hosts=frozenset(lattice.hosts.hosts)))
    configs = informer(Codec.of(CustomResource))
    view = a_view(held, configs, services)
    for lattice, apps in zip(lattices, deployed, strict=True):
        lattice.ledger.listed = tuple(ModelSummary(name=name, deployed_version="v1") for name in apps)
        for name, servers in apps.items():
            view.book(lattice).put(name, Record(name, "v1", exposure(app_manifest(name, servers))))
    for pool in held.values():
        for record in view.book(pool.lattice).records.values():
            for planned in plan(record, read_options({})).services:
                body = render.service(planned, pool.key.namespace, pool.lattice.identity, [])
                body["metadata"] |= {"uid": planned.name, "resourceVersion": "1"}
                services.offer(Unstructured.from_body(body))
    for namespace in NAMESPACES:
        for name in PODS:
            labels = {naming.serves_label(service): "true" for service in before.get((namespace, name), ())}
            pods.offer(a_pod(Key(namespace, name), {INSTANCE_LABEL: "pool", **labels}))

    client = Patches(pods)
    clock = VirtualClock(NOW)
    labeler = PodLabeler(view, hosts_in_pods, client, pods, clock, PacedWrites(client, clock=clock))
    for pod in pods.store:
        await labeler.reconcile(pod.metadata.key)

    for pod in pods.store:
        lattice = held[Key(pod.metadata.namespace, "pool")].lattice
        expected = oracle(
            pod.metadata.uid,
            lattice.name,
            spec[lattices.index(lattice)][0],
            hosts,
            spec,
            deployed[lattices.index(lattice)],
        )
        labelled = {key for key in pod.metadata.labels if key.startswith(naming.SERVES_PREFIX)}
        assert labelled == {naming.serves_label(service) for service in expected}

    written = client.count
    for pod in pods.store:
        await labeler.reconcile(pod.metadata.key)
    assert client.count == written, "settled: nothing to write"
    for lattice in lattices:
        lattice.hosts.synced, lattice.hosts.hosts = False, {}
    for pod in pods.store:
        await labeler.reconcile(pod.metadata.key)
    assert client.count == written, "while NATS is away nothing is taken for a fact"


@pytest.mark.parametrize("still_wanted", [False, True])
async def test_a_pod_serves_on_while_its_lattice_gets_another_address(still_wanted: bool) -> None:
    former, now = (FakeLattice(LatticeRoute(ConnectionSpec((url,)), "default")) for url in ("nats://a", "nats://b"))
    now.hosts.hosts["N"] = Host(
        "N",
        0.0,
        labels=MappingProxyType({POD_UID_LABEL: "uid-ns-a/pod-0"}),
        providers=MappingProxyType(
            {"one-http": Provider("one-http", "x", MappingProxyType({APPSPEC_ANNOTATION: "one"}))}
        ),
        inventoried=True,
    )
    in_use = {"pool": now} | ({"other": former} if still_wanted else {})
    held = {Key("ns-a", name): Pool(Key("ns-a", name), name, lattice, lattice.key) for name, lattice in in_use.items()}
    services, pods, news = informer(UNSTRUCTURED), host_pods(), NewsByHand()
    hosts_in_pods = HostsInPods(pods, news)
    news.tell(now, Change(hosts=frozenset({"N"})))
    view = a_view(held, informer(Codec.of(CustomResource)), services)
    record = Record("one", "v1", exposure(app_manifest("one", ["http"])))
    for lattice in in_use.values():
        lattice.ledger.listed = (ModelSummary(name="one", deployed_version="v1"),)
        view.book(lattice).put("one", record)
    body = render.service(plan(record, read_options({})).services[0], "ns-a", former.identity, [])
    body["metadata"] |= {"uid": "one", "resourceVersion": "1"}
    services.offer(Unstructured.from_body(body))
    pods.offer(a_pod(Key("ns-a", "pod-0"), {INSTANCE_LABEL: "pool", naming.serves_label("one"): "true"}))

    client, clock = Patches(pods), VirtualClock(NOW)
    labeler = PodLabeler(view, hosts_in_pods, client, pods, clock, PacedWrites(client, clock=clock))
    await labeler.reconcile(Key("ns-a", "pod-0"))

    [pod] = pods.store
    assert (naming.serves_label("one") in pod.metadata.labels) != still_wanted


@pytest.mark.parametrize(
    ("image", "component", "labelled"),
    [
        pytest.param("wasmcloud+builtin://http-server", True, True, id="both"),
        pytest.param("wasmcloud+builtin://http-server", False, False, id="the builtin server alone: it answers 500"),
        pytest.param("x/http-server:1", False, True, id="a server of its own asks the lattice's other hosts"),
    ],
)
async def test_a_host_serves_once_it_runs_what_its_server_cannot_have_from_others(
    image: str, component: bool, labelled: bool
) -> None:
    lattice = FakeLattice(LatticeRoute(ConnectionSpec(("nats://a",)), "default"))
    lattice.hosts.hosts["N"] = Host(
        "N",
        0.0,
        labels=MappingProxyType({POD_UID_LABEL: "uid-ns-a/pod-0"}),
        components=MappingProxyType({"one-web": Component("one")} if component else {}),
        providers=MappingProxyType(
            {"one-http": Provider("one-http", image, MappingProxyType({APPSPEC_ANNOTATION: "one"}))}
        ),
        inventoried=True,
    )
    held = {Key("ns-a", "pool"): Pool(Key("ns-a", "pool"), "u", lattice, lattice.key)}
    services, pods, news = informer(UNSTRUCTURED), host_pods(), NewsByHand()
    hosts_in_pods = HostsInPods(pods, news)
    news.tell(lattice, Change(hosts=frozenset({"N"})))
    view = a_view(held, informer(Codec.of(CustomResource)), services)
    record = Record("one", "v1", exposure(app_manifest("one", ["http"], image=image)))
    lattice.ledger.listed = (ModelSummary(name="one", deployed_version="v1"),)
    view.book(lattice).put("one", record)
    body = render.service(plan(record, read_options({})).services[0], "ns-a", lattice.identity, [])
    body["metadata"] |= {"uid": "one", "resourceVersion": "1"}
    services.offer(Unstructured.from_body(body))
    pods.offer(a_pod(Key("ns-a", "pod-0"), {INSTANCE_LABEL: "pool"}))

    client, clock = Patches(pods), VirtualClock(NOW)
    labeler = PodLabeler(view, hosts_in_pods, client, pods, clock, PacedWrites(client, clock=clock))
    await labeler.reconcile(Key("ns-a", "pod-0"))

    [pod] = pods.store
    assert (naming.serves_label("one") in pod.metadata.labels) == labelled
    missing = view.placement_on(lattice, lattice.hosts.hosts["N"]).missing
    assert missing == (() if component else ("one/one-web",)), "the pod's gate waits for it, whatever serves it"


def test_a_claim_of_a_pool_that_is_not_known_yet_is_nobody_elses() -> None:
    mine, theirs = (LatticeRoute(ConnectionSpec(("nats://a",)), name) for name in ("mine", "theirs"))
    services, configs = informer(UNSTRUCTURED), informer(Codec.of(CustomResource))
    view = a_view({}, configs, services)
    record = Record("one", "v1", exposure(app_manifest("one", ["http"])))
    body = render.service(plan(record, read_options({})).services[0], "ns-a", mine.identity, [])
    body["metadata"] |= {"uid": "one", "resourceVersion": "1"}
    held = Unstructured.from_body(body)
    services.offer(held)
    configs.offer(CustomResource(ObjectMeta("paused", "ns-a", "u", "1"), {"lattice": "mine"}))

    assert view.wants("ns-a", claim_of(held.metadata), "one")
    assert not view.leads_to("ns-a", "one", Claim("one", theirs.identity.id))
    assert not view.wants("ns-b", claim_of(held.metadata), "one"), "its config is in another namespace"
    assert not view.wants("ns-a", Claim("one", theirs.identity.id, "theirs"), "one")


def oracle(
    pod: str,
    lattice: str,
    url: str,
    hosts: list[dict[str, Any]],
    spec: list[tuple[str, str]],
    apps: dict[str, list[str]],
) -> set[str]:
    """The Services that a pod serves, said in another way: of the youngest host that names the pod."""
    mine = [
        (about["age"], -number, about)
        for number, about in enumerate(hosts)
        if spec[about["lattice"]] == (url, lattice) and about["pod"] == pod
    ]
    if not mine:
        return set()
    # The later of two of the same age is older by its milliseconds.
    _, _, youngest = min(mine, key=lambda entry: (entry[0], -entry[1]))
    if not youngest["claims"]:
        return set()
    served = set()
    for app, servers in apps.items():
        for position, server in enumerate(servers):
            if f"{app}-{server}" in youngest["providers"]:
                served.add(app if position == 0 else f"{app}-{server}")
    return served


async def test_a_label_that_somebody_takes_off_again_and_again_is_put_back_every_five_minutes() -> None:
    lattice = FakeLattice(LatticeRoute(ConnectionSpec(("nats://a",)), "default"))
    lattice.hosts.hosts["N"] = Host(
        "N",
        0.0,
        labels=MappingProxyType({POD_UID_LABEL: "uid-ns-a/pod-0"}),
        providers=MappingProxyType(
            {"one-http": Provider("one-http", "x", MappingProxyType({APPSPEC_ANNOTATION: "one"}))}
        ),
        inventoried=True,
    )
    held = {Key("ns-a", "pool"): Pool(Key("ns-a", "pool"), "pool", lattice, lattice.key)}
    services, pods, news = informer(UNSTRUCTURED), host_pods(), NewsByHand()
    hosts_in_pods = HostsInPods(pods, news)
    news.tell(lattice, Change(hosts=frozenset({"N"})))
    view = a_view(held, informer(Codec.of(CustomResource)), services)
    record = Record("one", "v1", exposure(app_manifest("one", ["http"])))
    lattice.ledger.listed = (ModelSummary(name="one", deployed_version="v1"),)
    view.book(lattice).put("one", record)
    body = render.service(plan(record, read_options({})).services[0], "ns-a", lattice.identity, [])
    body["metadata"] |= {"uid": "one", "resourceVersion": "1"}
    services.offer(Unstructured.from_body(body))
    pods.offer(a_pod(Key("ns-a", "pod-0"), {INSTANCE_LABEL: "pool"}))
    client, clock = Patches(pods), VirtualClock(NOW)
    labeler = PodLabeler(view, hosts_in_pods, client, pods, clock, PacedWrites(client, clock=clock))

    for _ in range(1200):
        await labeler.reconcile(Key("ns-a", "pod-0"))
        [pod] = pods.store
        version = int(pod.metadata.resource_version) + 1
        pods.offer(a_pod(Key("ns-a", "pod-0"), {INSTANCE_LABEL: "pool"}, version=version))
        await clock.advance(1)

    assert 8 <= client.count <= 13, "after 1, 2, 4, … seconds and then every five minutes"
    [contested, *_] = labeler.paced.contests.of([Place(POD, Key("ns-a", "pod-0"), LABELS)])
    assert str(contested).startswith(f"Pod ns-a/pod-0: .metadata.labels[{naming.serves_label('one')}] is set back by")
    assert "field manager other" in str(contested)
