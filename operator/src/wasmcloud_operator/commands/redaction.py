"""Takes known secret shapes out of texts and objects that leave the cluster. Names of secrets stay.

Where it is not sure it takes more than it must: what is missing in a report can be asked for.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from urllib.parse import unquote

from wasmcloud_operator.kube.jsontypes import Json

BLACK = "[blacked out]"

# What ends the name of a secret, whatever is before it, and what has to be a word of it by itself. Fields that end with
# credentialsSecret hold a Secret's name.
_LONG = (
    r"(?:passwords?|passwd|passphrase|tokens?|(?<!credentials)secret|seeds?|api[-_]?keys?|private[-_]?keys?"
    r"|access[-_]?keys?|key[-_]data)"
)
_SHORT = r"(?:pass|pwd|auth|authorization|cookie|signature|sig)"
_FLAG = rf"(?:[\w.-]*{_LONG}|(?:[\w.-]*[-_.])?{_SHORT})"
_WORD = rf"(?<![\w.-]){_FLAG}"
_NAMED = rf"[\"']?{_WORD}\\*[\"']?"  # also quoted, and that within quotes
_IS = r"(?:=>|:=|[=:])"
# What may stand before the quotes of a value: what Rust and Python print around a text.
_AROUND = r"(?:\w{1,40}\(\s*)*[bru]{0,2}"
# A text in the quotes of the group `quote`, or up to the line's end where they are not closed.
_TEXT = r"(?P<quote>\\*[\"'])(?:(?!(?<!\\)(?P=quote)).)+(?:(?P=quote)|$)"
_NAME = re.compile(rf"(?:.*{_LONG}|(?:.*[-_.])?(?:{_SHORT}|creds|credentials))", re.IGNORECASE)

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Where a text is wrapped: a line's end and indentation, also as JSON writes them.
_BREAK = r"(?:\s|\\+[nrt])+"
_SEED = re.compile(rf"(?<![A-Z0-9])[SP][A-Z2-7]{{15,}}(?:{_BREAK}[A-Z2-7]{{8,}})*(?![A-Z0-9])")
_SEED_LENGTH = 51

Instead = str | Callable[[re.Match[str]], str]


def _long_enough(found: re.Match[str]) -> str:
    """Only what has a seed's length without its breaks: log lines may end and begin with capital letters."""
    return BLACK if len(re.sub(_BREAK, "", found[0])) >= _SEED_LENGTH else found[0]


