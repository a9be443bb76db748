"""Registry credentials from a Secret of type kubernetes.io/dockerconfigjson."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlsplit

from wasmcloud_operator.lattice.control import RegistryCredential

SECRET_TYPE = "kubernetes.io/dockerconfigjson"  # noqa: S105 - the name of a type, not a secret
REGISTRIES_LIMIT = 256
SECRET_KEY = ".dockerconfigjson"  # noqa: S105

# Docker's name for its own registry, in every form that tools write.
_DOCKER_HUB = frozenset({"index.docker.io", "registry-1.docker.io", "docker.io"})


class RegistryError(ValueError):
    """The docker config cannot be used. The text holds no credential."""


def parse_docker_config(text: bytes) -> dict[str, RegistryCredential]:
    """The credentials in a `.dockerconfigjson` by registry, which is named as hosts name it: host[:port].

    An entry has `username` and `password`, or both in `auth` (base64 of `user:password`), or neither when a helper
    program keeps them, which is of no use here. Raises RegistryError naming the entry.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise RegistryError(f"{SECRET_KEY} is not JSON") from None
    entries = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise RegistryError(f"{SECRET_KEY} has no registries under `auths`")
    if len(entries) > REGISTRIES_LIMIT:
        raise RegistryError(f"{SECRET_KEY} has more than {REGISTRIES_LIMIT} registries")
    found: dict[str, RegistryCredential] = {}
    for address, entry in sorted(entries.items()):
        registry = _registry_host(address)
        if not isinstance(entry, dict):
            raise RegistryError(f"the entry for {registry} in {SECRET_KEY} is not an object")
        username, password = _user_and_password(registry, entry)
        if not _is_unicode(registry + username + password):
            raise RegistryError(f"an entry in {SECRET_KEY} has half a surrogate pair in it, which is no character")
        found.setdefault(registry, RegistryCredential(username, password))
    return dict(sorted(found.items()))


def _user_and_password(registry: str, entry: dict[str, object]) -> tuple[str, str]:
    username, password, auth = (entry.get(key) for key in ("username", "password", "auth"))
    if isinstance(username, str) and isinstance(password, str) and username and password:
        return username, password
    if not isinstance(auth, str) or not auth:
        raise RegistryError(f"the entry for {registry} in {SECRET_KEY} has neither username and password nor auth")
    try:
        decoded = base64.b64decode(auth, validate=True).decode()
    except ValueError:  # not base64, not ASCII, or not UTF-8 inside
        raise RegistryError(f"auth of the entry for {registry} in {SECRET_KEY} is not base64") from None
    username, colon, password = decoded.strip("\n").partition(":")
    if not colon or not username or not password:
        raise RegistryError(f"auth of the entry for {registry} in {SECRET_KEY} is not base64 of user:password")
    return username, password


def _is_unicode(text: str) -> bool:
    """JSON can hold half of a surrogate pair, which nothing downstream can encode."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _registry_host(address: str) -> str:
    """`https://ghcr.io/v2/` and `ghcr.io` are the same registry to a host."""
    try:
        host = urlsplit(address if "://" in address else f"//{address}").netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    if not host:
        raise RegistryError(f"{SECRET_KEY} has an entry whose key names no registry")
    return "docker.io" if host in _DOCKER_HUB else host
