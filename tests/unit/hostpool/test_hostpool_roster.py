"""Which live host runs in which pod, told change by change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hostpools import PodsByHand
from wasmcloud_operator.hostpool.roster import Roster
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.host_types import Change, Host


class Hosts:
    def __init__(self):
        self.hosts = {}


class Lattice:
    """A lattice of which only the hosts are looked at."""

    def __init__(self):
        self.hosts = Hosts()


@pytest.fixture
def pods():
    return PodsByHand()


@pytest.fixture
def roster(pods):
    return Roster(pods)


@pytest.fixture
def lattice():
    return Lattice()


def host(lattice, roster, number, pod=None, minute=0):
    """The host lives now (or, with no pod, is gone); gives the pools concerned."""
    id_ = f"N{number}"
    if pod is None:
        del lattice.hosts.hosts[id_]
    else:
        started = datetime(2026, 5, 1, 12, minute, tzinfo=UTC)
        lattice.hosts.hosts[id_] = Host(id_, 0.0, labels={"kubernetes_pod_name": pod}, started_at=started)
    return roster.take(lattice, Change(hosts=frozenset({id_})))


def found(roster, lattice, namespace="ns", name="pool"):
    return [(pod, one.id) for pod, one in roster.hosts_of(Key(namespace, name), lattice)]


def test_hosts_are_found_by_their_pods_in_order(pods, roster, lattice):
    for name in ("pool-b", "pool-a"):
        pods.add("ns", name, "pool")
    pods.add("ns", "other-a", "other")
    assert host(lattice, roster, 1, "pool-b") == {Key("ns", "pool")}
    host(lattice, roster, 2, "pool-a")
    host(lattice, roster, 3, "other-a")
    assert host(lattice, roster, 4, "in no pod of ours") == set()
    assert found(roster, lattice) == [("pool-a", "N2"), ("pool-b", "N1")]


def test_a_pool_of_the_same_name_elsewhere_is_another(pods, roster, lattice):
    pods.add("ns", "pool-a", "pool")
    pods.add("else", "pool-x", "pool")
    host(lattice, roster, 1, "pool-a")
    assert found(roster, lattice, "else") == []


def test_a_pod_may_be_known_later_than_its_host(pods, roster, lattice):
    assert host(lattice, roster, 1, "pool-a") == set()
    pods.add("ns", "pool-a", "pool")
    assert found(roster, lattice) == [("pool-a", "N1")]


def test_who_goes_is_told_and_forgotten(pods, roster, lattice):
    pods.add("ns", "pool-a", "pool")
    host(lattice, roster, 1, "pool-a")
    assert host(lattice, roster, 1) == {Key("ns", "pool")}
    assert found(roster, lattice) == []
    host(lattice, roster, 2, "pool-a")
    pods.remove("ns", "pool-a")
    assert found(roster, lattice) == []
    assert roster.pools_of("pool-a") == set()


def test_of_two_hosts_in_a_pod_the_later_one_counts(pods, roster, lattice):
    pods.add("ns", "pool-a", "pool")
    host(lattice, roster, 2, "pool-a", minute=1)
    host(lattice, roster, 1, "pool-a", minute=5)
    assert found(roster, lattice) == [("pool-a", "N1")]
    host(lattice, roster, 1)
    assert found(roster, lattice) == [("pool-a", "N2")]


def test_a_host_that_tells_another_pod_has_moved(pods, roster, lattice):
    pods.add("ns", "pool-a", "pool")
    pods.add("ns", "other-a", "other")
    host(lattice, roster, 1, "pool-a")
    assert host(lattice, roster, 1, "other-a") == {Key("ns", "pool"), Key("ns", "other")}
    assert found(roster, lattice) == []
    assert found(roster, lattice, name="other") == [("other-a", "N1")]
