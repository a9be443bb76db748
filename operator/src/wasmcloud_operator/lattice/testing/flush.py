"""Waiting until a NATS server has all that a plain client has sent."""

from __future__ import annotations

from nats.aio.client import Client


async def flushed(client: Client) -> None:
    """Returns when the server has taken all that was sent before.

    Twice, as nats-py's PING overtakes commands that wait for its flusher; before the second one that has run.
    """
    for _ in range(2):
        await client.flush(timeout=60)
