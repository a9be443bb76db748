"""What the lattice's integration tests start: a real NATS server with a configuration of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import ensure
from testbed.process import Server, http_ok, start_on_free_ports


@dataclass
class Nats:
    """A running nats-server; `config` is what it was started with and can be edited before a restart."""

    server: Server
    port: int
    config: Path

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def restart(self, extra: str | None = None) -> None:
        """Kill it and start it again on its port and data, with other configuration if given."""
        await self.server.kill()
        if extra is not None:
            self.config.write_text(extra)
        await self.server.start()


@contextlib.asynccontextmanager
async def running_nats(folder: Path, extra: str = "", *, jetstream: bool = False) -> AsyncIterator[Nats]:
    """A NATS server on a free loopback port, `extra` being lines for its nats.conf; killed at the end."""
    binary = await ensure("nats-server")
    config = folder / "nats.conf"
    config.write_text(extra)
    ports: list[int] = []

    def make(free: list[int]) -> Server:
        ports[:] = free
        argv: list[str | Path] = [binary, "-c", config, "-a", "127.0.0.1", "-p", str(free[0]), "-m", str(free[1])]
        if jetstream:
            argv += ["-js", "-sd", folder / "jetstream"]

        async def ready() -> bool:
            return await http_ok(f"http://127.0.0.1:{free[1]}/healthz")

        return Server("nats-server", argv, log=folder / "nats.log", ready=ready)

    server = await start_on_free_ports(make, 2)
    try:
        yield Nats(server, ports[0], config)
    finally:
        await server.kill()
