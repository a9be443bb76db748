"""The real `helm` for tests of the charts."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parents[3] / "manifests" / "chart"
OPERATOR_CHART = CHARTS / "wasmcloud-operator"
PLATFORM_CHART = CHARTS / "wasmcloud-platform"

Values = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Refuses a mapping with one key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice: {keys}"
        return super().construct_mapping(node, deep)


class HelmFailed(Exception):
    """The text is what helm wrote to its error stream."""


def drift(wanted: Any, live: Any, path: str = "") -> Iterator[str]:
    """Yields the paths at which a stored object is not as it was applied: what Argo CD and Flux would set for ever."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            yield from drift(value, live.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for at, pair in enumerate(zip(wanted, live, strict=True)):
            yield from drift(*pair, f"{path}[{at}]")
    elif wanted != live:
        yield f"{path}: {wanted!r}, stored as {live!r}"


@dataclass(frozen=True)
class Helm:
    """Runs the program with its caches in a folder of the test's own."""

    program: Path
    folder: Path
    kubeconfig: Path | None = None

    async def run(self, *arguments: str, values: Values | None = None) -> str:
        """Returns the standard output. Raises `HelmFailed` with the error stream, TimeoutError after two minutes."""
        command = [*arguments]
        if values is not None:
            file = self.folder / f"values-{len(list(self.folder.iterdir()))}.yaml"
            file.write_text(json.dumps(values))
            command += ["--values", str(file)]
        homes = {f"HELM_{name}_HOME": str(self.folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        env = os.environ | homes | ({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {})
        process = await asyncio.create_subprocess_exec(
            self.program, *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(120):
                out, problems = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise HelmFailed(problems.decode())
        return out.decode()

    async def template(
        self, chart: Path, values: Values | None = None, *, namespace: str = "operator-system", release: str = "test"
    ) -> list[dict[str, Any]]:
        """Returns the objects that the chart renders for a release. Raises `HelmFailed`, AssertionError at a key twice.

        Helm takes the last one of those; kustomize, which Flux and others have read Helm's output, refuses them.
        """
        text = await self.run("template", release, str(chart), "--namespace", namespace, values=values or {})
        return [obj for obj in yaml.load_all(text, _Loader) if obj]
