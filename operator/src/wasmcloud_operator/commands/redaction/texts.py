"""Takes known shapes of secrets out of texts that leave the cluster. Names of secrets stay.

Where it is not sure it takes more than it must: what is missing in a report can be asked for.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from urllib.parse import unquote

from wasmcloud_operator.commands.redaction.encoded import without_encoded_data
from wasmcloud_operator.commands.redaction.names import BLACK
from wasmcloud_operator.commands.redaction.shapes import BREAK, COLOUR, FORMS, SHAPES
from wasmcloud_operator.commands.redaction.yaml_lines import without_what_is_below

# The end of a key, and a line of one above it: what a log's tail may begin with.
_KEYS_END = re.compile(r"-----END [A-Z0-9 ]*(?:PRIVATE KEY(?: BLOCK)?|SEED|JWT)-----")
_KEYS_LINE = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{40,}\W*\Z")
# Each only from where it begins: from every place within it, a long line would take for ever.
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}")
_WRAPPED = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{24,}}(?:{BREAK}[A-Za-z0-9+/_-]{{4,}})+={{0,2}}")
_PERCENT = re.compile(r"(?<![^\s\"'<>\[\]])[^\s\"'<>\[\]%]*%[0-9A-Fa-f]{2}[^\s\"'<>\[\]]*")
_LAYERS = 3  # of encodings within each other


def blackened(text: str) -> str:
    """Returns the text without seeds, JWTs, private keys, passwords in URLs, tokens and registry credentials.

    Colours of a terminal are left out: they part names from values.
    """
    return _blackened(COLOUR.sub("", text), _LAYERS)


def _blackened(text: str, layers: int) -> str:
    # Forms first: of a token over several lines, nothing but the first one stands behind its name.
    for pattern, instead in FORMS:
        text = pattern.sub(instead, text)
    text = without_encoded_data(without_what_is_below(text))
    for pattern, instead in SHAPES:
        text = pattern.sub(instead, text)
    text = _without_rest_of_key(text)
    if not layers:
        return text

    def unless_clean(decode: Callable[[str], str | None]) -> Callable[[re.Match[str]], str]:
        def replaced(found: re.Match[str]) -> str:
            plain = decode(found[0])
            return found[0] if plain is None or _blackened(plain, layers - 1) == plain else BLACK

        return replaced

    for pattern, decode in ((_PERCENT, unquote), (_WRAPPED, _from_base64), (_ENCODED, _from_base64)):
        text = pattern.sub(unless_clean(decode), text)
    return text


def _without_rest_of_key(text: str) -> str:
    """Returns the text without the lines of a key whose first ones are missing."""
    end = _KEYS_END.search(text)
    if end is None:
        return text
    *above, _ = text[: end.start()].split("\n")
    if above:
        above.pop()  # a key's last line may be short
    while above and _KEYS_LINE.search(above[-1]):
        above.pop()
    return "\n".join([*above, BLACK + text[end.end() :]])


def _from_base64(text: str) -> str | None:
    joined = re.sub(BREAK, "", text).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
