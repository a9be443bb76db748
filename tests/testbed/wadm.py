"""A real wadm beside a NATS server with JetStream."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from testbed.cache import ensure
from testbed.process import Server, http_ok, start_on_free_ports


class Wadm:
    """Starts wadm; what runs is a `Server`."""

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(
        folder: Path, nats_url: str, *, domain: str = "default", env: dict[str, str] | None = None
    ) -> AsyncIterator[Server]:
        """wadm on the NATS server at `nats_url`, serving every lattice there; stopped at the end.

        `env` are further settings by their environment names (`WADM_…`).
        """
        program = await ensure("wadm")

        def make(ports: list[int]) -> Server:
            settings = {
                "WADM_NATS_SERVER": nats_url.removeprefix("nats://"),
                "WADM_JETSTREAM_DOMAIN": domain,
                "WADM_HTTP_ADMIN": f"127.0.0.1:{ports[0]}",
                **(env or {}),
            }
            health = f"http://127.0.0.1:{ports[0]}/readyz"
            return Server(
                "wadm", [program], env=settings, log=folder / "logs" / "wadm.log", ready=lambda: http_ok(health)
            )

        server = await start_on_free_ports(make, 1)
        try:
            yield server
        finally:
            await server.stop()
