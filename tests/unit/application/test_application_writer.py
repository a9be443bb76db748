"""What is written to an Application beside wadm: its finalizer, the place that it is put in first, its status."""

from __future__ import annotations

from typing import Any

import pytest

from support.kube.bench import KubeBench
from wasmcloud_operator.application import status
from wasmcloud_operator.application.naming import FINALIZER
from wasmcloud_operator.application.place import Place, as_annotation
from wasmcloud_operator.application.writer import FINALIZERS, ApplicationWriter
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import LAST_APPLIED, CustomResource, ObjectMeta
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.names import FIRST_PLACE

FIRST = Place("one", "pool", "0123456789ab")
SLOW = status.out_of_reach("WadmTransient", "slow")


class Api:
    """Takes patches of an Application, and notes them."""

    field_manager = "us"

    def __init__(self) -> None:
        self.patches: list[Any] = []
        self.statuses: list[Any] = []

    async def patch(self, _, key, patch, *__) -> CustomResource:
        self.patches.append(patch)
        version = str(1000 + len(self.patches))
        return CustomResource(ObjectMeta(key.name, key.namespace, "u", version, finalizers=(FINALIZER,)), {}, None)

    async def apply(self, _, body, *__, **___) -> CustomResource:
        self.statuses.append(body["status"])
        return CustomResource(ObjectMeta("app", "ns", "u", "7"), {}, body["status"])

    async def get_whole(self, *_: object) -> dict:
        fields = {"f:metadata": {"f:finalizers": {}}}
        return {"metadata": {"managedFields": [{"manager": "other", "fieldsV1": fields}]}}


class Desk:
    """A writer, and the API server that takes what it sends."""

    def __init__(self, api: Any = None) -> None:
        self.bench = KubeBench()
        self.api = api = api or Api()
        informer = Informer.on_api(
            api, APPLICATION, CUSTOM_RESOURCE, clock=self.bench.clock, metrics=self.bench.metrics
        )
        self.paced = PacedWrites(api, clock=self.bench.clock)
        part = StatusPart(resource=APPLICATION, codec=CUSTOM_RESOURCE, paced=self.paced, client=api)
        self.writer = ApplicationWriter(api, informer, self.bench.clock, part)

    async def holds(self, item: CustomResource) -> bool:
        return FINALIZER in (await self.writer.add_finalizer(item, FIRST)).metadata.finalizers


def application(
    version: str = "1", annotations: dict[str, str] | None = None, finalizers: tuple[str, ...] = (), **found: Any
) -> CustomResource:
    metadata = ObjectMeta("app", "ns", "u", version, annotations=annotations or {}, finalizers=finalizers)
    return CustomResource(metadata, {}, found or None)


async def test_a_finalizer_that_is_taken_away_again_and_again_is_put_back_every_five_minutes():
    desk = Desk()
    kept = [await desk.holds(application())]
    for second in range(1200):
        kept.append(await desk.holds(application(str(second + 2))))
        await desk.bench.clock.advance(1)
    assert kept[0]
    assert 9 <= kept.count(True) == len(desk.api.patches) <= 14
    (contested, *_) = desk.paced.contests.of([WriteTarget(APPLICATION, application().metadata.key, FINALIZERS)])
    assert (contested.path, contested.by) == (".metadata.finalizers", "other")


async def test_the_first_place_goes_with_the_finalizer_to_the_version_that_was_looked_at():
    desk = Desk()
    await desk.holds(application("5", {"mine": "1"}, ("theirs",)))
    added = {"finalizers": ["theirs", FINALIZER], "annotations": {FIRST_PLACE: as_annotation(FIRST, "u")}}
    assert desk.api.patches == [{"metadata": {"resourceVersion": "5", **added}}]


async def test_annotations_that_are_not_cached_stay():
    """Without what `kubectl apply` applied last, the next `kubectl apply` removes no field."""
    bench, kept = KubeBench(), {LAST_APPLIED: "{}"}
    bench.api.put(APPLICATION, {"metadata": {"name": "app", "namespace": "ns", "annotations": kept}, "spec": {}})
    item = await bench.client.get_as(APPLICATION, Key("ns", "app"), CUSTOM_RESOURCE)
    desk = Desk(bench.client)
    assert await desk.holds(item)
    held = bench.api.get(APPLICATION, Key("ns", "app"))["metadata"]["annotations"]
    assert held == {**kept, FIRST_PLACE: as_annotation(FIRST, item.metadata.uid)}


@pytest.mark.parametrize(
    "item",
    [
        application(lattice="two"),
        application(annotations={FIRST_PLACE: as_annotation(Place("two", "pool", "0123456789ab"), "u")}),
    ],
)
async def test_an_application_that_has_a_place_gets_back_the_finalizer_alone(item):
    desk = Desk()
    await desk.holds(item)
    assert desk.api.patches == [{"metadata": {"resourceVersion": "1", "finalizers": [FINALIZER]}}]


async def test_a_status_without_anything_of_a_lattice_names_the_first_place_once_it_is_written_down():
    desk = Desk()
    await desk.writer.show(application(annotations={FIRST_PLACE: as_annotation(FIRST, "u")}), SLOW)
    await desk.writer.show(application(lattice="two", annotations={FIRST_PLACE: as_annotation(FIRST, "u")}), SLOW)
    await desk.writer.show(application(), SLOW)
    assert [shown.get("lattice") for shown in desk.api.statuses] == ["one", "two", None]
    assert "latticeId" not in desk.api.statuses[1]
