"""Proof that two connections are in one account of one NATS system: what is sent on either arrives on the other.

What a server claims of itself is no proof: a tenant's own server can claim the ids of another tenant's. A server that
is not in the account can neither hear what is sent there nor send to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

from wasmcloud_operator.lattice.connection_types import Channel, Message
from wasmcloud_operator.lattice.errors import LatticeError

# Interest takes a moment to reach the other members of a cluster, so the message is sent again until it arrives.
_EVERY_SECONDS = 0.1
_TRIES = 20


async def leads_to_one(one: Channel, other: Channel) -> bool:
    """Whether a message gets from each to the other.

    Both users must be permitted to publish and subscribe on `_INBOX.>`; where one is not, nothing is proved.
    """
    return await _arrives(one, other) and await _arrives(other, one)


async def _arrives(sender: Channel, receiver: Channel) -> bool:
    subject, nonce = f"_INBOX.{secrets.token_hex(16)}", secrets.token_bytes(16)
    arrived = asyncio.Event()

    def take(message: Message) -> None:
        if message.data == nonce:
            arrived.set()

    try:
        subscription = await receiver.subscribe(subject, take)
        try:
            for _ in range(_TRIES):
                await sender.publish(subject, nonce)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY_SECONDS):
                        await arrived.wait()
                if arrived.is_set():
                    return True
        finally:
            await subscription.unsubscribe()
    except LatticeError:
        pass  # one of the two is not connected any more: the next connection tries again
    return False
