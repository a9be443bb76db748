"""The finalizer of an Application, where another controller takes it away."""

from __future__ import annotations

from msgspec.structs import replace

from support.kube.bench import KubeBench
from wasmcloud_operator.application.naming import FINALIZER
from wasmcloud_operator.application.writer import FINALIZERS, ApplicationWriter
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.status_part import StatusPart


class Api:
    """Takes the patch that adds the finalizer."""

    field_manager = "us"

    def __init__(self) -> None:
        self.patches = 0

    async def patch(self, _, key, patch, *__) -> CustomResource:
        self.patches += 1
        version = str(1000 + self.patches)
        metadata = ObjectMeta(key.name, key.namespace, "u", version, finalizers=(patch[-1]["value"][0],))
        return CustomResource(metadata, {}, None)

    async def get_path(self, _) -> dict:
        fields = {"f:metadata": {"f:finalizers": {}}}
        return {"metadata": {"managedFields": [{"manager": "other", "fieldsV1": fields}]}}


async def test_a_finalizer_that_is_taken_away_again_and_again_is_put_back_every_five_minutes():
    bench, api = KubeBench(), Api()
    informer = Informer.on_api(api, APPLICATION, CUSTOM_RESOURCE, clock=bench.clock, metrics=bench.metrics)
    paced = PacedWrites(api, clock=bench.clock)
    writer = ApplicationWriter(
        api, informer, bench.clock, StatusPart(resource=APPLICATION, codec=CUSTOM_RESOURCE, paced=paced, client=api)
    )
    bare = CustomResource(ObjectMeta("app", "ns", "u", "1"), {}, None)
    kept = [FINALIZER in (await writer.add_finalizer(bare)).metadata.finalizers]
    for second in range(1200):
        taken = replace_version(bare, str(second + 2))
        kept.append(FINALIZER in (await writer.add_finalizer(taken)).metadata.finalizers)
        await bench.clock.advance(1)
    assert kept[0]
    assert 9 <= kept.count(True) == api.patches <= 14
    (contested, *_) = paced.contests.of([WriteTarget(APPLICATION, bare.metadata.key, FINALIZERS)])
    assert (contested.path, contested.by) == (".metadata.finalizers", "other")


def replace_version(item: CustomResource, version: str) -> CustomResource:
    return replace(item, metadata=replace(item.metadata, resource_version=version))
