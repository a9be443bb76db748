"""Leader election on a Lease: one replica writes, the others stand by with warm caches."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn

import msgspec
import structlog

from wasmcloud_operator.kube.client import Client
from wasmcloud_operator.kube.clock import Clock, rfc3339_micro
from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import ObjectMeta
from wasmcloud_operator.kube.resources import LEASE, Key

log = structlog.get_logger()

# What a stop may wait for the lease to be given back; a lease that is not runs out by itself.
_RELEASE_SECONDS = 2.0


class LeaseLost(Exception):
    """The lease could not be renewed in time: another replica may lead now, so this one must stop writing."""


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A Lease's spec (coordination.k8s.io/v1)."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None

    @property
    def never_held(self) -> bool:
        """Whether nobody has led on it yet; one that was given back has a renew time."""
        return not self.holder_identity and not self.renew_time


class LeaseObject(msgspec.Struct, frozen=True):
    """A Lease."""

    metadata: ObjectMeta
    spec: LeaseSpec = LeaseSpec()


LEASE_CODEC: Codec[LeaseObject] = Codec.of(LeaseObject)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds: how long a lease is valid, how long a leader tries to renew it, how often it does (client-go's)."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


@dataclass(slots=True)
class Elector:
    """Takes the lease when it is free and keeps it.

    Whether another's lease has run out is judged by our own monotonic clock, from the moment we last saw it change;
    the times written in it are for people. `remaining` is the gate for writes: it closes `renew_deadline` seconds
    after the start of the last renewal that succeeded, well before another may take over.

    A missing lease does not mean that nobody leads: somebody may have deleted it while its holder was cut off. So who
    finds none makes one without a holder, and takes it only when that has been there for `renew_deadline` seconds: by
    then the gate of any earlier holder has closed. Only that holder may take it at once.
    """

    client: Client
    informer: Informer[LeaseObject]
    key: Key
    identity: str
    clock: Clock
    metrics: Metrics
    times: LeaseTimes = field(default_factory=LeaseTimes)
    rng: random.Random = field(default_factory=random.Random)
    _held: LeaseObject | None = None
    _valid_until: float = float("-inf")
    _seen: tuple[str, LeaseSpec] | None = None
    _seen_at: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.informer.on_change(lambda _change, _listed: self._changed.set())

    def remaining(self) -> float:
        """Seconds for which this replica may still write; 0 or less if it does not lead."""
        return self._valid_until - self.clock.monotonic()

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, run `lead` while it is held, and give the lease back when `lead` returns.

        Raises LeaseLost when the lease cannot be renewed in time; `lead` has been cancelled by then.
        """
        leader = self.metrics.leader.labels(str(self.key))
        leader.set(0)
        await self._acquire()
        leader.set(1)
        log.info("leading", lease=str(self.key), identity=self.identity)
        try:
            await self._lead(lead)
        finally:
            leader.set(0)
        await self._release()

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        renewing = asyncio.ensure_future(self._renew())
        leading = asyncio.ensure_future(lead())
        try:
            await asyncio.wait({renewing, leading}, return_when=asyncio.FIRST_COMPLETED)
            if renewing.done():
                leading.cancel()
                await asyncio.wait({leading})
                renewing.result()
            leading.result()
        finally:
            for task in (renewing, leading):
                task.cancel()
            await asyncio.gather(renewing, leading, return_exceptions=True)

    async def _acquire(self) -> None:
        while True:
            self._changed.clear()
            started = self.clock.monotonic()
            try:
                async with self.clock.timeout(self.times.renew_deadline):
                    if await self._try_to_take():
                        self._valid_until = started + self.times.renew_deadline
                        return
            except (KubeError, TimeoutError) as error:
                log.warning("lease cannot be read or written", lease=str(self.key), error=str(error))
            await self._wait_for_a_chance()

    async def _wait_for_a_chance(self) -> None:
        """Until the lease changes, or may be taken by our clock; at most one look a retry interval."""
        wait = self.times.retry * (1 + self.rng.random() * 0.2)
        if self._seen is not None:
            wait = max(wait / 2, self._free_at() - self.clock.monotonic())
        try:
            async with self.clock.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _try_to_take(self) -> bool:
        lease = await self._read()
        if lease is not None:
            self._note(lease)
        if self.clock.monotonic() < self._free_at():
            return False
        if lease is None:
            await self._make()
            return False
        try:
            self._held = await self._put(self._body(lease.spec, lease.metadata, self.clock.now()))
        except Conflict:
            return False
        return True

    def _note(self, lease: LeaseObject) -> None:
        seen = (lease.metadata.uid, lease.spec)
        if seen != self._seen:
            self._seen, self._seen_at = seen, self.clock.monotonic()

    def _free_at(self) -> float:
        """When the lease as last seen may be taken, by our monotonic clock."""
        spec = self._seen[1] if self._seen is not None else None
        if spec is None or spec.holder_identity == self.identity:
            return float("-inf")
        if spec.holder_identity:
            return self._seen_at + float(spec.lease_duration_seconds or self.times.duration)
        return self._seen_at + self.times.renew_deadline if spec.never_held else float("-inf")

    async def _make(self) -> None:
        """A lease that nobody holds yet."""
        body = self._body(LeaseSpec(), ObjectMeta(), self.clock.now())
        body["spec"] = {"leaseDurationSeconds": body["spec"]["leaseDurationSeconds"]}
        with contextlib.suppress(AlreadyExists):
            await self.client.create(LEASE, body, namespace=self.key.namespace)

    async def _renew(self) -> None:
        """Renew every retry interval; raises LeaseLost once it has not worked for the renew deadline."""
        started = self.clock.monotonic()
        while True:
            pause = started + self.times.retry - self.clock.monotonic()
            await self.clock.sleep(max(0.0, min(pause, self.remaining())))
            started = self.clock.monotonic()
            left = self.remaining()
            if left <= 0:
                raise LeaseLost(f"lease {self.key} was not renewed for {self.times.renew_deadline:.0f} s")
            try:
                # A third of the time for one call, so that a dead connection leaves time to try on another.
                async with self.clock.timeout(min(left, self.times.renew_deadline / 3)):
                    await self._renew_once()
            except (KubeError, TimeoutError) as error:
                log.warning("lease not renewed", lease=str(self.key), error=str(error) or "no answer in time")
            else:
                self._valid_until = started + self.times.renew_deadline

    async def _renew_once(self) -> None:
        held = self._held
        if held is None:
            raise LeaseLost(f"lease {self.key} is not held")
        try:
            self._held = await self._put(self._body(held.spec, held.metadata, self.clock.now()))
        except (Conflict, NotFound):
            self._held = await self._put_back()

    async def _put_back(self) -> LeaseObject:
        """Renew a lease that a stranger wrote to or deleted, or whose last renewal got through without an answer.

        While our gate is open nobody else has taken a lease that was made anew, so it is still ours to take.
        """
        current = await self._read()
        if current is None:
            await self.client.create(
                LEASE, self._body(LeaseSpec(), ObjectMeta(), self.clock.now()), namespace=self.key.namespace
            )
            current = await self._read()
        elif current.spec.never_held or current.spec.holder_identity == self.identity:
            current = await self._put(self._body(current.spec, current.metadata, self.clock.now()))
        if current is None or current.spec.holder_identity != self.identity:
            self._lost()
        return current

    def _lost(self) -> NoReturn:
        self._valid_until = float("-inf")
        raise LeaseLost(f"lease {self.key} was taken by another replica")

    async def _release(self) -> None:
        """Give the lease back, so that a standby need not wait for it to run out."""
        held, self._held = self._held, None
        self._valid_until = float("-inf")
        if held is None:
            return
        try:
            async with self.clock.timeout(_RELEASE_SECONDS):
                try:
                    await self._put(self._freed(held))
                except Conflict:
                    # The last renewal was cut off and reached the server all the same.
                    current = await self._read()
                    if current is not None and current.spec.holder_identity == self.identity:
                        await self._put(self._freed(current))
            log.info("lease released", lease=str(self.key))
        except (KubeError, TimeoutError) as error:
            log.warning("lease not released; it runs out by itself", lease=str(self.key), error=str(error))

    def _freed(self, lease: LeaseObject) -> JsonObject:
        body = self._body(lease.spec, lease.metadata, self.clock.now())
        body["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        return body

    async def _read(self) -> LeaseObject | None:
        try:
            return await self.client.get_as(LEASE, self.key, LEASE_CODEC)
        except NotFound:
            return None

    async def _put(self, body: JsonObject) -> LeaseObject:
        return await self.client.update(LEASE, self.key, body, LEASE_CODEC)

    def _body(self, spec: LeaseSpec, metadata: ObjectMeta, now: datetime) -> JsonObject:
        mine = spec.holder_identity == self.identity
        moment = rfc3339_micro(now)
        transitions = spec.lease_transitions or 0
        body: JsonObject = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self.key.name, "namespace": self.key.namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": max(1, int(self.times.duration)),
                "acquireTime": spec.acquire_time if mine and spec.acquire_time else moment,
                "renewTime": moment,
                "leaseTransitions": transitions if mine or not spec.renew_time else transitions + 1,
            },
        }
        if metadata.resource_version:
            body["metadata"] |= {
                "resourceVersion": metadata.resource_version,
                "labels": metadata.labels,
                "annotations": metadata.annotations,
            }
        return body
