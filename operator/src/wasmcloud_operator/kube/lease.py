"""Leader election on a Lease: one replica writes, the others stand by with warm caches."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.backoff import JITTER
from wasmcloud_operator.kube.client import Writer
from wasmcloud_operator.kube.election import (
    LEASE_CODEC,
    RELEASED_SECONDS,
    STEPS,
    Candidate,
    ElectionStep,
    Leading,
    LeaseObject,
    LeaseSpec,
    LeaseTimes,
    SeenLease,
    State,
    Term,
    free_at,
    noted,
    situation,
)
from wasmcloud_operator.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    GarbledAnswer,
    KubeError,
    NotFound,
    retry_after,
)
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import newer
from wasmcloud_operator.kube.resources import LEASE, Key
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.kube.timestamps import rfc3339_micro

__all__ = ["LEASE_CODEC", "Elector", "LeaseLost", "LeaseObject", "LeaseTimes"]

log = structlog.get_logger()

# What a stop may wait for the lease to be given back; a lease that is not runs out by itself.
_RELEASE_SECONDS = 2.0


class LeaseLost(Exception):
    """The lease could not be renewed in time: another replica may lead now, so this one must stop writing."""


def _something_may_be() -> bool:
    return False


@dataclass(slots=True, kw_only=True)
class Elector:
    """Takes the lease when it is free and keeps it, by the table `STEPS`.

    Whether another's lease has run out is judged by our own monotonic clock, from the moment we last saw it change.
    `remaining` is the gate for writes: it closes `renew_deadline` seconds after the start of the last renewal that
    succeeded, well before another may take over.

    A missing lease does not mean that nobody leads: somebody may have deleted it while its holder was cut off. So who
    finds none makes one without a holder, and takes it only when that has been there for `renew_deadline` seconds: by
    then the gate of any earlier holder has closed. Only that holder may take it at once. `nothing_in_danger` means that
    no replica has ever written anything: then there is no earlier holder to wait for, unless this replica knew one.
    """

    client: Writer
    informer: Informer[LeaseObject]
    key: Key
    identity: str
    clock: Clock
    metrics: Metrics
    times: LeaseTimes = field(default_factory=LeaseTimes)
    rng: random.Random = JITTER
    nothing_in_danger: Callable[[], bool] = _something_may_be
    _state: State = field(init=False)
    _knew_one: bool = field(default=False, init=False)  # a Lease, whose holder may be about to write for the first time
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self._state = Candidate(Term(self.identity))
        self.informer.on_change(self._on_change)

    def remaining(self) -> float:
        """Seconds for which this replica may still write; 0 or less if it does not lead."""
        if isinstance(self._state, Leading):
            return self._state.valid_until - self.clock.monotonic()
        return float("-inf")

    def state(self) -> JsonObject:
        """Returns the state of this replica and of the lease as it knows it, to be shown to a person."""
        now = self.clock.monotonic()
        shown: JsonObject = {"lease": str(self.key), "identity": self.identity}
        if isinstance(self._state, Leading):
            return {**shown, "state": "leading", "maySecondsWrite": round(self.remaining(), 1)}
        seen = self._state.seen
        where = situation(self._state.term, seen, now, self.times)
        holder = seen.lease.spec.holder_identity or "" if seen is not None else ""
        return {**shown, "state": "standing by", "situation": where.value, "holder": holder}

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, run `lead` while it is held, and return the lease when `lead` returns.

        Raises LeaseLost when the lease cannot be renewed in time; `lead` has been cancelled and has ended by then.
        """
        leader = self.metrics.leader.labels(str(self.key))
        leader.set(0)
        try:
            await self._acquire()
        except asyncio.CancelledError:
            await self._release()  # the stop may have come in the very moment of taking it
            raise
        leader.set(1)
        log.info("leading", lease=str(self.key), identity=self.identity)
        try:
            await self._lead(lead)
        except BaseException:
            self._state = Candidate(self._state.term)  # the gate closes, and the lease runs out by itself
            raise
        finally:
            leader.set(0)
        await self._release()

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        renewing = asyncio.ensure_future(self._renew())
        leading = asyncio.ensure_future(lead())
        try:
            await asyncio.wait({renewing, leading}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (renewing, leading):
                if ended.done():
                    ended.result()
        finally:
            for task in (renewing, leading):
                task.cancel()
            await asyncio.gather(renewing, leading, return_exceptions=True)

    # --- standing by --------------------------------------------------------------------------------------------------

    async def _acquire(self) -> None:
        while True:
            at_least = 0.0
            try:
                async with self.clock.timeout(self.times.renew_deadline):
                    await self._look()
            except (KubeError, TimeoutError) as error:
                at_least = retry_after(error)
                log.warning("lease cannot be read or written", lease=str(self.key), error=str(error) or "no answer")
            if isinstance(self._state, Leading):
                return
            await self._wait_for_a_chance(at_least)

    async def _look(self) -> None:
        started = self.clock.monotonic()
        lease = await self._read()
        self._knew_one |= lease is not None
        state = self._state
        before = state.seen if isinstance(state, Candidate) else None
        # As of now: a slow answer may show a renewal that began after the request did.
        seen = None if lease is None else noted(before, lease, self.clock.monotonic())
        self._state = Candidate(state.term, seen)
        step = self._step(seen)
        if step is ElectionStep.TAKE and lease is not None:
            await self._take(lease, started)
        elif step is ElectionStep.MAKE_UNHELD and not self._knew_one and self.nothing_in_danger():
            await self._take(None, started)
        elif step is ElectionStep.MAKE_UNHELD:
            with contextlib.suppress(AlreadyExists):
                await self._create({"leaseDurationSeconds": self._duration})

    async def _take(self, lease: LeaseObject | None, started: float) -> None:
        """Write ourselves into the lease, or make one. Its term counts as ours until the server shows another."""
        before = self._state
        ours = lease is not None and before.term.holds(lease.spec)
        term = before.term if ours else self._new_term()
        self._state = replace(before, term=term)
        try:
            taken = await (self._create(self._spec(term, LeaseSpec())) if lease is None else self._renewed(term, lease))
        except ApiError as error:
            if error.code < 500:
                self._state = before
            if isinstance(error, (Conflict, AlreadyExists)):
                return
            raise
        self._state = Leading(term, taken, started + self.times.renew_deadline)

    def _new_term(self) -> Term:
        """Returns a term of ours that no other has: clocks may be coarse, and one identity may be used twice."""
        now = self.clock.now()
        return Term(self.identity, rfc3339_micro(now.replace(microsecond=self.rng.randrange(10**6))))

    async def _wait_for_a_chance(self, at_least: float) -> None:
        """Until the lease may be taken, by the watch and our clock; never two looks at once."""
        pause = self.times.retry * (1 + self.rng.random() * 0.2) / 2
        await self.clock.sleep(max(pause, at_least))
        while isinstance(self._state, Candidate):
            self._changed.clear()
            seen = self._state.seen
            left = 0.0 if seen is None else free_at(seen, self.times) - self.clock.monotonic()
            try:
                async with self.clock.timeout(max(pause, left)):
                    await self._changed.wait()
            except TimeoutError:
                return
            if self._step(self._state.seen) is not ElectionStep.WAIT:
                return

    def _on_change(self, change: Change[LeaseObject], _listed: bool) -> None:
        self._knew_one = True
        if not isinstance(self._state, Candidate):
            return
        seen = self._state.seen
        if change.new is None:
            now = None
        elif seen is None or newer(change.new.metadata.resource_version, seen.lease.metadata.resource_version):
            now = noted(seen, change.new, self.clock.monotonic())
        else:
            return
        self._state = replace(self._state, seen=now)
        if now is None or seen is None or now.lease.spec != seen.lease.spec:
            self._changed.set()

    def _step(self, seen: SeenLease | None) -> ElectionStep:
        return STEPS[type(self._state), situation(self._state.term, seen, self.clock.monotonic(), self.times)]

    # --- leading ------------------------------------------------------------------------------------------------------

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
                    lease = await self._renew_once()
            except (KubeError, TimeoutError) as error:
                log.warning("lease not renewed", lease=str(self.key), error=str(error) or "no answer in time")
            else:
                self._state = Leading(self._state.term, lease, started + self.times.renew_deadline)

    async def _renew_once(self) -> LeaseObject:
        state = self._state
        if not isinstance(state, Leading):
            raise LeaseLost(f"lease {self.key} is not held")
        try:
            return await self._renewed(state.term, state.lease)
        except (Conflict, NotFound):
            return await self._put_back(state)

    async def _put_back(self, state: Leading) -> LeaseObject:
        """Renew a lease that a stranger wrote to or deleted, or whose last renewal got through without an answer."""
        current = await self._read()
        now = self.clock.monotonic()
        where = situation(state.term, None if current is None else SeenLease(current, now), now, self.times)
        match STEPS[Leading, where]:
            case ElectionStep.MAKE_HELD:
                return await self._create(self._spec(state.term, LeaseSpec()))
            case ElectionStep.TAKE if current is not None:
                return await self._renewed(state.term, current)
            case _:
                self._state = Candidate(Term(self.identity))  # the gate closes at once
                raise LeaseLost(f"lease {self.key} was taken by another replica: {where.value}")

    async def _release(self) -> None:
        """Release the lease if it is or may be ours, so that a standby need not wait until it expires."""
        state = self._state
        self._state = Candidate(Term(self.identity))
        if not state.term.acquired:
            return
        try:
            async with self.clock.timeout(_RELEASE_SECONDS):
                if await self._freed(state):
                    log.info("lease released", lease=str(self.key))
        except (KubeError, TimeoutError) as error:
            log.warning("lease not released; it runs out by itself", lease=str(self.key), error=str(error))

    async def _freed(self, state: State) -> bool:
        if isinstance(state, Leading):
            with contextlib.suppress(Conflict):  # the last renewal was cut off and reached the server all the same
                await self._put(state.lease, self._free_spec(state.lease.spec))
                return True
        current = await self._read()
        if current is None or not state.term.holds(current.spec):
            return False
        await self._put(current, self._free_spec(current.spec))
        return True

    # --- the object ---------------------------------------------------------------------------------------------------

    @property
    def _duration(self) -> int:
        return max(1, int(self.times.duration))

    async def _renewed(self, term: Term, lease: LeaseObject) -> LeaseObject:
        return await self._put(lease, self._spec(term, lease.spec))

    def _spec(self, term: Term, spec: LeaseSpec) -> JsonObject:
        transitions = spec.lease_transitions or 0
        same = term.holds(spec) or not spec.renew_time
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._duration,
            "acquireTime": term.acquired,
            "renewTime": rfc3339_micro(self.clock.now()),
            "leaseTransitions": transitions if same else transitions + 1,
        }

    def _free_spec(self, spec: LeaseSpec) -> JsonObject:
        return {
            "holderIdentity": "",
            "leaseDurationSeconds": RELEASED_SECONDS,
            "acquireTime": spec.acquire_time,
            "renewTime": rfc3339_micro(self.clock.now()),
            "leaseTransitions": spec.lease_transitions or 0,
        }

    async def _read(self) -> LeaseObject | None:
        try:
            return await self.client.get_as(LEASE, self.key, LEASE_CODEC)
        except NotFound:
            return None

    async def _put(self, lease: LeaseObject, spec: JsonObject) -> LeaseObject:
        body = {**self._body(spec), "metadata": msgspec.to_builtins(lease.metadata)}  # what others put there stays
        return await self.client.update(LEASE, self.key, body, LEASE_CODEC)

    async def _create(self, spec: JsonObject) -> LeaseObject:
        made = await self.client.create(LEASE, self._body(spec), namespace=self.key.namespace)
        try:
            return msgspec.convert(made.body, LeaseObject)
        except msgspec.ValidationError as error:
            raise GarbledAnswer(f"not a Lease: {error}") from error

    def _body(self, spec: JsonObject) -> JsonObject:
        metadata = {"name": self.key.name, "namespace": self.key.namespace}
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
