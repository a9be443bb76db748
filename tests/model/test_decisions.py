"""Decisions of the reconcilers of Applications and Services, seen from outside: quick, so that a mutant dies soon."""

from __future__ import annotations

import asyncio
from typing import Any

from model.expected import faults
from model.scenes import HUB, OTHER, SHOP, Scene, play
from model.sequences import application_spec
from wasmcloud_operator.application.naming import FINALIZER
from wasmcloud_operator.expose.naming import SERVES_PREFIX
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.resources import POD, Key
from wasmcloud_operator.lattice.content import OWNER_CLUSTER, OWNER_NAME, OWNER_NAMESPACE, OWNER_UID

WRITES = ("put", "deploy", "undeploy", "del")


def writes(made: Scene) -> list[str]:
    return [asked for asked in made.wadm.asked if asked.partition(".")[0] in WRITES]


def labels(made: Scene) -> set[str]:
    pods = made.world.cluster.all(POD).values()
    return {label for pod in pods for label in pod["metadata"]["labels"] if label.startswith(SERVES_PREFIX)}


def test_an_undeployed_application_stays_stored_and_keeps_its_service() -> None:
    async def scene(made: Scene) -> None:
        before = made.service()
        assert before is not None
        made.annotate(undeploy="true")
        await asyncio.sleep(15)
        assert made.stored is not None
        assert (made.stored.deployed, made.phase()) == ("", "Undeployed")
        kept = made.service()
        assert kept is not None
        assert kept["metadata"]["uid"] == before["metadata"]["uid"]
        assert labels(made) == set()
        made.annotate()
        await asyncio.sleep(15)
        assert list(faults(made.world)) == []
        assert labels(made) == {f"{SERVES_PREFIX}shop"}

    play(scene)


def test_a_deletion_takes_everything_along() -> None:
    async def scene(made: Scene) -> None:
        made.world.cluster.delete(APPLICATION, SHOP)
        await asyncio.sleep(5)
        assert (made.stored, made.service(), labels(made)) == (None, None, set())
        assert SHOP not in made.world.cluster.all(APPLICATION)

    assert "Deleted" in play(scene).reasons


def test_an_orphan_runs_on_behind_its_service() -> None:
    async def scene(made: Scene) -> None:
        made.annotate(deletion_policy="Orphan")
        await asyncio.sleep(5)
        before = made.service()
        made.world.cluster.delete(APPLICATION, SHOP)
        await asyncio.sleep(60)
        assert SHOP not in made.world.cluster.all(APPLICATION)
        assert made.stored is not None
        assert made.stored.deployed
        kept = made.service()
        assert before is not None
        assert kept is not None
        assert kept["metadata"]["uid"] == before["metadata"]["uid"]
        assert labels(made) == {f"{SERVES_PREFIX}shop"}

    assert "Orphaned" in play(scene).reasons


def test_while_paused_nothing_is_written_not_even_for_a_deletion() -> None:
    async def scene(made: Scene) -> None:
        before = writes(made)
        made.world.application(*SHOP, application_spec(2, 8081), {"k8s.wasmcloud.dev/paused": "true"})
        await asyncio.sleep(15)
        service = made.service()
        assert service is not None
        assert [port["port"] for port in service["spec"]["ports"]] == [8080]
        made.world.cluster.delete(APPLICATION, SHOP)
        await asyncio.sleep(15)
        assert writes(made) == before
        made.world.cluster.change(APPLICATION, SHOP, lambda body: body["metadata"]["annotations"].clear())
        await asyncio.sleep(15)
        assert made.stored is None

    play(scene)


