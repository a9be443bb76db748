"""The machinery's two kinds agree with the models, which are not imported for it."""

from __future__ import annotations

import pytest

from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.resources import Resource
from wasmcloud_operator_types import Application, WasmCloudHostConfig


@pytest.mark.parametrize(("resource", "model"), [(APPLICATION, Application), (HOST_CONFIG, WasmCloudHostConfig)])
def test_the_kinds_are_those_of_the_models(resource: Resource, model: type[Application | WasmCloudHostConfig]) -> None:
    assert resource == Resource(model.GROUP, model.VERSION, model.KIND, model.PLURAL)
