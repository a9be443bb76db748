"""The one rule for every write that somebody else may undo: at once the first time, then slower and slower."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from wasmcloud_operator.base.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.kube.client import Writer
from wasmcloud_operator.kube.contest import GONE, ApplyDelays, Contests, WriteTarget, manager_of
from wasmcloud_operator.kube.difference import Difference
from wasmcloud_operator.kube.errors import Conflict, NotFound
from wasmcloud_operator.kube.events import EventRecorder
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import HasMetadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import Resource

T = TypeVar("T", bound=HasMetadata)

SET_BACK = "SetBack"


class PacedWrites:
    """Sends writes that bring a place to a wish, unless they are in vain or it is too early after a set-back.

    Who sets a part of an object back (its status, its labels) is named in an Event about the object, together with the
    write; of whole objects `contests` has how that stands, for a condition.
    """

    def __init__(
        self,
        client: Writer,
        *,
        clock: Clock = SYSTEM_CLOCK,
        pace: ApplyDelays = ApplyDelays(),  # noqa: B008 - immutable
        recorder: EventRecorder | None = None,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self.contests = Contests(clock, pace)

    async def write(
        self,
        place: WriteTarget,
        held: ObjectMeta,
        wish: str,
        where: Difference,
        send: Callable[[], Awaitable[T]],
        *,
        field_manager: str = "",
    ) -> T | None:
        """Send the write, after which `where` is to differ no more. Returns the object; None if it is not its time.

        `wish` is the same for the same wanted content, and another for any other. `field_manager` is whose write it is,
        if not the client's.
        """
        again = self.contests.was_applied(place, held.uid, wish)
        if again:
            if self.contests.must_wait(place, held.resource_version, str(where)):
                return None
            if self.contests.is_next_contested(place, str(where)):
                await self._name_the_other(place, where, field_manager or self._client.field_manager)
        item = await send()
        self.wrote(place, item.metadata, wish)
        if again:  # counted once it is put right: a write that fails is tried again, and nobody's doing
            self.contests.set_back(place, str(where))
        # A field that the API server drops, or a webhook sets back, leaves the object as it was: no watch reports it.
        if item.metadata.resource_version == held.resource_version:
            self.contests.in_vain(place, held.resource_version, str(where))
        if place.part:
            self._report(place, held)
        return item

    async def create(self, place: WriteTarget, wish: str, send: Callable[[], Awaitable[T]]) -> T | None:
        """Send the creation of what is not there. Returns the object; None if it is not its time.

        `wish` as for `write`. What somebody deletes is made again at the pace of what somebody sets back.
        """
        again = self.contests.was_made(place, wish)
        if again and self.contests.must_wait(place, "", GONE):
            self.contests.at_peace(place)
            return None
        item = await send()
        self.wrote(place, item.metadata, wish)
        if again:
            self.contests.set_back(place, GONE)
        return item

    async def delete(
        self, resource: Resource, informer: Informer[T], item: T, as_cached: Callable[[Unstructured], T]
    ) -> bool:
        """Delete this very object; returns whether it was to be deleted. It stays cached while finalizers hold it."""
        if item.metadata.deleting:
            return False
        try:
            left = await self._client.delete(resource, item.metadata.key, uid=item.metadata.uid)
        except NotFound:
            informer.forget(item)
            return False
        except Conflict:
            return False  # another object of that name took its place
        self.contests.forget(WriteTarget(resource, item.metadata.key))
        if left is None:
            informer.forget(item)
        else:
            informer.offer(as_cached(left))
        return True

    def wrote(self, place: WriteTarget, written: ObjectMeta, wish: str) -> None:
        """Take note of a write that no other can have undone yet."""
        self.contests.applied(place, written.uid, wish)

    def _report(self, place: WriteTarget, held: ObjectMeta) -> None:
        if self._recorder is not None:
            for contested in self.contests.of([place]):
                self._recorder.event(place.resource, held, "Warning", SET_BACK, str(contested), action="Write")

    async def _name_the_other(self, place: WriteTarget, where: Difference, ours: str) -> None:
        """Find out who sets the field back, before it is ours again."""
        with contextlib.suppress(NotFound):
            metadata = (await self._client.get_whole(place.resource, place.key))["metadata"]
            entries = metadata.get("managedFields")
            self.contests.name(place, str(where), manager_of(entries or [], where, ours))
