"""Takes secrets out of objects that leave the cluster, by the names of their fields, variables and flags."""

from __future__ import annotations

import re

from wasmcloud_operator.base.jsontypes import Json
from wasmcloud_operator.commands.redaction.encoded import is_encoded
from wasmcloud_operator.commands.redaction.names import BLACK, NAME_OF_SEVERAL, SAID, means_secret
from wasmcloud_operator.commands.redaction.shapes import HARMLESS_VALUE
from wasmcloud_operator.commands.redaction.texts import blackened

# Clients that have a password attached to -p, as words of a command.
_CLIENT = re.compile(r"(?:\S*/)?(?:mysql|mariadb|mongo|sshpass)[\w-]*")
_ATTACHED = re.compile(r"-p[^\s=]")


def blackened_object(value: Json) -> Json:
    """Returns an object without secret shapes, nor values under a name that means a secret, as those of variables."""
    if isinstance(value, dict):
        named = isinstance(value.get("name"), str) and means_secret(value["name"])
        return {
            blackened(key): _whole(inner)
            if NAME_OF_SEVERAL.fullmatch(key)
            else _covered(inner)
            if means_secret(key) or (named and key == "value")
            else blackened_object(_without_encoded(inner) if key == "data" else inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        attached = any(isinstance(word, str) and _CLIENT.fullmatch(word) for word in value)
        return [
            BLACK
            if isinstance(inner, str) and (_is_of_flag(before, inner) or (attached and _ATTACHED.match(inner)))
            else blackened_object(inner)
            for before, inner in zip([None, *value], value, strict=False)
        ]
    return blackened(value) if isinstance(value, str) else value


def _covered(value: Json) -> Json:
    """What stands under the name of a secret: an object has names of its own (`secret: {secretName: …}`)."""
    if isinstance(value, list):
        return [_covered(inner) for inner in value]
    if isinstance(value, dict):
        said = {key: _whole(inner) for key, inner in value.items() if SAID.match(key)}
        named = blackened_object({key: inner for key, inner in value.items() if key not in said})
        return {**said, **named} if isinstance(named, dict) else named
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return BLACK if is_plain else blackened_object(value)


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
    return means_secret(flag.lstrip("-")) or (flag == "-p" and HARMLESS_VALUE.match(value) is None)


def _without_encoded(value: Json) -> Json:
    """What stands under `data`, as in a Secret: without the values in base64."""
    if not isinstance(value, dict):
        return value
    return {key: BLACK if isinstance(inner, str) and is_encoded(inner) else inner for key, inner in value.items()}
