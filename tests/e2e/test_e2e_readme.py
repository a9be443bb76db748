"""The README's own blocks, from `Install` to the answer of the application, in their order and to the letter.

What a block fetches from a registry is replaced by what stands here; nothing else is.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from e2ereadme import Command, File, steps
from e2ereport import Notes
from e2etogether import together
from e2everdicts import APPLICATION, CONFIG
from e2eworld import GREETING, MANIFESTS, ROOT, World

from testbed.admin import Object
from testbed.cache import ensure
from testbed.node.commands import run

# The charts are in registries: instead of what they make there is one replica of the same.
_COMMANDS = {
    "helm repo add nats https://nats-io.github.io/k8s/helm/charts/": "true",
    "helm upgrade --install -f nats-values.yaml nats-cluster nats/nats": (
        f"kubectl apply --server-side --force-conflicts -f {MANIFESTS}/nats.yaml"
    ),
    "helm upgrade --install -f wadm-values.yaml --version 0.2.10 wadm oci://ghcr.io/wasmcloud/charts/wadm": (
        f"kubectl apply --server-side --force-conflicts -f {MANIFESTS}/wadm.yaml"
    ),
}
# The component comes from the cluster's own registry, and the HTTP server is the host's own.
_IMAGES = {
    "ghcr.io/wasmcloud/components/http-hello-world-rust:0.1.0": "registry.default.svc.cluster.local:5000/greeter:0.1.0",
    "ghcr.io/wasmcloud/http-server:0.27.0": "wasmcloud+builtin://http-server",
}
# What hosts need for these two, of manifests/hosts.yaml.
_FIELDS = ("registryCredentialsSecret", "allowedInsecure", "schedulingOptions")


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.journey("9 the README, block by block")
@together("side_by_side", alone=True)
async def test_every_command_of_the_readme_works(world: World, place: str, notes: Notes) -> None:
    page = (ROOT / "README.md").read_text().partition("\n## Install\n")[2]
    login, pool = yaml.safe_load_all((MANIFESTS / "hosts.yaml").read_text())
    await world.admin.apply(login)
    answer = ""
    try:
        with tempfile.TemporaryDirectory(prefix="readme-") as folder:
            env = await _shell(world, Path(folder))
            for step in steps(page):
                match step:
                    case File(name, text):
                        await asyncio.to_thread(Path(folder, name).write_text, _fetching_here(name, text, pool))
                    case Command(line):
                        started = time.monotonic()
                        typed = f"cd {folder} && {_COMMANDS.get(line, line)}"
                        answer = await run("bash", "-c", typed, env=env, timeout=400)
                        if " wait " in line:
                            notes.add(f"{line.split()[3]} ready in {time.monotonic() - started:.1f} s")
        assert GREETING in answer, "the last command of the README asks the application"
    finally:
        for kind, name in ((APPLICATION, "hello"), (CONFIG, "my-wasmcloud-cluster")):
            if await world.admin.find(kind, name, "default"):
                await world.admin.delete(kind, name, "default")
                await world.admin.wait_for(kind, name, "default", lambda seen: seen is None, timeout=300)


def test_the_charts_values_are_what_the_tests_install() -> None:
    page = (ROOT / "README.md").read_text().partition("\n## Install\n")[2]
    commands = {step.line for step in steps(page) if isinstance(step, Command)}
    assert set(_COMMANDS) <= commands, "the table replaces a command that the README no longer has"
    values = {step.name: yaml.safe_load(step.text) for step in steps(page) if isinstance(step, File)}

    config, *_, service = yaml.safe_load_all((MANIFESTS / "nats.yaml").read_text())
    nats = values["nats-values.yaml"]["config"]
    conf = config["data"]["nats.conf"]
    assert nats["leafnodes"]["enabled"]
    assert nats["jetstream"]["enabled"]
    assert f"domain: {nats['jetstream']['merge']['domain']}" in conf
    assert f"websocket {{ port: {nats['websocket']['port']}" in conf
    assert nats["websocket"]["port"] in {port["port"] for port in service["spec"]["ports"]}

    (wadm,) = yaml.safe_load_all((MANIFESTS / "wadm.yaml").read_text())
    (container,) = wadm["spec"]["template"]["spec"]["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env["WADM_NATS_SERVER"] == values["wadm-values.yaml"]["wadm"]["config"]["nats"]["server"]


def _fetching_here(name: str, text: str, pool: Object) -> str:
    """A file of the README, with what it fetches from a registry replaced."""
    for official, here in _IMAGES.items():
        text = text.replace(official, here)
    if name != "hosts.yaml":
        return text
    config = yaml.safe_load(text)
    assert config["spec"]["version"] == pool["spec"]["version"], "the host's image is there in one version"
    config["spec"] |= {field: pool["spec"][field] for field in _FIELDS}
    return yaml.safe_dump(config)


async def _shell(world: World, folder: Path) -> dict[str, str]:
    """What the reader has: kubectl for the cluster, the operator's own program, the folder of the manifests."""
    await asyncio.to_thread((folder / "manifests").symlink_to, ROOT / "manifests")
    kubectl = await ensure("kubectl")
    path = [str(kubectl.parent), str(Path(sys.executable).parent), "/usr/local/bin:/usr/bin:/bin"]
    return {"KUBECONFIG": str(world.cluster.kubeconfig), "PATH": ":".join(path)}
