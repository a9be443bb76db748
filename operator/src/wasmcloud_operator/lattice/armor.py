"""Text between BEGIN and END lines (PEM, NATS creds files), found in one pass however the text is made.

A regular expression that looks for an END from each BEGIN takes quadratic time over a file of nothing but BEGINs, and
the event loop stands still meanwhile.
"""

from __future__ import annotations

CREDENTIALS_LIMIT = 128 * 1024
CERTIFICATES_LIMIT = 1024 * 1024

USER_JWT = "NATS USER JWT"
USER_SEED = "USER NKEY SEED"
CERTIFICATE = "CERTIFICATE"


def blocks(text: str, label: str) -> list[str]:
    """Returns the closed blocks of that label in order, without their BEGIN and END lines.

    A BEGIN within a block starts it anew, an END without a BEGIN is passed over.
    """
    begin, end = f"BEGIN {label}", f"END {label}"
    found: list[str] = []
    inside: list[str] | None = None
    for line in text.splitlines():
        mark = line.strip()
        if mark.startswith("-") and mark.endswith("-"):
            words = mark.strip("-")
            if words == begin:
                inside = []
                continue
            if words == end and inside is not None:
                found.append("\n".join(inside))
                inside = None
                continue
        if inside is not None:
            inside.append(line)
    return found


def token(text: str, label: str) -> str:
    """Returns the word in the first closed block of that label, else ""."""
    for block in blocks(text, label)[:1]:
        words = block.split(maxsplit=2)
        return words[0] if len(words) == 1 else ""
    return ""


def certificates(text: str) -> str:
    """Returns the PEM certificates of a text without what stands between them."""
    return "".join(
        f"-----BEGIN {CERTIFICATE}-----\n{block.strip()}\n-----END {CERTIFICATE}-----\n"
        for block in blocks(text, CERTIFICATE)
    )
