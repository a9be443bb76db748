"""Which of wadm's applications have lost their Application, by the caches and the ledger: never on half the facts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from support.kube.bench import KubeBench
from wasmcloud_operator.application.controller import NAME_INDEX
from wasmcloud_operator.application.lattice_events import LatticeEvents
from wasmcloud_operator.application.leftovers import InLattice, Leftovers
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import ServerError
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import EVENT, Key
from wasmcloud_operator.kube.testing import Answer
from wasmcloud_operator.lattice.content import (
    OWNER_CLUSTER,
    OWNER_NAME,
    OWNER_NAMESPACE,
    OWNER_UID,
    Owner,
)
from wasmcloud_operator.lattice.errors import LatticeUnavailable, WadmNotFound
from wasmcloud_operator.lattice.identity import LatticeIdentity, LatticeRoute
from wasmcloud_operator.lattice.ledger import Entry, Ledger
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.wadm_types import ModelSummary
from wasmcloud_operator.shared.pools import Pool

HERE, CLUSTER = "here", "cluster"
GONE = Owner(CLUSTER, HERE, "shop", "uid-gone")


class Wadm:
    """Manifests by name, with the owner that each names."""

    def __init__(self) -> None:
        self.owners: dict[str, Owner | None] = {}
        self.read: list[tuple[str, str | None]] = []
        self.down = False

    async def get(self, name: str, version: str | None = None) -> dict[str, Any]:
        self.read.append((name, version))
        if self.down:
            raise LatticeUnavailable("down")
        if name not in self.owners:
            raise WadmNotFound("get", "not there")
        owner = self.owners[name]
        annotations = {} if owner is None else {
            OWNER_CLUSTER: owner.cluster, OWNER_NAMESPACE: owner.namespace, OWNER_NAME: owner.name, OWNER_UID: owner.uid
        }  # fmt: skip
        return {"metadata": {"name": name, "annotations": annotations}}


@dataclass(eq=False)
class Lattice:
    """As much of a lattice as is looked at, with the real ledger."""

    ledger: Ledger
    wadm: Wadm = field(default_factory=Wadm)
    route: LatticeRoute = field(default_factory=lambda: LatticeRoute(ConnectionSpec(("nats://a:4222",)), "default"))

    @property
    def name(self) -> str:
        return self.route.name

    @property
    def identity(self) -> LatticeIdentity:
        return self.route.identity


class Pools:
    def __init__(self, *pools: Pool) -> None:
        self.pools = pools

    def all(self) -> tuple[Pool, ...]:
        return self.pools

    def of(self, lattice: Any) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.pools if pool.lattice is lattice)

    def has(self, lattice: Any) -> bool:
        return bool(self.of(lattice))


class Events:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def event(self, _: Any, __: Any, type_: str, reason: str, note: str, *, action: str) -> None:
        assert (type_, reason) == ("Warning", "LeftInWadm")
        self.notes.append(note)


class Site:
    def __init__(self, bench: KubeBench) -> None:
        self.bench, self.api = bench, bench.api
        self.lattice, self.events = Lattice(Ledger("default", clock=bench.clock)), Events()
        self.applications = self._informer(APPLICATION, indexers={NAME_INDEX: lambda item: (item.metadata.name,)})
        self.configs = self._informer(HOST_CONFIG)
        key = Key(HERE, "pool")
        self.api.put(HOST_CONFIG, {"metadata": {"name": "pool", "namespace": HERE}, "spec": {"lattice": "default"}})
        self.uid = self.api.get(HOST_CONFIG, key)["metadata"]["uid"]
        pool = Pool(key, "uid-pool", self.lattice, self.lattice.route)
        pools: Any = Pools(pool)
        self.leftovers = Leftovers(
            Owners(CLUSTER, self.applications),
            self.applications,
            pools,
            LatticeEvents(self.configs, pools, bench.client, self.events),
        )

    def restart(self) -> None:
        """Have nothing of what was found out before remembered."""
        self.leftovers = replace(self.leftovers, _memories={})

    def _informer(self, resource: Any, **settings: Any) -> Informer[CustomResource]:
        made: Informer[CustomResource] = Informer.on_api(
            self.bench.client, resource, CUSTOM_RESOURCE, clock=self.bench.clock, metrics=self.bench.metrics, **settings
        )
        self.bench.start(made.run())
        return made

    def listed(self, *names: str) -> None:
        self.lattice.ledger.take_list([ModelSummary(name=name, version="v1") for name in names], "resync")

    def application(self, name: str, namespace: str = HERE, **status: Any) -> None:
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}"}
        self.api.put(APPLICATION, {"metadata": metadata, "spec": {}, "status": status})

    async def look(self) -> Any:
        await self.bench.clock.advance(1)
        return await self.leftovers.reconcile(InLattice(self.lattice))

    @property
    def value(self) -> float | None:
        registry = CollectorRegistry()
        registry.register(self.leftovers)
        return registry.get_sample_value("wasmcloud_operator_left_in_wadm", {"lattice": "default"})


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    bench = KubeBench()
    made = Site(bench)
    await bench.clock.until(lambda: made.applications.synced and made.configs.synced)
    yield made
    await bench.stop()


async def test_an_owner_is_read_once_and_what_lost_it_is_reported_once(site: Site) -> None:
    site.lattice.wadm.owners = {
        "shop": GONE,
        "strangers": None,
        "elsewhere": Owner("another", HERE, "elsewhere", "uid-x"),
    }
    site.listed("shop", "strangers", "elsewhere", "deleted-meanwhile")
    for _ in range(3):
        assert await site.look() == DONE
        assert site.value == 1
    assert len(site.lattice.wadm.read) == 4
    [note] = site.events.notes
    assert "application shop in lattice default" in note
    assert "here/shop" in note
    site.lattice.ledger.take_list([ModelSummary(name="shop", version="v2")], "resync")
    await site.look()
    assert site.lattice.wadm.read[4:] == [("shop", "v2")], "another version may name another owner"


async def test_an_owner_that_is_there_again_ends_the_report_and_the_next_loss_is_reported_anew(site: Site) -> None:
    site.lattice.wadm.owners = {"shop": GONE}
    site.listed("shop")
    await site.look()
    site.application("shop")
    await site.look()
    assert site.value == 0
    site.api.remove(APPLICATION, Key(HERE, "shop"))
    await site.look()
    assert site.value == 1
    assert len(site.events.notes) == 2


async def test_a_leftover_reported_before_a_restart_is_not_reported_again(site: Site) -> None:
    site.lattice.wadm.owners = {name: Owner(CLUSTER, HERE, name, f"uid-{name}") for name in ("shop", "cafe")}
    site.listed("shop")
    await site.look()
    [note] = site.events.notes
    regarding = {"uid": site.uid}
    event = {"metadata": {"name": "pool.1", "namespace": HERE}, "regarding": regarding, "reason": "LeftInWadm"}
    site.api.put(EVENT, {**event, "note": note})
    site.restart()
    site.listed("cafe", "shop")
    for _ in range(2):
        await site.look()
    assert site.value == 2
    [_, found] = site.events.notes
    assert "cafe" in found, "what was lost meanwhile is a change"


async def test_a_loss_of_this_life_is_reported_though_an_event_of_an_earlier_one_has_the_same_words(site: Site) -> None:
    site.listed()
    await site.look()
    site.api.fail(Answer(code=500))
    site.lattice.wadm.owners = {"shop": GONE}
    site.listed("shop")
    await site.look()
    assert len(site.events.notes) == 1


@pytest.mark.parametrize(("code", "reported"), [(403, 1), (500, 0)])
async def test_where_events_may_not_be_read_a_loss_is_reported_and_after_a_failure_it_is_looked_at_again(
    site: Site, code: int, reported: int
) -> None:
    site.lattice.wadm.owners = {"shop": GONE}
    site.listed("shop")
    site.api.fail(Answer(code=code))
    with suppress(ServerError):
        await site.look()
    assert len(site.events.notes) == reported
    await site.look()
    assert len(site.events.notes) == 1


async def test_an_owner_that_the_ledger_knows_is_not_read(site: Site) -> None:
    site.listed("shop", "mine")
    site.lattice.ledger.record("shop", Entry(deployed="", newest="v1", owner=GONE))
    site.application("mine")
    await site.look()
    assert site.value == 1
    assert site.lattice.wadm.read == [], "an Application of the name is enough"


@pytest.mark.parametrize(
    ("namespace", "status", "count"),
    [
        ("team", {"lattice": "default"}, 0),
        ("team", {"lattice": "another"}, 1),
        ("team", {}, 1),
        (HERE, {}, 0),
        (HERE, {"lattice": "another"}, 1),
    ],
)
async def test_another_application_of_the_name_counts_where_it_is_in_that_lattice(
    site: Site, namespace: str, status: dict[str, str], count: int
) -> None:
    site.listed("shop")
    site.lattice.ledger.record("shop", Entry(deployed="", newest="v1", owner=GONE))
    site.application("shop", namespace, **status)
    await site.look()
    assert site.value == count


async def test_nothing_is_counted_while_either_side_is_not_known(site: Site) -> None:
    site.lattice.wadm.owners = {"shop": GONE}
    assert await site.look() == Result.waiting("wadm's list of lattice default, and the list of Applications")
    assert site.value is None, "wadm has not listed"
    site.listed("shop")
    site.applications.follow(())
    assert await site.look() == Result.waiting("wadm's list of lattice default, and the list of Applications")
    assert site.value is None, "the CRD is away"
    site.applications.follow(("there",))
    await site.look()
    assert site.value == 0, "the owner's namespace is left out"
    site.applications.follow((HERE, "there"))
    assert site.value is None, "it is not listed yet"
    await site.look()
    assert site.value == 1
    site.api.fail(*[Answer(code=503)] * 50)
    site.api.cut_streams()
    await site.bench.clock.advance(2)
    assert site.value is None, "the API server is away"
    site.lattice.ledger.lost()
    assert site.value is None


async def test_an_unreadable_application_counts_as_there(site: Site) -> None:
    site.listed("shop")
    site.lattice.ledger.record("shop", Entry(deployed="", newest="v1", owner=GONE))
    site.applications.store.leave_out(Key(HERE, "shop"), "9")
    await site.look()
    assert site.value == 0
    assert site.events.notes == []


async def test_an_application_removed_since_the_list_is_not_counted(site: Site) -> None:
    site.listed("shop")
    site.lattice.ledger.record("shop", Entry(deployed="", newest="v1", owner=GONE))
    site.lattice.ledger.remove("shop")
    await site.look()
    assert site.value == 0


async def test_a_fleet_is_read_in_parts_and_a_few_of_it_are_named(site: Site) -> None:
    names = [f"app-{number:03}" for number in range(150)]
    site.lattice.wadm.owners = {name: Owner(CLUSTER, HERE, name, f"uid-{name}") for name in names}
    site.listed(*names)
    assert (await site.look()).requeue_after == 1
    assert (site.value, site.events.notes) == (100, [])
    assert await site.look() == DONE
    assert site.value == 150
    assert len(site.lattice.wadm.read) == 150
    assert len(site.events.notes) == 10


async def test_a_wadm_that_does_not_answer_is_asked_later(site: Site) -> None:
    site.lattice.wadm.owners, site.lattice.wadm.down = {"shop": GONE, "cafe": None}, True
    site.listed("shop", "cafe")
    assert (await site.look()).requeue_after == 30
    assert len(site.lattice.wadm.read) == 1
    site.lattice.wadm.down = False
    assert await site.look() == DONE
    assert site.value == 1


@pytest.mark.parametrize("namespace", ["a\nb", "A", "", "x" * 64, "../here"])
async def test_an_owner_that_cannot_have_been_one_is_not_reported(site: Site, namespace: str) -> None:
    site.lattice.wadm.owners = {
        "shop": Owner(CLUSTER, namespace, "shop", "uid-gone"),
        "cafe": Owner(CLUSTER, HERE, "another", "uid-gone"),
    }
    site.listed("shop", "cafe")
    await site.look()
    assert site.value == 0
    assert site.events.notes == []


class Removal:
    """Records what it is asked to remove, and of how many."""

    def __init__(self) -> None:
        self.steps: list[tuple[list[str], int]] = []
        self.forgotten = 0

    async def step(self, _: Any, left: Any, owned: int) -> Result:
        self.steps.append((sorted(left()), owned))
        return DONE

    def forget(self, _: Any) -> None:
        self.forgotten += 1


async def test_removal_gets_what_is_left_and_how_many_this_cluster_has_there(site: Site) -> None:
    removal: Any = Removal()
    leftovers = replace(site.leftovers, removal=removal)
    site.lattice.wadm.owners = {"shop": GONE, "strangers": None, "other": Owner("another", HERE, "other", "uid-x")}
    site.application("mine")
    await site.bench.clock.advance(1)
    await leftovers.reconcile(InLattice(site.lattice))
    assert (removal.steps, removal.forgotten) == ([], 1), "wadm has not listed: what was missing starts over"
    site.listed("shop", "strangers", "other", "mine")
    await leftovers.reconcile(InLattice(site.lattice))
    assert removal.steps == [(["shop"], 2)]
