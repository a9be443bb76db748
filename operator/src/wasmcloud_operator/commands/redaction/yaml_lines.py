"""Secrets on the lines below their names in YAML, or behind them on lines of their own."""

from __future__ import annotations

import re
from collections.abc import Callable

from wasmcloud_operator.commands.redaction.names import BELOW, BLACK, FLAG, NAME_OF_SEVERAL, SAID, SEVERAL


def without_what_is_below(text: str) -> str:
    """Returns the text without what YAML has on the lines below the name of a secret, or behind it on its own.

    The ends of lines may be those of a text in JSON.
    """
    if ":" not in text:
        return text
    parts = LINE_END.split(text)
    cover: Callable[[str], str] | None = None
    column = 0
    for number in range(0, len(parts), 2):
        line = parts[number]
        indent = len(line) - len(line.lstrip(" \t"))
        if cover is not None:
            if not line.strip():
                continue
            if indent > column or (indent == column and cover is not _as_text and line.startswith("- ", indent)):
                parts[number] = line[:indent] + cover(line[indent:])
                continue
            cover = None
        if ":" not in line or (found := _HEAD.search(line) or _ENTRY.match(line)) is None:
            continue
        column = column_of(line, found.start("name"))
        if found.re is _ENTRY:
            if _QUOTED.fullmatch(found["value"]):
                continue
            parts[number] = line[: found.start("value")] + BLACK + ("," if line.endswith(",") else "")
            cover = _as_text
        elif found["block"]:
            cover = _as_text
        else:
            cover = _each if NAME_OF_SEVERAL.fullmatch(found["name"]) else _unnamed
    return "".join(parts)


def column_of(line: str, start: int) -> int:
    """Returns how far a name is indented; what stands behind a log's own words has lines of its own below it."""
    before = line[:start]
    return len(before) if not before.strip(" \t-\"'") else 0


LINE_END = re.compile(r"((?:\\+r)?\\+n|\r?\n)")
_HEAD = re.compile(
    rf"(?<![\w.-])(?P<name>{BELOW}|{SEVERAL})\\*[\"']?[ \t]*:[ \t]*"
    r"(?:[!&]\S*[ \t]*)*(?P<block>[|>][-+0-9]*)?[ \t]*(?:#.*)?$",
    re.IGNORECASE,
)
_ENTRY = re.compile(
    rf"[ \t]*(?:-[ \t]+)*[\"']?(?P<name>{FLAG})[\"']?[ \t]*:[ \t]+"
    rf"(?P<value>(?![{{\[|>]|\w+\([\\\"']|(?:true|false|null|~)\b).*\S)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"([\"']).*\1,?")
ITEM = re.compile(r"((?:-[ \t]+)*(?:[\"']?[\w.-]+[\"']?[ \t]*:(?:[ \t]+|$))?)(.*)")


def _as_text(line: str) -> str:
    return BLACK


def _each(line: str) -> str:
    """Items and values, whatever they are called."""
    found = ITEM.match(line)
    return f"{found[1]}{BLACK}" if found is not None and found[2] else line


def _unnamed(line: str) -> str:
    """Items and a text, not what has a name of its own: `secret: {secretName: …}`."""
    found = ITEM.match(line)
    if found is None or not found[2]:
        return line
    name = found[1].lstrip("- \t").rstrip(": \t").strip("\"'")
    return f"{found[1]}{BLACK}" if not name or SAID.match(name) else line
