"""What `--orphans=remove` takes out of wadm: each guard alone keeps it there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import pytest
import pytest_asyncio

from support.kube.bench import KubeBench
from wasmcloud_operator.application.left_on_purpose import NAME, LeftOnPurpose
from wasmcloud_operator.application.orphans import AT_ONCE, GONE_SECONDS, PAUSE_SECONDS, OrphanRemoval
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import Forbidden
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import CONFIG_MAP, Key
from wasmcloud_operator.kube.testing import Answer
from wasmcloud_operator.lattice.content import Content, Owner, to_manifest
from wasmcloud_operator.lattice.errors import WadmNotFound
from wasmcloud_operator.lattice.ledger import Ledger
from wasmcloud_operator.lattice.wadm_types import VersionInfo
from wasmcloud_operator.shared.applications_gate import ApplicationsGate

HERE, CLUSTER = "here", "cluster"


def owner_named(name: str, uid: str = "") -> Owner:
    return Owner(CLUSTER, HERE, name, uid or f"uid-{name}")


class Wadm:
    """What is stored, by name; every version is deployed."""

    def __init__(self) -> None:
        self.owners: dict[str, Owner] = {}
        self.removed: list[str] = []
        self.on_delete: Callable[[], None] = lambda: None

    async def versions(self, name: str) -> tuple[VersionInfo, ...]:
        if name not in self.owners:
            raise WadmNotFound("not there")
        return (VersionInfo(version="v1", deployed=True),)

    async def get(self, name: str, version: str | None = None) -> dict[str, Any]:
        content = Content(
            name=name, annotations={}, labels={}, spec={"components": []}, declared_version=version, digest="digest"
        )
        return cast("dict[str, Any]", to_manifest(content, "v1", self.owners[name]))

    async def undeploy(self, name: str) -> None:
        assert name in self.owners

    async def delete(self, name: str, version: str | None = None) -> bool:
        del self.owners[name]
        self.removed.append(name)
        self.on_delete()
        return True


class Lattice:
    def __init__(self, bench: KubeBench, name: str) -> None:
        self.name, self.connection = name, None
        self.wadm_writer, self.ledger = Wadm(), Ledger(name, clock=bench.clock)


class Events:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.notes: set[str] = set()

    def event(self, _: Any, __: Owner, ___: str, reason: str, note: str) -> None:
        self.reasons.append(reason)
        self.notes.add(note)

    async def stands(self, _: Any, __: Owner, ___: str, note: str) -> bool:
        return note in self.notes


class Site:
    """Ten applications of the cluster in a lattice, of which some have lost their Application."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench, self.lattice, self.events = bench, Lattice(bench, "default"), Events()
        self.gate = ApplicationsGate(AlwaysOpen(), ours=True)
        self.on_purpose = LeftOnPurpose(bench.client, "ops", lambda _: ())
        self.removal = OrphanRemoval(bench.client, self.gate, self.on_purpose, bench.clock, cast("Any", self.events))
        bench.api.put(APPLICATION, application("another", "uid-another"))
        self.left: dict[str, Owner] = {}
        self.owned = 10

    def lose(self, *names: str, uid: str = "") -> None:
        for name in names:
            self.left[name] = self.lattice.wadm_writer.owners[name] = owner_named(name, uid)

    async def step(self, lattice: Lattice | None = None) -> Result:
        where = lattice or self.lattice

        def left() -> Mapping[str, Owner]:
            return {name: owner for name, owner in self.left.items() if name in where.wadm_writer.owners}

        return await self.removal.step(cast("Any", where), left, self.owned)

    async def settle(self) -> Result:
        """A first look, and one when the owners have been missing for long enough."""
        await self.step()
        await self.bench.clock.advance(GONE_SECONDS)
        return await self.step()

    @property
    def removed(self) -> list[str]:
        return self.lattice.wadm_writer.removed


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    bench = KubeBench()
    yield Site(bench)
    await bench.stop()


