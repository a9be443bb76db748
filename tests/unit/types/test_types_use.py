"""What other projects do with the models: change, look up, read lists."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from pydantic import ValidationError

import wasmcloud_operator_types as types
from wasmcloud_operator_types import (
    ApplicationList,
    InvalidObjectError,
    Observability,
    WasmCloudHostConfig,
    WasmCloudHostConfigList,
    WasmCloudHostConfigStatus,
    dump,
    parse,
    with_spec,
)

HOSTS = {
    "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
    "kind": "WasmCloudHostConfig",
    "metadata": {"name": "pool"},
    "spec": {"lattice": "blue", "version": "1.6.0", "observability": {"enable": True, "endpoint": "http://a"}},
}


def test_a_changed_copy_keeps_what_the_change_does_not_name():
    pool = parse(WasmCloudHostConfig, HOSTS)
    changed = with_spec(pool, {"observability": {"endpoint": "http://b"}, "hostReplicas": 3, "version": "1.7.0"})
    assert dump(changed)["spec"] == {
        "lattice": "blue", "version": "1.7.0", "hostReplicas": 3,
        "observability": {"enable": True, "endpoint": "http://b"},
    }  # fmt: skip
    assert dump(pool) == HOSTS


def test_a_model_replaces_and_none_takes_out():
    pool = parse(WasmCloudHostConfig, HOSTS)
    assert with_spec(pool, {"observability": Observability(enable=False)}).spec.observability == Observability(
        enable=False
    )
    assert with_spec(pool, {"observability": None}).spec.observability is None


@pytest.mark.parametrize("changes", [{"hostReplicas": -1}, {"host_replicas": 1}, {"lattice": None}])
def test_a_change_is_validated(changes):
    with pytest.raises(InvalidObjectError):
        with_spec(parse(WasmCloudHostConfig, HOSTS), changes)


def test_no_error_shows_what_was_written():
    with pytest.raises(ValidationError) as raised:
        WasmCloudHostConfig.model_validate({**HOSTS, "spec": {"natsAddress": ["c4nary"]}})
    assert "c4nary" not in str(raised.value)


def test_lists_are_read_page_by_page():
    page = {"metadata": {"resourceVersion": "7", "continue": "next"}, "items": [HOSTS]}
    found = parse(WasmCloudHostConfigList, {**page, "kind": "WasmCloudHostConfigList"})
    assert (found.metadata.continue_, found.items[0].spec.lattice) == ("next", "blue")
    assert parse(ApplicationList, {"items": []}).items == ()


def test_a_condition_is_found_by_its_type():
    ready = {
        "type": "Ready", "status": "True", "reason": "Up", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    status = parse(WasmCloudHostConfigStatus, {"conditions": [ready]})
    found = status.condition("Ready")
    assert found is not None
    assert found.reason == "Up"
    assert status.condition("Stalled") is None


def test_the_version_is_that_of_the_distribution():
    assert types.__version__ == version("wasmcloud-operator-types")
