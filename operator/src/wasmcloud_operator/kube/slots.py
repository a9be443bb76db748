"""Connections as slots: a bounded number, shared by namespaces, none of which can keep the others out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from wasmcloud_operator.kube.errors import NoConnectionFree
from wasmcloud_operator.kube.turns import UNBOUNDED, Priority, Shares, Turns

# Longer than admission webhooks may take (10 s by default), shorter than a reconcile.
WAIT_SECONDS = 30.0


@dataclass(eq=False, slots=True)
class _Waiter:
    namespace: str
    granted: asyncio.Future[None]


class Slots:
    """At most as many requests at a time as there are connections.

    A request waits here and not in the connection pool: here it takes turns with requests of other namespaces, has a
    deadline of its own, and asks for permission to write only after the wait.
    """

    def __init__(self, shares: Shares = UNBOUNDED, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._turns: Turns[_Waiter] = Turns(shares)
        self._wait_seconds = wait_seconds

    def __repr__(self) -> str:
        return f"<Slots {self._turns.taken} of {self._turns.shares.total} taken>"

    @asynccontextmanager
    async def hold(self, namespace: str, what: str) -> AsyncIterator[None]:
        """Hold a slot while the scope is open. Raises NoConnectionFree, in which `what` is the request."""
        waiter = _Waiter(namespace, asyncio.get_running_loop().create_future())
        self._turns.add(namespace, waiter, Priority.FRESH)
        self._hand_out()
        if not waiter.granted.done():
            await self._wait(waiter, what)
        try:
            yield
        finally:
            self._free(namespace)

    async def _wait(self, waiter: _Waiter, what: str) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await waiter.granted
        except BaseException as error:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self._free(waiter.namespace)
            else:
                self._turns.discard(waiter.namespace, waiter)
            if isinstance(error, TimeoutError):
                raise NoConnectionFree(f"{what}: {self._occupied(waiter.namespace)}") from None
            raise

    def _occupied(self, namespace: str) -> str:
        held, whose = self._turns.held(namespace), f"namespace {namespace}" if namespace else "no namespace"
        return (
            f"no connection to the API server became free within {self._wait_seconds:g} s "
            f"({self._turns.taken} in use, {held} of them for {whose})"
        )

    def _free(self, namespace: str) -> None:
        self._turns.free(namespace)
        self._hand_out()

    def _hand_out(self) -> None:
        while (waiter := self._turns.take()) is not None:
            if waiter.granted.done():  # its request was cancelled in this very moment
                self._turns.free(waiter.namespace)
            else:
                waiter.granted.set_result(None)
