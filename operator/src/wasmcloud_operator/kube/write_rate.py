"""How often the status of one object is written: a few times at once, then once a second, whoever writes which part."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.resources import Key, Resource

# An object that was edited goes through so many states within moments; what changes all the time has no claim to more
# than one write a second.
_BURST = 5
_HARDLY = 1e-6  # what is lost in sums of floats
# Objects that were written lately: forgetting one costs that it may be written a few times at once, once more.
_REMEMBERED = 16384


@dataclass(slots=True)
class _Bucket:
    """The writes that are left of one object at a moment, and the parts that wait for the next."""

    left: float
    at: float
    waiting: set[str] = field(default_factory=set)


class WriteRate:
    """One bucket an object: who writes a part asks `may_write`, and has to ask once more after `again` seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[Resource, Key], _Bucket] = OrderedDict()

    def may_write(self, target: WriteTarget) -> bool:
        """Whether it is the part's time. If not it waits, for `again`."""
        bucket = self._bucket(target)
        if bucket.left >= 1 - _HARDLY:
            bucket.waiting.discard(target.part)
            return True
        bucket.waiting.add(target.part)
        return False

    def wrote(self, target: WriteTarget) -> None:
        """Take note of a write that went through: what fails is tried again at a pace of its own."""
        bucket = self._bucket(target)
        bucket.left -= 1
        self._buckets[target.resource, target.key] = bucket
        self._buckets.move_to_end((target.resource, target.key))
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)

    def again(self, targets: Iterable[WriteTarget]) -> float | None:
        """Returns the seconds until the first of those parts that wait may be written, once; None if none waits."""
        waits = []
        for target in targets:
            bucket = self._buckets.get((target.resource, target.key))
            if bucket is not None and target.part in bucket.waiting:
                bucket.waiting.discard(target.part)
                waits.append(1 - self._bucket(target).left)
        return max(0.0, min(waits)) if waits else None

    def _bucket(self, target: WriteTarget) -> _Bucket:
        """Returns the bucket as it is now, a full one of an object that was not written lately."""
        now = self._clock.monotonic()
        bucket = self._buckets.get((target.resource, target.key)) or _Bucket(_BURST, now)
        bucket.left, bucket.at = min(_BURST, bucket.left + now - bucket.at), now
        return bucket
