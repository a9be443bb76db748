"""Volumes with the certificates that hosts trust."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, StrictBool, StrictInt, model_validator

from wasmcloud_operator_types._base import Model
from wasmcloud_operator_types._fields import Items, ObjectName, Rule, cel

# Volumes that the operator's own containers use.
_OWN_VOLUMES = ("nats-config", "nats-data", "nats-creds", "nats-tls", "tmp")

_ONE_SOURCE = "name either a secret or a configMap, and only one of them"
_NAMED_TWICE = "two of them have the same name; rename one"
_OWN_VOLUME_NAME = f"name: {', '.join(_OWN_VOLUMES)} are volumes of the operator's own; choose another name"


class KeyToPath(Model):
    """A key of the source, and the file it becomes."""

    key: Annotated[str, Field(min_length=1, max_length=253)]
    """The key."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """The file's path in the volume."""

    mode: Annotated[StrictInt | None, Field(ge=0, le=0o777, json_schema_extra={"format": "int32"})] = None
    """The file's permission bits."""


class SecretVolume(Model):
    """A Secret as a volume."""

    secret_name: ObjectName
    """The Secret's name, in the same namespace."""

    items: Annotated[Items[KeyToPath] | None, Field(max_length=64)] = None
    """Only these keys."""

    default_mode: Annotated[StrictInt | None, Field(ge=0, le=0o777, json_schema_extra={"format": "int32"})] = None
    """The files' permission bits."""

    optional: StrictBool | None = None
    """Whether the Secret may be missing."""


class ConfigMapVolume(Model):
    """A ConfigMap as a volume."""

    name: ObjectName
    """The ConfigMap's name, in the same namespace."""

    items: Annotated[Items[KeyToPath] | None, Field(max_length=64)] = None
    """Only these keys."""

    default_mode: Annotated[StrictInt | None, Field(ge=0, le=0o777, json_schema_extra={"format": "int32"})] = None
    """The files' permission bits."""

    optional: StrictBool | None = None
    """Whether the ConfigMap may be missing."""


class CertificateAuthority(Model):
    """A volume with CA certificates: a Secret's or a ConfigMap's keys that end in .crt."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            Rule("has(self.secret) != has(self.configMap)", _ONE_SOURCE),
            Rule(f"!(self.name in {list(_OWN_VOLUMES)})", _OWN_VOLUME_NAME),
        )
    )

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the volume."""

    secret: SecretVolume | None = None
    """The Secret."""

    config_map: ConfigMapVolume | None = None
    """The ConfigMap."""

    @model_validator(mode="after")
    def _is_one_volume_of_its_own(self) -> Self:
        if (self.secret is None) == (self.config_map is None):
            raise ValueError(_ONE_SOURCE)
        if self.name in _OWN_VOLUMES:
            raise ValueError(_OWN_VOLUME_NAME)
        return self


def _named_once(authorities: tuple[CertificateAuthority, ...] | None) -> tuple[CertificateAuthority, ...] | None:
    names = [authority.name for authority in authorities or ()]
    if len(set(names)) < len(names):
        raise ValueError(_NAMED_TWICE)
    return authorities


class Certificates(Model):
    """Certificates that the hosts trust."""

    authorities: Annotated[
        Items[CertificateAuthority] | None,
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
        AfterValidator(_named_once),
    ] = None
    """CA certificates for registries and other HTTPS peers of the hosts."""
