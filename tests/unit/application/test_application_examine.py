"""What an Application asks for, and what in it starts nothing."""

from __future__ import annotations

from typing import Any

import pytest

from wasmcloud_operator.application import examine
from wasmcloud_operator.application.examine import Examiner, unscaled
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.names import FIRST_PLACE

SCALER = {"type": "spreadscaler", "properties": {"instances": 1}}
LINK = {"type": "link", "properties": {}}


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        pytest.param({"type": "component", "traits": [LINK]}, ("c",), id="links alone start nothing"),
        pytest.param({"type": "component", "traits": [LINK, SCALER]}, (), id="a scaler does"),
        pytest.param({"type": "component", "traits": [{"type": "daemonscaler"}]}, (), id="so does the other one"),
        pytest.param({"type": "capability", "traits": [LINK]}, (), id="wadm starts a provider without one"),
        pytest.param({"type": "capability"}, (), id="a provider without links"),
        pytest.param(
            {"type": "component", "properties": {"application": {"name": "other", "component": "c"}}},
            (),
            id="another application runs it",
        ),
    ],
)
def test_only_a_component_needs_a_scaler(component: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert unscaled({"components": [{"name": "c", **component}]}) == expected


def application(spec: dict[str, Any], **annotations: str) -> CustomResource:
    metadata = ObjectMeta(
        name="shop", namespace="here", uid="u", resource_version="1", generation=1, annotations=annotations
    )
    return CustomResource(metadata, spec)


def test_nulls_are_left_out_each_time() -> None:
    examiner, item = Examiner(), application({"components": [{"name": "c", "type": None, "traits": None}]})
    first, second = examiner.examine(item), examiner.examine(item)
    assert first.content.spec == second.content.spec == {"components": [{"name": "c"}]}
    assert second == first


def test_our_own_annotation_has_nothing_examined_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    examiner = Examiner()
    first = examiner.examine(application({"components": [{"name": "c"}]}, version="v1"))
    monkeypatch.delattr(examine, "validate")
    assert examiner.examine(application({"components": [{"name": "c"}]}, version="v1", **{FIRST_PLACE: "x"})) == first
