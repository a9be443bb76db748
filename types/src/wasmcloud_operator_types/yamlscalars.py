"""YAML scalars to JSON values by the rules of go-yaml v2, which kubectl uses.

`yes` and `on` are booleans, dates are text, `22:22` is no number.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from typing import TypeAlias

import yaml

Scalar: TypeAlias = bool | int | float | str | None

TAG = "tag:yaml.org,2002:"

_INTEGER = re.compile(r"[-+]?(0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|[1-9][0-9]*|0)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{
        form: truth
        for truth, words in ((True, ("y", "yes", "on", "true")), (False, ("n", "no", "off", "false")))
        for word in words
        for form in (word, word.capitalize(), word.upper())
    },
}
# Go writes smaller whole numbers into JSON without a fraction or an exponent: 1.0 and 1e3 are whole ones.
_WRITTEN_WHOLE = 1e21
_TYPES = {"null": type(None), "bool": bool, "int": int, "float": float}
_NOT_IN_JSON = frozenset(f"{sign}{word}" for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")) | frozenset(
    (".nan", ".NaN", ".NAN")
)


class BadScalar(Exception):
    """The text of a scalar does not fit its tag, or has no value in JSON."""


def scalar(event: yaml.ScalarEvent) -> Scalar:
    """Returns the value. Raises BadScalar."""
    text: str = event.value
    tag: str | None = event.tag
    if tag in (None, "!"):
        return _plain(text) if is_plain(event) else text
    kind = tag.removeprefix(TAG) if tag else ""
    value = _plain(text)
    match kind:
        case "str" | "timestamp":
            return text
        case "binary":
            try:
                return base64.b64decode(text, validate=False).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError):
                raise BadScalar("this is no binary") from None
        case "null" | "bool" | "int" | "float":
            if kind == "float" and type(value) is int:
                return float(value)
            if type(value) is _TYPES[kind]:
                return value
            raise BadScalar(f"this is no {kind}")
        case _:
            raise BadScalar(foreign_tag(tag or "") if text else "a value that begins with ! is a tag: put it in quotes")


def is_plain(event: yaml.ScalarEvent) -> bool:
    """Whether the scalar is written without quotes and without a tag."""
    return bool(event.implicit[0]) and event.style in (None, "")


def means_itself(text: str) -> bool:
    """Whether the text is read as itself where it is written without quotes."""
    try:
        return _plain(text) == text
    except BadScalar:
        return False


def foreign_tag(tag: str) -> str:
    """Returns what is wrong with a value of that tag."""
    short = f"!!{tag.removeprefix(TAG)}" if tag.startswith(TAG) else tag
    return f"has the tag {short}, which means nothing to Kubernetes"


def _plain(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if text in _NOT_IN_JSON:
        raise BadScalar(f"{text} is no number that JSON has")
    if text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(digits) and len(digits) < 80:
        octal = re.fullmatch(r"([-+]?)0o?([0-7]+)", digits)
        value = int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)
        return value if -(2**63) <= value < 2**64 else float(value)
    if _FLOAT.fullmatch(digits):
        number = float(digits)
        if not math.isfinite(number):
            return text
        return int(number) if number.is_integer() and abs(number) < _WRITTEN_WHOLE else number
    return text
