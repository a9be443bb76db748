from __future__ import annotations

import pytest

from wasmcloud_operator.kube.contest import ApplyDelays, Unnamed, manager_of
from wasmcloud_operator.kube.difference import first_difference


def entry(manager: str, fields: dict, time: str = "2026-01-01T00:00:00Z") -> dict:
    return {"manager": manager, "time": time, "fieldsV1": fields}


DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment"}
SERVICE = {"apiVersion": "v1", "kind": "Service"}


def container(image: str, **more) -> dict:
    ports = [{"containerPort": 80, "name": "a"}]
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image, "ports": ports, **more}]}}}}


@pytest.mark.parametrize(
    ("desired", "live", "fields"),
    [
        pytest.param(
            SERVICE | {"spec": {"selector": {"a": "1"}}},
            SERVICE | {"spec": {"selector": {"a": "1", "foreign": "x"}}},
            {"f:spec": {"f:selector": {}}},
            id="an atomic map is owned as a whole",
        ),
        pytest.param(
            DEPLOYMENT | container("i:1"),
            DEPLOYMENT | container("i:2"),
            {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}}}}}}},
            id="an item of a list by its key",
        ),
        pytest.param(
            DEPLOYMENT | container("i:1"),
            DEPLOYMENT | container("i:1", ports=[{"containerPort": 80, "protocol": "TCP", "name": "b"}]),
            {
                "f:spec": {
                    "f:template": {
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"c"}': {
                                    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {"f:name": {}}}
                                }
                            }
                        }
                    }
                }
            },
            id="by several keys, one of them a default",
        ),
    ],
)
def test_the_owner_of_a_field_is_found_by_managed_fields(desired, live, fields):
    found = first_difference(desired, live)
    ours = entry("us", {"f:metadata": {"f:labels": {"f:a": {}}}})
    assert manager_of([ours, entry("other", fields), entry("third", {"f:status": {}})], found, "us") == "other"
    assert manager_of([entry("us", fields)], found, "us") is Unnamed.ITSELF
    assert manager_of([ours], found, "us") is Unnamed.UNKNOWN
    later = [entry("one", fields, "2026-01-01T00:00:00Z"), entry("two", fields, "2026-01-02T00:00:00Z")]
    assert manager_of(later, found, "us") == "two"


def test_the_pace_doubles_and_has_an_end():
    pace = ApplyDelays(first=1.0, most=300.0)
    assert [pace.seconds(n) for n in (0, 1, 2, 3, 9, 10, 5000)] == [0, 1, 2, 4, 256, 300, 300]
