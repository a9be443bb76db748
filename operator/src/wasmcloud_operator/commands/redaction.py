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
    r"(?:(?:passwords?|passwd|passphrases?|passcodes?|tokens?|(?<!credentials)(?<!v1\.)secret|seeds?|jwts?|bearer|key[-_]data"
    r"|(?:api|private|access|secret|encryption|signing|master|hmac|storage|session|account)[-_]?keys?)"
    r"(?:[-_]?(?:\d{1,3}|value|hash|base64|b64|data|content|plain|text))?|secret[-_]?id)"
)
_SHORT = r"(?:pass|pwd|auth|authorization|cookie|signature|sig)"
_FLAG = rf"(?:[\w.-]*{_LONG}|(?:[\w.-]*[-_.])?{_SHORT})"
# What may have more below it in YAML, and what is secret whatever is below it.
_BELOW = rf"(?:{_FLAG}|[\w.-]*(?:creds|credentials|[-_.](?:key|pem|nk)))"
_SEVERAL = r"(?:passwords|passphrases|passcodes|tokens|seeds|(?:api|private|access|secret)[-_]?keys|stringData)"
_WORD = rf"(?<![\w.-]){_FLAG}"
_NAMED = rf"[\"']?{_WORD}\\*[\"']?"  # also quoted, and that within quotes
_IS = r"(?:=>|->|:=|[=:])"
# What may stand before the quotes of a value: what Rust and Python print around a text.
_AROUND = r"(?:\w{1,40}\(\s*)*[bruf]{0,2}"
# A text in the quotes of the group `quote`, or up to the line's end where they are not closed.
_TEXT = r"(?P<quote>\\*[\"'])(?:(?!(?<!\\)(?P=quote)).)+(?:(?P=quote)|$)"
# Up to a blank; a comma, an ampersand or a quote is of it where no other name follows.
_VALUE = r"[^\s,;\"'}}&]+(?:[,;&][^\s,;\"'}}&=:]++(?![=:])|(?<=\w)[\"'](?=\w)[^\s,;\"'}}&]+)*"
_NAME = re.compile(rf"(?:.*{_LONG}|(?:.*[-_.])?(?:{_SHORT}|creds|credentials))", re.IGNORECASE)
_NAME_OF_SEVERAL = re.compile(rf".*{_SEVERAL}", re.IGNORECASE)
# Flags whose value may be a secret, and no number of a port, pair of ids, or path.
_CREDS = r"(?:[\w.-]*[-_.])?(?:creds|credentials)"
_HARMLESS = r"(?:\d{1,5}(?:[:/][\w:/]*)?(?=[\s\"'\\]|$)|[-/.~$\[])"

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Where a text is wrapped: a line's end and indentation, also as JSON writes them.
_BREAK = r"(?:\s|\\+[nrt])+"
_SEED = re.compile(rf"(?<![A-Z0-9])[SP][A-Z2-7]{{15,}}(?:{_BREAK}[A-Z2-7]{{8,}})*(?![A-Z0-9])")
_SEED_LENGTH = 51
_LONGEST_WORD = 24
_BLACK_WORD = BLACK.split(maxsplit=1)[0]

_HARMLESS_VALUE = re.compile(_HARMLESS)
_SPOKEN = r"(?:passwords?|passwd|passphrase|passcode|token|(?:api|access|private|secret|signing|encryption) key)"

Instead = str | Callable[[re.Match[str]], str]


def _long_enough(found: re.Match[str]) -> str:
    """Only what has a seed's length without its breaks: log lines may end and begin with capital letters."""
    return BLACK if len(re.sub(_BREAK, "", found[0])) >= _SEED_LENGTH else found[0]


def _unless_a_word(found: re.Match[str]) -> str:
    """Only what has a digit or a sign in it, or is very long: no word, path, address, moment or version."""
    word = found["word"].rstrip(".:!?)")
    plain = re.fullmatch(r"(?:v?\d+\.)+\d+\S*|\d{4}-\d\d-\d\dT\S+|[/.~\\]\S*|\S*(?:://|sha\d+:)\S*|[\d.]+m?s", word)
    secret = len(word) >= 6 and (len(word) >= _LONGEST_WORD or re.search(r"[\d$!#%^&*+~]", word))
    return f"{found[1]}{BLACK}" if secret and not plain and word != _BLACK_WORD else found[0]


def _if_random(found: re.Match[str]) -> str:
    """Only what mixes letters as no path does."""
    counts = [sum(map(kind, found[0])) for kind in (str.isupper, str.islower, str.isdigit)]
    return BLACK if counts[0] >= 6 and counts[1] >= 6 and counts[2] >= 1 else found[0]


