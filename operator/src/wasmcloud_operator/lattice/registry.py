"""Credentials for an image registry as hosts take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RegistryCredential:
    """User name and password, or a token alone; a host takes anything else for no credentials. `repr` shows none."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def as_json(self) -> dict[str, str]:
        """The wire form of the control interface."""
        filled = {"username": self.username, "password": self.password, "token": self.token}
        return {**{key: value for key, value in filled.items() if value}, "registryType": "oci"}


def credentials_json(credentials: Mapping[str, RegistryCredential]) -> dict[str, dict[str, str]]:
    """By registry host (`ghcr.io`, `localhost:5000`), the wire form."""
    return {registry: credential.as_json() for registry, credential in credentials.items()}
