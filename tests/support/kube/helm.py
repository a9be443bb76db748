"""The real `helm` for tests of the charts."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parents[3] / "manifests" / "chart"
OPERATOR_CHART = CHARTS / "wasmcloud-operator"
PLATFORM_CHART = CHARTS / "wasmcloud-platform"

Values = dict[str, Any]


class HelmFailed(Exception):
    """The text is what helm wrote to its error stream."""


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
        self, chart: Path, values: Values | None = None, *, namespace: str = "operator-system"
    ) -> list[dict[str, Any]]:
        """Returns the objects that the chart renders for release `test`. Raises `HelmFailed`."""
        text = await self.run("template", "test", str(chart), "--namespace", namespace, values=values or {})
        return [obj for obj in yaml.safe_load_all(text) if obj]
