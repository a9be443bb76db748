"""The typed clients: the few verbs that controllers need, each with a deadline; whoever only reads cannot write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.base.write_gate import WriteGate, seconds_to_write
from wasmcloud_operator.kube.calls import Calls, Sends
from wasmcloud_operator.kube.codec import UNSTRUCTURED, Codec, Page
from wasmcloud_operator.kube.errors import Conflict, GarbledAnswer, Invalid, NotFound, WritesForbidden
from wasmcloud_operator.kube.objects import HasMetadata, Unstructured
from wasmcloud_operator.kube.resources import Key, Resource
from wasmcloud_operator.kube.sending import checked_when_sent
from wasmcloud_operator.kube.slots import Slots
from wasmcloud_operator.kube.tracing import Span, no_span
from wasmcloud_operator.kube.transport import Timeouts

if TYPE_CHECKING:
    from wasmcloud_operator.kube.metrics import Metrics  # a command has none, and waits for no library of them

T = TypeVar("T", bound=HasMetadata)
R = TypeVar("R")

PatchType = Literal["application/merge-patch+json", "application/json-patch+json", "application/apply-patch+yaml"]
MERGE_PATCH: PatchType = "application/merge-patch+json"
JSON_PATCH: PatchType = "application/json-patch+json"
APPLY_PATCH: PatchType = "application/apply-patch+yaml"

_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_ONLY_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

# A read may wait for a slow list; a write that takes longer than this is better tried again.
_READ = Timeouts(total=60.0)
_DRY_RUN = (("dryRun", "All"),)
_WRITE_SECONDS = 15.0


class Reader:
    """Reads from the API server. It has no way to change anything: that takes a `Writer`.

    Every call but a watch holds one of `slots`, for its namespace. All methods raise the errors of `kube.errors`.
    """

    def __init__(
        self,
        transport: Sends,
        *,
        metrics: Metrics | None = None,
        slots: Slots | None = None,
        span: Span = no_span,
    ) -> None:
        self._calls = Calls(transport, slots or Slots(), metrics, span)

    @property
    def host(self) -> str:
        """The API server's URL."""
        return self._calls.transport.host

    @property
    def server_identity(self) -> str:
        """What distinguishes API servers: the URL and the authorities that vouch for it."""
        return self._calls.transport.server_identity

    @property
    def server_now(self) -> datetime | None:
        """The API server's wall clock, to a second or what its last answer took; None before the first answer."""
        return self._calls.server_now

    async def get_path(self, path: str) -> JsonObject:
        """The decoded answer of any GET: `/version`, discovery."""
        return await self._read(path, (), {"Accept": "application/json"}, _json_object)

    async def get_text(self, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
        """The answer of any GET as text: logs, metrics."""
        return await self._read(path, query, {"Accept": "*/*"}, lambda body: body.decode("utf-8", "replace"))

    async def get(self, resource: Resource, key: Key) -> Unstructured:
        """One object, read live."""
        return await self.get_as(resource, key, UNSTRUCTURED)

    async def find(self, resource: Resource, key: Key) -> Unstructured | None:
        """One object, read live; None where there is none of that name."""
        with suppress(NotFound):
            return await self.get(resource, key)
        return None

    async def get_whole(self, resource: Resource, key: Key) -> JsonObject:
        """One object with what the codecs leave out: managedFields, and what `kubectl apply` applied last."""
        return await self._read(resource.path(key), (), None, _whole)

    async def find_whole(self, resource: Resource, key: Key) -> JsonObject | None:
        """The same; None where there is none of that name."""
        with suppress(NotFound):
            return await self.get_whole(resource, key)
        return None

    async def get_as(self, resource: Resource, key: Key, codec: Codec[T]) -> T:
        """One object, read live, as the codec's type."""
        return await self._read(resource.path(key), (), None, codec.item)

    async def list_page(
        self,
        resource: Resource,
        codec: Codec[T],
        *,
        namespace: str = "",
        query: Iterable[tuple[str, str]] = (),
        metadata_only: bool = False,
    ) -> Page[T]:
        """One page of a list; `query` carries selectors, limit, continue and resourceVersion."""
        headers = {"Accept": _METADATA_ONLY_LIST} if metadata_only else None
        return await self._read(resource.collection(namespace), tuple(query), headers, codec.page)

    async def list_all(
        self, resource: Resource, codec: Codec[T], *, namespace: str = "", selector: str = ""
    ) -> list[T]:
        """All objects, consistent, in pages of 500; for questions asked once, since informers answer the others."""
        items: list[T] = []
        query = [("limit", "500"), *((("labelSelector", selector),) if selector else ())]
        token = ""
        while True:
            page = await self.list_page(
                resource, codec, namespace=namespace, query=[*query, *((("continue", token),) if token else ())]
            )
            items += page.items
            if not (token := page.continue_token):
                return items

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        query: Iterable[tuple[str, str]] = (),
        metadata_only: bool = False,
        idle: float,
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """A watch's lines in batches; DeadlineExceeded after `idle` seconds in which nothing came."""
        headers = {"Accept": _METADATA_ONLY} if metadata_only else None
        timeouts = Timeouts(total=None, read=idle)
        path = resource.collection(namespace)
        stream = self._calls.transport.stream(
            path, timeouts=timeouts, query=(("watch", "true"), *query), headers=headers
        )
        async with AsyncExitStack() as stack:
            with self._calls.measured("WATCH") as answered:
                lines = await stack.enter_async_context(stream)
                answered(200, "")
            yield lines

    async def review(self, resource: Resource, body: JsonObject) -> JsonObject:
        """The answer to a review of what somebody may do: created, and stored nowhere."""
        return await self._calls.send("POST", resource.collection(""), _json_object, allowed=_reading, body=body)

    async def _read(
        self,
        path: str,
        query: Iterable[tuple[str, str]],
        headers: Mapping[str, str] | None,
        decode: Callable[[bytes], R],
    ) -> R:
        return await self._calls.send("GET", path, decode, allowed=_reading, query=query, headers=headers)


class Writer(Reader):
    """Writes to the API server, only while its gate is open and with a deadline before it closes."""

    def __init__(self, reader: Reader, *, field_manager: str, gate: WriteGate) -> None:
        self._calls = reader._calls  # noqa: SLF001 - public, they would let every reader write
        self._gate = gate
        self.field_manager = field_manager

    async def apply(
        self,
        resource: Resource,
        body: JsonObject,
        codec: Codec[T],
        *,
        subresource: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> T:
        """Server-side apply (forced) of the fields in `body`, as another field manager if one is given.

        A `metadata.uid` in it must be the live object's: Conflict if that object is gone or replaced by another.
        """
        metadata = body["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        query = [("fieldManager", field_manager or self.field_manager), ("force", "true")]
        query += _DRY_RUN[:dry_run]
        try:
            return await self._write(
                "PATCH", resource.path(key, subresource), body, codec.item, content_type=APPLY_PATCH, query=query
            )
        except Invalid as error:
            # The API server's word for "another object has that name now"; for a vanished one it is 409.
            if any(field == "metadata.uid" for field, _ in error.causes):
                raise Conflict(409, "Conflict", f"{resource.kind} {key} is another object now: {error}") from error
            raise

    async def patch(
        self,
        resource: Resource,
        key: Key,
        patch: Json,
        patch_type: PatchType,
        codec: Codec[T],
        *,
        dry_run: bool = False,
    ) -> T:
        """A merge patch or JSON patch."""
        query = [("fieldManager", self.field_manager), *_DRY_RUN[:dry_run]]
        return await self._write("PATCH", resource.path(key), patch, codec.item, content_type=patch_type, query=query)

    async def create(
        self, resource: Resource, body: JsonObject, *, namespace: str = "", dry_run: bool = False
    ) -> Unstructured:
        """POST of a new object."""
        query = [("fieldManager", self.field_manager), *_DRY_RUN[:dry_run]]
        return await self._write("POST", resource.collection(namespace), body, UNSTRUCTURED.item, query=query)

    async def update(self, resource: Resource, key: Key, body: JsonObject, codec: Codec[T]) -> T:
        """PUT of a whole object; its metadata.resourceVersion is the precondition."""
        query = [("fieldManager", self.field_manager)]
        return await self._write("PUT", resource.path(key), body, codec.item, query=query)

    async def delete(
        self, resource: Resource, key: Key, *, uid: str, propagation: str = "Background"
    ) -> Unstructured | None:
        """Delete the object with that uid, and no other of its name.

        Returns the object if it stays for a while (finalizers), None if it is gone.
        """
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {"uid": uid},
        }
        return await self._write("DELETE", resource.path(key), options, _left)

    async def _write(
        self,
        method: str,
        path: str,
        body: Json,
        decode: Callable[[bytes], R],
        *,
        content_type: str | None = None,
        query: Iterable[tuple[str, str]] = (),
    ) -> R:
        headers = {"Content-Type": content_type} if content_type else None
        return await self._calls.send(
            method, path, decode, allowed=self._writing, query=query, headers=headers, body=body
        )

    @contextmanager
    def _writing(self, method: str, path: str) -> Iterator[Timeouts]:
        """Ask the gate after the wait for a slot, in which the lease may have gone, and again when it is sent."""
        timeouts = Timeouts(total=min(_WRITE_SECONDS, self._seconds_to_write(method, path)))
        with checked_when_sent(lambda: self._seconds_to_write(method, path)):
            yield timeouts

    def _seconds_to_write(self, method: str, path: str) -> float:
        seconds = seconds_to_write(self._gate)
        if not seconds:
            raise WritesForbidden(f"{method} {path}: this replica may not write now")
        return seconds


@contextmanager
def _reading(_method: str, _path: str) -> Iterator[Timeouts]:
    yield _READ


def _json_object(body: bytes) -> JsonObject:
    try:
        return msgspec.json.decode(body, type=JsonObject)
    except (ValueError, RecursionError) as error:  # msgspec's own errors, text that is not UTF-8, what is too deep
        raise GarbledAnswer(f"not a JSON object: {error}") from error


def _whole(body: bytes) -> JsonObject:
    UNSTRUCTURED.item(body)  # raises GarbledAnswer for what is no object
    return _json_object(body)


def _left(body: bytes) -> Unstructured | None:
    """Returns the object of a deletion's answer; None of a Status, which says that it is gone."""
    return None if _json_object(body).get("kind") == "Status" else UNSTRUCTURED.item(body)
