"""Two clusters that share a lattice, and both have an application of the same name: the first owner wins.

wadm does not guard the first put of a name, so the clusters can overwrite each other without being shown.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, CONFIG, Site, impatient, patient, why
from support.wadm.between import Between, Handle, Request, straight_on
from testbed import Admin, ControlPlane, NatsServer, eventually, is_true

OWNER = "k8s.wasmcloud.dev/owner-cluster"
CLUSTERS = ("one", "two")


@pytest.fixture
async def sites(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, between: Between
) -> AsyncIterator[dict[str, Site]]:
    """A namespace for each cluster, with an operator that follows nothing else and has that cluster's id."""
    lattice = f"shared-{secrets.token_hex(3)}"
    held = {"services": False, "reconcile_timeout": 180.0}  # a put that is held is not given up
    with impatient(), patient():
        async with (
            Site.open(admin, own_nats, lattice=lattice) as one,
            Site.open(admin, own_nats, lattice=lattice) as two,
            RunningOperator.start(crds, watch_namespaces=one.namespace, cluster_id="one", **held),
            RunningOperator.start(crds, watch_namespaces=two.namespace, cluster_id="two", **held),
        ):
            for site in (one, two):
                await admin.wait_for(CONFIG, "pool", site.namespace, lambda pool: is_true(pool, "LatticeConnected"))
            yield {"one": one, "two": two}


class Puts:
    """The first put of each cluster is held until both have come: each of them believes that the name is free."""

    def __init__(self) -> None:
        self.first: str = ""
        self.both = asyncio.Event()
        self._seen: set[str] = set()

    async def arrive(self, request: Request) -> str | None:
        """The cluster whose first put this is, once both are there; None for any other request."""
        if request.operation != "put":
            return None
        cluster: str = request.body["metadata"]["annotations"][OWNER]
        if cluster in self._seen:
            return None
        self._seen.add(cluster)
        self.first = self.first or cluster
        if len(self._seen) == len(CLUSTERS):
            self.both.set()
        await self.both.wait()
        return cluster


def at_once() -> Handle:
    """Both puts reach wadm together."""
    puts = Puts()

    async def handle(request: Request) -> None:
        await puts.arrive(request)
        await straight_on(request)

    return handle


def one_after_the_other() -> Handle:
    """The second put reaches wadm when the first one is deployed."""
    puts, deployed = Puts(), asyncio.Event()

    async def handle(request: Request) -> None:
        cluster = await puts.arrive(request)
        if cluster is not None and cluster != puts.first:
            await deployed.wait()
        await straight_on(request)
        if request.operation == "deploy.hello":
            deployed.set()

    return handle


def overwritten() -> Handle:
    """The first one has read back that it won, and is overwritten before it deploys.

    Inside wadm it takes two writers within a millisecond; what that leaves behind is made by a delete here.
    """
    puts, deploying, replaced = Puts(), asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> None:
        cluster = await puts.arrive(request)
        if cluster is not None and cluster != puts.first:
            await deploying.wait()
            await request.between.ask(request.message.subject.replace("model.put", "model.del.hello"), b"{}")
            answer = await request.pass_on()
            assert answer["result"] == "created"
            await request.answer(answer)
            replaced.set()
            return
        if request.operation == "deploy.hello":
            deploying.set()
            await replaced.wait()
        await straight_on(request)

    return handle


@pytest.mark.parametrize("same", [True, False], ids=["the same content", "other content"])
@pytest.mark.parametrize("interleaving", [at_once, one_after_the_other, overwritten])
async def test_the_first_owner_wins_and_the_other_shows_a_conflict(
    sites: dict[str, Site], between: Between, interleaving: Callable[[], Handle], same: bool
) -> None:
    between.handle = interleaving()
    await asyncio.gather(*(site.create(image="x/web:1" if same else f"x/web:{name}") for name, site in sites.items()))
    winner, loser = await eventually(lambda: _decided(sites), message="one has it, the other a conflict")
    owner, version = await _in_wadm(sites["one"])
    assert owner == winner
    assert (await sites[winner].get())["status"]["deployedVersion"] == version
    shown = await sites[loser].get()
    assert f"{sites[winner].namespace}/hello in cluster {winner}" in shown["status"]["message"]

    await sites[loser].admin.delete(APP, "hello", sites[loser].namespace)
    await sites[loser].gone()
    assert await _in_wadm(sites["one"]) == (winner, version), "who lost leaves it alone"
    await sites[winner].admin.delete(APP, "hello", sites[winner].namespace)
    await sites[winner].gone()
    assert (await sites["one"].wadm("get.hello", {}))["result"] == "notfound"


async def _decided(sites: dict[str, Site]) -> tuple[str, str]:
    """Winner and loser, once both stand and wadm has the winner's version deployed."""
    found = {name: await site.get() for name, site in sites.items()}
    reasons = {name: why(app) for name, app in found.items()}
    losers = [name for name in reasons if reasons[name] == "Conflict"]
    # Before a first put both are Deploying, without a version.
    winners = [name for name in reasons if name not in losers and "deployedVersion" in found[name]["status"]]
    versions = await sites["one"].versions()
    assert (len(winners), len(losers), any(versions.values())) == (1, 1, True), f"{reasons}, in wadm {versions}"
    return winners[0], losers[0]


async def _in_wadm(site: Site) -> tuple[str, Any]:
    """The owner of what is deployed, and its version."""
    [version] = [version for version, deployed in (await site.versions()).items() if deployed]
    manifest = (await site.wadm("get.hello", {"version": version}))["manifest"]
    return manifest["metadata"]["annotations"][OWNER], version
