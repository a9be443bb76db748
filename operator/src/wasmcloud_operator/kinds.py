"""The two custom resources as the machinery knows kinds."""

from __future__ import annotations

from wasmcloud_operator.kube.resources import Resource
from wasmcloud_operator_types import Application, WasmCloudHostConfig


def _resource(model: type[WasmCloudHostConfig | Application]) -> Resource:
    return Resource(model.GROUP, model.VERSION, model.KIND, model.PLURAL)


HOST_CONFIG = _resource(WasmCloudHostConfig)
APPLICATION = _resource(Application)
