"""Names for JSON documents whose shape only the reader of them knows."""

from __future__ import annotations

from typing import Any

# Any with a reason: a JSON value has no static type; whoever takes one apart checks what it finds.
Json = Any
JsonObject = dict[str, Any]
