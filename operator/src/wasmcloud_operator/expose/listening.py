"""Whether a host listens where a Service is about to lead: an inventory lists a provider that serves nobody, too.

A host's builtin HTTP server takes its links when it starts, and those put later from a message that nobody repeats
(`put_backwards_compat_provider_link` of the host's control interface). A link put in the moment of its start is lost
on it for good: the provider runs, its port stays closed. The same link put once more reaches it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kube.objects import Pod
from wasmcloud_operator.lattice.errors import LatticeError
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.manifest.http_endpoints import HttpProvider

log = structlog.get_logger(__name__)

_CONNECT_SECONDS = 1.0
# So long a port that refuses is waited for: then it is the network that refuses, or nothing that waiting mends.
_PATIENCE_SECONDS = 60.0
# So long the pods of a namespace are not connected to where the network lets nobody through.
_SILENT_SECONDS = 60.0
_REFUSED_SECONDS = 600.0
# The seconds of a refusal at which the links are put again; the first leaves wadm its own put.
_PUT_AGAIN = (2.0, 6.0, 15.0, 30.0, 45.0)


class ConnectResult(Enum):
    """What an attempt to connect shows."""

    ACCEPTED = auto()
    REFUSED = auto()
    SILENT = auto()
    """Nothing: the pod may listen, and the network keeps the operator from it."""


# Connects to an address and a port.
Connect = Callable[[str, int], Awaitable[ConnectResult]]


async def connect(address: str, port: int) -> ConnectResult:
    """Opens a TCP connection and closes it; nothing is sent."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except ConnectionRefusedError:
        return ConnectResult.REFUSED
    except OSError:  # TimeoutError is one
        return ConnectResult.SILENT
    return ConnectResult.ACCEPTED


async def never(address: str, port: int) -> ConnectResult:
    """For an operator that opens no connection to pods."""
    del address, port
    return ConnectResult.SILENT


@dataclass(slots=True)
class _Refusal:
    since: float
    puts: int = 0


class Listening:
    """Asks pods by connecting to them, and mends what a host has missed. Only a refusal is held against a pod."""

    def __init__(self, clock: Clock, connect: Connect) -> None:
        self._clock = clock
        self._connect = connect
        self._refusals: dict[tuple[str, str], _Refusal] = {}  # by uid of the pod and id of the provider
        self._not_before: dict[str, float] = {}  # by namespace: when its pods are connected to again

    def asks(self, pod: Pod) -> bool:
        """Whether a pod is connected to now: it has an address, and the network has not kept its namespace's away."""
        now = self._clock.monotonic()
        return bool(pod.status.pod_ip) and now >= self._not_before.get(pod.metadata.namespace, now)

    async def awaited(self, pod: Pod, lattice: Lattice, provider: HttpProvider) -> bool:
        """Whether a pod that runs the provider refuses connections to it, and is worth waiting for."""
        now, namespace = self._clock.monotonic(), pod.metadata.namespace
        if not self.asks(pod):
            return False
        answer = await self._ask(pod, provider)
        key = (pod.metadata.uid, provider.id)
        if answer is not ConnectResult.REFUSED:
            self._refusals.pop(key, None)
            if answer is ConnectResult.SILENT:
                self._leave_alone(namespace, now, _SILENT_SECONDS)
            return False
        self._forget_old(now)
        refusal = self._refusals.setdefault(key, _Refusal(now))
        if now - refusal.since >= _PATIENCE_SECONDS:
            del self._refusals[key]
            self._leave_alone(namespace, now, _REFUSED_SECONDS)
            log.warning("pod refuses connections, and is led to all the same", **_where(pod, provider))
            return False
        if refusal.puts < len(_PUT_AGAIN) and now - refusal.since >= _PUT_AGAIN[refusal.puts]:
            refusal.puts += 1
            await _put_links_again(pod, lattice, provider)
        return True

    async def _ask(self, pod: Pod, provider: HttpProvider) -> ConnectResult:
        answer = ConnectResult.ACCEPTED
        for endpoint in provider.endpoints:
            answer = await self._connect(pod.status.pod_ip, endpoint.port)
            if answer is not ConnectResult.ACCEPTED:
                break
        return answer

    def _leave_alone(self, namespace: str, now: float, seconds: float) -> None:
        self._not_before = {name: until for name, until in self._not_before.items() if until > now}
        self._not_before[namespace] = now + seconds

    def _forget_old(self, now: float) -> None:
        """Forget pods that are gone."""
        too_old = [key for key, refusal in self._refusals.items() if now - refusal.since > 2 * _PATIENCE_SECONDS]
        for key in too_old:
            del self._refusals[key]


async def _put_links_again(pod: Pod, lattice: Lattice, provider: HttpProvider) -> None:
    """Only what the lattice has: a link that is not there yet is wadm's to put."""
    try:
        links = [link for link in await lattice.control.links() if link.source == provider.id]
        for link in links:
            await lattice.control_writer.put_link(link)
    except LatticeError as error:
        log.debug("links not put again", error=str(error), **_where(pod, provider))
        return
    if links:
        log.info("links put again, as the pod refuses connections", links=len(links), **_where(pod, provider))


def _where(pod: Pod, provider: HttpProvider) -> dict[str, str]:
    ports = ", ".join(str(endpoint.port) for endpoint in provider.endpoints)
    return {"pod": str(pod.metadata.key), "provider": provider.id, "ports": ports}
