"""The CRD of Applications, ours and another project's."""

from __future__ import annotations

from typing import Any

from wasmcloud_operator_types import custom_resource_definitions

CRD = "apiextensions.k8s.io/v1/CustomResourceDefinition"
CRD_NAME = "applications.core.oam.dev"


def ours() -> dict[str, Any]:
    """Ours."""
    return next(crd for crd in custom_resource_definitions() if crd["metadata"]["name"] == CRD_NAME)


def kubevelas() -> dict[str, Any]:
    """As KubeVela 1.x has it, as far as it matters: same names and short name, another schema, no category of ours."""
    crd = ours()
    names = {key: value for key, value in crd["spec"]["names"].items() if key != "categories"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    names["categories"] = ["oam"]
    return {**crd, "spec": {**crd["spec"], "names": names, "versions": [version]}}
