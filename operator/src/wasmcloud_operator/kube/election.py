"""Leader election as data: what is known of the Lease, the states of a replica, and the table of what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import msgspec

from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.objects import ObjectMeta

# The duration that a holder writes when it gives the lease back (client-go's too). A held lease has a longer one.
RELEASED_SECONDS = 1


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A Lease's spec (coordination.k8s.io/v1)."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None

    @property
    def released(self) -> bool:
        """Whether its holder gave the lease back, in the form of `RELEASED_SECONDS`; not by somebody else's edit."""
        return (
            not self.holder_identity and self.renew_time is not None and self.lease_duration_seconds == RELEASED_SECONDS
        )


class _WholeMeta(ObjectMeta, frozen=True, rename="camel", gc=False):
    """Metadata of which nothing is left out, since each renewal puts all of it back."""

    def __post_init__(self) -> None:
        pass


class LeaseObject(msgspec.Struct, frozen=True):
    """A Lease."""

    metadata: _WholeMeta
    spec: LeaseSpec = LeaseSpec()


LEASE_CODEC: Codec[LeaseObject] = Codec.of(LeaseObject)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds: how long a lease is valid, how long a leader tries to renew it, how often it does (client-go's)."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


@dataclass(frozen=True, slots=True)
class Term:
    """A time of leading. Two replicas may have one identity by mistake, but never took the lease at one moment.

    `acquired` is the lease's acquireTime, which the holder keeps when it renews; empty: this replica never took it.
    """

    identity: str
    acquired: str = ""

    def holds(self, spec: LeaseSpec) -> bool:
        """Whether the lease is held in this very term."""
        return bool(self.acquired) and (spec.holder_identity, spec.acquire_time) == (self.identity, self.acquired)


@dataclass(frozen=True, slots=True)
class SeenLease:
    """The lease as it changed last, and when that was seen, by our own monotonic clock."""

    lease: LeaseObject
    at: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """Stands by. `term` is of a write whose answer was lost, or of a lease that was not renewed in time."""

    term: Term
    seen: SeenLease | None = None


@dataclass(frozen=True, slots=True)
class Leading:
    """Holds the lease, and may write until `valid_until` (monotonic)."""

    term: Term
    lease: LeaseObject
    valid_until: float


State = Candidate | Leading


class Situation(Enum):
    """How the lease stands for a replica. The times written in it are for people and count for nothing."""

    MISSING = "there is no lease"
    UNHELD = "made or edited a moment ago, and an earlier holder may still write"
    FREE = "nobody holds it"
    OURS = "held in our own term"
    OTHERS = "held by another, who renewed it lately"
    RUN_OUT = "held by another, who has not renewed it for its whole duration"


class ElectionStep(Enum):
    """What a replica does next."""

    MAKE_UNHELD = "make one without a holder"
    MAKE_HELD = "make one that is held"
    TAKE = "write oneself into it"
    WAIT = "look again later"
    GIVE_UP = "stop leading"


# What to do, by state and by how the lease stands. A leader comes here when its lease is not as it left it. While its
# gate is open nobody else has taken a lease that is missing, was made anew or lost its holder by an edit, so those are
# still its own.
STEPS: dict[tuple[type[State], Situation], ElectionStep] = {
    (Candidate, Situation.MISSING): ElectionStep.MAKE_UNHELD,
    (Candidate, Situation.UNHELD): ElectionStep.WAIT,
    (Candidate, Situation.FREE): ElectionStep.TAKE,
    (Candidate, Situation.OURS): ElectionStep.TAKE,
    (Candidate, Situation.OTHERS): ElectionStep.WAIT,
    (Candidate, Situation.RUN_OUT): ElectionStep.TAKE,
    (Leading, Situation.MISSING): ElectionStep.MAKE_HELD,
    (Leading, Situation.UNHELD): ElectionStep.TAKE,
    (Leading, Situation.FREE): ElectionStep.GIVE_UP,
    (Leading, Situation.OURS): ElectionStep.TAKE,
    (Leading, Situation.OTHERS): ElectionStep.GIVE_UP,
    (Leading, Situation.RUN_OUT): ElectionStep.GIVE_UP,
}


def noted(seen: SeenLease | None, lease: LeaseObject, now: float) -> SeenLease:
    """Returns what is known of the lease after one more look; a change of its metadata alone is none."""
    if seen is not None and (seen.lease.metadata.uid, seen.lease.spec) == (lease.metadata.uid, lease.spec):
        return SeenLease(lease, seen.at)
    return SeenLease(lease, now)


def situation(term: Term, seen: SeenLease | None, now: float, times: LeaseTimes) -> Situation:
    """Returns how the lease stands now; None stands for no lease."""
    if seen is None:
        return Situation.MISSING
    spec = seen.lease.spec
    if term.holds(spec):
        return Situation.OURS
    if spec.holder_identity:
        return Situation.OTHERS if now < free_at(seen, times) else Situation.RUN_OUT
    return Situation.UNHELD if now < free_at(seen, times) else Situation.FREE


def free_at(seen: SeenLease, times: LeaseTimes) -> float:
    """Returns when somebody else than its holder may take the lease, by our monotonic clock.

    A shorter duration than ours was written by somebody who is not the holder, and does not close the holder's gate;
    nor does who clears its name. client-go believes both.
    """
    spec = seen.lease.spec
    if spec.holder_identity:
        return seen.at + max(float(spec.lease_duration_seconds or 0), times.duration)
    return seen.at if spec.released else seen.at + times.renew_deadline
