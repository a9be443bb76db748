"""The cluster that the journeys run on, chosen by `E2E_CLUSTER`: auto (default), kind, node or existing.

- `kind`: a kind cluster of its own. Where a Docker engine answers and kind is installed, on those, with the official
  images; else, as root, on an engine of our own with images assembled here. `KIND_IMAGE` and `KIND_CONFIG` choose the
  nodes' image and the cluster's configuration (default: two nodes that both take pods).
- `node`: a real node on this machine, with images assembled here; needs root on Linux, no Docker.
- `existing`: the current context of your kubeconfig. `E2E_LOAD` is the command that makes an image archive known to its
  nodes (`minikube image load`, `k3s ctr images import`); the archive's path is added to it. With
  `E2E_IMAGES=assembled` NATS, wadm and the host are loaded that way too, as built here.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from testbed import Admin
from testbed.build import Progress
from testbed.cache import ensure
from testbed.kind import KindCluster
from testbed.kind.cluster import NAME as KIND_CLUSTER
from testbed.kind.cluster import create_arguments
from testbed.node import Node, needs
from testbed.node.commands import CommandFailed, run


class Provider(Enum):
    """What makes the cluster."""

    KIND = "kind"
    NODE = "node"
    EXISTING = "existing"


@dataclass(frozen=True)
class Cluster:
    """A cluster with a real node."""

    provider: Provider
    kubeconfig: Path
    admin: Admin
    load: Callable[[Path], Awaitable[None]]  # makes the images of an archive known to the nodes
    # the engine in which each node is a container of the node's name, where there is one
    docker: Callable[..., Awaitable[str]] | None = None
    pulls: bool = True  # whether its nodes get public images from their registries; else they are assembled here

    async def described(self) -> str:
        """Which cluster it is, in one line: `kind, 2 nodes of Kubernetes v1.35.4, images assembled here`."""
        nodes = await self.admin.list("v1/Node")
        versions = ", ".join(sorted({node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}))
        count = f"{len(nodes)} node{'s' if len(nodes) > 1 else ''}"
        images = "official images" if self.pulls else "images assembled here"
        return f"{self.provider.value}, {count} of Kubernetes {versions}, {images}"

    async def kubectl(
        self, *args: str, stdin: str | None = None, timeout: float = 60, accepts: Collection[int] = (0,)
    ) -> str:
        """What kubectl says. Raises `CommandFailed` for any other exit code."""
        program = await ensure("kubectl")
        given = None if stdin is None else stdin.encode()
        return await run(program, "--kubeconfig", self.kubeconfig, *args, stdin=given, timeout=timeout, accepts=accepts)


async def choose() -> tuple[Provider, str]:
    """The provider, and why it is that one. Raises RuntimeError where none can run, with every reason."""
    wanted = os.environ.get("E2E_CLUSTER", "auto")
    if wanted != "auto":
        return Provider(wanted), f"E2E_CLUSTER={wanted}"
    why_not_kind = await kind_problem()
    if why_not_kind is None:
        return Provider.KIND, "Docker answers and kind is installed"
    if problems := needs.problems():
        raise RuntimeError(f"no cluster can be made here. kind: {why_not_kind}. node: {'; '.join(problems)}")
    return Provider.NODE, f"kind cannot run ({why_not_kind}); this machine can run a real node"


async def kind_problem() -> str | None:
    """Why no kind cluster can be made; None when it can."""
    for program in ("docker", "kind"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        await run("docker", "info", "--format", "{{.ServerVersion}}", timeout=10)
    except CommandFailed as error:
        return f"no Docker engine answers: {str(error).splitlines()[-1]}"
    return None


@contextlib.asynccontextmanager
async def cluster(progress: Progress) -> AsyncIterator[Cluster]:
    """A cluster of the chosen provider in which Pods can be made; kind's and node's are gone at the end."""
    provider, why = await choose()
    progress.say(f"cluster: {provider.value} ({why})")
    make = {Provider.KIND: _kind, Provider.NODE: _node, Provider.EXISTING: _existing}[provider]
    async with make(progress) as made:
        # for a second or two after the nodes are Ready bare Pods are refused: they would run as this account
        await made.admin.wait_for("v1/ServiceAccount", "default", "default", lambda account: account is not None)
        progress.say(f"the cluster is there: {await made.described()}")
        yield made


@contextlib.asynccontextmanager
async def _node(progress: Progress) -> AsyncIterator[Cluster]:
    async with Node.start(progress) as node:
        yield Cluster(Provider.NODE, node.control_plane.kubeconfig, node.control_plane.admin(), node.load, pulls=False)


@contextlib.asynccontextmanager
async def _kind(progress: Progress) -> AsyncIterator[Cluster]:
    if problem := await kind_problem():
        progress.say(f"kind runs on an engine of our own: {problem}")
        async with KindCluster.start(progress) as kind:
            admin, docker = await _admin_of(kind.kubeconfig), kind.engine.docker
            yield Cluster(Provider.KIND, kind.kubeconfig, admin, kind.load, docker, pulls=False)
    else:
        async with _kind_on_docker(progress) as made:
            yield made


@contextlib.asynccontextmanager
async def _kind_on_docker(progress: Progress) -> AsyncIterator[Cluster]:
    async def load(archive: Path) -> None:
        await run("kind", "load", "image-archive", archive, "--name", KIND_CLUSTER, timeout=300)

    with tempfile.TemporaryDirectory(prefix="e2e-kind-") as folder:
        kubeconfig = Path(folder, "kubeconfig")
        delete = ("kind", "delete", "cluster", "--name", KIND_CLUSTER, "--kubeconfig", kubeconfig)
        progress.say("making a kind cluster (about a minute; its image is fetched the first time)")
        await run(*delete, timeout=120)
        try:
            await run("kind", *create_arguments(kubeconfig, os.environ), timeout=900)
            yield Cluster(Provider.KIND, kubeconfig, await _admin_of(kubeconfig), load, partial(run, "docker"))
        finally:
            await run(*delete, timeout=120)


@contextlib.asynccontextmanager
async def _existing(progress: Progress) -> AsyncIterator[Cluster]:
    load_command = shlex.split(os.environ.get("E2E_LOAD", ""))
    if not load_command:
        raise RuntimeError(
            "E2E_CLUSTER=existing needs E2E_LOAD, the command that loads an image archive into its nodes"
        )

    pulls = os.environ.get("E2E_IMAGES") != "assembled"

    async def load(archive: Path) -> None:
        await run(*load_command, archive, timeout=300)

    with tempfile.TemporaryDirectory(prefix="e2e-existing-") as folder:
        kubeconfig = Path(folder, "kubeconfig")
        view = ("config", "view", "--raw", "--minify", "--flatten")
        _write_private(kubeconfig, await run(await ensure("kubectl", progress), *view))
        try:
            yield Cluster(Provider.EXISTING, kubeconfig, await _admin_of(kubeconfig), load, pulls=pulls)
        finally:
            await _kubectl(kubeconfig, "delete", "clusterrolebinding", "wasmcloud-e2e", "--ignore-not-found")
            await _kubectl(kubeconfig, "delete", "serviceaccount", "wasmcloud-e2e", "-n", "kube-system")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


async def _admin_of(kubeconfig: Path) -> Admin:
    """The testbed's client, as a service account with every right that lives as long as the tests."""
    account = ("-n", "kube-system", "wasmcloud-e2e")
    await _kubectl(kubeconfig, "create", "serviceaccount", *account)
    binding = ("--clusterrole=cluster-admin", "--serviceaccount=kube-system:wasmcloud-e2e")
    await _kubectl(kubeconfig, "create", "clusterrolebinding", "wasmcloud-e2e", *binding)
    token = await _kubectl(kubeconfig, "create", "token", *account, "--duration=4h")
    view = json.loads(await _kubectl(kubeconfig, "config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    server = view["clusters"][0]["cluster"]
    ca_file = kubeconfig.with_name("ca.crt")
    ca_file.write_bytes(base64.b64decode(server["certificate-authority-data"]))
    return Admin(server["server"], token, ca_file)


async def _kubectl(kubeconfig: Path, *args: str) -> str:
    return await run(await ensure("kubectl"), "--kubeconfig", kubeconfig, *args)
