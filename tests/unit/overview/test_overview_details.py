"""What stands in no status of a pod that is not ready: its latest Warning, and its node."""

from __future__ import annotations

from typing import Any

import pytest

from support.objects.overview import FINE, pod, pool
from wasmcloud_operator.commands.overview import why
from wasmcloud_operator.commands.overview.details import with_details
from wasmcloud_operator.commands.overview.snapshot import ListedEndpoint, Snapshot
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import ENDPOINT_SLICE, EVENT, NODE, Key
from wasmcloud_operator.kube.testing import Answer, ScriptedApi, ScriptedTransport

CREATING = {"waiting": {"reason": "ContainerCreating"}}


def unready(name: str = "edge-1", node: str = "n1") -> Unstructured:
    body = pod(name, phase="Pending", containerStatuses=[{"name": "wasmcloud-host", "state": CREATING}]).body
    return Unstructured.from_body({**body, "spec": {"nodeName": node}})


def event(name: str, note: str, of: str = "edge-1", type_: str = "Warning", **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team-a", "uid": name},
        "regarding": {"kind": "Pod", "name": of, "uid": of},
        "type": type_,
        "reason": "FailedMount",
        "note": note,
        **fields,
    }


def node(status: str) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting"}
    return {"metadata": {"name": "n1", "uid": "n1"}, "status": {"conditions": [ready]}}


@pytest.fixture
def api() -> ScriptedApi:
    return ScriptedApi()


async def causes(api: ScriptedApi, *pods: Unstructured) -> list[why.Cause]:
    seen = await with_details(Reader(ScriptedTransport(api)), Snapshot((pool(FINE),), pods=pods or (unready(),)))
    return why.of_pool(seen.pools[0], seen)


async def test_a_pod_that_waits_is_explained_by_its_latest_warning(api: ScriptedApi) -> None:
    api.put(EVENT, event("older", "secret a not found", eventTime="2026-01-01T10:00:00.000000Z"))
    repeated = {"count": 3, "lastObservedTime": "2026-01-01T12:00:00.000000Z"}
    api.put(EVENT, event("latest", "secret b not found", eventTime="2026-01-01T09:00:00.000000Z", series=repeated))
    api.put(EVENT, event("kubelet", "secret c not found", deprecatedLastTimestamp="2026-01-01T11:00:00Z"))
    api.put(EVENT, event("normal", "pulled", type_="Normal", eventTime="2026-01-01T13:00:00.000000Z"))
    api.put(EVENT, event("another", "other pod", of="edge-2", eventTime="2026-01-01T14:00:00.000000Z"))
    (cause,) = await causes(api)
    assert cause.text == "Pending; the latest warning is FailedMount: secret b not found"


async def test_a_warning_that_the_pod_has_in_its_status_is_not_repeated(api: ScriptedApi) -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "FailedMount", "message": "0/3 nodes"}
    api.put(EVENT, event("same", "0/3 nodes", eventTime="2026-01-01T10:00:00.000000Z"))
    (cause,) = await causes(api, pod("edge-1", conditions=[scheduled]))
    assert cause.text == "FailedMount: 0/3 nodes"


async def test_a_node_that_is_not_ready_comes_before_its_pods_and_once(api: ScriptedApi) -> None:
    api.put(NODE, node("Unknown"))
    found = await causes(api, unready("edge-1"), unready("edge-2"))
    assert [cause.subject for cause in found] == ["Node n1", "Pod team-a/edge-1", "Pod team-a/edge-2"]
    assert found[0].text == "the node is not ready: NodeStatusUnknown: Kubelet stopped posting"
    assert found[0].command == "kubectl describe node n1"


async def test_a_node_that_is_ready_is_no_cause(api: ScriptedApi) -> None:
    api.put(NODE, node("True"))
    assert [cause.subject for cause in await causes(api)] == ["Pod team-a/edge-1"]


async def test_who_may_read_neither_events_nor_nodes_reads_what_the_pod_has(api: ScriptedApi) -> None:
    api.put(NODE, node("Unknown"))
    api.fail(*[Answer("read", 403, {"kind": "Status", "reason": "Forbidden", "code": 403})] * 2)
    assert [(cause.subject, cause.text) for cause in await causes(api)] == [("Pod team-a/edge-1", "Pending")]


async def test_only_a_few_pods_of_each_pool_are_asked_about_and_none_that_are_ready(api: ScriptedApi) -> None:
    ready = pod("fine", conditions=[{"type": "Ready", "status": "True"}])
    many = (ready, *(unready(f"edge-{number}", f"n{number}") for number in range(100)))
    seen = await with_details(Reader(ScriptedTransport(api)), Snapshot((pool(FINE),), pods=many))
    assert len(api.requests) == 10
    assert Key("team-a", "fine") not in seen.warnings


SHOP = Key("team-a", "shop")


def slice_of(family: str, *endpoints: dict[str, Any], service: str = "shop") -> dict[str, Any]:
    name = f"{service}-{family}"
    metadata = {"name": name, "namespace": "team-a", "uid": name, "labels": {"kubernetes.io/service-name": service}}
    return {"metadata": metadata, "addressType": family, "endpoints": list(endpoints)}


def endpoint(name: str, **conditions: bool) -> dict[str, Any]:
    return {"targetRef": {"kind": "Pod", "namespace": "team-a", "name": name}, "conditions": conditions}


async def test_the_endpoints_of_a_service_are_those_of_all_its_slices_each_once(api: ScriptedApi) -> None:
    ready, unready = endpoint("edge-1", ready=True), endpoint("edge-2", ready=False)
    api.put(ENDPOINT_SLICE, slice_of("IPv4", ready, unready, endpoint("edge-3", ready=False, terminating=True)))
    api.put(ENDPOINT_SLICE, slice_of("IPv6", ready, endpoint("edge-4"), {"addresses": ["fd00::1"]}))
    api.put(ENDPOINT_SLICE, slice_of("IPv4", endpoint("edge-9"), service="other"))
    seen = await with_details(Reader(ScriptedTransport(api)), Snapshot(), [SHOP])
    assert seen.endpoints == {
        SHOP: [
            ListedEndpoint(None, ready=True, ending=False),
            ListedEndpoint(Key("team-a", "edge-1"), ready=True, ending=False),
            ListedEndpoint(Key("team-a", "edge-2"), ready=False, ending=False),
            ListedEndpoint(Key("team-a", "edge-3"), ready=False, ending=True),
            ListedEndpoint(Key("team-a", "edge-4"), ready=True, ending=False),
        ]
    }
    assert seen.unreadable == {}


async def test_who_may_not_read_slices_is_named_that_and_the_service_has_no_known_endpoints(api: ScriptedApi) -> None:
    api.fail(Answer("list", 403, {"kind": "Status", "reason": "Forbidden", "code": 403}))
    seen = await with_details(Reader(ScriptedTransport(api)), Snapshot(unreadable={"pods": "x"}), [SHOP])
    assert seen.endpoints == {}
    assert seen.unreadable == {"pods": "x", "endpointslices.discovery.k8s.io": "you have no right to list them"}
