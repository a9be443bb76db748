"""Of which version a status is that wadm pushes around a deploy: wadm names none, but the ids of its scalers."""

from __future__ import annotations

from dataclasses import dataclass

from wasmcloud_operator.lattice.decision import Shape
from wasmcloud_operator.lattice.wadm_types import AppStatus, StatusType


@dataclass(frozen=True, slots=True)
class Deploying:
    """A version that we had deployed, as long as no status is known to be of it."""

    since: float
    """Monotonic seconds."""

    former: frozenset[str] | None
    """The ids of the scalers in the last status; empty where wadm (before 0.14) names none, None where nothing ran."""

    distinct: bool
    """Whether the new version's scalers have other ids."""

    former_shape: Shape | None = None
    """What the former ids are made of."""

    unseen: bool = False
    """Whether a status may be of a third version: one that ran before and of which none has come."""

    @property
    def shows_lag(self) -> bool:
        """Whether a status can show that it is of the new version, so that none until now is wadm's delay."""
        return self.distinct and bool(self.former) and not self.unseen

    def is_shown_by(self, status: AppStatus) -> bool | None:
        """Whether a status is of the new version; None where only time shows it."""
        ids = scaler_ids(status)
        if self.distinct and ids and ids == self.former:
            return False
        if self.unseen:
            return None
        return True if self.former is None or (self.distinct and ids) else None


def begin(
    now: float,
    shape: Shape,
    *,
    former: AppStatus | None,
    former_shape: Shape | None,
    pending: Deploying | None,
    again: bool,
) -> Deploying:
    """The new version, of that shape, on top of what is deployed: of its `former` status, and `former_shape`.

    While a version is `pending`, the ids known are those from before it. `again` is the pending version once more.
    """
    if pending is not None:
        ids, former_shape, unseen = pending.former, pending.former_shape, pending.unseen or not again
    else:
        ids = scaler_ids(former) if former is not None and _ran(former) else None
        unseen = former is None and former_shape is not None
    return Deploying(now, ids, former_shape != shape, former_shape, unseen)


def begun_before(now: float, last: AppStatus | None) -> Deploying:
    """A version that was deployed by an earlier life of the operator, maybe just now.

    The `last` status may be of the version before: only time shows that one is not.
    """
    return Deploying(now, scaler_ids(last) if last is not None else frozenset(), distinct=False)


def _ran(status: AppStatus) -> bool:
    return bool(status.scalers) or status.info.type not in (StatusType.UNDEPLOYED, StatusType.WAITING)


def scaler_ids(status: AppStatus) -> frozenset[str]:
    """The ids of a status's scalers."""
    return frozenset(scaler.id for scaler in status.scalers)
