"""Moments that only a clock in the test's hand can hit: what is not reached yet is not out of reach."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from model.expected import faults
from model.scenes import HUB, OTHER, SHOP, Scene, play
from model.sequences import application_spec
from model.world import ADDRESSES
from wasmcloud_operator.application.reconciler import ApplicationReconciler
from wasmcloud_operator.expose.naming import EXPOSURE, SERVICE_TYPE, serves_label
from wasmcloud_operator.expose.pod_labels import PodLabeler
from wasmcloud_operator.expose.reconciler import ServiceReconciler
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.controller import Result
from wasmcloud_operator.kube.resources import POD, SERVICE, Key
from wasmcloud_operator.names import FIRST_PLACE


def looks_of(reconciler: type[Any], monkeypatch: pytest.MonkeyPatch) -> list[Key]:
    """Returns the keys that a reconciler looks at, as they are added."""
    looks: list[Key] = []
    reconcile = reconciler.reconcile

    async def counted(itself: object, key: Key) -> Result:
        looks.append(key)
        return await reconcile(itself, key)

    monkeypatch.setattr(reconciler, "reconcile", counted)
    return looks


def test_a_move_while_the_former_nats_is_away_for_a_moment_ends_with_nothing_left() -> None:
    async def scene(made: Scene) -> None:
        made.world.systems["hub"].stop()
        made.world.pool("a", "p", "one", OTHER)
        await asyncio.sleep(3)
        assert "shop" in made.world.wadms["other"].models("one"), "the new lattice does not wait for the old one"
        assert "shop" in made.world.wadms["hub"].models("one")
        made.world.systems["hub"].start()
        await asyncio.sleep(60)
        assert "shop" not in made.world.wadms["hub"].models("one")
        assert list(faults(made.world)) == []
        status = made.world.cluster.all(APPLICATION)[SHOP]["status"]
        assert "leaving" not in status

    assert "Moved" in play(scene).reasons


def test_a_deletion_finds_the_way_after_a_change_of_the_address_and_a_restart() -> None:
    async def scene(made: Scene) -> None:
        before = made.service()
        made.world.pool("a", "p", "one", ADDRESSES[1])
        await asyncio.sleep(30)
        await made.world.kill()
        made.world.start()
        await asyncio.sleep(30)
        assert list(faults(made.world)) == []
        assert "leaving" not in made.item()["status"]
        after = made.service()
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        made.world.cluster.delete(APPLICATION, SHOP)
        await asyncio.sleep(5)
        assert SHOP not in made.world.cluster.all(APPLICATION)
        assert made.stored is None

    assert not {"LeftBehind", "DeletionBlocked"} & set(play(scene).reasons)


def test_a_deletion_right_after_a_start_is_not_blocked_while_nats_is_still_being_connected() -> None:
    async def scene(made: Scene) -> None:
        await made.world.kill()
        made.world.network.connect_seconds = 0.6
        made.world.cluster.delete(APPLICATION, SHOP)
        made.world.start()
        await asyncio.sleep(5)
        assert SHOP not in made.world.cluster.all(APPLICATION)
        assert list(faults(made.world)) == []

    assert "DeletionBlocked" not in play(scene).reasons


def test_a_nats_that_is_slower_to_connect_at_a_start_takes_nothing_back() -> None:
    async def scene(made: Scene) -> None:
        await made.world.kill()
        made.world.network.connect_seconds = 0.6
        before = {key: body["metadata"]["resourceVersion"] for key, body in made.world.cluster.all(APPLICATION).items()}
        made.world.start()
        await asyncio.sleep(10)
        after = {key: body["metadata"]["resourceVersion"] for key, body in made.world.cluster.all(APPLICATION).items()}
        assert after == before, "its status stays as it was"

    assert play(scene).reasons == []


def test_a_crash_right_after_the_first_put_leaves_a_trace_of_the_lattice() -> None:
    async def scene(made: Scene) -> None:
        made.world.application("a", "blog", application_spec(1, 0), {})
        await asyncio.sleep(0.03)
        assert made.world.wadms["hub"].models("one").keys() == {"blog", "shop"}
        await made.world.kill()
        made.world.pool("a", "p", "one", OTHER)
        made.world.pool("a", "q", "two", HUB)
        made.world.application("a", "blog", application_spec(1, 0), {"k8s.wasmcloud.dev/host-config": "p"})
        made.world.application(*SHOP, application_spec(1, 0), {"k8s.wasmcloud.dev/host-config": "p"})
        made.world.start()
        await asyncio.sleep(60)
        assert made.world.wadms["hub"].models("one") == {}, "it was taken out where it had been put"
        assert set(made.world.wadms["other"].models("one")) == {"blog", "shop"}

    play(scene)


@pytest.mark.parametrize(
    "written", ["{" * 100_000, "{uid} 0123456789ab p no.token", "another-uid 0123456789ab q other"]
)
def test_a_first_place_that_a_user_wrote_costs_nobody_an_application(written: str) -> None:
    async def scene(made: Scene) -> None:
        await made.world.kill()
        blog = Key("a", "blog")
        made.world.application(*blog, application_spec(1, 0), {})
        uid = made.world.cluster.all(APPLICATION)[blog]["metadata"]["uid"]
        annotation = {FIRST_PLACE: written.replace("{uid}", uid)}
        made.world.cluster.change(APPLICATION, blog, lambda body: body["metadata"].update(annotations=annotation))
        made.world.start()
        await asyncio.sleep(60)
        assert made.world.wadms["hub"].models("one").keys() == {"blog", "shop"}
        assert list(faults(made.world)) == []
        made.world.cluster.delete(APPLICATION, blog)
        await asyncio.sleep(60)
        assert made.world.wadms["hub"].models("one").keys() == {"shop"}

    play(scene)


def test_a_host_configs_grants_to_applications_of_wash_hold_as_soon_as_they_are_written() -> None:
    async def scene(made: Scene) -> None:
        blog, pool = Key("a", "blog"), Key("a", "p")
        asked = {"version": "v1", SERVICE_TYPE: "NodePort"}
        manifest = {"metadata": {"name": "blog", "annotations": asked}, "spec": application_spec(1, 8081)}
        made.wadm._put("one", "", manifest)
        made.wadm._deploy("one", "blog", {"version": "v1"})
        await asyncio.sleep(60)
        for granted, expected in (("NodePort", "NodePort"), ("", "ClusterIP")):
            made.world.cluster.change(
                HOST_CONFIG,
                pool,
                lambda body, granted=granted: body["metadata"].update(annotations={EXPOSURE: granted}),
            )
            await asyncio.sleep(2)
            assert made.world.cluster.all(SERVICE)[blog]["spec"]["type"] == expected

    play(scene)


def test_labels_that_the_operator_writes_itself_need_no_second_look_and_those_taken_off_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = looks_of(PodLabeler, monkeypatch)

    async def scene(made: Scene) -> None:
        [(key, pod)] = made.world.cluster.all(POD).items()
        label = serves_label(SHOP.name)
        assert label in pod["metadata"]["labels"]
        await asyncio.sleep(60)
        looks.clear()
        made.world.cluster.change(POD, key, lambda body: body["metadata"]["labels"].pop(label))
        await asyncio.sleep(0.5)
        assert label in made.world.cluster.all(POD)[key]["metadata"]["labels"]
        assert looks == [key]

    play(scene)


def test_a_service_that_is_new_has_those_pods_looked_at_whose_hosts_run_its_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = looks_of(PodLabeler, monkeypatch)

    async def scene(made: Scene) -> None:
        made.world.pool("a", "q", "two", HUB)
        await asyncio.sleep(60)
        label = serves_label(SHOP.name)
        serving = {key.name for key, pod in made.world.cluster.all(POD).items() if label in pod["metadata"]["labels"]}
        assert serving < {key.name for key in made.world.cluster.all(POD)}
        looks.clear()
        made.world.cluster.delete(SERVICE, SHOP)
        await asyncio.sleep(0.5)
        assert made.service() is not None
        assert {key.name for key in looks} == serving

    play(scene)


def test_a_list_that_shows_nothing_new_of_an_application_needs_no_look_at_its_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = looks_of(ServiceReconciler, monkeypatch)

    async def scene(made: Scene) -> None:
        await asyncio.sleep(60)
        looks.clear()
        made.world.application("a", "blog", application_spec(1, 0), {})
        await asyncio.sleep(60)
        assert {key.name for key in looks} == {"blog"}

    play(scene)


def test_a_status_of_others_needs_no_look_and_the_operators_own_comes_back_when_it_is_written_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = looks_of(ApplicationReconciler, monkeypatch)

    async def scene(made: Scene) -> None:
        await asyncio.sleep(60)
        looks.clear()
        made.world.cluster.change(APPLICATION, SHOP, lambda body: body["status"].update(placementCount=7))
        await asyncio.sleep(0.5)
        assert looks == []
        made.world.cluster.change(APPLICATION, SHOP, lambda body: body["status"].update(phase="Failed"))
        await asyncio.sleep(0.5)
        assert made.world.cluster.all(APPLICATION)[SHOP]["status"]["phase"] == "Deployed"
        assert looks == [SHOP]

    play(scene)
