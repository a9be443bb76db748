"""The links of a lattice, as hosts list and take them."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """A link from the component or provider `source` on. `wire` is the host's own JSON, to be put again unchanged."""

    source: str
    wire: bytes


def parse_links(response: object) -> tuple[Link, ...]:
    """Returns the links of a host's answer; entries that are not such are left out."""
    entries = response if isinstance(response, list) else []
    return tuple(
        Link(entry["source_id"], json.dumps(entry).encode())
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("source_id"), str)
    )
