"""`check` beside a real kubectl and API server: what is refused there is found before, and null is read alike."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.objects.checked_manifests import GOOD, HOSTS
from testbed import Admin, ControlPlane
from testbed.cache import ensure
from testbed.node.commands import CommandFailed, run
from wasmcloud_operator.commands.check import check_paths


async def kubectl(crds: ControlPlane, *arguments: str) -> str:
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    return await run(await ensure("kubectl"), "--kubeconfig", kubeconfig, *arguments, timeout=60)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (GOOD, "name: hello", "name: Hello"),
        (GOOD, "name: hello", "name: hello\n  nam: x"),
        (GOOD, "name: hello", "name: hello\n  labels: {a: 'x y'}"),
        (GOOD, "name: hello", "name: hello\n  labels: {-a: x}"),
        (GOOD, 'version: "1"', "version: 1"),
        (GOOD, "kind: Application", "kind: Aplication"),
        (GOOD, "core.oam.dev/v1beta1", "core.oam.dev/v1"),
        (GOOD, "spec:", "spek: {}\nspec:"),
        (GOOD, "type: component", "type: thing"),
        (GOOD, "components:", "componentz:"),
        (GOOD, 'image: "x:1"', "image: 1"),
        (HOSTS, "lattice:", "latice:"),
        (HOSTS, "lattice: default", "lattice: a.b"),
        (HOSTS, "1.9.0", "1.9"),
        (HOSTS, "name: edge", "name: edge.x"),
        (HOSTS, "1.9.0", "1.9.0\n  hostReplicas: 1.5"),
        (HOSTS, "1.9.0", "1.9.0\n  hostReplicas: yes"),
        (HOSTS, "1.9.0", "1.9.0\n  daemonset: true\n  schedulingOptions: {daemonset: false}"),
        (HOSTS, "1.9.0", "1.9.0\n  schedulingOptions: {podTemplateAdditions: {nodeselector: {}}}"),
        (HOSTS, "1.9.0", "1.9.0\n  schedulingOptions: {podTemplateAdditions: {tolerations: [{key: 1}]}}"),
    ],
)
async def test_check_finds_each_fault_that_kubectl_apply_refuses(
    crds: ControlPlane, namespace: str, tmp_path: Path, text: str, old: str, new: str
) -> None:
    file = tmp_path / "object.yaml"
    file.write_text(text)
    assert check_paths([str(file)], strict=True).findings == ()
    await kubectl(crds, "apply", "-n", namespace, "--dry-run=server", "-f", str(file))
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(CommandFailed):
        await kubectl(crds, "apply", "-n", namespace, "--dry-run=server", "-f", str(file))
    assert check_paths([str(file)], strict=True).exit_code == 1


async def test_null_in_annotations_and_labels_is_read_as_kubectl_reads_it(
    crds: ControlPlane, admin: Admin, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "null.yaml"
    null = "{wasmcloud.dev/homepage: }"
    file.write_text(GOOD.replace('  annotations: {version: "1"}', f"  annotations: {null}\n  labels: {null}"))
    await kubectl(crds, "apply", "--server-side", "-n", namespace, "-f", str(file))
    stored = await admin.get("core.oam.dev/v1beta1/Application", "hello", namespace)
    for part in ("annotations", "labels"):
        assert stored["metadata"][part]["wasmcloud.dev/homepage"] == ""
    assert check_paths([str(file)], strict=True).findings == ()


async def test_kubectl_finds_the_check_as_a_plugin(
    crds: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.yaml").write_text(HOSTS.replace("lattice", "latice"))
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", folder, prepend=":")
    with pytest.raises(CommandFailed) as failed:
        await run(await ensure("kubectl"), "wasmcloud", "check", str(tmp_path))
    assert "ended with 1" in str(failed.value)
