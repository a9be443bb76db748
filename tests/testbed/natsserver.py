"""A real nats-server: a hub with JetStream and a leaf node port, as an operator of wasmCloud runs it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from testbed.cache import ensure
from testbed.process import Server, http_ok, start_on_free_ports


@dataclass(frozen=True)
class _Settings:
    jetstream: bool
    domain: str
    leafnodes: bool
    max_payload: str

    def render(self, folder: Path, ports: list[int], extra: str) -> str:
        client, leaf, monitor = ports
        lines = [
            f"server_name: testbed-{client}",
            f'listen: "127.0.0.1:{client}"',
            f'http: "127.0.0.1:{monitor}"',
            f"max_payload: {self.max_payload}",
        ]
        if self.leafnodes:
            lines.append(f'leafnodes {{ listen: "127.0.0.1:{leaf}" }}')
        if self.jetstream:
            lines.append(f"jetstream {{ store_dir: {json.dumps(str(folder / 'jetstream'))}, domain: {self.domain} }}")
        return "\n".join([*lines, extra, ""])


class NatsServer:
    """A running server; `start` makes one."""

    def __init__(self, folder: Path, settings: _Settings, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.port, self.leaf_port, self.monitor_port = server.ports
        self._settings = settings

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        folder: Path,
        *,
        jetstream: bool = True,
        domain: str = "default",
        leafnodes: bool = True,
        config_extra: str = "",
        max_payload: str = "1MB",
    ) -> AsyncIterator[Self]:
        """A server on loopback with its data under `folder`; stopped at the end.

        `config_extra` is added to its configuration as it stands (authorization, operator and resolver, …).
        """
        program = await ensure("nats-server")
        settings = _Settings(jetstream, domain, leafnodes, max_payload)
        config = folder / "nats-server.conf"

        def make(ports: list[int]) -> Server:
            folder.mkdir(parents=True, exist_ok=True)
            config.write_text(settings.render(folder, ports, config_extra))
            health = f"http://127.0.0.1:{ports[2]}/healthz"
            log = folder / "logs" / "nats-server.log"
            return Server("nats-server", [program, "--config", config], log=log, ready=lambda: http_ok(health))

        server = await start_on_free_ports(make, 3)
        try:
            yield cls(folder, settings, server)
        finally:
            await server.stop()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def leaf_url(self) -> str:
        """What a leaf node's `remotes` take."""
        return f"nats-leaf://127.0.0.1:{self.leaf_port}"

    async def monitor(self, path: str) -> Any:
        """The JSON of a monitoring endpoint: varz, connz, leafz, jsz …"""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.monitor_port}/{path}") as answer,
        ):
            answer.raise_for_status()
            return await answer.json()

    async def stop(self) -> None:
        """An orderly stop: the data stays."""
        await self.server.stop()

    async def kill(self) -> None:
        """A crash: the data stays."""
        await self.server.kill()

    async def restart(self, config_extra: str | None = None) -> None:
        """Stop (when it runs) and start on the same ports and data, with other extra configuration if given."""
        await self.server.stop()
        if config_extra is not None:
            text = self._settings.render(self.folder, self.server.ports, config_extra)
            (self.folder / "nats-server.conf").write_text(text)
        await self.server.start()

    def pause(self) -> None:
        """Connections stay open and nothing answers."""
        self.server.pause()

    def resume(self) -> None:
        self.server.resume()

    async def wipe(self) -> None:
        """Come back with every stream and bucket lost."""
        await self.server.stop()
        shutil.rmtree(self.folder / "jetstream", ignore_errors=True)
        await self.server.start()
