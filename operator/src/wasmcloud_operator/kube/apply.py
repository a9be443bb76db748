"""The one way to write an object: server-side apply of our fields, only when they differ, never onto a stranger."""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, TypeVar

import structlog

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.client import Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.contest import Contests, WriteTarget
from wasmcloud_operator.kube.difference import fingerprint, first_difference
from wasmcloud_operator.kube.errors import Conflict, Unreachable
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.managed_fields import take_over
from wasmcloud_operator.kube.objects import ObjectMeta, Unstructured
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import Key, Resource
from wasmcloud_operator.kube.store import Change

log = structlog.get_logger()

T = TypeVar("T")

Outcome = Literal["created", "changed", "unchanged"]


# Objects of which is remembered that a write would be refused or in vain: forgetting one costs that request.
_REMEMBERED = 256
# Objects whose last answer was lost: more than there are writes under way; the watch has brought the oldest long since.
_UNCERTAIN = 4096
# Objects that were found whole: forgetting one costs a comparison.
_WHOLE = 4096


@dataclass(frozen=True, slots=True)
class _Whole:
    """A cached object that was found to have all fields of the body with that fingerprint."""

    fingerprint: str
    found: weakref.ref[Unstructured]

    def is_of(self, rendered_as: str, item: Unstructured) -> bool:
        """Whether this very object was compared with the body of that fingerprint."""
        return self.fingerprint == rendered_as and self.found() is item


class ForeignObject(Exception):
    """An object of the name we want exists and is not ours."""

    def __init__(self, resource: Resource, key: Key, owner: str) -> None:
        super().__init__(f"{resource.kind} {key} exists and belongs to {owner}; rename or delete it")
        self.resource = resource
        self.key = key


@dataclass(frozen=True, slots=True)
class Applied:
    """The object after an apply, and what the apply did.

    There is none while somebody else deletes it again and again and it is too early to make it once more.
    """

    item: Unstructured | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ManagedKind:
    """A kind that we write: its resource, and the informer that caches our objects."""

    resource: Resource
    informer: Informer[Unstructured]


# A version that no object has: etcd's first write has 2. With it the API server creates what is missing and refuses
# (409) to touch what is there, in one step.
ONLY_IF_MISSING = {"resourceVersion": "1"}


