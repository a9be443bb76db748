"""A real wadm beside a NATS server with JetStream."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import nats.errors

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

            async def ready() -> bool:
                return await http_ok(health) and await _is_fed(nats_url)

            return Server("wadm", [program], env=settings, log=folder / "logs" / "wadm.log", ready=ready)

        server = await start_on_free_ports(make, 1)
        try:
            yield server
        finally:
            await server.stop()


async def _is_fed(nats_url: str) -> bool:
    """Whether NATS passes events on to the stream that wadm's workers read.

    It does so some tenths of a second after wadm is ready; what is deployed before is lost now and then, and wadm never
    looks again.
    """
    try:
        client = await nats.connect(nats_url, allow_reconnect=False)
    except nats.errors.Error:
        return False
    try:
        answer = json.loads((await client.request("$JS.API.STREAM.INFO.wadm_event_consumer", b"", timeout=2)).data)
        sources = answer.get("sources", ())
        return len(sources) == 2 and all(source["active"] >= 0 for source in sources)  # -1: not set up yet
    finally:
        await client.close()
