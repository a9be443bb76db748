"""Shapes of secrets in one text: tokens and keys by their own form, values by the names and flags before them."""

from __future__ import annotations

import re
from collections.abc import Callable

from wasmcloud_operator.commands.redaction.names import (
    AROUND,
    BLACK,
    CREDS,
    FLAG,
    HARMLESS,
    IS,
    NAMED,
    SEVERAL,
    TEXT,
    VALUE,
    WORD,
)

COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Where a text is wrapped: a line's end and indentation, also as JSON writes them.
BREAK = r"(?:\s|\\+[nrt])+"
_SEED = re.compile(rf"(?<![A-Z0-9])[SP][A-Z2-7]{{15,}}(?:{BREAK}[A-Z2-7]{{8,}})*(?![A-Z0-9])")
_SEED_LENGTH = 51
_LONGEST_WORD = 24
_BLACK_WORD = BLACK.split(maxsplit=1)[0]

HARMLESS_VALUE = re.compile(HARMLESS)
_SPOKEN = r"(?:passwords?|passwd|passphrase|passcode|token|(?:api|access|private|secret|signing|encryption)[ _-]?key)"

Instead = str | Callable[[re.Match[str]], str]


def _long_enough(found: re.Match[str]) -> str:
    """Only what has a seed's length without its breaks: log lines may end and begin with capital letters."""
    return BLACK if len(re.sub(BREAK, "", found[0])) >= _SEED_LENGTH else found[0]


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