def test_a_name_goes_to_the_next_as_soon_as_it_is_free() -> None:
    async def scene(made: Scene) -> None:
        rival = Key("b", "shop")
        made.world.pool("b", "p", "one", HUB)
        made.world.application(*rival, application_spec(2, 0), {})
        await asyncio.sleep(15)
        assert (made.phase(), made.phase(rival)) == ("Deployed", "Failed")
        made.world.cluster.delete(APPLICATION, SHOP)
        await asyncio.sleep(10)
        assert made.phase(rival) == "Deployed"
        assert list(faults(made.world)) == []

    assert "Conflict" in play(scene).reasons


def test_an_application_of_another_cluster_is_left_alone() -> None:
    async def scene(made: Scene) -> None:
        owner = {OWNER_CLUSTER: "theirs", OWNER_NAMESPACE: "a", OWNER_NAME: "blog", OWNER_UID: "uid-theirs"}
        metadata = {"name": "blog", "annotations": {"version": "v1", **owner}}
        made.wadm._put("one", "", {"metadata": metadata, "spec": application_spec(1, 0)})
        made.wadm._deploy("one", "blog", {})
        made.world.application("a", "blog", application_spec(3, 0), {})
        await asyncio.sleep(15)
        assert made.phase(Key("a", "blog")) == "Failed"
        made.world.cluster.delete(APPLICATION, Key("a", "blog"))
        await asyncio.sleep(15)
        assert Key("a", "blog") not in made.world.cluster.all(APPLICATION)
        theirs = made.wadm.models("one")["blog"]
        assert ([version for version, _ in theirs.versions], theirs.deployed) == (["v1"], "v1")

    play(scene)


def test_a_finalizer_that_was_taken_away_comes_back() -> None:
    async def scene(made: Scene) -> None:
        made.world.cluster.change(APPLICATION, SHOP, lambda body: body["metadata"].pop("finalizers"))
        await asyncio.sleep(5)
        assert made.item()["metadata"]["finalizers"] == [FINALIZER]

    play(scene)


def test_an_undeploy_by_others_is_undone() -> None:
    async def scene(made: Scene) -> None:
        made.wadm._undeploy("one", "shop", {})
        await asyncio.sleep(15)
        assert list(faults(made.world)) == []

    play(scene)


def test_deployed_is_said_of_the_new_version_only() -> None:
    async def scene(made: Scene) -> None:
        made.wadm.lag = lambda: 4.0
        early: list[Any] = []

        def look(_: Any, new: Any) -> None:
            status = (new or {}).get("status") or {}
            if status.get("phase") == "Deployed" and status.get("observedGeneration") == 2:
                assert made.stored is not None
                assert made.stored.scaled is not None
                early.append(made.stored.scaled["spec"] == new["spec"])

        made.world.cluster.watchers.append(look)
        made.world.application(*SHOP, application_spec(2, 8080), {})
        await asyncio.sleep(30)
        assert early
        assert all(early)

    play(scene)


def test_a_start_reads_one_list_and_writes_nothing() -> None:
    async def scene(made: Scene) -> None:
        await made.world.kill()
        made.wadm.asked.clear()
        made.world.start()
        await asyncio.sleep(15)
        assert writes(made) == []
        assert [asked for asked in made.wadm.asked if asked.startswith("versions")] == []

    play(scene)


def test_a_move_brings_the_service_along() -> None:
    async def scene(made: Scene) -> None:
        before = made.service()
        assert before is not None
        made.world.pool("a", "q", "two", OTHER)
        made.annotate(lattice="two")
        await asyncio.sleep(30)
        moved = made.service()
        assert moved is not None
        assert moved["metadata"]["uid"] == before["metadata"]["uid"]
        assert made.stored is None
        assert labels(made) == {f"{SERVES_PREFIX}shop"}
        assert list(faults(made.world)) == []

    play(scene)


def test_without_a_pool_what_runs_runs_on() -> None:
    async def scene(made: Scene) -> None:
        made.world.cluster.delete(HOST_CONFIG, Key("a", "p"))
        await asyncio.sleep(90)
        assert made.stored is not None
        assert made.stored.deployed
        assert made.service() is not None

    play(scene)
