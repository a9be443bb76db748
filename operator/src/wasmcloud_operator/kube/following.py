"""Where a reflector stands, as one value, and how it moves on: pure, with no clock and no network.

    Empty ──Asked──▶ Listing ──Listed──▶ Opening ──Opened──▶ Watching ──Ended, FellSilent──▶ Opening …
    any ──Broke──▶ Failed ──Asked──▶ Opening, or Listing where the resourceVersion was rejected

An informer is *synced* once each of its reflectors was listed, and *live* while each is `live` here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from wasmcloud_operator.kube.errors import (
    ApiError,
    BadRequest,
    Expired,
    Forbidden,
    GarbledAnswer,
    Invalid,
    NotFound,
    ResourceVersionTooLarge,
)

# A resourceVersion that the server rejected (too old, from the future, malformed) is never shown to it again. Neither
# is one of a kind that was removed meanwhile, nor one at which the stream cannot be read.
_REJECTED = (Expired, ResourceVersionTooLarge, NotFound, BadRequest, Invalid, GarbledAnswer)
# Silences in a row after which a version that nothing has confirmed since a failure is given up.
_DOUBTED_SILENCES = 2


@dataclass(frozen=True, slots=True)
class Position:
    """The resourceVersion up to which the store is complete.

    Where a connection broke, the server may be another one afterwards, with a history that never reaches this version
    (a restored backup): `doubted` until it has sent anything. `silences` counts the streams since that brought nothing.
    """

    version: str
    doubted: bool = False
    silences: int = 0


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing is known, or nothing that can be gone on from: a list is due."""

    problem: str = "not listed yet"
    live: ClassVar[bool] = False
    gone: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list is under way; `gone` until it succeeds, where the server has not served the kind."""

    problem: str = "not listed yet"
    gone: bool = False
    live: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Opening:
    """A watch is being opened; `live` where the last watch only ended or was silent, which is no failure."""

    place: Position
    live: bool = False
    problem: str = "the watch is being opened"


@dataclass(frozen=True, slots=True)
class Watching:
    """A watch is open."""

    place: Position
    live: ClassVar[bool] = True
    problem: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A request or stream failed; `place` None: a list is due.

    `refused`: the permission is missing. `gone`: the server does not serve the kind, or does no more.
    """

    place: Position | None
    problem: str
    refused: bool = False
    gone: bool = False
    live: ClassVar[bool] = False


State = Empty | Listing | Opening | Watching | Failed


@dataclass(frozen=True, slots=True)
class Asked:
    """The next request goes out."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A full list was taken in."""

    version: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The server has begun to answer the watch."""


@dataclass(frozen=True, slots=True)
class Came:
    """An event or bookmark: the store is complete up to this version (empty: unknown)."""

    version: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream ended cleanly; `early`: before its time was over, as when the server shuts down."""

    early: bool = False


@dataclass(frozen=True, slots=True)
class FellSilent:
    """Nothing came for longer than a server usually leaves a watch without a bookmark. None are promised."""


@dataclass(frozen=True, slots=True)
class Broke:
    """A list, watch or stream failed."""

    error: Exception


Happened = Asked | Listed | Opened | Came | Ended | FellSilent | Broke


class Impossible(Exception):
    """A step that no reflector makes: a mistake of ours."""


def step(state: State, happened: Happened) -> State:
    """Returns the state after what happened. Raises Impossible for what cannot happen in this state."""
    after: State | None = None
    match state, happened:
        case Watching(place), Came(version):  # first, since there are most of these
            after = Watching(Position(version or place.version))
        case _, Broke(error):
            refused, gone = isinstance(error, Forbidden), isinstance(error, NotFound)
            after = Failed(_place_after(state, error), _words(error), refused, gone)
        case ((Empty(problem, gone=gone) | Failed(None, problem, gone=gone)), Asked()):
            after = Listing(problem, gone)
        case Failed(Position() as place, problem), Asked():
            after = Opening(place, problem=problem)
        case Opening(), Asked():
            after = state
        case Listing(problem), Listed(version):
            after = Opening(Position(version), problem=problem)
        case Opening(place), Opened():
            after = Watching(place)
        case Watching(place), Ended(early):
            after = Opening(replace(place, doubted=place.doubted or early), live=True)
        case Watching(place), FellSilent():
            after = _silent(replace(place, silences=place.silences + 1))
    if after is None:
        raise Impossible(f"{happened} while {state}")
    return after


def _silent(place: Position) -> State:
    if place.doubted and place.silences >= _DOUBTED_SILENCES:
        return Empty("nothing came since the connection broke")
    return Opening(place, live=True)


def _words(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def _place_after(state: State, error: Exception) -> Position | None:
    place = None if isinstance(state, (Empty, Listing)) else state.place
    if place is None or isinstance(error, _REJECTED):
        return None
    # An ERROR event again, and nothing came since the last failure: no watch gets past this version.
    if isinstance(state, Watching) and place.doubted and isinstance(error, ApiError):
        return None
    return replace(place, doubted=True)
