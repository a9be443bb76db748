"""From the bytes of list answers and watch lines to typed objects and events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kube import jsontext
from wasmcloud_operator.kube.errors import ApiError, GarbledAnswer, Status, error_from_status
from wasmcloud_operator.kube.objects import CustomResource, HasMetadata, Metadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import Key

T = TypeVar("T", bound=HasMetadata)

# KEP-3157: the bookmark that ends the initial events of a watch with sendInitialEvents=true.
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

# Deeper than any object that means something, and shallow enough that whatever walks over a cached object (a merge, a
# copy, a model's validation, a YAML dump) stays far from the interpreter's limit. The API server takes 9,900 levels.
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Which object it is, and at which resourceVersion."""

    key: Key
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class Put(Generic[T]):
    """A watch event ADDED or MODIFIED: the object as it now is."""

    item: T


@dataclass(frozen=True, slots=True)
class Deleted:
    """A watch event DELETED; the resourceVersion is the deletion's."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An object that exists and cannot be decoded; without an identity if not even that can be read."""

    identity: Identity | None
    why: str


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A watch event BOOKMARK: all up to this resourceVersion has been sent."""

    resource_version: str
    ends_initial_events: bool = False


WatchEvent = Put[T] | Deleted | Unreadable | Bookmark


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list: the objects, the list's resourceVersion, and the token for the next page (empty: last)."""

    items: list[T]
    resource_version: str
    continue_token: str = ""
    unreadable: tuple[Unreadable, ...] = ()


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None  # null: Go's empty list


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _BookmarkObject(msgspec.Struct, frozen=True):
    metadata: ObjectMeta


class _IdentityMeta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Identified(msgspec.Struct, frozen=True):
    metadata: _IdentityMeta


_list_decoder = msgspec.json.Decoder(_List)
_list_meta_decoder = msgspec.json.Decoder(_ListMeta)
_event_decoder = msgspec.json.Decoder(_Event)
_bookmark_decoder = msgspec.json.Decoder(_BookmarkObject)
_identity_decoder = msgspec.json.Decoder(_Identified)
_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_metadata_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_any_decoder: msgspec.json.Decoder[Json] = msgspec.json.Decoder()

_NOTHING = msgspec.Raw(b"null")
_CONTAINERS = (dict, list)
# How the API server writes an event. The object's end is not looked for: it may be megabytes away.
_framed_event = re.compile(rb'\{"type":"([A-Z]++)","object":(\{.*\})\}\s*', re.DOTALL)
_IDENTITY_MEMBERS = ("name", "namespace", "uid", "resourceVersion")


class _TooDeep(ValueError):
    """The object is nested deeper than `MAX_DEPTH`."""


class _Incomplete(ValueError):
    """It lacks what everything has that an API server sends."""


class Codec(Generic[T]):
    """Decodes one kind. An object that cannot be decoded, for whatever reason, costs that object alone."""

    def __init__(self, decode: Callable[[bytes | msgspec.Raw], T]) -> None:
        self._decode = decode

    @classmethod
    def of(cls, struct: type[T]) -> Codec[T]:
        """A codec that decodes straight into a msgspec struct, dropping every field the struct does not name."""
        decode = msgspec.json.Decoder(struct).decode
        return cls(lambda text: _shallow(decode(text), (text,)))

    def item(self, body: bytes) -> T:
        """Returns the object of an answer. Raises GarbledAnswer if it is not of the kind's shape."""
        try:
            return self._named(body)
        except Exception as error:
            raise GarbledAnswer(f"not an object of the kind: {_why(error)}") from error

    def page(self, body: bytes) -> Page[T]:
        """Returns one page of a list. Raises GarbledAnswer if it is none. Unreadable objects are left out."""
        try:
            metadata, raws = _split_page(body)
        except Exception as error:
            raise GarbledAnswer(f"not a list: {_why(error)}") from error
        if not metadata.resource_version:
            raise GarbledAnswer("not a list: it has no resourceVersion")
        items: list[T] = []
        unreadable = []
        for raw in raws:
            item = self._item_or_why(raw)
            if isinstance(item, Unreadable):
                unreadable.append(item)
            else:
                items.append(item)
        return Page(items, metadata.resource_version, metadata.continue_, tuple(unreadable))

    def event(self, line: bytes) -> WatchEvent[T]:
        """Returns the event in one line of a watch.

        Raises the named error of an ERROR event, and GarbledAnswer for a line that is no event.
        """
        try:
            kind, raw = _split_event(line)
            if kind == "BOOKMARK":
                metadata = _bookmark_decoder.decode(raw).metadata
                if not metadata.resource_version:
                    raise _Incomplete("a bookmark that has no resourceVersion")
                return Bookmark(metadata.resource_version, metadata.annotations.get(INITIAL_EVENTS_END) == "true")
        except Exception as error:
            raise GarbledAnswer(f"not a watch event: {_why(error)}") from error
        if kind == "ERROR":
            raise watch_error(bytes(raw))
        if kind == "DELETED":
            identity = _identity(raw)
            return Deleted(identity) if identity else Unreadable(None, "a deletion that names no object")
        if kind not in ("ADDED", "MODIFIED"):
            raise GarbledAnswer(f"not a watch event: its type is {kind[:20]!r}")
        item = self._item_or_why(raw)
        return item if isinstance(item, Unreadable) else Put(item)

    def _named(self, text: bytes | msgspec.Raw) -> T:
        """Returns the object. Raises whatever its decoding does, and _Incomplete for `{}` and the like."""
        item = self._decode(text)
        if not item.metadata.name:
            raise _Incomplete("it has no metadata.name")
        return item

    def _item_or_why(self, raw: bytes | msgspec.Raw) -> T | Unreadable:
        try:
            return self._named(raw)
        except Exception as error:  # noqa: BLE001 - whatever it is, no other object is to suffer from it
            return Unreadable(_identity(raw), _why(error))


