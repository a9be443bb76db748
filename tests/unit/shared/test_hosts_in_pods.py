"""Which host runs in which pod, change by change."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from support.objects.hostpools import NewsByHand, PodsByHand
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.host_types import Host, InventoryChange
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods, HostState

POOL = Key("ns", "pool")


class Lattice:
    """A lattice of which only the hosts are looked at."""

    def __init__(self):
        self.hosts = SimpleNamespace(hosts={})


class Bench:
    """Pods and hosts, and what the map reported of them."""

    def __init__(self):
        self.pods, self.news, self.lattice = PodsByHand(), NewsByHand(), Lattice()
        self.map = HostsInPods(self.pods, self.news)
        self.changed = []
        self.map.listen(lambda lattice, pods: self.changed.append(pods))

    def host(self, number, uid, minute=0, *, lattice=None, started=True):
        """The host lives now."""
        lattice = lattice or self.lattice
        at = datetime(2026, 5, 1, 12, minute, tzinfo=UTC) if started else None
        host = Host(id=f"N{number}", last_seen=0.0, labels={"kubernetes_pod_uid": uid}, started_at=at)
        lattice.hosts.hosts[host.id] = host
        self.news.send(lattice, InventoryChange(hosts=frozenset({host.id})))

    def gone(self, number, *, silent=False):
        """The host stopped, or is given up."""
        host = self.lattice.hosts.hosts.pop(f"N{number}")
        self.news.send(
            self.lattice, InventoryChange(hosts=frozenset({host.id}), silent={host.id: host} if silent else {})
        )

    def found(self, namespace="ns", name="pool", lattice=None):
        pairs = self.map.hosts_of(Key(namespace, name), lattice or self.lattice)
        return [(pod.metadata.name, host.id) for pod, host in pairs]

    def state(self, pod="pool-a", lattice=None):
        return self.map.host_in(self.pods.store.get(Key("ns", pod)), lattice or self.lattice).state


@pytest.fixture
def bench():
    return Bench()


def test_hosts_are_found_by_their_pods_in_order(bench):
    for name in ("pool-b", "pool-a"):
        bench.pods.add("ns", name, "pool")
    bench.pods.add("ns", "other-a", "other")
    bench.host(1, "ns/pool-b")
    bench.host(2, "ns/pool-a")
    bench.host(3, "ns/other-a")
    bench.host(4, "in no pod of ours")
    assert bench.found() == [("pool-a", "N2"), ("pool-b", "N1")]
    assert bench.changed == [{Key("ns", "pool-b")}, {Key("ns", "pool-a")}, {Key("ns", "other-a")}]


def test_pods_of_equal_names_in_two_namespaces_are_two(bench):
    bench.pods.add("ns", "pool-a", "pool")
    bench.pods.add("else", "pool-a", "pool")
    bench.host(1, "ns/pool-a")
    assert bench.found() == [("pool-a", "N1")]
    assert bench.found("else") == []
    assert bench.changed == [{Key("ns", "pool-a")}]


def test_a_pod_replaced_under_the_same_name_does_not_inherit_the_host(bench):
    bench.pods.add("ns", "pool-a", "pool")
    bench.host(1, "ns/pool-a")
    bench.pods.replace("ns", "pool-a", "pool", "another uid")
    assert bench.found() == []
    assert bench.state() is HostState.UNHEARD
    assert bench.map.pod("ns/pool-a") is None
    bench.host(2, "another uid")
    assert bench.found() == [("pool-a", "N2")]


def test_a_pod_may_be_known_later_than_its_host(bench):
    bench.host(1, "ns/pool-a")
    bench.pods.add("ns", "pool-a", "pool")
    assert bench.found() == [("pool-a", "N1")]
    bench.gone(1)
    assert bench.state() is HostState.STOPPED


def test_a_lattice_knows_nothing_of_anothers_hosts(bench):
    elsewhere = Lattice()
    bench.pods.add("ns", "pool-a", "pool")
    bench.host(1, "ns/pool-a", lattice=elsewhere)
    assert bench.found() == []
    assert bench.found(lattice=elsewhere) == [("pool-a", "N1")]
    assert bench.state() is HostState.UNHEARD


def test_a_host_that_stops_is_reported_and_a_silent_host_is_remembered(bench):
    bench.pods.add("ns", "pool-a", "pool")
    assert bench.state() is HostState.UNHEARD
    bench.host(1, "ns/pool-a")
    assert bench.state() is HostState.LIVE
    bench.gone(1, silent=True)
    assert bench.state() is HostState.SILENT
    assert bench.found() == [], "only live hosts are counted"
    bench.host(1, "ns/pool-a")
    assert bench.state() is HostState.LIVE
    bench.gone(1)
    assert bench.state() is HostState.STOPPED
    assert bench.changed == [{Key("ns", "pool-a")}] * 4


def test_silence_of_a_former_host_says_nothing_of_the_one_that_runs(bench):
    bench.pods.add("ns", "pool-a", "pool")
    bench.host(1, "ns/pool-a", minute=1)
    bench.host(2, "ns/pool-a", minute=5)
    bench.gone(1, silent=True)
    assert bench.found() == [("pool-a", "N2")]
    bench.gone(2)
    assert bench.state() is HostState.STOPPED


def test_knowledge_of_a_pod_goes_with_it(bench):
    bench.pods.add("ns", "pool-a", "pool")
    bench.host(1, "ns/pool-a")
    bench.gone(1, silent=True)
    pod = bench.map.pod("ns/pool-a")
    bench.pods.remove("ns", "pool-a")
    assert bench.map.pod("ns/pool-a") is None
    assert bench.map.host_in(pod, bench.lattice).state is HostState.UNHEARD


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_hosts_in_a_pod_the_later_one_counts(bench, order):
    bench.pods.add("ns", "pool-a", "pool")
    for number in order:
        bench.host(number, "ns/pool-a", minute=number)
    assert bench.found() == [("pool-a", "N2")]
    bench.gone(2)
    assert bench.found() == [("pool-a", "N1")]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_host_that_was_only_heard_to_start_is_the_latest(bench, order):
    bench.pods.add("ns", "pool-a", "pool")
    for number in order:
        bench.host(number, "ns/pool-a", minute=59, started=number == 1)
    assert bench.found() == [("pool-a", "N2")]


def test_a_host_that_names_another_pod_has_moved(bench):
    bench.pods.add("ns", "pool-a", "pool")
    bench.pods.add("ns", "other-a", "other")
    bench.host(1, "ns/pool-a")
    bench.host(1, "ns/other-a")
    assert bench.changed[-1] == {Key("ns", "pool-a"), Key("ns", "other-a")}
    assert bench.found() == []
    assert bench.found(name="other") == [("other-a", "N1")]
