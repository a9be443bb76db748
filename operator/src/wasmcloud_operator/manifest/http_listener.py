"""What an http-server provider makes of its configuration: where it listens, and how.

By the provider's own rules (provider-http-server 0.20 to 0.27 and the host's builtin one): the keys of a listener in
any case, all others as written; `config_b64` before `config_json` before single keys; an address is an IP address with
a port.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wasmcloud_operator.manifest.walking import mapping

Family = Literal["IPv4", "IPv6", "Dual"]
Scheme = Literal["http", "https"]

DEFAULT_ADDRESS = "0.0.0.0:8000"
_LARGEST_PORT = 65535


class UnusableSettings(ValueError):
    """The provider would not listen with these settings, or it cannot be known where; the text has the reason."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener is opened. `family`: `[::]` takes connections of both."""

    host: str
    port: int
    family: Family
    loopback: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """An address and what is spoken there."""

    address: Address
    scheme: Scheme


def parse_address(text: str) -> Address:
    """The address in `0.0.0.0:8080` or `[::]:8080`. Raises UnusableSettings."""
    host, colon, port_text = text.rpartition(":")
    if not colon or not port_text.isdecimal() or not port_text.isascii():
        raise UnusableSettings(f"address {_shown(text)} has no port: write 0.0.0.0:8080")
    port = int(port_text[:6])
    if not 0 < port <= _LARGEST_PORT:
        raise UnusableSettings(f"address {_shown(text)}: the port must be from 1 to {_LARGEST_PORT}")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise UnusableSettings(f"address {_shown(text)} needs an IP address: write 0.0.0.0:{port}") from None
    if (ip.version == 6) != bracketed:
        raise UnusableSettings(f"address {_shown(text)}: an IPv6 address, and only that, stands in brackets")
    family: Family = "IPv4" if ip.version == 4 else "Dual" if ip.is_unspecified else "IPv6"
    mapped = getattr(ip, "ipv4_mapped", None)
    return Address(str(ip), port, family, ip.is_loopback or bool(mapped and mapped.is_loopback))


def listener(config: Mapping[str, str], default_address: str | None) -> Listener:
    """Where a listener with this configuration is opened. Raises UnusableSettings.

    `default_address` is what the provider has for links without one; JSON settings know no default but the provider's
    own.
    """
    values = lowered(config)
    if "config_b64" in values:
        return _of_json(_decoded(values["config_b64"]))
    if "config_json" in values:
        return _of_json(values["config_json"])
    if "config_file" in values:
        raise UnusableSettings("config_file is a file on the host: put address into the configuration instead")
    address = values.get("address") or default_address or DEFAULT_ADDRESS
    return Listener(parse_address(address), _scheme(values.get("tls_cert_file"), values.get("tls_priv_key_file")))


def readable(config: Mapping[str, str]) -> bool:
    """Whether a configuration has one of http-server's keys for where to listen."""
    return any(key in ("address", "config_json", "config_b64") for key in lowered(config))


def lowered(config: Mapping[str, str]) -> dict[str, str]:
    """The configuration with its keys in lower case."""
    return {key.lower(): value for key, value in config.items()}


def _decoded(text: str) -> str:
    try:
        if text.endswith("="):
            raise UnusableSettings("config_b64 must be base64 without padding: leave the = at its end out")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise UnusableSettings("config_b64 is not base64") from None


def _of_json(text: str) -> Listener:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableSettings("config_json or config_b64 is not JSON") from None
    if not isinstance(values, dict):
        raise UnusableSettings("config_json or config_b64 is not a JSON object")
    address = values.get("address", DEFAULT_ADDRESS)
    if not isinstance(address, str):
        raise UnusableSettings("address in config_json or config_b64 is not a string")
    nested = mapping(values.get("tls"))
    return Listener(
        parse_address(address),
        _scheme(
            values.get("tls_cert_file") or nested.get("cert_file"),
            values.get("tls_priv_key_file") or nested.get("priv_key_file"),
        ),
    )


def _scheme(certificate: object, key: object) -> Scheme:
    if bool(certificate) != bool(key):
        raise UnusableSettings("for TLS both tls_cert_file and tls_priv_key_file must be set")
    return "https" if certificate else "http"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:79]}…")
