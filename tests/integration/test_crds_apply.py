"""The CRDs against a real API server: taken whole, what they serve, and that what is written is stored."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from support.objects.custom_resources import EVERYTHING, HELLO, HOSTS, with_spec
from testbed import ControlPlane
from testbed.controlplane import APISERVER
from wasmcloud_operator.commands.crds import crd_files
from wasmcloud_operator.commands.generated import write
from wasmcloud_operator_types import (
    Application,
    WasmCloudHostConfig,
    parse,
)
from wasmcloud_operator_types.embedded import NAMES

ROOT = Path(__file__).parents[2]

WHC = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def written_crds(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Both CRDs as `crds` writes them, established, as the API server has them."""
    folder = tmp_path_factory.mktemp("crds")
    write(crd_files(), folder)
    return await control_plane.admin().apply_files(*sorted(folder.iterdir()))


def dropped(written, stored, path=""):
    """Paths of what was written and is not stored the same."""
    if isinstance(written, dict) and isinstance(stored, dict):
        return [at for key in written for at in dropped(written[key], stored.get(key), f"{path}.{key}")]
    if isinstance(written, list) and isinstance(stored, list) and len(written) == len(stored):
        return [
            at
            for i, (one, other) in enumerate(zip(written, stored, strict=True))
            for at in dropped(one, other, f"{path}[{i}]")
        ]
    return [] if written == stored else [path]


async def test_the_server_takes_the_crds_whole(admin, written_crds):
    written = {crd["metadata"]["name"]: crd for crd in map(yaml.safe_load, crd_files().values())}
    for name, crd in written.items():
        stored = await admin.get("apiextensions.k8s.io/v1/CustomResourceDefinition", name)
        assert dropped(crd["spec"], stored["spec"]) == []
        conditions = {condition["type"]: condition for condition in stored["status"]["conditions"]}
        assert conditions["Established"]["status"] == "True"
        assert conditions["NamesAccepted"]["status"] == "True"
        assert "NonStructuralSchema" not in conditions
    assert len(written_crds) == 2


async def test_short_names_categories_and_scale_are_served(admin, crds):
    hosts = await admin.request("GET", "/apis/k8s.wasmcloud.dev/v1alpha1")
    apps = await admin.request("GET", "/apis/core.oam.dev/v1beta1")
    served = {resource["name"]: resource for resource in hosts["resources"] + apps["resources"]}
    assert served.keys() == {
        "wasmcloudhostconfigs",
        "wasmcloudhostconfigs/status",
        "wasmcloudhostconfigs/scale",
        "applications",
        "applications/status",
    }
    assert served["wasmcloudhostconfigs"]["shortNames"] == ["whc"]
    assert served["applications"]["shortNames"] == ["app"]


@pytest.mark.parametrize("obj", [HOSTS, with_spec(HOSTS, **EVERYTHING), HELLO], ids=["smallest", "everything", "app"])
async def test_a_written_object_is_stored_and_parses(admin, crds, namespace, obj):
    applied = await admin.apply(obj, namespace)
    added = {"hostReplicas": 1} if obj is HOSTS else {}
    assert applied["spec"] == obj["spec"] | added
    assert applied["status"] == {"observedGeneration": -1}
    model = WasmCloudHostConfig if obj["kind"] == "WasmCloudHostConfig" else Application
    parsed = parse(model, applied)
    assert parsed.metadata.namespace == namespace
    # The first apply over a new object stores the default of its status, whatever the kind: from then on nothing moves.
    settled, again = [await admin.apply(obj, namespace) for _ in range(2)]
    assert again["metadata"]["resourceVersion"] == settled["metadata"]["resourceVersion"]
    assert again["metadata"]["generation"] == 1


async def test_the_pool_scales_by_its_subresource(admin, crds, namespace):
    await admin.apply(HOSTS, namespace)
    path = await admin.path(WHC, namespace, "hosts/scale")
    assert (await admin.request("GET", path))["spec"] == {"replicas": 1}
    await admin.scale(WHC, "hosts", namespace, 5)
    assert (await admin.get(WHC, "hosts", namespace))["spec"]["hostReplicas"] == 5


async def test_five_hundred_components_and_unknown_fields_are_kept(admin, crds, namespace):
    components = [
        {"name": f"c{n}", "type": "component", "properties": {"image": "x" * 1000, "later": {"a": [n]}}, "hint": n}
        for n in range(500)
    ]
    spec = {"components": components, "later": {"x": True}}
    obj = HELLO | {"spec": spec}
    stored = await admin.create(obj, namespace)
    assert stored["spec"] == spec


@pytest.mark.skipif(APISERVER != "kube-apiserver", reason="the schemas are those of one version")
async def test_the_embedded_schemas_are_those_of_the_server(admin, tmp_path):
    """Fails after an upgrade of the testbed's Kubernetes: then run types/scripts/embed_schemas.py."""
    published = await admin.request("GET", "/openapi/v3/api/v1")
    script = ROOT / "types" / "scripts" / "embed_schemas.py"
    (tmp_path / "published.json").write_text(json.dumps(published))
    with (tmp_path / "published.json").open() as source:
        made = await asyncio.create_subprocess_exec(sys.executable, script, "--to", tmp_path, stdin=source)
        assert await asyncio.wait_for(made.wait(), 60) == 0
    for name in NAMES:
        kept = ROOT / "types" / "src" / "wasmcloud_operator_types" / "data" / f"{name}.json"
        assert (tmp_path / f"{name}.json").read_text() == kept.read_text()
