"""Writes of a status: only what differs, by server-side apply, at the pace of all writes that others may undo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.client import Writer
from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.difference import fingerprint, first_difference
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import HasMetadata
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import Resource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.kube.write_rate import WriteRate

T = TypeVar("T", bound=HasMetadata)


@dataclass(slots=True, kw_only=True)
class StatusPart(Generic[T]):
    """The part of a kind's status that one field manager writes; `part` is its name among several."""

    resource: Resource
    codec: Codec[T]
    paced: PacedWrites
    client: Writer
    field_manager: str = ""
    part: str = "status"
    rate: WriteRate | None = None
    # What the writes under way are to make of each place: the watch may report one before its answer is here.
    _sending: dict[WriteTarget, str] = field(default_factory=dict)

    async def write(self, item: T, before: JsonObject, status: JsonObject, *, at_once: bool = False) -> T | None:
        """Have the part be `status`; `before` is that part as it is cached. `at_once`: what follows relies on it.

        Returns the object as it was written, None if it is so already, or too early: after it was set back, or after
        the object's last writes. Raises the errors of `kube.errors`.
        """
        place = WriteTarget(self.resource, item.metadata.key, self.part)
        if _by_type(before) == _by_type(status):
            self.paced.contests.at_peace(place)
            return None
        if self.rate is not None and not at_once and not self.rate.may_write(place):
            return None
        metadata = {"name": item.metadata.name, "namespace": item.metadata.namespace, "uid": item.metadata.uid}
        kind = {"apiVersion": self.resource.api_version, "kind": self.resource.kind}
        body = {**kind, "metadata": metadata, "status": status}

        wish = fingerprint(_timeless(status))

        async def send() -> T:
            with self._under_way(place, wish):
                written = await self.client.apply(
                    self.resource, body, self.codec, subresource="status", field_manager=self.field_manager
                )
            if self.rate is not None:
                self.rate.wrote(place)
            return written

        where = first_difference({**kind, "status": status}, {**kind, "status": before})
        if where is not None:
            return await self.paced.write(place, item.metadata, wish, where, send, field_manager=self.field_manager)
        # It has more than is wanted: our own of before goes with an apply, what others put there does not.
        if self.paced.contests.was_applied(place, item.metadata.uid, wish):
            return None
        written = await send()
        self.paced.wrote(place, written.metadata, wish)
        return written

    async def write_and_cache(
        self, informer: Informer[T], item: T, before: JsonObject, status: JsonObject, *, at_once: bool = False
    ) -> bool:
        """The same, and the informer has what was written. Returns whether anything was."""
        written = await self.write(item, before, status, at_once=at_once)
        if written is not None:
            informer.offer(written)
        return written is not None

    def is_all_of(self, change: Change[T], status: JsonObject) -> bool:
        """Returns whether a change only wrote the wanted part; `status` is the present status.

        Whoever wrote it has nothing to look at: all else that the object says is as it was.
        """
        old, new = change.old, change.new
        if old is None or new is None or old.metadata.resource_version == new.metadata.resource_version:
            return False
        if msgspec.structs.replace(new.metadata, resource_version=old.metadata.resource_version) != old.metadata:
            return False
        place, wish = WriteTarget(self.resource, change.key, self.part), fingerprint(_timeless(status))
        return self._sending.get(place) == wish or self.paced.contests.was_applied(place, new.metadata.uid, wish)

    @contextmanager
    def _under_way(self, place: WriteTarget, wish: str) -> Iterator[None]:
        self._sending[place] = wish
        try:
            yield
        finally:
            del self._sending[place]

    def again(self, item: T) -> float | None:
        """Returns the seconds until the part is to be looked at again as somebody set it back; None if nobody did."""
        return self.paced.contests.again([WriteTarget(self.resource, item.metadata.key, self.part)])


def _by_type(status: JsonObject) -> JsonObject:
    """Conditions by type: the entries of several field managers in one list have no order to rely on."""
    return {**status, "conditions": {entry.get("type"): entry for entry in status.get("conditions") or ()}}


def _timeless(status: JsonObject) -> JsonObject:
    """The status without the moments of its conditions: each that is set back has another when it is put right."""
    conditions = [
        {name: value for name, value in entry.items() if name != "lastTransitionTime"}
        for entry in status.get("conditions") or ()
    ]
    return {**status, "conditions": conditions}
