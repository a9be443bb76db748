"""Where a reflector's objects come from: one kind, in one namespace or all, narrowed by selectors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import Codec, Page
from wasmcloud_operator.kube.objects import HasMetadata
from wasmcloud_operator.kube.resources import Resource

T = TypeVar("T", bound=HasMetadata)
PageT = TypeVar("PageT", bound=HasMetadata)

PAGE_SIZE = 500

# The client's own bound on a silent stream; the reflector's idle timer, which is on the clock, comes first.
_SOCKET_IDLE_SECONDS = 90.0


class Source(Protocol[PageT]):
    """Lists and watches. Raises the errors of `kube.errors`."""

    async def page(self, continue_token: str) -> Page[PageT]:
        """Returns the first page of a consistent list, or the page that the token names."""

    def watch(
        self, resource_version: str, *, initial_events: bool, timeout_seconds: int
    ) -> AbstractAsyncContextManager[AsyncIterator[list[bytes]]]:
        """The watch after `resource_version`, as batches of lines.

        With `initial_events` the objects that exist come first, ended by a bookmark (KEP-3157).
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSource(Generic[T]):
    """A source on the API server."""

    client: Reader
    resource: Resource
    codec: Codec[T]
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    metadata_only: bool = False

    async def page(self, continue_token: str) -> Page[T]:
        """One page of a list that is consistent (no resourceVersion given), so it can never be older than the watch."""
        query = [("limit", str(PAGE_SIZE)), *self._selectors()]
        if continue_token:
            query.append(("continue", continue_token))
        return await self.client.list_page(
            self.resource, self.codec, namespace=self.namespace, query=query, metadata_only=self.metadata_only
        )

    def watch(
        self, resource_version: str, *, initial_events: bool, timeout_seconds: int
    ) -> AbstractAsyncContextManager[AsyncIterator[list[bytes]]]:
        """A watch with bookmarks."""
        query = [("allowWatchBookmarks", "true"), ("timeoutSeconds", str(timeout_seconds)), *self._selectors()]
        if resource_version:
            query.append(("resourceVersion", resource_version))
        if initial_events:
            query += [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]
        return self.client.watch(
            self.resource,
            namespace=self.namespace,
            query=query,
            metadata_only=self.metadata_only,
            idle=_SOCKET_IDLE_SECONDS,
        )

    def _selectors(self) -> list[tuple[str, str]]:
        pairs = (("labelSelector", self.label_selector), ("fieldSelector", self.field_selector))
        return [(name, value) for name, value in pairs if value]
