"""Which Applications were left in wadm on purpose: what they were is never removed there, whoever leads later.

A ConfigMap in the operator's namespace has their uids. wadm could not bear the mark: most of all an Application is left
there when wadm does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from wasmcloud_operator.application.place import Place
from wasmcloud_operator.kube.client import MERGE_PATCH, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.objects import CustomResource, Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP, Key
from wasmcloud_operator.lattice.lattice import Lattice

NAME = "wasmcloud-operator-left-in-wadm"

_IN, _AND = " in ", ","


@dataclass(frozen=True, slots=True)
class _Left:
    """An Application (namespace/name), and the ids of the lattices that it was left in; "" for one without an id."""

    application: str
    lattices: frozenset[str]

    @classmethod
    def parsed(cls, text: str) -> Self:
        application, _, ids = text.partition(_IN)
        return cls(application, frozenset(ids.split(_AND)))

    def __str__(self) -> str:
        return f"{self.application}{_IN}{_AND.join(sorted(self.lattices))}" if any(self.lattices) else self.application

    @property
    def name(self) -> str:
        return self.application.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class LeftOnPurpose:
    """The ConfigMap. Methods raise the errors of `kube.errors`.

    What wadm has no more is forgotten when something is added: at rest nothing is read or written for that.
    """

    client: Writer
    namespace: str
    known_as: Callable[[str], Iterable[Lattice]]
    """The lattices in use that have an id."""

    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def add(self, item: CustomResource, places: Iterable[Place]) -> None:
        """Note an Application. Before its finalizer goes: nothing knows of it afterwards.

        Raises Conflict when somebody else has changed the ConfigMap meanwhile.
        """
        async with self._one_at_a_time:
            held = await self.client.find(CONFIG_MAP, self._key)
            before = _data(held)
            uid = item.metadata.uid
            ids = {place.id for place in places}
            if uid in before:
                ids |= _Left.parsed(before[uid]).lattices
            noted = str(_Left(str(item.metadata.key), frozenset(ids)))
            gone = {other: None for other, text in before.items() if other != uid and self._is_gone(_Left.parsed(text))}
            if before.get(uid) == noted and not gone:
                return
            if held is None:
                head = {"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind}
                body = {**head, "metadata": {"name": NAME}, "data": {uid: noted}}
                await self.client.create(CONFIG_MAP, body, namespace=self.namespace)
            else:
                seen = {"resourceVersion": held.metadata.resource_version}
                patch = {"metadata": seen, "data": {**gone, uid: noted}}
                await self.client.patch(CONFIG_MAP, self._key, patch, MERGE_PATCH, UNSTRUCTURED)

    async def uids(self) -> Collection[str]:
        """The uids of those that were noted, read live."""
        return _data(await self.client.find(CONFIG_MAP, self._key)).keys()

    def _is_gone(self, left: _Left) -> bool:
        """Whether each lattice is in use and its wadm has surely nothing of the name, whoever put it."""
        lattices = [list(self.known_as(id_)) for id_ in left.lattices]
        ledgers = [lattice.ledger for known in lattices for lattice in known]
        return all(lattices) and all(ledger.current and ledger.entry(left.name) is None for ledger in ledgers)

    @property
    def _key(self) -> Key:
        return Key(self.namespace, NAME)


def _data(held: Unstructured | None) -> Mapping[str, str]:
    return (held.body.get("data") or {}) if held is not None else {}
