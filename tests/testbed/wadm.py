"""A real wadm beside a NATS server with JetStream."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import nats.errors

from testbed.cache import ensure
from testbed.components import COMPONENTS
from testbed.process import Server, http_ok, start_on_free_ports

PROGRAM = "-".join(filter(None, ("wadm", os.environ.get("TESTBED_WADM"))))
_HAS_HEALTH = int(COMPONENTS[PROGRAM].version.split(".")[1]) >= 20


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
        program = await ensure(PROGRAM)

        def make(ports: list[int]) -> Server:
            settings = {
                "WADM_NATS_SERVER": nats_url.removeprefix("nats://"),
                "WADM_JETSTREAM_DOMAIN": domain,
                "WADM_HTTP_ADMIN": f"127.0.0.1:{ports[0]}",
                **(env or {}),
            }
            health = f"http://127.0.0.1:{ports[0]}/readyz"
            api = settings.get("WADM_API_PREFIX", "wadm.api")

            async def ready() -> bool:
                listens = await http_ok(health) if _HAS_HEALTH else await _answers(nats_url, api)
                return listens and await _is_fed(nats_url)

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
    answer = await _asked(nats_url, "$JS.API.STREAM.INFO.wadm_event_consumer")
    sources = json.loads(answer).get("sources", ()) if answer else ()
    return len(sources) == 2 and all(source["active"] >= 0 for source in sources)  # -1: not set up yet


async def _answers(nats_url: str, api: str) -> bool:
    return await _asked(nats_url, f"{api}.default.model.list") is not None


async def _asked(nats_url: str, subject: str) -> bytes | None:
    try:
        client = await nats.connect(nats_url, allow_reconnect=False)
    except nats.errors.Error:
        return None
    try:
        return bytes((await client.request(subject, b"", timeout=2)).data)
    except nats.errors.NoRespondersError:
        return None
    finally:
        await client.close()
