"""What a host pool's rendering needs to know of other objects, without any secret value in it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from wasmcloud_operator.base.jsontypes import JsonObject, as_objects
from wasmcloud_operator.hostpool.nats_addresses import has_userinfo
from wasmcloud_operator.hostpool.natsconf import DEFAULT_PAYLOAD
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.versions import Feature, understands
from wasmcloud_operator.shared.problem import SpecError
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
class ChecksumKey:
    """The pool's random key for digests of secret content.

    Whoever may read pods reads the digests. Without the key nobody finds the content behind them by trying, and with
    the same key the same content has the same digest, whatever restarts or is restored.
    """

    value: str = field(default="", repr=False)

    @classmethod
    def new(cls) -> Self:
        """Returns a key that nobody knows."""
        return cls(secrets.token_hex(32))

    def digest(self, parts: Mapping[str, bytes]) -> str:
        """Returns the digest of named contents."""
        hashed = hmac.new(self.value.encode(), digestmod=hashlib.sha256)
        for name, value in sorted(parts.items()):
            hashed.update(f"{len(name)}:{name}:{len(value)}:".encode() + value)
        return hashed.hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything from outside the config. Digests change when the content behind them does; empty means none."""

    credentials: bool = False
    """Whether there is a credentials file for the hub."""

    seed_digest: str = ""
    hub_tls: HubTls | None = None
    registries: tuple[str, ...] = ()
    registry_digest: str = ""
    authorities: tuple[Authority, ...] = ()
    platform: Platform = field(default_factory=Platform)
    checksum_key: ChecksumKey = field(default_factory=ChecksumKey)
    other_budget: str = ""
    """The PodDisruptionBudget of somebody else that is for the pool's pods; empty if there is none."""

    max_payload: int = DEFAULT_PAYLOAD
    """The largest message in bytes that the hub takes, as far as known."""

    leaf_service_kept: bool = False
    """Whether the pool had the Service of its leaf nodes before this operator, which would not make one."""


@dataclass(frozen=True, slots=True)
class References:
    """The objects in the config's namespace that its rendering reads."""

    secrets: frozenset[str]
    config_maps: frozenset[str]


def registry_in_environment(spec: WasmCloudHostConfigSpec, registries: Iterable[str]) -> bool:
    """Whether the hosts get their registry credentials by the environment, which knows one registry.

    Otherwise the lattice's config service has them.
    """
    return len(tuple(registries)) == 1 and not spec.config_service_enabled


def uses_config_service(spec: WasmCloudHostConfigSpec, registries: Iterable[str]) -> bool:
    """Whether hosts ask the lattice's config service when they start: by the spec, or for several registries."""
    return bool(spec.config_service_enabled) or len(tuple(registries)) > 1


def uses_cluster_seed(spec: WasmCloudHostConfigSpec) -> bool:
    """Whether the hosts are to have a cluster seed and check issuers."""
    return bool(spec.issuers) and understands(spec.version, Feature.CLUSTER_SEED)


def has_secret_content(spec: WasmCloudHostConfigSpec) -> bool:
    """Whether there is a digest of anything secret."""
    if spec.nats_tls or spec.registry_credentials_secret or (spec.secret_name and uses_cluster_seed(spec)):
        return True
    try:
        return has_userinfo(spec)
    except SpecError:
        return False  # an address that is refused


def own_variable(spec: WasmCloudHostConfigSpec, name: str) -> JsonObject | None:
    """Returns the variable that the user adds to the host's container under that name, the last of several, or None."""
    scheduling = spec.scheduling_options
    containers = scheduling.container_template_additions if scheduling is not None else None
    entries = ((containers.wasmcloud if containers is not None else None) or {}).get("env")
    return {entry.get("name"): entry for entry in as_objects(entries)}.get(name)


def references(spec: WasmCloudHostConfigSpec) -> References:
    """What the spec refers to."""
    secrets = {spec.secret_name, spec.registry_credentials_secret, spec.nats_tls.secret_name if spec.nats_tls else None}
    config_maps: set[str | None] = set()
    for authority in (spec.certificates.authorities if spec.certificates else None) or ():
        secrets.add(authority.secret.secret_name if authority.secret else None)
        config_maps.add(authority.config_map.name if authority.config_map else None)
    return References(frozenset(filter(None, secrets)), frozenset(filter(None, config_maps)))