_SHAPES: tuple[tuple[re.Pattern[str], Instead], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|SEED|JWT)-----.*?(?:-----END[^\n]*|\Z)", re.DOTALL), BLACK),
    (_SEED, _long_enough),  # seeds and private keys of nkeys
    (re.compile(r"(?<![A-Za-z0-9])[sp][a-z2-7]{50,}(?![A-Za-z0-9])"), BLACK),
    (re.compile(rf"eyJ[\w.-]{{8,}}(?:{_BREAK}[\w.-]{{16,}})*"), BLACK),  # JWTs
    (
        re.compile(
            r"\b(?:gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|A[KS]IA\w{16}"
            r"|dckr_pat_[\w-]{16,}|npm_\w{20,}|hvs\.[\w-]{16,}|ya29\.[\w-]{16,}|AGE-SECRET-KEY-1[0-9A-Z]{16,})"
        ),
        BLACK,
    ),
    (
        re.compile(
            r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:(?:\\*/){2})"
            r"(?:[^\s/@\"'<>\\]{1,1000}|[^\s/@]{0,1000}:[^\s@\"'<>]{1,1000}(?:(?<=\w)[\"'](?=\w)[^\s@\"'<>]{1,100}){0,4})@"
            r"(?:[^\s/@,\"'<>\\]{1,1000}@)*",  # who has forgotten to encode it: the last one parts
            re.IGNORECASE,
        ),
        rf"\1{BLACK}@",
    ),
    (re.compile(r"(?<![\w/.-])([\w.-]+):(?!/)[^\s@/\"'\[]{6,200}@(?!sha\d+:)(?=[\w\[])"), rf"\1:{BLACK}@"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {BLACK}"),
    # HTTP headers: a scheme and more behind it.
    (re.compile(r"(\bauthorization[ \t]*:[ \t]*)(?![\"'\\\[{|>])[^\n]+", re.IGNORECASE), rf"\1{BLACK}"),
    (
        re.compile(rf"({_NAMED}\s*{_IS}\s*{_AROUND}){_TEXT}", re.IGNORECASE | re.MULTILINE),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    # Rust's Password("…"), and pairs as Python prints them.
    (re.compile(rf"({_WORD}\(\s*{_AROUND}){_TEXT}", re.IGNORECASE | re.MULTILINE), rf"\1\g<quote>{BLACK}\g<quote>"),
    (
        re.compile(rf"([(\[]\s*[bru]?[\"']{_WORD}[\"']\s*,\s*{_AROUND}){_TEXT}", re.IGNORECASE | re.MULTILINE),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    (re.compile(rf"({_NAMED}\s*{_IS}\s*\[)(?!blacked out\])[^\]]{{1,10000}}", re.IGNORECASE), rf"\1{BLACK}"),
    (
        re.compile(
            rf"({_NAMED}[ \t]*{_IS}[ \t]*)(?!{_AROUND}\\*[\"']|[\\\[{{|>=]|(?:true|false|null|None)\b)[^\s,;\"'}}&]+",
            re.IGNORECASE,
        ),
        rf"\1{BLACK}",
    ),
    # YAML: a text below its name.
    (
        re.compile(rf"({_WORD}[ \t]*:[ \t]*[|>][-+0-9]*[ \t]*\n)(?:([ \t]+)(?!\[)[^\n]*(?:\n|\Z))+", re.IGNORECASE),
        rf"\1\2{BLACK}\n",
    ),
    (re.compile(rf"({_WORD}[ \t]*:[ \t]*\n[ \t]+)(?!\[|-)[^\s:]+(?=[ \t]*(?:\n|\Z))", re.IGNORECASE), rf"\1{BLACK}"),
    (
        re.compile(rf"((?<![\w-])--{_FLAG}[ \t]+){_TEXT}", re.IGNORECASE | re.MULTILINE),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    (re.compile(rf"((?<![\w-])--{_FLAG}[ \t]+)(?![-\[\"'])\S+", re.IGNORECASE), rf"\1{BLACK}"),
)
# The end of a key, and a line of one above it: what a log's tail may begin with.
_KEYS_END = re.compile(r"-----END [A-Z0-9 ]*(?:PRIVATE KEY|SEED|JWT)-----")
_KEYS_LINE = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{40,}\W*\Z")
# Each only from where it begins: from every place within it, a long line would take for ever.
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}")
_WRAPPED = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{24,}}(?:{_BREAK}[A-Za-z0-9+/_-]{{4,}})+={{0,2}}")
_PERCENT = re.compile(r"(?<![^\s\"'<>\[\]])[^\s\"'<>\[\]%]*%[0-9A-Fa-f]{2}[^\s\"'<>\[\]]*")
_LAYERS = 3  # of encodings within each other


def blackened(text: str) -> str:
    """Returns the text without seeds, JWTs, private keys, passwords in URLs, tokens and registry credentials.

    Colours of a terminal are left out: they part names from values.
    """
    return _blackened(_COLOUR.sub("", text), _LAYERS)


def _blackened(text: str, layers: int) -> str:
    for pattern, instead in _SHAPES:
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


def blackened_object(value: Json) -> Json:
    """Returns an object without secret shapes, nor values under a name that means a secret, as those of variables."""
    if isinstance(value, dict):
        named = isinstance(value.get("name"), str) and _means_secret(value["name"])
        return {
            blackened(key): _covered(inner)
            if _means_secret(key) or (named and key == "value")
            else blackened_object(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [
            BLACK if isinstance(inner, str) and _is_flag(before) else blackened_object(inner)
            for before, inner in zip([None, *value], value, strict=False)
        ]
    return blackened(value) if isinstance(value, str) else value


def _covered(value: Json) -> Json:
    """What stands under the name of a secret: an object has names of its own (`secret: {secretName: …}`)."""
    if isinstance(value, list):
        return [_covered(inner) for inner in value]
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return BLACK if is_plain else blackened_object(value)


def _means_secret(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _is_flag(value: Json) -> bool:
    """Whether the next argument of a command is a secret: `--token`, `x`."""
    return isinstance(value, str) and value.startswith("-") and _means_secret(value.lstrip("-"))


def _from_base64(text: str) -> str | None:
    joined = re.sub(_BREAK, "", text).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
