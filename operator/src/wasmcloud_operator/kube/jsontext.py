"""Takes JSON text apart without recursion, so that nothing in it is too deep."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_name = re.compile(rb"(" + _STRING + rb")\s*+:\s*+", re.DOTALL)
_scalar = re.compile(_STRING + rb"|[^\s,:\[\]{}\"]++", re.DOTALL)
_space = re.compile(rb"\s*+")
# Up to the next run of brackets, over strings and whatever holds none. Possessive: it never goes back, so it is linear.
_brackets = re.compile(rb'[^"\[\]{}]*+(?:' + _STRING + rb'[^"\[\]{}]*+)*+([\[{]++|[\]}]++)', re.DOTALL)


class NotJson(ValueError):
    """The text is not JSON of the shape that was asked for."""


def members(text: bytes) -> dict[str, bytes]:
    """Returns the text of each member of an object; of a name that is there twice, the last. Raises NotJson."""
    return {string(name): value for name, value in _entries(text, b"{", b"}", named=True)}


def member(text: bytes, name: str) -> bytes:
    """Returns the text of the first member of that name; what comes after it is not looked at. Raises NotJson."""
    for at, value in _entries(text, b"{", b"}", named=True):
        if string(at) == name:
            return value
    raise NotJson(f"no member {name}")


def elements(text: bytes) -> list[bytes]:
    """Returns the text of each element of an array. Raises NotJson."""
    return [value for _, value in _entries(text, b"[", b"]", named=False)]


def string(text: bytes) -> str:
    """Returns the value of a string. Raises NotJson."""
    try:
        return msgspec.json.decode(text, type=str)
    except ValueError as error:  # msgspec's own errors, and text that is not UTF-8
        raise NotJson(str(error)) from error


def _entries(text: bytes, opening: bytes, closing: bytes, *, named: bool) -> Iterator[tuple[bytes, bytes]]:
    at = _expect(text, _skip_space(text, 0), opening)
    more = text[at : at + 1] != closing
    while more:
        name = b""
        if named:
            match = _name.match(text, at)
            if match is None:
                raise NotJson(f"no name at byte {at}")
            name, at = match.group(1), match.end()
        end = _end_of_value(text, at)
        yield name, text[at:end]
        at = _skip_space(text, end)
        more = text[at : at + 1] == b","
        if more:
            at = _skip_space(text, at + 1)
    if (end := _expect(text, at, closing)) != len(text):
        raise NotJson(f"more than one value, at byte {end}")


def _expect(text: bytes, at: int, what: bytes) -> int:
    if text[at : at + 1] != what:
        raise NotJson(f"no {what.decode()} at byte {at}")
    return _skip_space(text, at + 1)


def _skip_space(text: bytes, at: int) -> int:
    match = _space.match(text, at)
    return match.end() if match else at


def _end_of_value(text: bytes, at: int) -> int:
    if text[at : at + 1] not in (b"[", b"{"):
        if (scalar := _scalar.match(text, at)) is None:
            raise NotJson(f"no value at byte {at}")
        return scalar.end()
    depth = 0
    while (match := _brackets.match(text, at)) is not None:
        run = match.end(1) - match.start(1)
        at = match.end()
        if text[at - 1] in b"[{":
            depth += run
        elif run >= depth:
            return match.start(1) + depth
        else:
            depth -= run
    raise NotJson("the text ends too early")
