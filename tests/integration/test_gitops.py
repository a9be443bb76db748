"""The examples for Argo CD and Flux, by the real API server with the kinds of both."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from testbed import ControlPlane
from testbed.admin import ApiError

GITOPS = Path(__file__).parents[2] / "manifests" / "gitops"
FLUX = GITOPS / "flux" / "wasmcloud.yaml"

# Where the kinds are defined: a Go module, its version and checksum, and files in it.
KINDS = (
    (
        "github.com/fluxcd/kustomize-controller@v1.7.3",
        "h1:SzNnGn/4ObAPEHHleM5U7y/AKxKXph3Vj6ZhteeXw8M=",
        "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
    (
        "github.com/fluxcd/source-controller@v1.7.0",
        "h1:/fBgS4CSmT5Jj/fjQDF92y+pC3gst1GJjgNSzY8Ff9I=",
        "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
    ),
    (
        "github.com/argoproj/argo-cd/v3@v3.2.0",
        "h1:m2eGAV+nXQGgzZbH5SyJD5laaPW27mzWXBrgisUHY/0=",
        "manifests/crds/application-crd.yaml",
    ),
)


def definition(module: str, checksum: str, file: str, folder: Path) -> dict[str, Any]:
    """A CRD out of a Go module, which the module cache keeps."""
    go = shutil.which("go")
    assert go is not None, "install Go from https://go.dev/dl"
    command = [go, "mod", "download", "-json", module]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    got = json.loads(done.stdout)
    assert got.get("Sum") == checksum, got.get("Error", f"{module} has checksum {got.get('Sum')}")
    return dict(yaml.safe_load((Path(got["Dir"]) / file).read_text()))


def documents() -> list[Any]:
    files = sorted(GITOPS.rglob("*.yaml"))
    return [
        pytest.param(body, id=f"{file.stem}-{body['kind']}-{body['metadata']['name']}")
        for file in files
        for body in yaml.safe_load_all(file.read_text())
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kinds(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    """The API server while it serves the kinds of Argo CD and Flux."""
    folder = tmp_path_factory.mktemp("kinds")
    files = []
    for module, checksum, file in KINDS:
        files.append(folder / Path(file).name)
        files[-1].write_text(yaml.safe_dump(definition(module, checksum, file, folder)))
    async with control_plane.admin() as admin:
        applied = await admin.apply_files(*files)
        yield control_plane
        for crd in applied:
            await admin.delete("apiextensions.k8s.io/v1/CustomResourceDefinition", crd["metadata"]["name"])


@pytest.mark.parametrize("body", documents())
async def test_the_api_server_takes_every_object(kinds: ControlPlane, namespace: str, body: dict[str, Any]) -> None:
    placed = {**body, "metadata": {**body["metadata"], "namespace": namespace}}
    async with kinds.admin() as admin:
        path = await admin.path(f"{body['apiVersion']}/{body['kind']}", namespace)
        await admin.request("POST", path, placed, params={"fieldValidation": "Strict", "dryRun": "All"})


async def test_a_misspelt_field_of_an_example_would_be_refused(kinds: ControlPlane, namespace: str) -> None:
    body = next(body for body in yaml.safe_load_all(FLUX.read_text()) if "dependsOn" in body["spec"])
    misspelt = {**body, "metadata": {"name": "x", "namespace": namespace}, "spec": {**body["spec"], "dependOn": []}}
    async with kinds.admin() as admin:
        path = await admin.path(f"{body['apiVersion']}/{body['kind']}", namespace)
        with pytest.raises(ApiError, match="dependOn"):
            await admin.request("POST", path, misspelt, params={"fieldValidation": "Strict", "dryRun": "All"})


def test_each_step_of_flux_waits_for_one_that_there_is() -> None:
    steps = {
        body["metadata"]["name"]: body["spec"]
        for body in yaml.safe_load_all(FLUX.read_text())
        if body["kind"] == "Kustomization"
    }
    sources = {
        body["metadata"]["name"] for body in yaml.safe_load_all(FLUX.read_text()) if body["kind"] == "GitRepository"
    }
    assert [[each["name"] for each in spec.get("dependsOn", ())] for spec in steps.values()] == [
        [],
        *([name] for name in list(steps)[:-1]),
    ]
    assert {spec["sourceRef"]["name"] for spec in steps.values()} == sources
    assert all(spec["wait"] for spec in steps.values())


def test_both_install_the_operator_from_a_folder_that_kustomize_takes() -> None:
    argocd = GITOPS / "argocd" / "applications.yaml"
    bodies = [*yaml.safe_load_all(FLUX.read_text()), *yaml.safe_load_all(argocd.read_text())]
    specs = [body["spec"] for body in bodies if body["metadata"]["name"] == "wasmcloud-operator"]
    paths = [spec.get("path") or spec.get("source", {}).get("path") for spec in specs]
    folders = [GITOPS.parents[1] / path for path in paths if path]
    assert len(folders) == 2
    assert all((folder / "kustomization.yaml").exists() for folder in folders)
