"""The cache of one kind: indexed, atomic in its relists, and never rolled back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from wasmcloud_operator.kube.objects import HasMetadata, newer
from wasmcloud_operator.kube.resources import Key

log = structlog.get_logger()

T = TypeVar("T", bound=HasMetadata)

Indexer = Callable[[T], Iterable[str]]

# How many uids of vanished objects are remembered. A late answer is seconds late, so this is ample.
_TOMBSTONES = 4096
# Later than any resourceVersion: an object that the API server reports as gone, as against one that left a selection.
_FOR_GOOD = str(2**128)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What happened to one object: `old` None when it appeared, `new` None when it vanished."""

    old: T | None
    new: T | None

    @property
    def item(self) -> T:
        """The object in its latest known state."""
        item = self.new if self.new is not None else self.old
        if item is None:
            raise ValueError("a change without an object")
        return item

    @property
    def key(self) -> Key:
        """Namespace and name of the object."""
        return self.item.metadata.key


@dataclass(slots=True)
class Meanwhile:
    """What was learnt, from other answers, while a list was under way."""

    keys: set[Key] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)


class Store(Generic[T]):
    """Objects of one kind by key, with indexes.

    Invariants: every object is in `_objects` once and in each index under exactly the values that its indexer returns;
    between two lists an object's resourceVersion never goes back, and a uid seen to vanish never returns in a state
    from before that; a key is both in `_objects` and in `unreadable` only with `keep_unreadable`. All methods are
    synchronous, so a reader on the loop never sees half of a change or of a relist.

    A full list shows all that happened before it was asked for, also where the API server's own history went back (a
    restored backup). So it wins over everything but what was learnt while it was under way (`listing`).

    With `keep_unreadable` an object that can no longer be decoded stays as it was last, so that nobody takes it for
    deleted; else it is left out.
    """

    def __init__(self, indexers: Mapping[str, Indexer[T]] | None = None, *, keep_unreadable: bool = False) -> None:
        self._keep_unreadable = keep_unreadable
        self._objects: dict[Key, T] = {}
        self._indexers = dict(indexers or {})
        self._indexes: dict[str, dict[str, set[Key]]] = {name: {} for name in self._indexers}
        # By uid: the resourceVersion up to which the object is known to have vanished. It may come back later than
        # that, by matching the label selector of the watch again.
        self._gone: OrderedDict[str, str] = OrderedDict()
        self._listings: list[Meanwhile] = []
        # Objects that exist and cannot be decoded, with their resourceVersion.
        self.unreadable: dict[Key, str] = {}
        # Another one after each list and each change: what was derived from the objects holds while it is the same.
        self.revision = object()

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: Key) -> bool:
        return key in self._objects

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._objects.values()))

    def __repr__(self) -> str:
        return f"<Store of {len(self)} objects, indexes: {', '.join(self._indexers) or 'none'}>"

    def get(self, key: Key) -> T | None:
        """The object of that key."""
        return self._objects.get(key)

    def keys(self) -> list[Key]:
        """All keys."""
        return list(self._objects)

    def by_index(self, index: str, value: str) -> list[T]:
        """The objects for which that index has the value, in the order of their keys."""
        return [self._objects[key] for key in sorted(self._indexes[index].get(value, ()))]

    def index_values(self, index: str) -> list[str]:
        """The values under which that index has any object."""
        return sorted(self._indexes[index])

    def put(self, item: T) -> list[Change[T]]:
        """Take in an object as it is (or was) at its resourceVersion.

        A state that is not newer than the held one, or than the state in which the object vanished, changes nothing.
        Another uid under the same name is a deletion and an addition.
        """
        meta = item.metadata
        gone = self._gone.get(meta.uid)
        if gone is not None and not newer(meta.resource_version, gone):
            return []
        known = self._version_of(meta.key)
        if known and not newer(meta.resource_version, known):
            return []
        self._learnt(meta.key, meta.uid)
        return self._exchange(meta.key, item)

    def delete(self, key: Key, uid: str, resource_version: str = _FOR_GOOD) -> list[Change[T]]:
        """Take note that the object of that key and uid vanished at `resource_version`; without one, for good.

        A later state than that which is already held stays: the object has come back into the selection since.
        """
        old = self._objects.get(key)
        held = old is not None and old.metadata.uid == uid
        if old is not None and held and _later(old.metadata.resource_version, resource_version):
            return []
        self._bury(uid, resource_version)
        self._learnt(key, uid)
        if (old is None or held) and not _later(self.unreadable.get(key, ""), resource_version):
            self.unreadable.pop(key, None)
        if old is None or not held:
            return []
        self._unset(key)
        return [Change(old, None)]

    def leave_out(self, key: Key, resource_version: str) -> list[Change[T]]:
        """Take note that the object of that key can no longer be decoded: the cached state is out of date."""
        old = self._objects.get(key)
        if old is not None and not newer(resource_version, self._version_of(key)):
            return []
        self.unreadable[key] = resource_version
        if old is None:
            return []
        if self._keep_unreadable:
            return [Change(old, old)]
        self._unset(key)
        return [Change(old, None)]

    @contextmanager
    def listing(self) -> Iterator[Meanwhile]:
        """A scope for a full list, from before it is asked for until `replace` has taken it in."""
        meanwhile = Meanwhile()
        self._listings.append(meanwhile)
        try:
            yield meanwhile
        finally:
            self._listings.remove(meanwhile)

    def replace(
        self,
        items: Iterable[T],
        resource_version: str,
        meanwhile: Meanwhile,
        *,
        namespace: str = "",
        unreadable: Mapping[Key, str] | None = None,
    ) -> list[Change[T]]:
        """Make the cache (or its part of one namespace) equal to a list taken at `resource_version`.

        What was learnt while the list was under way and is later than it stays: the watch after the list brings it.
        """
        self.revision = object()
        left_out = unreadable or {}
        listed = {item.metadata.key: item for item in items}
        changes: list[Change[T]] = []
        for key in [key for key in (*self._objects, *self.unreadable) if not namespace or key.namespace == namespace]:
            if key in listed or (key in meanwhile.keys and _later(self._version_of(key), resource_version)):
                continue
            held = self._objects.get(key)
            if held is not None and key in left_out and self._keep_unreadable:
                changes.append(Change(held, held))
                continue
            if held is not None:
                self._bury(held.metadata.uid, resource_version)
                changes.append(Change(held, None))
            self._unset(key)
            self.unreadable.pop(key, None)
        for key, item in listed.items():
            uid = item.metadata.uid
            buried = uid in meanwhile.uids and _later(self._gone.get(uid, ""), resource_version)
            written = key in meanwhile.keys and _later(self._version_of(key), resource_version)
            if not buried and not written:
                changes += self._exchange(key, item)
        for key, version in left_out.items():
            if key not in self._objects or (self._keep_unreadable and key not in listed):
                self.unreadable[key] = version
        return changes

    def drop(self, namespace: str) -> list[Change[T]]:
        """Forget all objects of one namespace, or of all ("") that are no longer followed (they may well exist)."""
        changes = []
        for key in [key for key in self._objects if namespace in ("", key.namespace)]:
            changes.append(Change(self._objects[key], None))
            self._unset(key)
        for key in [key for key in self.unreadable if namespace in ("", key.namespace)]:
            del self.unreadable[key]
        return changes

    def _exchange(self, key: Key, item: T) -> list[Change[T]]:
        """Hold this state from now on, whatever is known of the object."""
        self._gone.pop(item.metadata.uid, None)
        self.unreadable.pop(key, None)
        old = self._objects.get(key)
        if old is not None and old.metadata.uid != item.metadata.uid:
            self._bury(old.metadata.uid, _FOR_GOOD)
            self._set(key, item)
            return [Change(old, None), Change(None, item)]
        # Not by the resourceVersion: after a restored backup the same one may be of another state.
        if old is not None and (old is item or old == item):
            return []
        self._set(key, item)
        return [Change(old, item)]

    def _version_of(self, key: Key) -> str:
        """The latest resourceVersion at which the object was seen to exist; empty if it was not."""
        held, unreadable = self._objects.get(key), self.unreadable.get(key, "")
        return held.metadata.resource_version if held is not None and not unreadable else unreadable

    def _learnt(self, key: Key, uid: str) -> None:
        for meanwhile in self._listings:
            meanwhile.keys.add(key)
            meanwhile.uids.add(uid)

    def _bury(self, uid: str, resource_version: str) -> None:
        if (known := self._gone.get(uid)) is None or newer(resource_version, known):
            self._gone[uid] = resource_version
        self._gone.move_to_end(uid)
        while len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)

    def _set(self, key: Key, item: T) -> None:
        self._unset(key)
        self._objects[key] = item
        for name, indexer in self._indexers.items():
            for value in _values(name, indexer, item):
                self._indexes[name].setdefault(value, set()).add(key)

    def _unset(self, key: Key) -> None:
        self.revision = object()
        old = self._objects.pop(key, None)
        if old is None:
            return
        for name, indexer in self._indexers.items():
            index = self._indexes[name]
            for value in _values(name, indexer, old):
                keys = index.get(value)
                if keys is not None:
                    keys.discard(key)
                    if not keys:
                        del index[value]


def _later(resource_version: str, than: str) -> bool:
    """Whether one resourceVersion is certainly later; where that is not certain, a deletion is believed."""
    return resource_version.isdecimal() and than.isdecimal() and int(resource_version) > int(than)


def _values(name: str, indexer: Indexer[T], item: T) -> tuple[str, ...]:
    """The indexer's values; none for an object that it cannot read, which must not keep the others out."""
    try:
        return tuple(indexer(item))
    except Exception:
        log.exception("object not indexed", index=name, object=str(item.metadata.key))
        return ()
