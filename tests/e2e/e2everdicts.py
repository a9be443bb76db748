"""What kstatus (Flux, Helm, `kubectl wait`) and Argo CD make of every status that the operator writes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from e2etimeline import follow

from support.kube.kstatus import argocd_health, kstatus
from testbed import Admin, eventually
from testbed.admin import Object

CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
APPLICATION = "core.oam.dev/v1beta1/Application"

# What the two may say of one status. An application that cannot be asked for is still what it last was to Argo CD.
_AGREE = {
    "Current": {"Healthy", "Suspended"},
    "InProgress": {"Progressing", "Healthy", "Degraded", "Suspended"},
    "Failed": {"Degraded"},
    "Terminating": {"Healthy", "Suspended", "Progressing", "Degraded"},
}


@dataclass
class Verdicts:
    """The verdicts on the pools and applications of a namespace, by name, in their order; the same twice is one."""

    seen: dict[str, list[str]] = field(default_factory=dict)

    def of(self, name: str) -> list[str]:
        return self.seen.get(name, [])

    def went_well(self, name: str, *, changes: int = 0) -> bool:
        """Whether a pool was always under way or right, and right once for the first time and for each change at least.

        How often it was under way in between depends on how busy the machine is.
        """
        seen = self.of(name)
        assert set(seen) <= {"InProgress", "Current"}, seen
        assert seen[0] == "InProgress", seen
        assert seen.count("Current") > changes, seen
        return True

    async def end(self, name: str, verdict: str) -> None:
        """Waits until the last verdict is that one: what another watch has shown may be on its way here still."""

        def ended() -> bool:
            assert self.of(name)[-1:] == [verdict], f"verdicts on {name} so far: {self.of(name)}"
            return True

        await eventually(ended, timeout=120, message=f"the verdict {verdict}")

    def contradictions(self) -> list[str]:
        """Where kstatus and Argo CD were of two minds about an application."""
        pairs = {tuple(verdict.split(", ")) for verdicts in self.seen.values() for verdict in verdicts}
        return [", ".join(pair) for pair in pairs if len(pair) == 2 and pair[1] not in _AGREE[pair[0]]]

    def take(self, obj: Object, _gone: bool) -> None:
        if not obj.get("status"):
            return  # nobody has looked at it yet
        verdict: str = kstatus(obj)
        if obj["kind"] == "Application":
            verdict += f", {argocd_health(obj)[0]}"
        so_far = self.seen.setdefault(obj["metadata"]["name"], [])
        if so_far[-1:] != [verdict]:
            so_far.append(verdict)


@contextlib.asynccontextmanager
async def judging(admin: Admin, namespace: str) -> AsyncIterator[Verdicts]:
    """The verdicts from now on."""
    verdicts = Verdicts()
    tasks = [asyncio.create_task(follow(admin, kind, namespace, verdicts.take)) for kind in (CONFIG, APPLICATION)]
    try:
        yield verdicts
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
