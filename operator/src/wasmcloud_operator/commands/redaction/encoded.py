"""Values in base64, as a Secret has them under `data`: a ConfigMap, which has plain ones there, is left alone."""

from __future__ import annotations

import base64
import binascii
import re

from wasmcloud_operator.commands.redaction.names import BLACK
from wasmcloud_operator.commands.redaction.yaml_lines import ITEM, LINE_END, column_of

_LONG = 24
_BASE64 = re.compile(r"[A-Za-z0-9+/]{4,}={0,2}")
# Values in braces, also over several lines, and as Go prints a map.
_IN_BRACES = re.compile(r"(?<![\w.-])data\\*[\"']?\s*[:=]\s*(?:map\[|\{)[^}\]]{1,10000}")
_VALUE = re.compile(r"(:\s*\\*[\"']?)([A-Za-z0-9+/]{4,}={0,2})(?![A-Za-z0-9+/=])")

_HEAD = re.compile(r"(?<![\w.-])(?P<name>data)\\*[\"']?[ \t]*:[ \t]*(?:#.*)?$")


def is_encoded(text: str) -> bool:
    """Whether a text is the base64 of another text, or of so many bytes that it can be nothing else.

    A word of four letters has that form, too, but is the base64 of no text.
    """
    if len(text) % 4 or not _BASE64.fullmatch(text):
        return False
    try:
        plain = base64.b64decode(text, validate=True).decode("utf-8")
    except binascii.Error:
        return False
    except UnicodeDecodeError:
        return len(text) >= _LONG and all(any(map(kind, text)) for kind in (str.isupper, str.islower, str.isdigit))
    return all(character.isprintable() or character.isspace() for character in plain)


def without_encoded_data(text: str) -> str:
    """Returns the text without the encoded values in the braces behind `data`, or on the lines below it."""
    if "data" not in text:
        return text
    return _without_values_below(_IN_BRACES.sub(lambda found: _VALUE.sub(_unless_plain, found[0]), text))


def _without_values_below(text: str) -> str:
    parts = LINE_END.split(text)
    column: int | None = None
    for number in range(0, len(parts), 2):
        line = parts[number]
        words = line.lstrip(" \t")
        indent = len(line) - len(words)
        if column is not None and words:
            if indent > column:
                parts[number] = line[:indent] + _without_value(words)
            else:
                column = None
        if found := _HEAD.search(line):
            column = column_of(line, found.start("name"))
    return "".join(parts)


def _without_value(line: str) -> str:
    found = ITEM.match(line)
    return f"{found[1]}{BLACK}" if found is not None and is_encoded(found[2].strip("\"' \t")) else line


def _unless_plain(value: re.Match[str]) -> str:
    return f"{value[1]}{BLACK}" if is_encoded(value[2]) else value[0]
