"""What the names of secrets are like: those of variables, flags, fields and headers."""

from __future__ import annotations

import re

BLACK = "[blacked out]"

# What ends the name of a secret, whatever is before it, and what has to be a word of it by itself. Fields that end with
# credentialsSecret hold a Secret's name.
_CODE = r"(?:(?:pin|otp|totp|mfa|2fa|two[-_]?factor|recovery|verification)[-_]?codes?)"
_LONG = (
    r"(?:(?:passwords?|passwd|passphrases?|passcodes?|passkeys?|tokens?|(?<!credentials)(?<!v1\.)secret|seeds?|jwts?"
    r"|bearer|key[-_]data|mnemonic|(?:seed|recovery)[-_]?phrase|connection[-_]?string"
    r"|(?:api|private|access|secret|encryption|signing|master|hmac|storage|session|account|ssh|license|ingest(?:ion)?"
    r"|auth|shared)[-_]?keys?|otlp(?:[-_][a-z]{1,20})?[-_]?headers"
    r"|(?:nats|user|account|operator|signing)nkeys?)"
    r"(?:[-_]?(?:\d{1,3}|value|hash|base64|b64|data|content|plain|text))?|secret[-_]?id)"
)
_SHORT = rf"(?:pass|pwd|pw|auth|authorization|cookie|signature|sig|pat|pin|otp|totp|mfa|nkey|{_CODE})"
FLAG = rf"(?:[\w.-]*{_LONG}|(?:[\w.-]*[-_.])?{_SHORT})"
# What may have more below it in YAML, and what is secret whatever is below it.
BELOW = rf"(?:{FLAG}|[\w.-]*(?:creds|credentials?|[-_.](?:key|pem|nk)))"
SEVERAL = r"(?:passwords|passphrases|passcodes|tokens|seeds|(?:api|private|access|secret)[-_]?keys|stringData)"
WORD = rf"(?<![\w.-]){FLAG}"
NAMED = rf"[\"']?{WORD}\\*[\"']?"  # also quoted, and that within quotes
IS = r"(?:=>|->|:=|[=:])"
# What may stand before the quotes of a value: what Rust and Python print around a text.
AROUND = r"(?:\w{1,40}\(\s*)*[bruf]{0,2}"
# A text in the quotes of the group `quote`, or up to the line's end where they are not closed.
TEXT = r"(?P<quote>\\*[\"'])(?:(?!(?<!\\)(?P=quote)).)+(?:(?P=quote)|$)"
# Up to a blank; a comma, an ampersand or a quote is of it where no other name follows.
VALUE = r"[^\s,;\"'}}&]+(?:[,;&][^\s,;\"'}}&=:]++(?![=:])|(?<=\w)[\"'](?=\w)[^\s,;\"'}}&]+)*"
NAME = re.compile(rf"(?:.*{_LONG}|(?:.*[-_.])?(?:{_SHORT}|creds|credentials?))", re.IGNORECASE)
NAME_OF_SEVERAL = re.compile(rf".*{SEVERAL}", re.IGNORECASE)
# Fields of an object under the name of a secret that hold the secret itself.
SAID = re.compile(r"(?:value|data|content|text|plain)$", re.IGNORECASE)
# Flags whose value may be a secret, and no number of a port, pair of ids, or path.
CREDS = r"(?:[\w.-]*[-_.])?(?:creds|credentials?)"
HARMLESS = r"(?:(?:(?:\d{1,3}\.){3}\d{1,3}:)?\d{1,5}(?:[:/][\w:/]*)?(?=[\s\"'\\]|$)|[-/.~$\[])"


def means_secret(name: str) -> bool:
    """Whether what has the name is a secret."""
    return NAME.fullmatch(name) is not None
