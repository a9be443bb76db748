"""What others have written, as text on one line."""

from __future__ import annotations


def printable(text: str) -> str:
    """Returns the text on one line, and without what a terminal would take for a command."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
