"""What a host pool's rendering needs to know of other objects, without any secret value in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator_types import WasmCloudHostConfigSpec


@dataclass(frozen=True, slots=True)
class Authority:
    """A volume of CA certificates: its keys that end in .crt, and a digest of what they hold."""

    name: str
    certificates: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class HubTls:
    """The certificates for the hub: whether there is a CA and a client certificate, and a digest of all."""

    ca: bool
    client: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything from outside the config. Digests change when the content behind them does; empty means none."""

    credentials_digest: str = ""
    seed_digest: str = ""
    hub_tls: HubTls | None = None
    registries: tuple[str, ...] = ()
    registry_digest: str = ""
    authorities: tuple[Authority, ...] = ()
    platform: Platform = field(default_factory=Platform)


@dataclass(frozen=True, slots=True)
class References:
    """The objects in the config's namespace that its rendering reads."""

    secrets: frozenset[str]
    config_maps: frozenset[str]


def references(spec: WasmCloudHostConfigSpec) -> References:
    """What the spec refers to."""
    secrets = {spec.secret_name, spec.registry_credentials_secret, spec.nats_tls.secret_name if spec.nats_tls else None}
    config_maps: set[str | None] = set()
    for authority in (spec.certificates.authorities if spec.certificates else None) or ():
        secrets.add(authority.secret.secret_name if authority.secret else None)
        config_maps.add(authority.config_map.name if authority.config_map else None)
    return References(frozenset(filter(None, secrets)), frozenset(filter(None, config_maps)))
