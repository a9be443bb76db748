"""A real wasmCloud host as a process, beside the NATS server of its lattice."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import nats

from testbed.cache import ensure
from testbed.process import Server, http_ok, start_on_free_ports


class WasmcloudHost:
    """A running host; `start` makes one."""

    def __init__(self, server: Server, nats_url: str, lattice: str, name: str) -> None:
        self.server = server
        self.name = name
        self._nats_url = nats_url
        self._lattice = lattice

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        folder: Path,
        nats_url: str,
        *,
        lattice: str = "default",
        name: str = "host-0",
        domain: str = "default",
        labels: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
    ) -> AsyncIterator[Self]:
        """A host of `lattice` that is ready; stopped at the end.

        It carries the label `kubernetes_pod_name` with its `name`, as in a pod. It may load components from files and
        has the builtin http-server. `env` are further settings (`WASMCLOUD_…`).
        """
        program = await ensure("wasmcloud-host")
        host, _, port = nats_url.removeprefix("nats://").rpartition(":")
        all_labels = {"kubernetes_pod_name": name, **(labels or {})}

        def make(ports: list[int]) -> Server:
            settings = {
                "WASMCLOUD_NATS_HOST": host,
                "WASMCLOUD_NATS_PORT": port,
                "WASMCLOUD_LATTICE": lattice,
                "WASMCLOUD_JS_DOMAIN": domain,
                "WASMCLOUD_HTTP_ADMIN": f"127.0.0.1:{ports[0]}",
                **(env or {}),
            }
            argv: list[str | Path] = [program]
            for key, value in all_labels.items():
                argv += ["--label", f"{key}={value}"]
            health = f"http://127.0.0.1:{ports[0]}/readyz"
            log = folder / "logs" / f"wasmcloud-{name}.log"
            return Server(
                f"wasmcloud-{name}", argv, env=settings, log=log, ready=lambda: http_ok(health), stop_grace=15
            )

        server = await start_on_free_ports(make, 1)
        try:
            yield cls(server, nats_url, lattice, name)
        finally:
            await server.stop()

    async def inventory(self) -> dict[str, Any]:
        """What runs on it, as the lattice's control interface has it. Raises LookupError when the lattice lacks it."""
        client = await nats.connect(self._nats_url)
        try:
            prefix = f"wasmbus.ctl.v1.{self._lattice}.host"
            inbox = await client.subscribe(client.new_inbox())
            await client.publish(f"{prefix}.ping", b"", reply=inbox.subject)
            with contextlib.suppress(nats.errors.TimeoutError):
                while True:
                    found = json.loads((await inbox.next_msg(timeout=2)).data)["response"]
                    if found["labels"].get("kubernetes_pod_name") == self.name:
                        answer = await client.request(f"{prefix}.get.{found['id']}", b"", timeout=5)
                        return dict(json.loads(answer.data)["response"])
            raise LookupError(f"no host named {self.name} answered in lattice {self._lattice}")
        finally:
            await client.close()
