"""Waiting until a NATS server has what a plain client was told to send."""

from __future__ import annotations

from nats.aio.client import Client


async def flushed(client: Client) -> None:
    """Return when the server has taken all that was sent before.

    Twice, as nats-py's PING overtakes commands that wait for its flusher; before the second one that has run.
    """
    for _ in range(2):
        await client.flush(timeout=60)
