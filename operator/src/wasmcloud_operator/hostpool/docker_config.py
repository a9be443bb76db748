"""Registry credentials from a Secret of type kubernetes.io/dockerconfigjson."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wasmcloud_operator.lattice.control import RegistryCredential

SECRET_TYPE = "kubernetes.io/dockerconfigjson"  # noqa: S105 - the name of a type, not a secret
REGISTRIES_LIMIT = 256
SECRET_KEY = ".dockerconfigjson"  # noqa: S105

# Docker's name for its own registry, in every form that tools write.
_DOCKER_HUB = frozenset({"index.docker.io", "registry-1.docker.io", "docker.io"})


class RegistryError(ValueError):
    """The docker config cannot be used. The text holds no credential."""


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """The credentials by registry, which is named as hosts name it (host[:port]), and what hosts cannot use of it."""

    registries: Mapping[str, RegistryCredential] = field(default_factory=dict, repr=False)
    unused: tuple[str, ...] = ()


def parse_docker_config(text: bytes) -> DockerConfig:
    """Reads a `.dockerconfigjson` as the kubelet does, as far as hosts can use it.

    An entry has both in `auth` (base64 of `user:password`), else `username` and `password`, or neither when a helper
    program keeps them, which is of no use here. Raises RegistryError naming the entry.
    """
    found: dict[str, RegistryCredential] = {}
    unused: list[str] = []
    # The entry for a whole registry comes before those for paths in it.
    for (registry, path), entry in sorted(_entries(text), key=lambda each: each[0]):
        name = f"{registry}{path}"
        if not isinstance(entry, dict):
            raise RegistryError(f"the entry for {name} in {SECRET_KEY} is not an object")
        if "*" in registry:
            unused.append(f"the entry for {name} is for the pods' images alone: hosts know no wildcards")
            continue
        username, password = _user_and_password(name, entry)
        if not _is_unicode(name + username + password):
            raise RegistryError(f"an entry in {SECRET_KEY} has half a surrogate pair in it, which is no character")
        credential = RegistryCredential(username, password)
        if found.setdefault(registry, credential) != credential:
            unused.append(f"the entry for {name} is for the pods' images alone: hosts know one for a registry")
    return DockerConfig(found, tuple(unused))


def _entries(text: bytes) -> Iterator[tuple[tuple[str, str], object]]:
    """Yields the entries by registry and path."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise RegistryError(f"{SECRET_KEY} is not JSON") from None
    entries = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise RegistryError(f"{SECRET_KEY} has no registries under `auths`")
    if len(entries) > REGISTRIES_LIMIT:
        raise RegistryError(f"{SECRET_KEY} has more than {REGISTRIES_LIMIT} registries")
    for address, entry in entries.items():
        yield _registry_and_path(address), entry


def _user_and_password(name: str, entry: dict[str, object]) -> tuple[str, str]:
    username, password, auth = (entry.get(key) for key in ("username", "password", "auth"))
    if isinstance(auth, str) and auth:
        username, password = _decoded(name, auth)
    if isinstance(username, str) and isinstance(password, str) and username and password:
        return username, password
    if entry.get("identitytoken"):
        what = "an identitytoken and no password, and neither the kubelet nor hosts can use that: create a token of the"
        raise RegistryError(f"the entry for {name} in {SECRET_KEY} has {what} registry that is a password")
    if auth:
        raise RegistryError(f"auth of the entry for {name} in {SECRET_KEY} is not base64 of user:password")
    raise RegistryError(f"the entry for {name} in {SECRET_KEY} has neither username and password nor auth")


def _decoded(name: str, auth: str) -> tuple[str, str]:
    """As Go decodes it: line breaks count for nothing, and the padding may be missing."""
    joined = auth.translate({ord("\n"): None, ord("\r"): None})
    try:
        decoded = base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True).decode()
    except ValueError:  # not base64, not ASCII, or not UTF-8 inside
        raise RegistryError(f"auth of the entry for {name} in {SECRET_KEY} is not base64") from None
    username, _, password = decoded.strip("\n").partition(":")
    return username, password


def _is_unicode(text: str) -> bool:
    """JSON can hold half of a surrogate pair, which nothing downstream can encode."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _registry_and_path(address: str) -> tuple[str, str]:
    """`https://ghcr.io/v2/` and `ghcr.io` are the same registry; `ghcr.io/team` is a path in it."""
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, path = parts.netloc.rpartition("@")[2], parts.path
    except ValueError:
        host = path = ""
    if not host:
        raise RegistryError(f"{SECRET_KEY} has an entry whose key names no registry")
    path = path[3:] if path[:4] in ("/v1/", "/v2/") else path
    return "docker.io" if host in _DOCKER_HUB else host, "" if path == "/" else path
