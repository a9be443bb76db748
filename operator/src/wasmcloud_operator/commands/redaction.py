"""Takes known secret shapes out of texts and objects that leave the cluster. Names of secrets stay."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from wasmcloud_operator.kube.jsontypes import Json

BLACK = "[blacked out]"

_WORD = r"(?:password|passwd|pwd|passphrase|token|secret|seed|auth|authorization|api[-_]?key|private[-_]?key)"
_NAME = re.compile(rf"(?:.*[-_.])?{_WORD}", re.IGNORECASE)
_CAMEL = re.compile(r".*(?:Password|Token|Secret|Seed|Passphrase|ApiKey|PrivateKey)")
_SHAPES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|SEED|JWT)-----.*?(?:-----END[^\n]*|\Z)", re.DOTALL), BLACK),
    (re.compile(r"(?<![A-Z0-9])[SP][A-Z2-7]{50,}(?![A-Z0-9])"), BLACK),  # seeds and private keys of nkeys
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), BLACK),  # JWTs
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@\"'<>]+@", re.IGNORECASE), rf"\1{BLACK}@"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {BLACK}"),
    (
        re.compile(rf"([\"']?(?:[\w.-]*[-_.])?{_WORD}\\?[\"']?\s*[=:]\s*)(\\?[\"'])((?:(?!\2).)+)(\2)", re.IGNORECASE),
        rf"\1\2{BLACK}\4",
    ),
    (
        re.compile(
            rf"((?<![A-Za-z0-9])(?:[\w.-]*[-_.])?{_WORD}[ \t]*[=:][ \t]*)(?![\"'\\\[{{])[^\s,;\"'}}]+", re.IGNORECASE
        ),
        rf"\1{BLACK}",
    ),
)
_ENCODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def blackened(text: str) -> str:
    """Returns the text without seeds, JWTs, private keys, passwords in URLs, tokens and registry credentials."""
    for pattern, instead in _SHAPES:
        text = pattern.sub(instead, text)
    return _ENCODED.sub(_decoded, text)


def blackened_object(value: Json) -> Json:
    """Returns an object without secret shapes, nor values under a name that means a secret, as those of variables."""
    if isinstance(value, dict):
        named = isinstance(value.get("name"), str) and _means_secret(value["name"])
        return {
            key: BLACK
            if isinstance(inner, str) and (_means_secret(key) or (named and key == "value"))
            else blackened_object(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [
            BLACK if isinstance(inner, str) and _is_flag(before) else blackened_object(inner)
            for before, inner in zip([None, *value], value, strict=False)
        ]
    return blackened(value) if isinstance(value, str) else value


def _means_secret(name: str) -> bool:
    return bool(_NAME.fullmatch(name) or _CAMEL.fullmatch(name))


def _is_flag(value: Json) -> bool:
    """Whether the next argument of a command is a secret: `--token`, `x`."""
    return isinstance(value, str) and value.startswith("-") and _means_secret(value.lstrip("-"))


def _decoded(found: re.Match[str]) -> str:
    """What is secret once it is decoded is secret in base64."""
    text = found[0]
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return text
    return BLACK if any(pattern.search(plain) for pattern, _ in _SHAPES) else text
