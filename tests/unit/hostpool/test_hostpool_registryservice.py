"""Several registries: which hosts are answered, and which are sent credentials, again or not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from support.objects.hostpools import NewsByHand, PodsByHand
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.reference_checks import ExaminedReferences, Values
from wasmcloud_operator.hostpool.registries import RegistryService
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.control import RegistryCredential
from wasmcloud_operator.lattice.errors import ControlRejected, LatticeUnavailable
from wasmcloud_operator.lattice.host_types import Host, InventoryChange
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods

POOL = Key("ns", "pool")
SPEC = {"lattice": "default", "version": "1.6.0", "registryCredentialsSecret": "pull"}
ONE = {"a": RegistryCredential("ua", "pa")}
BOTH = {**ONE, "b": RegistryCredential("ub", "pb")}


class Lattice:
    """A lattice of which the hosts are looked at and sent registries."""

    name = "default"

    def __init__(self):
        self.hosts = SimpleNamespace(hosts={}, synced=True)
        self.control_writer = self
        self.sent = []
        self.outcome = None
        self.meanwhile = lambda: None

    async def put_registries(self, credentials):
        self.sent.append(credentials)
        self.meanwhile()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return len(self.hosts.hosts) if self.outcome is None else self.outcome


@dataclass
class Bench:
    """Pools, their pods and hosts, and what their Secret holds."""

    registries: dict[str, RegistryCredential] = field(default_factory=lambda: BOTH)
    digest: str = "d1"
    pods: PodsByHand = field(default_factory=PodsByHand)
    lattice: Lattice = field(default_factory=Lattice)
    pools: dict[Key, SimpleNamespace] = field(default_factory=dict)
    configs: dict[Key, SimpleNamespace] = field(default_factory=dict)
    clock: VirtualClock = field(default_factory=VirtualClock)
    reads: int = 0
    remembered: str = ""

    def __post_init__(self):
        self.news = NewsByHand()
        hosts_in_pods = HostsInPods(self.pods, self.news)
        self.service = RegistryService(SimpleNamespace(store=self.configs), self, self.pools, hosts_in_pods, self.clock)
        self.add(POOL, self.lattice)

    def add(self, key, lattice):
        self.pools[key] = SimpleNamespace(lattice=lattice)
        self.configs[key] = SimpleNamespace(spec=SPEC)

    async def read(self, key, spec):
        """As the reader does: what was found is remembered by the Secret's version, its values are not."""
        if self.remembered != self.digest:
            self.remembered = self.digest
            return await self.read_values(key, spec)
        return replace(await self.examined(), values=None)

    async def read_values(self, key, spec):
        self.reads += 1
        return await self.examined()

    async def examined(self):
        facts = Facts(registries=tuple(self.registries), registry_digest=self.digest)
        return ExaminedReferences(facts, (), (), Values(self.registries))

    def host(self, number, pod="pool-a"):
        self.pods.add("ns", pod, "pool")
        id_ = f"N{number}"
        self.lattice.hosts.hosts[id_] = Host(
            id=id_, last_seen=float(number), labels={"kubernetes_pod_uid": f"ns/{pod}"}
        )
        self.news.send(self.lattice, InventoryChange(hosts=frozenset({id_})))

    def gone(self, number):
        del self.lattice.hosts.hosts[f"N{number}"]
        self.news.send(self.lattice, InventoryChange(hosts=frozenset({f"N{number}"})))

    async def ask(self, pod="pool-a"):
        return await self.service.answer(self.lattice, {"kubernetes_pod_uid": f"ns/{pod}"})

    @property
    def due(self):
        return self.service.due(POOL, self.digest, self.lattice)


@pytest.fixture
def bench():
    return Bench()


async def test_a_host_of_ours_is_answered_and_nobody_else(bench):
    bench.pods.add("ns", "pool-a", "pool")
    assert await bench.ask() == BOTH
    assert await bench.ask("stranger") is None
    assert await bench.service.answer(bench.lattice, {}) is None
    assert await bench.service.answer(Lattice(), {"kubernetes_pod_uid": "ns/pool-a"}) is None


async def test_of_pods_of_one_name_it_is_the_one_whose_pool_is_in_that_lattice(bench):
    elsewhere = Lattice()
    bench.add(Key("else", "pool"), elsewhere)
    for namespace in ("ns", "else"):
        bench.pods.add(namespace, "pool-a", "pool")
    bench.configs[POOL] = SimpleNamespace(spec={"no": "config"})
    assert await bench.ask() is None
    assert await bench.service.answer(elsewhere, {"kubernetes_pod_uid": "else/pool-a"}) == BOTH


async def test_without_registries_the_answer_is_empty(bench):
    bench.registries = {}
    bench.configs[POOL] = SimpleNamespace(spec={**SPEC, "configServiceEnabled": True})
    bench.pods.add("ns", "pool-a", "pool")
    assert await bench.ask() == {}


