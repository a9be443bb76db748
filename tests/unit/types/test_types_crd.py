"""The CRDs: structural, small, described, and pointing only at fields that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from wasmcloud_operator.commands.crds import crd_files, crd_yaml, drift, main
from wasmcloud_operator.commands.generated import write
from wasmcloud_operator_types import custom_resource_definitions
from wasmcloud_operator_types.embedded import NAMES, embedded_schema

ROOT = Path(__file__).parents[3]
LIMIT = 200_000
NODE_KEYS = {
    "type", "description", "format", "pattern", "enum", "default", "properties", "required", "items",
    "additionalProperties", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
    "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "nullable",
}  # fmt: skip

CRDS = {crd["spec"]["names"]["kind"]: crd for crd in custom_resource_definitions()}


def schema(kind):
    (version,) = CRDS[kind]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def nodes(node, path="") -> Iterator[tuple[str, dict]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key], f"{path}[*]")


every_kind = pytest.mark.parametrize("kind", CRDS)


@every_kind
def test_the_schema_is_structural(kind):
    for path, node in nodes(schema(kind)):
        assert node.keys() <= NODE_KEYS, path
        free = node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-int-or-string")
        assert "type" in node or free, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert set(node.get("required", ())) <= node.get("properties", {}).keys() | set(), path
        assert node.get("type") != "array" or "items" in node, path
        assert not ("enum" in node and "nullable" in node), path  # the API server finds null in no enumeration
        assert node.get("type") != "integer" or "format" in node or node.get("enum"), path


@every_kind
def test_a_crd_fits_into_the_budget_of_cel(kind):
    assert len(json.dumps(CRDS[kind], separators=(",", ":"))) < LIMIT


@every_kind
def test_every_field_of_ours_is_explained(kind):
    inside_kubernetes_types = re.compile(
        r"Additions\.(nats\.|wasmcloud\.)?(?!nats$|wasmcloud$)|\.(nats|wasmcloud)\.(limits|requests|claims)|authorities\[\*\]\.|\.metadata"
    )
    unexplained = [
        path
        for path, node in nodes(schema(kind))
        if not path.endswith("[*]")
        and not node.get("description")
        and not inside_kubernetes_types.search(path)
        and path != ".metadata"
    ]
    assert unexplained == []


@every_kind
def test_columns_and_scale_read_fields_that_exist(kind):
    (version,) = CRDS[kind]["spec"]["versions"]
    paths = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    paths += version["subresources"].get("scale", {}).values()
    for path in paths:
        place = schema(kind)
        for step in re.sub(r"\[\?\(@\.type==\"\w+\"\)\]", ".[]", path).strip(".").split("."):
            if step == "metadata":
                break
            assert step == "[]" or step in place["properties"], path
            place = place["items"] if step == "[]" else place["properties"][step]


@every_kind
def test_a_new_object_is_not_taken_for_ready(kind):
    assert schema(kind)["properties"]["status"]["default"] == {"observedGeneration": -1}
    conditions = schema(kind)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


@every_kind
def test_the_stored_object_equals_the_written_one(kind):
    defaults = {path: node["default"] for path, node in nodes(schema(kind)) if "default" in node}
    allowed = {".status", ".spec.hostReplicas"}
    assert defaults.keys() <= allowed


def test_names_are_those_that_users_know():
    names = {kind: (crd["metadata"]["name"], crd["spec"]["names"]["shortNames"]) for kind, crd in CRDS.items()}
    assert names == {
        "WasmCloudHostConfig": ("wasmcloudhostconfigs.k8s.wasmcloud.dev", ["whc"]),
        "Application": ("applications.core.oam.dev", ["app"]),
    }


def test_host_pools_scale_with_hpa():
    (version,) = CRDS["WasmCloudHostConfig"]["spec"]["versions"]
    assert version["subresources"]["scale"] == {
        "specReplicasPath": ".spec.hostReplicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    assert schema("WasmCloudHostConfig")["properties"]["spec"]["properties"]["hostReplicas"]["default"] == 1


def test_traits_of_any_type_pass_and_are_still_explained():
    component = schema("Application")["properties"]["spec"]["properties"]["components"]["items"]
    properties = component["properties"]["traits"]["items"]["properties"]["properties"]
    assert properties["x-kubernetes-preserve-unknown-fields"] is True
    assert {"instances", "spread", "target", "source", "source_config"} <= properties["properties"].keys()
    assert all("type" not in node for node in properties["properties"].values())


@pytest.mark.parametrize("name", NAMES)
def test_embedded_schemas_ask_for_nothing_and_add_nothing(name):
    for path, node in nodes(embedded_schema(name)):
        assert not node.keys() & {"required", "default", "description"}, path


def test_an_embedded_schema_that_is_not_kept_is_refused():
    with pytest.raises(KeyError, match="Pod"):
        embedded_schema("Pod")


def test_the_files_in_the_repository_are_those_of_the_models():
    assert drift(ROOT / "manifests" / "crds") == []


def test_files_are_the_same_each_time_and_read_back_as_the_crds(tmp_path):
    assert crd_files() == crd_files()
    assert main([str(tmp_path / "new")]) == 0
    read = {path.name: yaml.safe_load(path.read_text()) for path in (tmp_path / "new").iterdir()}
    assert read == {
        "k8s.wasmcloud.dev_wasmcloudhostconfigs.yaml": CRDS["WasmCloudHostConfig"],
        "core.oam.dev_applications.yaml": CRDS["Application"],
    }


def test_drift_is_said_by_file(tmp_path, capsys):
    write(crd_files(), tmp_path)
    assert main(["--check", str(tmp_path)]) == 0
    (tmp_path / "core.oam.dev_applications.yaml").write_text("old")
    (tmp_path / "k8s.wasmcloud.dev_wasmcloudhostconfigs.yaml").unlink()
    (tmp_path / "more.yaml").write_text("x")
    assert main(["--check", str(tmp_path)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.removeprefix(str(tmp_path)).split(":")[0] for line in said] == [
        "/k8s.wasmcloud.dev_wasmcloudhostconfigs.yaml is missing",
        "/core.oam.dev_applications.yaml differs from the models",
        "/more.yaml belongs to no model",
    ]


def test_yaml_has_no_aliases():
    assert not re.search(r"[&*]id\d+", crd_yaml(CRDS["WasmCloudHostConfig"]))


def test_the_examples_in_the_readme_work():
    readme = (ROOT / "types" / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(blocks) == 8
    exec("\n".join(blocks), {})  # each block goes on from the ones before
