"""What can go wrong with a request to the scripted API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wasmcloud_operator.base.jsontypes import JsonObject

On = Literal["any", "read", "list", "page", "watch", "write"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with the next request of a kind.

    `on` is that kind: `page` is a list request with a continue token, `read` any GET that is no watch.
    """

    on: On = "any"


@dataclass(frozen=True, slots=True)
class Answer(Fault):
    """An HTTP answer instead of the real one: an error's Status, a proxy's HTML page."""

    code: int = 500
    body: JsonObject | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoAnswer(Fault):
    """The request is taken, and nothing ever comes back. With `late` it has its effect all the same."""

    late: bool = False


@dataclass(frozen=True, slots=True)
class InStream(Fault):
    """Something that goes wrong with a watch that was begun."""

    on: On = "watch"
    after: int = 0  # events that still come through


@dataclass(frozen=True, slots=True)
class ErrorEvent(InStream):
    """An ERROR event, which comes with HTTP 200, and the end of the stream."""

    code: int = 410
    reason: str = "Expired"
    message: str = "too old resource version"


@dataclass(frozen=True, slots=True)
class End(InStream):
    """The stream ends as it does when its time is over."""


@dataclass(frozen=True, slots=True)
class Cut(InStream):
    """The connection breaks; with `half_line` in the middle of the next event."""

    half_line: bool = False


@dataclass(frozen=True, slots=True)
class Silent(InStream):
    """Nothing comes any more, not even bookmarks, and the connection stays."""


@dataclass(frozen=True, slots=True)
class Garbage(InStream):
    """A line that is not JSON, and the end of the stream."""


class ConnectionCut(Exception):
    """What a stream raises for its carrier to break the connection."""
