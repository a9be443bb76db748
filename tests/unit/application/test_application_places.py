"""An Application whose lattice is reached by another address, or as another user, than when its status was written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from support.sites.reconciled_application import KEY, Lattice, Site
from wasmcloud_operator.application.naming import FINALIZER
from wasmcloud_operator.application.place import departures
from wasmcloud_operator.kube.controller import DONE
from wasmcloud_operator.kube.objects import CustomResource, Metadata, ObjectMeta
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.connection_types import ConnectionPhase


async def restarted(site: Site, *, leaving: tuple[str, ...] = (), deleting: bool = False) -> None:
    """What a former operator had deployed; then it stopped, and the address of NATS is another by now."""
    await site.deployed("web")
    former, site.lattice = site.lattice, Lattice(site.clock, "nats://renamed:4222")
    site.lattice.wadm = site.lattice.wadm_writer = former.wadm
    site.listed()
    site.pool.lattice, site.pool.route = site.lattice, site.lattice.route
    site.selector.pools.lattices.held.clear()
    item = site.store[KEY]
    entries = [{"lattice": "one", "latticeId": id_, "hostConfig": "pool"} for id_ in leaving]
    status = {**item.status, **({"leaving": entries} if entries else {})}
    gone = "2026-01-01T00:00:00Z" if deleting else None
    metadata = replace(item.metadata, deletion_timestamp=gone, finalizers=(FINALIZER,))
    site.store[KEY] = replace(item, metadata=metadata, status=status)


def status(site: Site) -> Any:
    return site.store[KEY].status


async def test_it_is_recognised_by_what_wadm_has(site: Site) -> None:
    await restarted(site)
    await site.look()
    assert site.wadm.written == []
    assert status(site)["latticeId"] == site.lattice.identity.id
    assert "leaving" not in status(site)
    assert "Moved" not in site.events


async def test_an_edit_meanwhile_is_no_move(site: Site) -> None:
    await restarted(site)
    item = site.store[KEY]
    site.application(image=2, generation=2)
    site.store[KEY] = replace(site.store[KEY], status=item.status)
    await site.look()
    assert site.wadm.written == ["put", "deploy"]
    assert status(site)["latticeId"] == site.lattice.identity.id
    assert "leaving" not in status(site)


@pytest.mark.parametrize("owner", [None, "another"], ids=["nothing", "another's of its name"])
async def test_another_nats_system_is_recognised_as_such(site: Site, owner: str | None) -> None:
    await restarted(site)
    [(version, manifest)] = site.wadm.versions_held.items()
    if owner is None:
        site.wadm.versions_held.clear()
    else:
        annotations = {**manifest["metadata"]["annotations"], "k8s.wasmcloud.dev/owner-uid": owner}
        site.wadm.versions_held[version] = {
            **manifest,
            "metadata": {**manifest["metadata"], "annotations": annotations},
        }
    site.wadm.running = ""
    site.lattice.ledger.take_list([], "connection")
    await site.look()
    [left] = departures(status(site))
    assert (left.lattice, left.problem) == ("one", "no host config leads there any more")


async def test_of_two_lattices_out_of_sight_none_is_taken_for_the_one_that_is_there(site: Site) -> None:
    await restarted(site, leaving=("0123456789ab",))
    await site.look()
    assert len(departures(status(site))) == 2


async def test_one_that_was_deleted_meanwhile_goes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await restarted(site, deleting=True)

    async def changed(_: object) -> None:
        raise RuntimeError("its finalizers changed meanwhile")

    with monkeypatch.context() as patch:
        patch.setattr(site.writer, "remove_finalizer", changed)
        with pytest.raises(RuntimeError):
            await site.look()
    assert site.wadm.written == ["undeploy", "delete"]
    assert await site.look() == DONE
    assert site.writer.let_go == [KEY]


async def test_one_that_was_deleted_meanwhile_waits_for_the_connection(site: Site) -> None:
    await restarted(site, deleting=True)
    site.lattice.phase = ConnectionPhase.CONNECTING
    assert (await site.look()).waits_for == "the connection to lattice one"
    assert site.shown != "DeletionBlocked"
    site.lattice.phase = ConnectionPhase.CONNECTED
    assert await site.look() == DONE
    assert site.writer.let_go == [KEY]


async def test_one_that_was_deleted_meanwhile_stays_where_wadm_does_not_have_it(site: Site) -> None:
    await restarted(site, deleting=True)
    site.wadm.versions_held.clear()
    site.deletion.client.get = _namespace_that_stays
    await site.look()
    assert site.shown == "DeletionBlocked"
    assert site.writer.let_go == []


async def _namespace_that_stays(*_: object) -> Metadata:
    return Metadata(ObjectMeta("here"))


async def beside_one_that_was_never_up(site: Site, *, same: bool, deleting: bool = False) -> Lattice:
    """Returns the lattice of a second host config, of the same name, after a start at which the first was not up."""
    await restarted(site, deleting=deleting)
    item, spare = site.store[KEY], Lattice(site.clock, "nats://spare:4222")
    site.store[KEY] = replace(item, status={**item.status, "latticeId": site.lattice.identity.id})
    if same:
        spare.wadm, spare.wadm_writer, spare.ledger = site.wadm, site.wadm, site.lattice.ledger
    site.lattice.phase, site.lattice.identified = ConnectionPhase.LOST, False
    second = SimpleNamespace(lattice=spare, route=spare.route)
    site.configs[Key("here", "spare")] = CustomResource(ObjectMeta("spare", "here", "p2", "1", 1), {"lattice": "one"})
    site.selector.pools.get = lambda key: second if key.name == "spare" else site.pool
    site.selector.pools.in_namespace = lambda _: [site.pool, second]
    site.deletion.client.get = _namespace_that_stays
    return spare


async def test_another_way_to_it_is_taken_where_the_first_was_never_up(site: Site) -> None:
    spare = await beside_one_that_was_never_up(site, same=True)
    await site.look()
    assert site.wadm.written == []
    assert (status(site)["latticeId"], status(site)["hostConfig"]) == (spare.identity.id, "spare")
    assert "leaving" not in status(site)


async def test_another_nats_system_is_no_way_to_one_that_was_never_up(site: Site) -> None:
    spare = await beside_one_that_was_never_up(site, same=False)
    await site.look()
    assert spare.wadm.written == []
    assert site.shown == "Lost"


@pytest.mark.parametrize("same", [True, False])
async def test_a_deletion_takes_the_way_that_is_up_if_it_leads_there(site: Site, same: bool) -> None:
    spare = await beside_one_that_was_never_up(site, same=same, deleting=True)
    await site.look()
    assert spare.wadm.written == (["undeploy", "delete"] if same else [])
    assert site.writer.let_go == ([KEY] if same else [])
