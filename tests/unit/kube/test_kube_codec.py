from __future__ import annotations

import itertools
import json
import sys
from datetime import UTC, datetime

import msgspec
import pytest

from wasmcloud_operator.kube.codec import (
    CUSTOM_RESOURCE,
    MAX_DEPTH,
    UNSTRUCTURED,
    Bookmark,
    Codec,
    Deleted,
    Identity,
    Put,
    Unreadable,
)
from wasmcloud_operator.kube.errors import Expired, GarbledAnswer, ResourceVersionTooLarge, ServerError
from wasmcloud_operator.kube.objects import CustomResource, Metadata, Pod, Unstructured, newer
from wasmcloud_operator.kube.resources import Key

PODS: Codec[Pod] = Codec.of(Pod)
WIDGETS: Codec[CustomResource] = Codec.of(CustomResource)


def line(kind: str, obj: object) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode()


def pod(**metadata: object) -> dict:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "5", **metadata},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "env": [{"name": "X", "value": "y"}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_pod_is_cut_down_to_what_is_used():
    event = PODS.event(line("ADDED", pod(managedFields=[{"manager": "m"}])))
    assert isinstance(event, Put)
    assert (event.item.spec.node_name, event.item.status.phase, event.item.status.pod_ip) == (
        "n",
        "Running",
        "10.0.0.1",
    )
    assert event.item.ready
    assert b"env" not in msgspec.json.encode(event.item)
    assert b"manager" not in msgspec.json.encode(event.item)


def test_of_a_pods_containers_it_is_known_whether_they_are_probed_and_since_when_they_run():
    running = {"name": "c", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    waiting = {"name": "d", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    body = pod() | {
        "spec": {"containers": [{"name": "c", "readinessProbe": {"httpGet": {"port": 1}}}, {"name": "d"}]},
        "status": {"containerStatuses": [running, waiting]},
    }
    event = PODS.event(line("ADDED", body))
    assert isinstance(event, Put)
    assert [event.item.probed(name) for name in "cdx"] == [True, False, False]
    assert event.item.running_since("c") == datetime(2026, 1, 1, tzinfo=UTC)
    assert event.item.running_since("d") is event.item.running_since("x") is None


def test_a_deletion_is_decoded_as_such_and_not_as_a_change():
    assert isinstance(PODS.event(line("MODIFIED", pod())), Put)
    assert isinstance(PODS.event(line("DELETED", pod())), Deleted)


def test_bookmarks_as_servers_before_1_35_write_them():
    """`creationTimestamp: null`, and null where the kind's own fields would be."""
    obj = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "12746", "creationTimestamp": None},
        "spec": {"containers": None},
        "status": {},
    }
    assert PODS.event(line("BOOKMARK", obj)) == Bookmark("12746")
    obj["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
    assert PODS.event(line("BOOKMARK", obj)) == Bookmark("12746", ends_initial_events=True)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"code": 410, "reason": "Expired"}, Expired),
        ({"code": 410, "reason": "Gone"}, Expired),
        ({"reason": "Expired"}, Expired),
        ({"code": 500, "reason": "InternalError"}, ServerError),
        ({"code": 504, "details": {"causes": [{"reason": "ResourceVersionTooLarge"}]}}, ResourceVersionTooLarge),
        ({}, ServerError),
    ],
)
def test_error_events_have_names(status: dict, kind: type[Exception]):
    with pytest.raises(kind):
        PODS.event(line("ERROR", status))


DEEP = b"[" * 1_500 + b"]" * 1_500
DEEPER = b'{"a":' * 9_900 + b"1" + b"}" * 9_900

UNREADABLE = {
    "of another shape": json.dumps(pod(labels=3)).encode(),
    "labels that are a list": json.dumps(pod(labels=["not", "a", "map"])).encode(),
    "1,500 levels": json.dumps(pod()).encode()[:-1] + b', "extra": ' + DEEP + b"}",
    "9,900 levels": json.dumps(pod()).encode()[:-1] + b', "extra": ' + DEEPER + b"}",
    "deep managed fields": json.dumps(pod(managedFields=["DEEP"])).encode().replace(b'"DEEP"', DEEPER),
    "no number": json.dumps(pod()).encode()[:-1] + b', "extra": NaN}',
    "half of a character": json.dumps(pod(annotations={"a": "X"})).encode().replace(b"X", rb"\ud800"),
    "bytes that are no text": json.dumps(pod(annotations={"a": "X"})).encode().replace(b"X", b"\xff"),
}  # fmt: skip
# Fields that the struct does not name are passed over; how deep they may be for that depends on the interpreter.
PASSED_OVER = {"1,500 levels", "9,900 levels", "deep managed fields"} if sys.version_info >= (3, 13) else set()
IDENTITY = Identity(Key("ns", "p"), "u", "5")


@pytest.mark.parametrize("why", UNREADABLE)
def test_an_object_that_cannot_be_read_is_left_out_alone_and_named(why: str):
    good, unreadable = json.dumps(pod()).encode(), UNREADABLE[why]
    if why in PASSED_OVER:
        assert isinstance(PODS.event(b'{"type": "ADDED", "object": %s}' % unreadable), Put)
        return
    page = PODS.page(b'{"metadata": {"resourceVersion": "9"}, "items": [' + b",".join([good, unreadable, good]) + b"]}")
    assert [item.metadata.name for item in page.items] == ["p", "p"]
    assert page.resource_version == "9"
    assert [left.identity for left in page.unreadable] == [IDENTITY]
    for kind in ("ADDED", "MODIFIED"):
        event = PODS.event(b'{"type": "%s", "object": %s}' % (kind.encode(), unreadable))
        assert isinstance(event, Unreadable)
        assert event.identity == IDENTITY
        assert event.why


@pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=UNREADABLE)
def test_the_deletion_of_an_object_that_cannot_be_read_is_understood(unreadable: bytes):
    assert PODS.event(b'{"type": "DELETED", "object": %s}' % unreadable) == Deleted(IDENTITY)


def test_an_object_that_names_itself_in_its_own_text_is_not_taken_for_another():
    spoof = b'{"metadata": {"name": "victim", "namespace": "other", "uid": "x", "resourceVersion": "1"}}'
    text = json.dumps(pod()).encode()[:-1] + b', "extra": ' + DEEP.replace(b"[]", b"[%s]" % spoof) + b"}"
    assert PODS.event(b'{"type": "DELETED", "object": %s}' % text) == Deleted(IDENTITY)


@pytest.mark.parametrize("codec", [WIDGETS, UNSTRUCTURED])
@pytest.mark.parametrize(("levels", "expected"), [(MAX_DEPTH - 2, Put), (MAX_DEPTH + 1, Unreadable)])
def test_nothing_is_cached_that_is_too_deep_to_be_walked_over(codec: Codec, levels: int, expected: type):
    spec: object = 1
    for _ in range(levels):
        spec = [spec]
    assert isinstance(codec.event(line("ADDED", {**pod(), "spec": spec})), expected)


@pytest.mark.parametrize(("levels", "expected"), [(MAX_DEPTH - 2, Put), (MAX_DEPTH - 1, Unreadable)])
def test_the_depth_of_what_is_in_the_metadata_counts_from_the_object_on(levels: int, expected: type):
    nested: object = 1
    for _ in range(levels):
        nested = {"a": nested}
    event = UNSTRUCTURED.event(line("ADDED", pod(extra=nested)))
    assert isinstance(event, expected)


def test_managed_fields_are_neither_kept_nor_walked_over(monkeypatch: pytest.MonkeyPatch):
    walked: list[object] = []
    monkeypatch.setattr("wasmcloud_operator.kube.codec._is_deep", lambda item: bool(walked.append(item)))
    owned = [{"manager": "m", "fieldsV1": {"f:spec": {f"f:{number}": {} for number in range(2 * MAX_DEPTH)}}}]
    item = UNSTRUCTURED.item(json.dumps(pod(managedFields=owned)).encode())
    assert item.body == pod()
    assert list(item.body) == list(pod())
    assert walked == []


def test_an_object_without_a_name_is_left_out_as_well():
    assert isinstance(PODS.event(b'{"type": "ADDED", "object": 3}'), Unreadable)
    for codec, kind in itertools.product((PODS, UNSTRUCTURED, CUSTOM_RESOURCE), (b"ADDED", b"MODIFIED", b"DELETED")):
        event = codec.event(b'{"type": "%s", "object": {"metadata": {}}}' % kind)
        assert isinstance(event, Unreadable)
        assert event.identity is None


def test_an_empty_list_may_be_null():
    assert PODS.page(b'{"metadata": {"resourceVersion": "9"}, "items": null}').items == []


@pytest.mark.parametrize(
    "event", [b'{"type": "GONE", "object": %s}', b'{"type": "BOOKMARK", "object": {"metadata": {}}}']
)
def test_an_event_of_no_known_type_and_a_bookmark_of_no_version_are_garbage(event: bytes):
    with pytest.raises(GarbledAnswer):
        PODS.event(event.replace(b"%s", b'{"metadata": {"name": "a", "uid": "u", "resourceVersion": "7"}}'))


def test_a_list_that_has_no_items_is_none():
    with pytest.raises(GarbledAnswer):
        PODS.page(b'{"metadata": {"resourceVersion": "9"}}')


@pytest.mark.parametrize("garbage", [b"", b"<html>", b"{", b"[]", b"3", b'{"type": 3, "object": {}}', DEEP, b"\xff"])
def test_an_answer_of_something_else_than_an_api_server_has_an_error_of_its_own(garbage: bytes):
    for decode in (PODS.event, PODS.page, PODS.item):
        with pytest.raises(GarbledAnswer):
            decode(garbage)


def test_whole_objects_lose_what_a_cache_must_not_keep():
    body = pod(managedFields=[{}], annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"})
    item = UNSTRUCTURED.item(json.dumps(body).encode())
    assert isinstance(item, Unstructured)
    assert "managedFields" not in item.body["metadata"]
    assert item.body["metadata"]["annotations"] == item.metadata.annotations == {"mine": "1"}


def test_metadata_of_an_owned_object():
    owner = {"kind": "A", "name": "a", "uid": "1", "apiVersion": "v1", "controller": True, "blockOwnerDeletion": True}
    item = Codec.of(Metadata).item(json.dumps(pod(ownerReferences=[owner], deletionTimestamp="now")).encode())
    assert item.metadata.controller is not None
    assert item.metadata.controller.uid == "1"
    assert item.metadata.deleting
    assert str(item.metadata.key) == "ns/p"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("10", "9", True), ("9", "10", False), ("9", "9", False), ("a", "b", True), ("a", "a", False), ("a", "1", True)],
)
def test_newer(one: str, other: str, expected: bool):
    assert newer(one, other) is expected
