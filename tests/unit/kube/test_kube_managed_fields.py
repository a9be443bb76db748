"""Taking over from a field manager that is gone."""

from __future__ import annotations

import pytest

from support.kube.bench import KubeBench
from support.kube.objects import key
from wasmcloud_operator.kube.apply import Applier, ManagedKind
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.managed_fields import taken_over
from wasmcloud_operator.kube.objects import ObjectMeta
from wasmcloud_operator.kube.resources import CONFIG_MAP

STAMP = "tests.example.com/rendered"


def config(**annotations: str) -> dict:
    metadata = {"name": "c", "namespace": "ns", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}


def ours(_metadata: ObjectMeta) -> bool:
    return True


@pytest.mark.parametrize("stamped", [True, False])
async def test_only_an_object_that_we_never_applied_is_taken_over(bench: KubeBench, stamped: bool):
    bench.api.put(CONFIG_MAP, config(**{STAMP: "of an earlier apply"} if stamped else {}))
    informer = Informer.on_api(bench.client, CONFIG_MAP, UNSTRUCTURED, clock=bench.clock, metrics=bench.metrics)
    bench.start(informer.run())
    await bench.clock.until(lambda: informer.synced)
    bench.api.requests.clear()
    applier = Applier(bench.client, STAMP, formerly=("old",))
    for value in ("1", "2"):
        await applier.apply(ManagedKind(CONFIG_MAP, informer), config() | {"data": {"value": value}}, ours)
    sent = [request.method for request in bench.api.requests if not request.watch]
    assert sent == (["PATCH", "PATCH"] if stamped else ["GET", "PATCH", "PATCH"])
    assert bench.api.get(CONFIG_MAP, key("c"))["data"] == {"value": "2"}


def entry(manager, fields, operation="Apply", api_version="v1", **more):
    return {"manager": manager, "operation": operation, "apiVersion": api_version, "fieldsV1": fields, **more}


def test_the_formers_fields_become_ours():
    assert taken_over([entry("old", {"f:a": {}})], {"old"}, "ours") == [entry("ours", {"f:a": {}})]


def test_an_update_becomes_an_apply_or_it_would_never_be_taken_away():
    assert taken_over([entry("old", {"f:a": {}}, "Update")], {"old"}, "ours") == [entry("ours", {"f:a": {}})]


def test_fields_that_are_ours_already_are_joined_in_depth():
    held = [entry("ours", {"f:spec": {"f:a": {}}}), entry("old", {"f:spec": {"f:b": {}}, "f:data": {}})]
    wanted = [entry("ours", {"f:spec": {"f:a": {}, "f:b": {}}, "f:data": {}})]
    assert taken_over(held, {"old"}, "ours") == wanted
    assert taken_over(held[::-1], {"old"}, "ours")[0]["fieldsV1"] == wanted[0]["fieldsV1"]


def test_others_subresources_and_versions_stay_apart():
    held = [
        entry("kubectl", {"f:a": {}}),
        entry("old", {"f:b": {}}),
        entry("old", {"f:c": {}}, subresource="status"),
        entry("old", {"f:d": {}}, api_version="v2"),
        entry("ours", {"f:e": {}}, "Update"),
    ]
    found = taken_over(held, {"old"}, "ours")
    assert found[0] == held[0]
    assert found[4] == held[4]
    assert [one["fieldsV1"] for one in found] == [one["fieldsV1"] for one in held]
    assert [one["manager"] for one in found] == ["kubectl", "ours", "ours", "ours", "ours"]


def test_nothing_changes_without_them_and_the_input_never_does():
    held = [entry("ours", {"f:a": {}}), entry("kubectl", {"f:b": {}})]
    assert taken_over(held, {"old"}, "ours") == held
    before = [entry("old", {"f:a": {}}), entry("ours", {"f:b": {}})]
    taken_over(before, {"old"}, "ours")
    assert before == [entry("old", {"f:a": {}}), entry("ours", {"f:b": {}})]
