"""The lists that the API server answers with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wasmcloud_operator_types._base import Resource, StatusModel
from wasmcloud_operator_types._fields import Items
from wasmcloud_operator_types.application import Application
from wasmcloud_operator_types.hostconfig import WasmCloudHostConfig


class ListMeta(StatusModel):
    """The metadata of a list."""

    resource_version: str | None = None
    """The state of the API server that the list shows."""

    continue_: Annotated[str | None, Field(alias="continue")] = None
    """Token for the next page; None on the last one."""

    remaining_item_count: int | None = None
    """How many items the next pages have, where the API server knows."""


class WasmCloudHostConfigList(Resource):
    """Some WasmCloudHostConfigs."""

    api_version: Literal["k8s.wasmcloud.dev/v1alpha1"] = "k8s.wasmcloud.dev/v1alpha1"
    kind: Literal["WasmCloudHostConfigList"] = "WasmCloudHostConfigList"
    metadata: ListMeta = ListMeta()
    items: Items[WasmCloudHostConfig]


class ApplicationList(Resource):
    """Some Applications."""

    api_version: Literal["core.oam.dev/v1beta1"] = "core.oam.dev/v1beta1"
    kind: Literal["ApplicationList"] = "ApplicationList"
    metadata: ListMeta = ListMeta()
    items: Items[Application]