def watch_error(body: bytes) -> ApiError:
    """The named error of a watch's ERROR event, whose object is a metav1.Status."""
    return error_from_status(Status.parse(body), http_code=200)


def _split_page(body: bytes) -> tuple[_ListMeta, list[bytes] | list[msgspec.Raw]]:
    try:
        page = _list_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError):  # perhaps of one object, that is too deep even to be skipped
        parts = jsontext.members(body)
        items = parts["items"]
        metadata = _list_meta_decoder.decode(parts["metadata"])
        return metadata, [] if items == b"null" else jsontext.elements(items)
    return page.metadata, page.items or []


def _split_event(line: bytes) -> tuple[str, bytes | msgspec.Raw]:
    try:
        event = _event_decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):  # as in `_split_page`
        if framed := _framed_event.fullmatch(line):
            return framed.group(1).decode(), framed.group(2)
        parts = jsontext.members(line)
        return jsontext.string(parts["type"]), parts["object"]
    return event.type, event.object


def _identity(raw: bytes | msgspec.Raw) -> Identity | None:
    """Returns the identity of an object, even of one that is too deep; None if it cannot be read."""
    try:
        try:
            meta = _identity_decoder.decode(raw).metadata
        except (msgspec.DecodeError, RecursionError):
            parts = jsontext.members(jsontext.member(bytes(raw), "metadata"))
            named = {name: jsontext.string(parts[name]) for name in _IDENTITY_MEMBERS if name in parts}
            meta = msgspec.convert(named, _IdentityMeta)
    except (ValueError, RecursionError):
        return None
    return Identity(Key(meta.namespace, meta.name), meta.uid, meta.resource_version)


def _shallow(item: T, texts: Iterable[bytes | msgspec.Raw]) -> T:
    """Returns the item. Raises _TooDeep if it is nested deeper than `MAX_DEPTH`; `texts` are what it was decoded from.

    Each text is at most two levels below the item. None nests deeper than it has brackets, so few items are walked.
    """
    if any(map(_may_be_deep, texts)) and _is_deep(item):
        raise _TooDeep(f"nested deeper than {MAX_DEPTH} levels")
    return item


def _may_be_deep(text: bytes | msgspec.Raw) -> bool:
    levels = MAX_DEPTH - 2
    if len(text) < 2 * levels:
        return False
    read = bytes(text)
    return read.count(b"{") + read.count(b"[") > levels


def _is_deep(item: object) -> bool:
    fields = (getattr(item, name) for name in getattr(item, "__struct_fields__", ()))
    layer: list[JsonObject | list[Json]] = [value for value in fields if type(value) in _CONTAINERS]
    for _ in range(MAX_DEPTH):
        inside = (container.values() if isinstance(container, dict) else container for container in layer)
        layer = [value for values in inside for value in values if type(value) in _CONTAINERS]
        if not layer:
            return False
    return True


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH} levels"
    if isinstance(error, (msgspec.MsgspecError, _TooDeep, _Incomplete)):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _decode_unstructured(text: bytes | msgspec.Raw) -> Unstructured:
    """Decodes all but managedFields: they are half of a Deployment, and decoding them is half of the time."""
    members = _members_decoder.decode(text)
    metadata = _metadata_decoder.decode(members.get("metadata", _NOTHING)) or {}
    metadata.pop("managedFields", None)
    members["metadata"] = _NOTHING  # in its place among the others
    body = {name: _any_decoder.decode(value) for name, value in members.items()}
    body["metadata"] = {name: _any_decoder.decode(value) for name, value in metadata.items()}
    return _shallow(Unstructured.from_body(body), (*members.values(), *metadata.values()))


UNSTRUCTURED: Codec[Unstructured] = Codec(_decode_unstructured)
CUSTOM_RESOURCE: Codec[CustomResource] = Codec.of(CustomResource)
METADATA: Codec[Metadata] = Codec.of(Metadata)
