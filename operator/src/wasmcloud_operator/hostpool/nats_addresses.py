"""The NATS hub's addresses: what the user wrote, for clients and for leaf nodes."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem, SpecError
from wasmcloud_operator_types import WasmCloudHostConfigSpec, defaults

_SCHEMES = frozenset({"nats", "tls", "ws", "wss"})
_WEBSOCKET_PORTS = {"ws": 80, "wss": 443}
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?")
_PATH = ".spec.natsAddress"


@dataclass(frozen=True, slots=True)
class HubAddress:
    """One server of the hub. `port` is what was written, if anything; `userinfo` is still percent-encoded."""

    scheme: str
    host: str
    port: int | None
    userinfo: str

    @property
    def websocket(self) -> bool:
        """Whether the address is reached over HTTP."""
        return self.scheme in _WEBSOCKET_PORTS

    def url(self, scheme: str, port: int) -> str:
        """The address under another scheme and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        userinfo = f"{self.userinfo}@" if self.userinfo else ""
        return f"{scheme}://{userinfo}{host}:{port}"


def hub_addresses(spec: WasmCloudHostConfigSpec) -> tuple[HubAddress, ...]:
    """The addresses in `natsAddress`, a comma between two. Raises SpecError, which repeats no password."""
    parts = [part.strip() for part in (spec.nats_address or defaults.NATS_ADDRESS).split(",")]
    addresses = tuple(_parse(part, number) for number, part in enumerate(parts, 1) if part)
    if not addresses:
        raise SpecError(
            Problem(Reason.INVALID_NATS_ADDRESS, _PATH, "has no address; write scheme://host or scheme://host:port")
        )
    if len({address.websocket for address in addresses}) > 1:
        raise SpecError(
            Problem(
                Reason.INVALID_NATS_ADDRESS,
                _PATH,
                "mixes ws or wss with nats or tls, which NATS does not take; use one",
            )
        )
    return addresses


def has_userinfo(spec: WasmCloudHostConfigSpec) -> bool:
    """Whether an address has a user, a password or a token in it."""
    return any(address.userinfo for address in hub_addresses(spec))


def client_urls(spec: WasmCloudHostConfigSpec) -> tuple[str, ...]:
    """Where clients (the operator) connect: an address's own port, else `natsClientPort`, else the scheme's."""

    def port(address: HubAddress) -> int:
        default = _WEBSOCKET_PORTS.get(address.scheme, defaults.NATS_CLIENT_PORT)
        return address.port or spec.nats_client_port or default

    return tuple(address.url(address.scheme, port(address)) for address in hub_addresses(spec))


def leaf_urls(spec: WasmCloudHostConfigSpec) -> tuple[str, ...]:
    """Where leaf nodes connect.

    A port in a nats or tls address is the clients' port, so the leaf port is `natsLeafnodePort` all the same; a
    websocket listener serves both, so there the address's own port counts. Each is there once: addresses that differ
    in the clients' port may be one leaf listener, and the server refuses to be given that twice.
    """

    def url(address: HubAddress) -> str:
        if address.websocket:
            port = address.port or spec.nats_leafnode_port or _WEBSOCKET_PORTS[address.scheme]
            return address.url(address.scheme, port)
        scheme = "tls" if address.scheme == "tls" else "nats-leaf"
        return address.url(scheme, spec.nats_leafnode_port or defaults.NATS_LEAFNODE_PORT)

    return tuple(dict.fromkeys(url(address) for address in hub_addresses(spec)))


@lru_cache(maxsize=64)  # each look at a pool asks for the same several times
def _parse(text: str, number: int) -> HubAddress:
    def wrong(what: str) -> SpecError:
        return SpecError(
            Problem(
                Reason.INVALID_NATS_ADDRESS,
                _PATH,
                f"address {number} {what}; write scheme://host or scheme://host:port",
            )
        )

    try:
        parts = urlsplit(text if "://" in text else f"nats://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong("is not a URL, or its port is not a number from 1 to 65535") from None
    if parts.scheme not in _SCHEMES:
        raise wrong("has an unknown scheme (nats, tls, ws or wss)")
    if port == 0:
        raise wrong("has port 0")
    if not (_is_ipv6(host) if ":" in host else _HOST_NAME.fullmatch(host)):
        raise wrong("has no host name, or one with characters that no host name has")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise wrong("has more than a host and a port")
    userinfo = parts.netloc.rpartition("@")[0]
    # Encoded anew, so that whatever was written arrives as user and password and as nothing else.
    user, colon, password = userinfo.partition(":")
    encoded = quote(unquote(user), safe="") + colon + quote(unquote(password), safe="")
    return HubAddress(parts.scheme, host, port, encoded)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False