class Applier:
    """Applies rendered objects.

    An apply is skipped when the cached object carries the fingerprint of what was rendered and still has all of it.
    An object that is not in the cache is applied so that the API server only creates it, and a foreign one is never
    merged into; a known one is applied with its uid, so that the API server refuses (409) rather than creates a second
    one if it has vanished. After a refusal, or a write whose answer was lost, the object is read live before anything
    is decided. Before the first apply of an object, what the field managers in `formerly` (earlier programs for the
    same objects) own of it becomes ours: an object without the fingerprint was never applied by us, cached or not.

    What somebody else sets back or deletes is applied again at the pace of `paced`.
    """

    def __init__(
        self,
        client: Writer,
        fingerprint_annotation: str,
        formerly: Collection[str] = (),
        paced: PacedWrites | None = None,
    ) -> None:
        self._client = client
        self.paced = paced or PacedWrites(client)
        self._annotation = fingerprint_annotation
        self._formerly = frozenset(formerly)
        self._uncertain: OrderedDict[WriteTarget, None] = OrderedDict()
        self._strangers: OrderedDict[WriteTarget, None] = OrderedDict()
        self._whole: OrderedDict[WriteTarget, _Whole] = OrderedDict()
        # The fingerprints of the writes under way: the watch may report one before its answer is here.
        self._sending: dict[WriteTarget, str] = {}

    @property
    def contests(self) -> Contests:
        """What somebody else sets back."""
        return self.paced.contests

    async def apply(self, kind: ManagedKind, rendered: JsonObject, ours: Callable[[ObjectMeta], bool]) -> Applied:
        """Bring the live object to what was rendered. Raises ForeignObject, or the errors of `kube.errors`."""
        desired = self._stamped(rendered)
        key = Key(desired["metadata"].get("namespace", ""), desired["metadata"]["name"])
        held = kind.informer.store.get(key)
        if (place := WriteTarget(kind.resource, key)) in self._uncertain or place in self._strangers:
            held = await self._read(kind, key)
        try:
            return await self._apply_to(kind, key, desired, held, ours)
        except Conflict:
            # It is there after all, or it is gone or was replaced: look again, once.
            return await self._apply_to(kind, key, desired, await self._read(kind, key), ours)

    async def _apply_to(
        self,
        kind: ManagedKind,
        key: Key,
        desired: JsonObject,
        held: Unstructured | None,
        ours: Callable[[ObjectMeta], bool],
    ) -> Applied:
        place, stamp = WriteTarget(kind.resource, key), desired["metadata"]["annotations"][self._annotation]
        if held is None:
            made = await self.paced.create(place, stamp, lambda: self._write(kind, key, desired, ONLY_IF_MISSING))
            return Applied(made, "unchanged" if made is None else "created")
        if not ours(held.metadata):
            _remember(self._strangers, place, None, _REMEMBERED)
            raise ForeignObject(kind.resource, key, _owner(held.metadata))
        # Most looks find the very object that the last look found whole.
        known = self._whole.get(place)
        whole = known is not None and known.is_of(stamp, held)
        where = None if whole else first_difference(desired, held.body)
        if where is None:
            _remember(self._whole, place, _Whole(stamp, weakref.ref(held)), _WHOLE)
            self.contests.at_peace(place)
            return Applied(held, "unchanged")

        async def send() -> Unstructured:
            if self._formerly and self._annotation not in held.metadata.annotations:
                await take_over(self._client, kind.resource, key, self._formerly)
            log.debug("applying", kind=kind.resource.kind, object=str(key), differs=str(where))
            return await self._write(kind, key, desired, {"uid": held.metadata.uid})

        written = await self.paced.write(place, held.metadata, stamp, where, send)
        if written is None:
            return Applied(held, "unchanged")
        same = written.metadata.resource_version == held.metadata.resource_version
        return Applied(written, "unchanged" if same else "changed")

    def is_own_write(self, resource: Resource, change: Change[Unstructured]) -> bool:
        """Whether a change is what we have just applied: whoever applied it knows of it."""
        old, new = change.old, change.new
        stamp = new.metadata.annotations.get(self._annotation) if new is not None else None
        if (
            new is None
            or stamp is None
            or (old is not None and old.metadata.annotations.get(self._annotation) == stamp)
        ):
            return False
        place = WriteTarget(resource, change.key)
        return self._sending.get(place) == stamp or self.contests.was_applied(place, new.metadata.uid, stamp)

    async def delete(self, kind: ManagedKind, item: Unstructured, ours: Callable[[ObjectMeta], bool]) -> bool:
        """Delete this very object if it is ours; whether there was something to delete."""
        return ours(item.metadata) and await self.paced.delete(kind.resource, kind.informer, item, lambda left: left)

    def _stamped(self, rendered: JsonObject) -> JsonObject:
        metadata = rendered["metadata"]
        annotations = {**metadata.get("annotations", {}), self._annotation: fingerprint(rendered)}
        return {**rendered, "metadata": {**metadata, "annotations": annotations}}

    async def _read(self, kind: ManagedKind, key: Key) -> Unstructured | None:
        live, held = await self._client.find(kind.resource, key), kind.informer.store.get(key)
        if held is not None and live is None:
            kind.informer.forget(held)
        elif held is not None and live is not None:
            kind.informer.offer(live)
        self._uncertain.pop(WriteTarget(kind.resource, key), None)
        self._strangers.pop(WriteTarget(kind.resource, key), None)
        return live

    async def _write(self, kind: ManagedKind, key: Key, desired: JsonObject, only: JsonObject) -> Unstructured:
        body = {**desired, "metadata": {**desired["metadata"], **only}}
        place = WriteTarget(kind.resource, key)
        self._sending[place] = desired["metadata"]["annotations"][self._annotation]
        try:
            item = await self._client.apply(kind.resource, body, UNSTRUCTURED)
            kind.informer.offer(item)
        except (Unreachable, TimeoutError, asyncio.CancelledError):
            _remember(self._uncertain, place, None, _UNCERTAIN)
            raise
        finally:
            del self._sending[place]
        return item


def _remember(memory: OrderedDict[WriteTarget, T], place: WriteTarget, what: T, at_most: int) -> None:
    memory[place] = what
    memory.move_to_end(place)
    if len(memory) > at_most:
        memory.popitem(last=False)


def _owner(metadata: ObjectMeta) -> str:
    controller = metadata.controller
    if controller is not None:
        return f"{controller.kind} {controller.name}"
    manager = metadata.labels.get("app.kubernetes.io/managed-by")
    return f"somebody else (managed-by {manager})" if manager else "somebody else"