_SHAPES: tuple[tuple[re.Pattern[str], Instead], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|SEED|JWT)-----.*?(?:-----END[^\n]*|\Z)", re.DOTALL), BLACK),
    (_SEED, _long_enough),  # seeds and private keys of nkeys
    (re.compile(r"(?<![A-Za-z0-9])[sp][a-z2-7]{50,}(?![A-Za-z0-9])"), BLACK),
    (re.compile(rf"eyJ[\w.-]{{8,}}(?:{_BREAK}[\w.-]{{16,}})*"), BLACK),  # JWTs
    (
        re.compile(
            r"\b(?:gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|A[KS]IA\w{16}"
            r"|https://hooks\.slack\.com/services/[\w/-]+|dckr_pat_[\w-]{16,}|npm_\w{20,}|hvs\.[\w-]{16,}|ya29\.[\w-]{16,}|AGE-SECRET-KEY-1[0-9A-Z]{16,})"
        ),
        BLACK,
    ),
    (
        re.compile(
            r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:(?:\\*/){2})"
            r"(?:[^\s/@\"'<>\\]{1,1000}|[^\s/@]{0,1000}:[^\s@\"']{1,1000}(?:(?<=\w)[\"'](?=\w)[^\s@\"'<>]{1,100}){0,4})"
            r"@(?!sha\d+:)(?:(?:(?!:/{2})[^\s@,\"'<>\\]){1,1000}@(?!sha\d+:))*",  # not encoded: the last one parts
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
    (
        re.compile(
            rf"({_NAMED}\s*{_IS}\s*\[)(?!blacked out\])(?:\"(?:[^\"\\\n]|\\.){{0,1000}}+\"|[^\]]){{1,10000}}+",
            re.IGNORECASE,
        ),
        rf"\1{BLACK}",
    ),
    (
        re.compile(rf"([\"']?(?<![\w.-])[\w.-]*{_SEVERAL}\\*[\"']?\s*{_IS}\s*\{{)[^}}]{{1,10000}}+", re.IGNORECASE),
        rf"\1{BLACK}",
    ),
    (re.compile(rf"({_NAMED}[ \t]*:[ \t]+)[!&]\S*[ \t]+[^\s,}}]+", re.IGNORECASE), rf"\1{BLACK}"),
    (
        re.compile(
            rf"({_NAMED}[ \t]*{_IS}[ \t]*)(?!{_AROUND}\\*[\"']|[\\\[{{|>=]|(?:true|false|null|None)\b){_VALUE}",
            re.IGNORECASE,
        ),
        rf"\1{BLACK}",
    ),
    (re.compile(rf"((?<![\w.-]){_CREDS}=)(?!{_HARMLESS}|\\*[\"'])\S+", re.IGNORECASE), rf"\1{BLACK}"),
    (re.compile(rf"(<(?:[\w.-]+:)?{_FLAG}(?:\s[^<>]{{0,200}})?>)[^<]+", re.IGNORECASE), rf"\1{BLACK}"),
    # Flags: of a name that means a secret, -p and -u of clients, also as the items of a list.
    (
        re.compile(rf"((?<![\w-])--?{_FLAG}[ \t]+){_TEXT}", re.IGNORECASE | re.MULTILINE),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    (re.compile(rf"((?<![\w-])--?{_FLAG}[ \t]+)(?![-\[\"'])\S+", re.IGNORECASE), rf"\1{BLACK}"),
    (
        re.compile(
            rf"((?<![\w-])(?:--?{_CREDS}|(?<!mkdir )-p)(?:[ \t]+|=)(?P<quote>[\"'])?)(?!{_HARMLESS})[^\s\"']+",
            re.IGNORECASE,
        ),
        rf"\1{BLACK}",
    ),
    (
        re.compile(
            rf"([\"'](?:--?{_FLAG}|--?{_CREDS}|-p)\\*[\"']\s*,\s*)(?!\\*[\"']{_HARMLESS}){_TEXT}",
            re.IGNORECASE | re.MULTILINE,
        ),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    (
        re.compile(
            r"((?<![\w-])(?:-u|--(?:proxy-)?user)(?:[ \t]+|=)(?P<quote>[\"'])?[^\s:/\"']+:)"
            r"(?!\d+(?:[\s\"']|$))[^\s\"']+"
        ),
        rf"\1{BLACK}",
    ),
    # Prose: a text in quotes after the name, and a word that is none of a language.
    (
        re.compile(
            rf"((?<!expected )\b{_SPOKEN}(?:[ \t]+(?:is|was))?[ \t]*[:=]?[ \t]+)"
            rf"(?P<quote>\\*[\"'`])(?:(?!(?P=quote))[^\n]){{1,500}}(?P=quote)",
            re.IGNORECASE,
        ),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    (
        re.compile(
            rf"(\b{_SPOKEN}(?:[ \t]+(?:is|was))?[ \t]*[:=]?[ \t]+)(?P<word>[^\s\"'`,;=({{\[<]{{6,}}=*)", re.IGNORECASE
        ),
        _unless_a_word,
    ),
    # The secret half of an AWS access key.
    (re.compile(r"(?<![A-Za-z0-9+/_.=-])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/_.=-])"), _if_random),
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
    text = _without_what_is_below(text)
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


def _without_what_is_below(text: str) -> str:
    """Returns the text without what YAML has on the lines below the name of a secret, or behind it on its own.

    The ends of lines may be those of a text in JSON.
    """
    if ":" not in text:
        return text
    parts = _LINE_END.split(text)
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
        before = line[: found.start("name")]
        column = len(before) if not before.strip(" \t-\"'") else 0
        if found.re is _ENTRY:
            if _QUOTED.fullmatch(found["value"]):
                continue
            parts[number] = line[: found.start("value")] + BLACK + ("," if line.endswith(",") else "")
            cover = _as_text
        elif found["block"]:
            cover = _as_text
        else:
            cover = _each if _NAME_OF_SEVERAL.fullmatch(found["name"]) else _unnamed
    return "".join(parts)


_LINE_END = re.compile(r"((?:\\+r)?\\+n|\r?\n)")
_HEAD = re.compile(
    rf"(?<![\w.-])(?P<name>{_BELOW}|{_SEVERAL})\\*[\"']?[ \t]*:[ \t]*"
    r"(?:[!&]\S*[ \t]*)*(?P<block>[|>][-+0-9]*)?[ \t]*(?:#.*)?$",
    re.IGNORECASE,
)
_ENTRY = re.compile(
    rf"[ \t]*(?:-[ \t]+)*[\"']?(?P<name>{_FLAG})[\"']?[ \t]*:[ \t]+"
    rf"(?P<value>(?![{{\[|>]|\w+\([\\\"']|(?:true|false|null|~)\b).*\S)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"([\"']).*\1,?")
_ITEM = re.compile(r"((?:-[ \t]+)*(?:[\"']?[\w.-]+[\"']?[ \t]*:(?:[ \t]+|$))?)(.*)")
_SAID = re.compile(r"(?:value|data|content|text|plain)$", re.IGNORECASE)


def _as_text(line: str) -> str:
    return BLACK


def _each(line: str) -> str:
    """Items and values, whatever they are called."""
    found = _ITEM.match(line)
    return f"{found[1]}{BLACK}" if found is not None and found[2] else line


def _unnamed(line: str) -> str:
    """Items and a text, not what has a name of its own: `secret: {secretName: …}`."""
    found = _ITEM.match(line)
    if found is None or not found[2]:
        return line
    name = found[1].lstrip("- \t").rstrip(": \t").strip("\"'")
    return f"{found[1]}{BLACK}" if not name or _SAID.match(name) else line


def blackened_object(value: Json) -> Json:
    """Returns an object without secret shapes, nor values under a name that means a secret, as those of variables."""
    if isinstance(value, dict):
        named = isinstance(value.get("name"), str) and _means_secret(value["name"])
        return {
            blackened(key): _whole(inner)
            if _NAME_OF_SEVERAL.fullmatch(key)
            else _covered(inner)
            if _means_secret(key) or (named and key == "value")
            else blackened_object(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [
            BLACK if isinstance(inner, str) and _is_of_flag(before, inner) else blackened_object(inner)
            for before, inner in zip([None, *value], value, strict=False)
        ]
    return blackened(value) if isinstance(value, str) else value


def _covered(value: Json) -> Json:
    """What stands under the name of a secret: an object has names of its own (`secret: {secretName: …}`)."""
    if isinstance(value, list):
        return [_covered(inner) for inner in value]
    if isinstance(value, dict):
        said = {key: _whole(inner) for key, inner in value.items() if _SAID.match(key)}
        named = blackened_object({key: inner for key, inner in value.items() if key not in said})
        return {**said, **named} if isinstance(named, dict) else named
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return BLACK if is_plain else blackened_object(value)


def _means_secret(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _whole(value: Json) -> Json:
    """What stands under the name of several secrets: each is one, whatever it is called."""
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return value if value is None or isinstance(value, bool) else BLACK


def _is_of_flag(flag: Json, value: str) -> bool:
    """Whether an argument of a command is the secret of the one before it: `--token`, `x`."""
    if not isinstance(flag, str) or not flag.startswith("-"):
        return False
    return _means_secret(flag.lstrip("-")) or (flag == "-p" and _HARMLESS_VALUE.match(value) is None)


def _from_base64(text: str) -> str | None:
    joined = re.sub(_BREAK, "", text).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