def application(name: str, uid: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": HERE, "uid": uid}, "spec": {}}


async def test_an_orphan_goes_after_a_minute_and_not_before(site: Site) -> None:
    site.lose("shop")
    result = await site.step()
    assert result.requeue_after == GONE_SECONDS
    await site.bench.clock.advance(GONE_SECONDS - 1)
    assert (await site.step()).requeue_after == pytest.approx(1)
    assert site.removed == []
    await site.bench.clock.advance(1)
    assert await site.step() == DONE
    assert site.removed == ["shop"]
    assert site.events.reasons == ["OrphanRemoved"]
    assert await site.step() == DONE


async def test_an_owner_that_comes_back_has_to_be_missing_for_a_minute_again(site: Site) -> None:
    site.lose("shop")
    await site.step()
    await site.bench.clock.advance(GONE_SECONDS - 1)
    owner = site.left.pop("shop")
    assert await site.step() == DONE
    site.left["shop"] = owner
    assert (await site.step()).requeue_after == GONE_SECONDS


async def test_while_either_side_was_not_known_no_time_passes(site: Site) -> None:
    site.lose("shop")
    await site.step()
    site.removal.forget(cast("Any", site.lattice))
    await site.bench.clock.advance(GONE_SECONDS)
    assert (await site.step()).requeue_after == GONE_SECONDS


async def test_an_application_that_the_api_server_has_is_not_gone_whatever_the_cache_says(site: Site) -> None:
    site.bench.api.put(APPLICATION, application("shop", "uid-shop"))
    site.lose("shop")
    await site.settle()
    assert site.removed == []


async def test_another_application_of_the_name_is_not_the_owner(site: Site) -> None:
    site.bench.api.put(APPLICATION, application("shop", "uid-another"))
    site.lose("shop")
    await site.settle()
    assert site.removed == ["shop"]


async def test_an_api_server_without_the_kind_confirms_nothing(site: Site) -> None:
    site.lose("shop")
    await site.step()
    await site.bench.clock.advance(GONE_SECONDS)
    site.bench.api.put(CONFIG_MAP, {"metadata": {"name": NAME, "namespace": "ops"}})
    site.bench.api.fail(Answer("list", 404, "404 page not found\n"))
    await site.step()
    assert site.removed == []


async def test_a_kind_that_may_be_another_projects_is_left_alone(site: Site) -> None:
    site.lose("shop")
    site.gate.ours = False
    await site.settle()
    assert site.removed == []


async def test_an_application_left_on_purpose_stays(site: Site) -> None:
    for name in ("shop", "cafe"):  # the second one finds the list already made
        meta = ObjectMeta(name, HERE, f"uid-{name}", "1", 1)
        await site.on_purpose.add(CustomResource(meta, {}), ())
    site.lose("shop", "cafe", "mill")
    await site.settle()
    assert site.removed == ["mill"]


async def test_nothing_is_removed_while_the_list_of_what_was_left_on_purpose_cannot_be_read(site: Site) -> None:
    site.lose("shop")
    await site.step()
    await site.bench.clock.advance(GONE_SECONDS)
    site.bench.api.fail(Answer("read", 403))
    with pytest.raises(Forbidden):
        await site.step()
    assert site.removed == []


async def test_an_owner_without_uid_is_nobody_to_be_sure_of(site: Site) -> None:
    site.left["shop"] = site.lattice.wadm_writer.owners["shop"] = Owner(CLUSTER, HERE, "shop")
    await site.settle()
    assert site.removed == []


async def test_an_application_that_is_anothers_by_now_stays(site: Site) -> None:
    site.lose("shop")
    site.lattice.wadm_writer.owners["shop"] = owner_named("shop", "uid-new")
    await site.settle()
    assert (site.removed, site.events.reasons) == ([], [])


async def test_an_application_with_an_owner_again_while_the_api_server_is_asked_stays(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def confirmed(_: OrphanRemoval, __: Owner) -> bool:
        site.left.clear()
        return True

    site.lose("shop")
    monkeypatch.setattr(OrphanRemoval, "_is_gone", confirmed)
    await site.settle()
    assert site.removed == []


async def test_three_go_and_more_after_a_pause_whatever_their_lattice(site: Site) -> None:
    names = [f"app-{number}" for number in range(AT_ONCE + 1)]
    site.lose(*names)
    result = await site.settle()
    assert site.removed == names[:AT_ONCE]
    assert result.requeue_after == pytest.approx(PAUSE_SECONDS)
    assert site.events.reasons == ["OrphanRemoved"] * AT_ONCE + ["OrphansPaused"]
    other = Lattice(site.bench, "other")
    site.left["mill"] = other.wadm_writer.owners["mill"] = owner_named("mill")
    await site.step(other)
    await site.bench.clock.advance(PAUSE_SECONDS - 1)
    await site.step()
    await site.step(other)
    assert (len(site.removed), other.wadm_writer.removed) == (AT_ONCE, []), "the pause is one of all lattices"
    await site.bench.clock.advance(1)
    await site.step()
    assert site.removed == names
    assert site.events.reasons.count("OrphansPaused") == 2, "once for each lattice"


async def test_a_lattice_that_goes_out_of_use_meanwhile_leaves_nothing_behind(site: Site) -> None:
    site.lose("shop")
    site.lattice.wadm_writer.on_delete = lambda: site.removal.forget(cast("Any", site.lattice))
    assert await site.settle() == DONE
    assert site.removed == ["shop"]
    assert site.removal._memories == {}


async def test_more_than_half_of_a_lattices_applications_are_held_and_reported_once(site: Site) -> None:
    site.owned = 5
    site.lose("a", "b", "c")
    await site.settle()
    await site.settle()
    assert site.removed == []
    assert site.events.reasons == ["OrphansHeld"]
    site.removal.forget(cast("Any", site.lattice))  # as after a restart, or a reconnection
    await site.settle()
    assert site.events.reasons == ["OrphansHeld"]
    site.owned = 6
    await site.step()
    assert site.removed == ["a", "b", "c"]


async def test_applications_left_on_purpose_count_on_neither_side_of_half(site: Site) -> None:
    site.owned = 4
    meta = ObjectMeta("kept", HERE, "uid-kept", "1", 1)
    await site.on_purpose.add(CustomResource(meta, {}), ())
    site.lose("kept", "a", "b")
    await site.settle()
    assert site.removed == [], "two of three"
    site.owned = 5
    await site.step()
    assert site.removed == ["a", "b"]


async def test_a_name_in_other_hands_is_taken_up_again_soon(site: Site) -> None:
    site.lose("shop")
    await site.step()
    await site.bench.clock.advance(GONE_SECONDS)
    site.lattice.ledger.acquire("shop", waiter=Key(HERE, "shop"), wake=lambda: None)
    assert (await site.step()).requeue_after == 1
    site.lattice.ledger.release("shop")
    await site.step()
    assert site.removed == ["shop"]
    assert site.lattice.ledger.acquire("shop", waiter=Key(HERE, "shop"), wake=lambda: None), "it was let go"
