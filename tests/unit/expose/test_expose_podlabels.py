"""The rule itself, on random lattices: labelled pods = the pods of a lattice whose host runs the provider."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.sites.labelled_pods import NOW, PodSite, app_manifest, provider
from support.sites.lattices_in_memory import Lattice
from wasmcloud_operator.expose import naming
from wasmcloud_operator.kube.resources import Key

NAMESPACES = ("ns-a", "ns-b")
PODS = ("pod-0", "pod-1", "pod-2")
# Two lattices of one name on different NATS systems, and another.
LATTICES = (("nats://a:4222", "default"), ("nats://b:4222", "default"), ("nats://a:4222", "other"))

PROVIDERS = st.sampled_from([f"{app}-{server}" for app in ("one", "two") for server in ("http", "admin")])
HOST = st.fixed_dictionaries(
    {
        "lattice": st.integers(0, 2),
        "pod": st.sampled_from([f"uid-{namespace}/{pod}" for namespace in NAMESPACES for pod in PODS] + ["nobodys"]),
        "age": st.sampled_from([5, 30, 3600]),
        "providers": st.sets(PROVIDERS),
        "claims": st.booleans(),  # whether the providers name the application for which they run
    }
)


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
    site, lattices = PodSite(), [Lattice.at(*place) for place in LATTICES]
    for number, about in enumerate(hosts):
        running: dict[str, Any] = {}
        for name in about["providers"]:
            running |= provider(name, application=name.partition("-")[0] if about["claims"] else "")
        started = NOW - timedelta(seconds=about["age"], milliseconds=number)
        site.host(lattices[about["lattice"]], about["pod"], started_at=started, providers=MappingProxyType(running))
    places = dict(zip(NAMESPACES, pools, strict=True))
    for namespace, at in places.items():
        site.pools.add(Key(namespace, "pool"), lattices[at])
    for lattice, apps in zip(lattices, deployed, strict=True):
        site.deploy(lattice, *(app_manifest(name, servers) for name, servers in apps.items()))
    for namespace, at in places.items():
        for name, servers in deployed[at].items():
            site.service(app_manifest(name, servers), namespace, lattices[at])
    keys = [Key(namespace, name) for namespace in NAMESPACES for name in PODS]
    for key in keys:
        site.pod(key, *before.get((key.namespace, key.name), ()))

    for key in keys:
        await site.labeler.reconcile(key)
    for key in keys:
        expected = services_of(f"uid-{key}", places[key.namespace], hosts, deployed)
        assert site.labelled(key) == {naming.serves_label(service) for service in expected}

    written = site.patches.count
    for key in keys:
        await site.labeler.reconcile(key)
    assert site.patches.count == written, "settled: nothing to write"
    for lattice in lattices:
        lattice.hosts.synced, lattice.hosts.hosts = False, {}
    for key in keys:
        await site.labeler.reconcile(key)
    assert site.patches.count == written, "while NATS is away nothing is taken for a fact"


def services_of(pod: str, at: int, hosts: list[dict[str, Any]], deployed: list[dict[str, list[str]]]) -> set[str]:
    """Returns the Services that a pod serves by another rule: the Services of the youngest host that names the pod."""
    mine = [
        (about["age"], number, about["claims"], about["providers"])
        for number, about in enumerate(hosts)
        if about["lattice"] == at and about["pod"] == pod
    ]
    if not mine:
        return set()
    # The later of two of the same age is older by its milliseconds.
    _, _, claims, providers = min(mine, key=lambda entry: entry[:2])
    return {
        app if position == 0 else f"{app}-{server}"
        for app, servers in deployed[at].items()
        for position, server in enumerate(servers)
        if claims and f"{app}-{server}" in providers
    }