async def test_a_pool_whose_password_travels_by_environment_is_not_answered_for(bench):
    """Whoever may publish in the lattice can ask in a pod's name."""
    bench.registries = ONE
    bench.pods.add("ns", "pool-a", "pool")
    assert await bench.ask() is None
    bench.configs[POOL] = SimpleNamespace(spec={**SPEC, "configServiceEnabled": True})
    assert await bench.ask() == {"a": RegistryCredential("ua", "pa")}


async def test_a_flood_of_requests_costs_one_read_of_each_version_and_a_dozen_answers_a_minute(bench):
    bench.pods.add("ns", "pool-a", "pool")
    for _ in range(2):
        answers = [await bench.ask() for _ in range(1000)]
        assert answers == [BOTH] * 12 + [None] * 988
        await bench.clock.advance(61)
    assert bench.reads == 1
    bench.digest = "d2"
    assert await bench.ask() == BOTH
    assert bench.reads == 2


async def test_a_flood_of_requests_in_one_pods_name_takes_no_answer_from_another_pod(bench):
    for pod in ("pool-a", "pool-b"):
        bench.pods.add("ns", pod, "pool")
    for _ in range(100):
        await bench.ask("pool-a")
    assert await bench.ask("pool-b") == BOTH


async def test_a_host_in_whose_name_a_stranger_may_have_asked_is_sent_credentials_in_any_case(bench):
    bench.pods.add("ns", "pool-a", "pool")
    await bench.ask()
    await bench.ask()
    bench.host(1)
    assert bench.due


async def test_a_host_that_asked_at_its_start_is_not_sent_credentials_again(bench):
    bench.pods.add("ns", "pool-a", "pool")
    await bench.ask()
    assert not bench.due
    bench.host(1)
    assert not bench.due


async def test_a_host_that_started_while_nobody_answered_is_sent_credentials_once(bench):
    assert not bench.due  # nobody is there
    bench.host(1)
    assert bench.due
    assert await bench.service.send(POOL) == DONE
    assert bench.lattice.sent == [BOTH]
    assert not bench.due


async def test_a_container_that_starts_anew_is_another_host(bench):
    bench.host(1)
    await bench.service.send(POOL)
    bench.gone(1)
    bench.host(2)
    assert bench.due
    bench.gone(2)
    await bench.ask()
    bench.host(3)
    assert not bench.due


async def test_rotated_credentials_are_sent_to_all_hosts_that_had_the_old_ones(bench):
    bench.host(1)
    await bench.service.send(POOL)
    bench.digest = "d2"
    assert bench.due
    await bench.service.send(POOL)
    assert not bench.due


async def test_a_host_that_starts_during_a_send_is_sent_credentials_next_time(bench):
    bench.host(1)
    bench.lattice.meanwhile = lambda: bench.host(2, "pool-b")
    await bench.service.send(POOL)
    assert bench.due


async def test_credentials_rotated_while_they_are_sent_are_sent_again(bench):
    bench.host(1)

    def rotate():
        bench.digest = "d2"

    bench.lattice.meanwhile = rotate
    await bench.service.send(POOL)
    assert bench.due


async def test_answers_of_other_pools_hosts_are_not_taken_for_those_of_ours(bench):
    bench.host(1)
    bench.host(2, "pool-b")
    bench.lattice.hosts.hosts["X"] = Host(id="X", last_seen=1.0, labels={"kubernetes_pod_uid": "of-another-pool"})
    bench.lattice.outcome = 2
    silent = Result.waiting("1 hosts that did not answer", 300.0)
    assert await bench.service.send(POOL) == silent  # either of ours may be the one that did not hear
    assert bench.due
    bench.lattice.outcome = 1
    assert await bench.service.send(POOL) == Result.waiting("2 hosts that did not answer", 30.0)
    bench.lattice.outcome = 3
    assert await bench.service.send(POOL) == DONE
    assert not bench.due


async def test_before_the_hosts_are_known_nothing_is_due(bench):
    bench.host(1)
    bench.lattice.hosts.synced = False
    assert not bench.due


@pytest.mark.parametrize(
    ("outcome", "again"),
    [(LatticeUnavailable("gone"), 30.0), (ControlRejected("no"), 300.0), (0, 30.0), (1, 30.0)],
    ids=["unavailable", "refused", "nobody took them", "one of two took them"],
)
async def test_credentials_that_did_not_reach_the_hosts_are_sent_again_later(bench, outcome, again):
    bench.host(1)
    bench.host(2, "pool-b")
    bench.lattice.outcome = outcome
    assert (await bench.service.send(POOL)).requeue_after == again
    assert bench.due


async def test_with_one_registry_or_none_or_no_hosts_nothing_is_sent(bench):
    assert await bench.service.send(POOL) == Result.waiting("running hosts of the pool")
    bench.host(1)
    for registries in ({}, ONE):
        bench.registries = registries
        assert await bench.service.send(POOL) == DONE
    del bench.pools[POOL]
    assert await bench.service.send(POOL) == Result.waiting("running hosts of the pool")
    assert bench.lattice.sent == []


async def test_a_pool_that_was_forgotten_begins_anew(bench):
    bench.host(1)
    await bench.service.send(POOL)
    bench.service.forget(POOL)
    assert bench.due
