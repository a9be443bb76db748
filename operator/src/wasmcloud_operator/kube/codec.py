"""From the bytes of list answers and watch lines to typed objects and events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
import structlog

from wasmcloud_operator.kube.errors import ApiError, Status, error_from_status
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.objects import HasMetadata, ObjectMeta, Unstructured

log = structlog.get_logger()

T = TypeVar("T", bound=HasMetadata)

# KEP-3157: the bookmark that ends the initial events of a watch with sendInitialEvents=true.
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list: the objects, the list's resourceVersion, and the token for the next page (empty: last)."""

    items: list[T]
    resource_version: str
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class Put(Generic[T]):
    """A watch event ADDED or MODIFIED: the object as it now is."""

    item: T


@dataclass(frozen=True, slots=True)
class Deleted(Generic[T]):
    """A watch event DELETED: the object in its last state; its resourceVersion is that of the deletion."""

    item: T


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A watch event BOOKMARK: all up to this resourceVersion has been sent."""

    resource_version: str
    ends_initial_events: bool = False


WatchEvent = Put[T] | Deleted[T] | Bookmark


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta = _ListMeta()
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _BookmarkObject(msgspec.Struct, frozen=True):
    metadata: ObjectMeta


_list_decoder = msgspec.json.Decoder(_List)
_event_decoder = msgspec.json.Decoder(_Event)
_bookmark_decoder = msgspec.json.Decoder(_BookmarkObject)


class Codec(Generic[T]):
    """Decodes one kind. Objects that cannot be decoded are logged and left out, so that one never hides the rest."""

    def __init__(self, decode: Callable[[bytes | msgspec.Raw], T]) -> None:
        self._decode = decode

    @classmethod
    def of(cls, struct: type[T]) -> Codec[T]:
        """A codec that decodes straight into a msgspec struct, dropping every field the struct does not name."""
        return cls(msgspec.json.Decoder(struct).decode)

    def item(self, body: bytes | msgspec.Raw) -> T:
        """One object; raises msgspec.MsgspecError if it is not of the kind's shape."""
        return self._decode(body)

    def page(self, body: bytes) -> Page[T]:
        """One page of a list."""
        page = _list_decoder.decode(body)
        items = []
        for raw in page.items or ():
            try:
                items.append(self._decode(raw))
            except msgspec.MsgspecError as error:
                _left_out(error)
        return Page(items, page.metadata.resource_version, page.metadata.continue_)

    def event(self, line: bytes) -> WatchEvent[T] | None:
        """One line of a watch; None for an object that was left out. Raises the ERROR event's named error."""
        event = _event_decoder.decode(line)
        if event.type == "BOOKMARK":
            metadata = _bookmark_decoder.decode(event.object).metadata
            return Bookmark(metadata.resource_version, metadata.annotations.get(INITIAL_EVENTS_END) == "true")
        if event.type == "ERROR":
            raise watch_error(bytes(event.object))
        try:
            item = self._decode(event.object)
        except msgspec.MsgspecError as error:
            _left_out(error)
            return None
        return Deleted(item) if event.type == "DELETED" else Put(item)


def watch_error(body: bytes) -> ApiError:
    """The named error of a watch's ERROR event, whose object is a metav1.Status."""
    return error_from_status(Status.parse(body), http_code=500)


def _left_out(error: msgspec.MsgspecError) -> None:
    log.error("object left out of the cache: it is not of its kind's shape", error=str(error))


def _decode_unstructured(body: bytes | msgspec.Raw) -> Unstructured:
    decoded: JsonObject = msgspec.json.decode(body, type=JsonObject)
    return Unstructured.from_body(decoded)


UNSTRUCTURED: Codec[Unstructured] = Codec(_decode_unstructured)
