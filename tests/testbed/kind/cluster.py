"""A kind cluster on an engine of our own, with a node image assembled here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from testbed.build import Progress
from testbed.cache import ensure, lock
from testbed.kind import leftovers
from testbed.kind.engine import PROGRAMS, Engine
from testbed.kind.nodeimage import IMAGE, node_image
from testbed.node import needs, sysctls
from testbed.node.commands import run
from testbed.node.leftovers import notes_of
from testbed.process import ComponentFailed, Server, http_ok, start_on_free_ports

# Fixed, so that what a killed run has left is found by the next one; short, since sockets are in it.
FOLDER = Path("/var/lib/wasmcloud-testbed-kind")
NAME = "wasmcloud-e2e"
CONFIG = Path(__file__).with_name("cluster.yaml")
_TESTS = Path(__file__).parents[2]


def create_arguments(kubeconfig: Path, environ: Mapping[str, str], image: str = "") -> list[str | Path]:
    """`kind create cluster …`: KIND_IMAGE and KIND_CONFIG choose the nodes' image and the cluster's configuration."""
    chosen = environ.get("KIND_IMAGE") or image
    config = environ.get("KIND_CONFIG") or CONFIG
    command: list[str | Path] = ["create", "cluster", "--name", NAME, "--kubeconfig", kubeconfig]
    command += ["--config", config, "--wait", "180s"]
    return [*command, "--image", chosen] if chosen else command


@dataclass(frozen=True)
class KindCluster:
    """A running cluster; `start` makes one."""

    kubeconfig: Path
    engine: Engine
    kind: Path

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, progress: Progress | None = None) -> AsyncIterator[Self]:
        """The cluster, its nodes Ready; at the end nothing of it is left on the machine.

        One at a time on a machine: a second one waits. Raises `ComponentFailed` with what is in the way, and at the end
        when something could not be removed.
        """
        progress = progress or Progress()
        if problems := needs.problems():
            raise ComponentFailed(f"no kind cluster can be made here: {'; '.join(problems)}")
        needs.install(progress, PROGRAMS)
        kind, image = await ensure("kind", progress), await node_image(progress)
        async with lock("kind-cluster", "another kind cluster on this machine", progress):
            await leftovers.remove(FOLDER)
            leftovers.begin(FOLDER)
            try:
                with sysctls.kept(notes_of(FOLDER), sysctls.CHANGED_BY_NODES):
                    async with cls._running(kind, image, progress) as cluster:
                        yield cluster
            finally:
                await leftovers.remove(FOLDER)
            if left := leftovers.found(FOLDER):
                raise ComponentFailed("the kind cluster has left on this machine:\n" + "\n".join(left))

    @classmethod
    @contextlib.asynccontextmanager
    async def _running(cls, kind: Path, image: Path, progress: Progress) -> AsyncIterator[Self]:
        progress.say("starting a Docker engine of our own, and a kind cluster on it (about a minute)")
        engine = await Engine.start(FOLDER)
        try:
            await engine.docker("load", "--quiet", "--input", image, timeout=300)
            inside = FOLDER / "inside.kubeconfig"
            await run(kind, *create_arguments(inside, os.environ, IMAGE), env=engine.env, timeout=600)
            gate, kubeconfig = await _gate(engine, inside)
            try:
                yield cls(kubeconfig, engine, kind)
            finally:
                await gate.stop()
        finally:
            # not its SIGTERM: what is in its namespaces ends with it, and is of no use to anybody
            await engine.server.kill()

    async def load(self, archive: Path) -> None:
        """Make the images of a docker-archive known to every node."""
        command = ("load", "image-archive", archive, "--name", NAME)
        await run(self.kind, *command, env=self.engine.env, timeout=300)


async def _gate(engine: Engine, inside: Path) -> tuple[Server, Path]:
    """What leads from this machine to the API server, which listens on a loopback address of the engine's network."""
    text = await asyncio.to_thread(inside.read_text)
    found = re.search(r"server: https://127\.0\.0\.1:(\d+)", text)
    if found is None:
        raise ComponentFailed(f"{inside} names no API server on 127.0.0.1: {text[:300]}")

    def make(ports: list[int]) -> Server:
        arguments = [str(ports[0]), str(engine.inside), found[1]]
        return Server(
            "the way to the API server",
            [sys.executable, "-m", "testbed.kind.forward", *arguments],
            log=FOLDER / "logs" / "forward.log",
            env={"PYTHONPATH": str(_TESTS)},
            ready=lambda: http_ok(f"https://127.0.0.1:{ports[0]}/livez"),
        )

    gate = await start_on_free_ports(make, 1)
    text = text.replace(found[0], f"server: https://127.0.0.1:{gate.ports[0]}")
    return gate, _written_private(FOLDER / "kubeconfig", text)


def _written_private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path
