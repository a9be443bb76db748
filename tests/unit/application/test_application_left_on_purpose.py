"""What was left in wadm on purpose: noted with its lattices, and forgotten once their wadms surely have it no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from support.kube.bench import KubeBench
from wasmcloud_operator.application.left_on_purpose import NAME, LeftOnPurpose
from wasmcloud_operator.application.place import Place
from wasmcloud_operator.kube.errors import Conflict
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import CONFIG_MAP, Key
from wasmcloud_operator.lattice.content import Owner
from wasmcloud_operator.lattice.ledger import Entry, Ledger
from wasmcloud_operator.lattice.wadm_types import ModelSummary


class Site:
    """The ConfigMap, and two lattices in use with what their wadms have."""

    def __init__(self) -> None:
        self.bench = KubeBench()
        self.ledgers = {id_: Ledger(id_, clock=self.bench.clock) for id_ in ("one", "two")}
        self.on_purpose = LeftOnPurpose(self.bench.client, "ops", self._known_as)

    def _known_as(self, id_: str) -> list[Any]:
        return [SimpleNamespace(ledger=self.ledgers[id_])] if id_ in self.ledgers else []

    def listed(self, lattice: str, *names: str) -> None:
        self.ledgers[lattice].take_list([ModelSummary(name=name, version="v1") for name in names], "resync")

    async def add(self, name: str, *lattices: str) -> None:
        item = CustomResource(ObjectMeta(name, "here", f"uid-{name}", "1", 1), {})
        await self.on_purpose.add(item, [Place(f"lattice {one}", "pool", one) for one in lattices])

    @property
    def written(self) -> dict[str, Any]:
        return self.bench.api.get(CONFIG_MAP, Key("ops", NAME)) or {"data": {}}

    @property
    def noted(self) -> dict[str, str]:
        return self.written["data"]


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    await made.bench.stop()


async def test_an_entry_that_its_wadm_has_no_more_is_forgotten_when_another_is_added(site: Site) -> None:
    site.listed("one", "shop", "cafe")
    await site.add("shop", "one")
    await site.add("cafe", "one")
    assert site.noted == {"uid-shop": "here/shop in one", "uid-cafe": "here/cafe in one"}
    site.listed("one", "cafe")
    assert set(await site.on_purpose.uids()) == {"uid-shop", "uid-cafe"}, "at rest nothing is written"
    await site.add("mill", "one")
    assert set(await site.on_purpose.uids()) == {"uid-cafe", "uid-mill"}


def lose(ledger: Ledger) -> None:
    ledger.lost()


def fail(ledger: Ledger) -> None:
    ledger.not_listed()


def put(ledger: Ledger) -> None:
    ledger.record("shop", Entry(deployed="", newest="v1", owner=Owner("c", "there", "shop", "another")))


@pytest.mark.parametrize("happens", [lose, fail, put], ids=["not listed yet", "no list", "put again by somebody"])
async def test_an_entry_that_its_wadm_may_still_have_stays_noted(site: Site, happens: Any) -> None:
    await site.add("shop", "one")
    site.listed("one")
    happens(site.ledgers["one"])
    await site.add("mill", "one")
    assert "uid-shop" in site.noted


@pytest.mark.parametrize(
    ("lattices", "stays"),
    [
        (("one",), False),
        (("one", "two"), True),
        (("away",), True),
        (("one", "away"), True),
        (("one", ""), True),
        ((), True),
    ],
)
async def test_each_lattice_that_it_was_left_in_must_be_known_not_to_have_it(
    site: Site, lattices: tuple[str, ...], stays: bool
) -> None:
    site.listed("one")
    site.listed("two", "shop")
    await site.add("shop", *lattices)
    await site.add("mill")
    assert ("uid-shop" in site.noted) is stays


async def test_an_application_that_leaves_one_lattice_after_the_other_is_noted_with_all(site: Site) -> None:
    site.listed("one")
    site.listed("two", "shop")
    await site.add("shop", "one")
    await site.add("shop", "two")
    assert site.noted == {"uid-shop": "here/shop in one,two"}
    version = site.written["metadata"]["resourceVersion"]
    await site.add("shop", "one")
    assert site.written["metadata"]["resourceVersion"] == version, "that was noted already"
    await site.add("mill")
    await site.add("mill", "two")
    assert site.noted == {"uid-shop": "here/shop in one,two", "uid-mill": "here/mill in ,two"}


async def test_many_at_once_are_all_noted(site: Site) -> None:
    site.listed("one")
    names = [f"app-{number}" for number in range(20)]
    site.listed("one", *names)
    await asyncio.gather(*(site.add(name, "one") for name in names))
    assert len(site.noted) == 20


async def test_an_entry_that_another_replica_adds_meanwhile_is_not_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.add("shop", "one")
    site.listed("one")
    read = site.on_purpose.client.find

    async def changed_meanwhile(*asked: Any) -> Any:
        held = await read(*asked)
        site.bench.api.put(
            CONFIG_MAP, {"metadata": {"name": NAME, "namespace": "ops"}, "data": {"uid-shop": "by another"}}
        )
        return held

    with monkeypatch.context() as patched:
        patched.setattr(site.on_purpose.client, "find", changed_meanwhile)
        with pytest.raises(Conflict):
            await site.add("mill", "one")
    assert site.noted == {"uid-shop": "by another"}
    await site.add("mill", "one")
    assert set(site.noted) == {"uid-shop", "uid-mill"}