# Tokens that begin with the mark of the service that they are for, and addresses that whoever has them may post to.
_OF_SERVICES = (
    r"gh[opsur]_\w{20,}",
    r"github_pat_\w{20,}",
    r"gl(?:pat|rt|dt|cbt|ptt|ft|imt|agent|soat)-[\w-]{16,}",
    r"xox[a-z](?:\.xox[a-z])?-[\w-]{10,}",
    r"xapp-\d-[\w-]{10,}",
    r"A[KS]IA\w{16}",
    r"AIza[\w-]{30,}",
    r"ya29\.[\w-]{16,}",
    r"dckr_pat_[\w-]{16,}",
    r"npm_\w{20,}",
    r"pypi-[\w-]{16,}",
    r"hv[bsr]\.[\w-]{16,}",
    r"[sr]k_(?:live|test)_\w{16,}",
    r"sk-(?=[\w-]*\d)[\w-]{20,}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}",
    r"shp(?:at|ca|pa|ss)_\w{16,}",
    r"do[opr]_v1_\w{16,}",
    r"hf_\w{20,}",
    r"gl(?:sa|c)_[\w=+/]{20,}",
    r"tskey-[a-z]{2,10}-[\w-]{10,}",
    r"dapi[0-9a-f]{32}",
    r"ATATT3x[\w=-]{20,}",
    r"AGE-SECRET-KEY-1[0-9A-Z]{16,}",
    r"https://hooks\.slack\.com/services/[\w/-]+",
    r"https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/[\w/-]+",
    r"https://[\w-]+\.webhook\.office\.com/[\w@/-]+",
)
# What is between a flag and its value, also where both are items of a list.
_TO_NEXT = r"(?:\\*[\"']?,)?\s*\\*[\"']?"
# What is a secret whatever stands before it.
FORMS: tuple[tuple[re.Pattern[str], Instead], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY(?: BLOCK)?|SEED|JWT)-----.*?(?:-----END[^\n]*|\Z)", re.DOTALL),
        BLACK,
    ),
    (_SEED, _long_enough),  # seeds and private keys of nkeys
    (re.compile(r"(?<![A-Za-z0-9])[sp][a-z2-7]{50,}(?![A-Za-z0-9])"), BLACK),
    (re.compile(rf"eyJ[\w.-]{{4,}}(?:{BREAK}[\w.-]{{16,}})*"), BLACK),  # JWTs
    (re.compile(rf"(?<![\w-])(?:{'|'.join(_OF_SERVICES)})"), BLACK),
    (re.compile(r"\$(?:2[abxy]?|apr1|argon2\w{1,2}|y|[156])\$[\w./$=,+-]{8,}"), BLACK),  # hashes of passwords
    (re.compile(r"(Private-Lines: \d+\s*\n)(?:[A-Za-z0-9+/=]+\n?)+"), rf"\1{BLACK}\n"),  # keys of PuTTY
)
SHAPES: tuple[tuple[re.Pattern[str], Instead], ...] = (
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
        re.compile(rf"({NAMED}\s*{IS}\s*{AROUND}){TEXT}", re.IGNORECASE | re.MULTILINE),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    # Rust's Password("…"), and pairs as Python prints them.
    (re.compile(rf"({WORD}\(\s*{AROUND}){TEXT}", re.IGNORECASE | re.MULTILINE), rf"\1\g<quote>{BLACK}\g<quote>"),
    (
        re.compile(rf"([(\[]\s*[bru]?[\"']{WORD}[\"']\s*,\s*{AROUND}){TEXT}", re.IGNORECASE | re.MULTILINE),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    (
        re.compile(
            rf"({NAMED}\s*{IS}\s*\[)(?!blacked out\])(?:\"(?:[^\"\\\n]|\\.){{0,1000}}+\"|[^\]]){{1,10000}}+",
            re.IGNORECASE,
        ),
        rf"\1{BLACK}",
    ),
    (
        re.compile(rf"([\"']?(?<![\w.-])[\w.-]*{SEVERAL}\\*[\"']?\s*{IS}\s*\{{)[^}}]{{1,10000}}+", re.IGNORECASE),
        rf"\1{BLACK}",
    ),
    (re.compile(rf"({NAMED}[ \t]*:[ \t]+)[!&]\S*[ \t]+[^\s,}}]+", re.IGNORECASE), rf"\1{BLACK}"),
    (
        re.compile(
            rf"({NAMED}[ \t]*{IS}[ \t]*)(?!{AROUND}\\*[\"']|[\\\[{{|>=]|(?:true|false|null|None)\b){VALUE}",
            re.IGNORECASE,
        ),
        rf"\1{BLACK}",
    ),
    (re.compile(rf"((?<![\w.-]){CREDS}=)(?!{HARMLESS}|\\*[\"'])\S+", re.IGNORECASE), rf"\1{BLACK}"),
    (
        re.compile(
            rf"((?<![\w.-]){CREDS}\\*[\"']?\s*:[ \t]*\\*[\"']?)(?P<word>[^\s\"'`,;=({{\[<}}]{{6,}})", re.IGNORECASE
        ),
        _unless_a_word,
    ),
    (re.compile(rf"(<(?:[\w.-]+:)?{FLAG}(?:\s[^<>]{{0,200}})?>)[^<]+", re.IGNORECASE), rf"\1{BLACK}"),
    # Flags: of a name that means a secret, -p and -u of clients, also as the items of a list.
    (
        re.compile(rf"((?<![\w-])--?{FLAG}[ \t]+){TEXT}", re.IGNORECASE | re.MULTILINE),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    (re.compile(rf"((?<![\w-])--?{FLAG}[ \t]+)(?![-\[\"'])\S+", re.IGNORECASE), rf"\1{BLACK}"),
    (
        re.compile(
            rf"((?<![\w-])(?:--?{CREDS}|(?<!mkdir )-p)(?:[ \t]+|=)(?P<quote>[\"'])?)(?!{HARMLESS})[^\s\"']+",
            re.IGNORECASE,
        ),
        rf"\1{BLACK}",
    ),
    (
        re.compile(
            rf"([\"'](?:--?{FLAG}|--?{CREDS}|-p)\\*[\"']\s*,\s*)(?!\\*[\"']{HARMLESS}){TEXT}",
            re.IGNORECASE | re.MULTILINE,
        ),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    # Attached to -p: whatever it is behind the clients that have it so, else what is no word.
    (
        re.compile(
            r"(\b(?:mysql|mariadb|mongo|sshpass)[\w-]{0,20}+[^\n|;&]{0,200}?[^\n|;&\w-]-p\\*[\"']?)(?![\s=\"'\\])[^\s\"',\]\\]+"
        ),
        rf"\1{BLACK}",
    ),
    (re.compile(rf"((?<![\w-])-p)(?!{HARMLESS}|[A-Za-z-]+=)(?P<word>[^\s\"'`,;=({{\[<\]\\:]{{6,}})"), _unless_a_word),
    (re.compile(rf"(\bredis-cli\b[^\n|;&]{{0,200}}?[^\n|;&\w-]-a{_TO_NEXT})[^\s\"',\]\\]+"), rf"\1{BLACK}"),
    (re.compile(rf"(\bldap\w{{1,20}}+[^\n|;&]{{0,200}}?[^\n|;&\w-]-w{_TO_NEXT})[^\s\"',\]\\]+"), rf"\1{BLACK}"),
    (
        re.compile(
            r"((?<![\w-])(?:-[sSkLfivIN]{0,6}[ua]|--(?:proxy-)?user)(?:[ \t]+|=)?(?P<quote>[\"'])?"
            r"[^\s:/\"'=-][^\s:/\"']{0,200}:)"
            r"(?!\d+(?:[\s\"']|$))[^\s\"']+"
        ),
        rf"\1{BLACK}",
    ),
    (re.compile(rf"(--from-literal(?:=|{_TO_NEXT})[\"']?[\w.-]+=)(?!{re.escape(BLACK)})[^\s\"',\\]+"), rf"\1{BLACK}"),
    (re.compile(rf"(\bIDENTIFIED\s+(?:WITH\s+\S+\s+)?BY\s+){TEXT}", re.IGNORECASE), rf"\1\g<quote>{BLACK}\g<quote>"),
    # Prose: a text in quotes after the name, and a word that is none of a language.
    (
        re.compile(
            rf"((?<!expected )(?<![^\W_]){_SPOKEN}(?:[ \t]+(?:is|was))?[ \t]*[:=]?[ \t]+)"
            rf"(?P<quote>\\*[\"'`])(?:(?!(?P=quote))[^\n]){{1,500}}(?P=quote)",
            re.IGNORECASE,
        ),
        rf"\1\g<quote>{BLACK}\g<quote>",
    ),
    (
        re.compile(
            rf"((?<![^\W_]){_SPOKEN}(?:[ \t]+(?:is|was))?[ \t]*[:=]?[ \t]+)(?P<word>[^\s\"'`,;=({{\[<]{{6,}}=*)",
            re.IGNORECASE,
        ),
        _unless_a_word,
    ),
    # The secret half of an AWS access key.
    (re.compile(r"(?<![A-Za-z0-9+/_.=-])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/_.=-])"), _if_random),
)
