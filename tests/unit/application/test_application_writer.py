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
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.paced import PacedWrites
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

    def __init__(self) -> None:
        self.bench, self.api = KubeBench(), Api()
        api: Any = self.api
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


async def test_the_first_place_goes_with_the_finalizer_and_replaces_nothing_that_came_meanwhile():
    desk = Desk()
    await desk.holds(application("5"))
    (patch,) = desk.api.patches
    written = as_annotation(FIRST, "u")
    assert patch == [
        {"op": "test", "path": "/metadata/uid", "value": "u"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
        {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]},
        {"op": "add", "path": "/metadata/annotations", "value": {FIRST_PLACE: written}},
    ]


@pytest.mark.parametrize(
    ("item", "guarded"),
    [
        (application("5", {"mine": "1"}), True),
        (application("5", finalizers=("theirs",)), True),
        (application("5", {"mine": "1"}, ("theirs",)), False),
    ],
)
async def test_a_patch_that_adds_a_whole_list_or_map_is_for_the_version_that_had_none(item, guarded):
    desk = Desk()
    await desk.holds(item)
    (patch,) = desk.api.patches
    assert any(step["path"] == "/metadata/resourceVersion" for step in patch) is guarded
    added = [step["path"] for step in patch if step["op"] == "add"]
    annotations = "/metadata/annotations"
    assert added == [
        "/metadata/finalizers/-" if item.metadata.finalizers else "/metadata/finalizers",
        f"{annotations}/k8s.wasmcloud.dev~1first-place" if item.metadata.annotations else annotations,
    ]


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
    assert [step["path"] for step in desk.api.patches[0] if step["op"] == "add"] == ["/metadata/finalizers"]


async def test_a_finalizer_that_is_added_to_others_is_added_to_whatever_version_there_is():
    desk = Desk()
    await desk.holds(application(finalizers=("theirs",), lattice="two"))
    assert [step["path"] for step in desk.api.patches[0]] == ["/metadata/uid", "/metadata/finalizers/-"]


async def test_a_status_without_anything_of_a_lattice_names_the_first_place_once_it_is_written_down():
    desk = Desk()
    await desk.writer.show(application(annotations={FIRST_PLACE: as_annotation(FIRST, "u")}), SLOW)
    await desk.writer.show(application(lattice="two", annotations={FIRST_PLACE: as_annotation(FIRST, "u")}), SLOW)
    await desk.writer.show(application(), SLOW)
    assert [shown.get("lattice") for shown in desk.api.statuses] == ["one", "two", None]
    assert "latticeId" not in desk.api.statuses[1]
