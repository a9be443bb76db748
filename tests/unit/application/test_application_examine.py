"""What an Application asks for, and what in it starts nothing."""

from __future__ import annotations

from typing import Any

import pytest

from wasmcloud_operator.application.examine import unscaled

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
