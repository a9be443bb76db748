"""NATS subjects of wadm and of a lattice."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wasmcloud_operator.lattice.errors import InvalidName

DEFAULT_WADM_PREFIX = "wadm.api"
DEFAULT_CONTROL_PREFIX = "wasmbus.ctl"

_TOKEN = re.compile(r"[^\s.*>\x00-\x1f\x7f]+")
_MODEL_NAME_LIMIT = 1024
_MODEL_NAME = re.compile(r"[-\w]+")


def is_token(value: str) -> bool:
    """Whether `value` can be one token of a subject, as the name of a lattice is."""
    return _TOKEN.fullmatch(value) is not None


def is_model_name(value: object) -> bool:
    """Whether `value` can be the name of an application: of what is longer no subject has room."""
    return isinstance(value, str) and len(value) <= _MODEL_NAME_LIMIT and _MODEL_NAME.fullmatch(value) is not None


def token(value: str, what: str) -> str:
    """`value` itself when it can be one token of a subject; raises `InvalidName`, naming `what`, when it cannot."""
    if not is_token(value):
        raise InvalidName(f"{what} {value!r} cannot be part of a NATS subject: no spaces, dots, * or >, and not empty")
    return value


def prefix(value: str, what: str) -> str:
    """`value` itself when it is one or more tokens joined by dots; raises `InvalidName` when it is not."""
    for part in value.split("."):
        token(part, what)
    return value


@dataclass(frozen=True, slots=True)
class WadmSubjects:
    """Where wadm listens and speaks for one lattice.

    `api` is wadm's topic prefix, in a multitenant wadm with the account in front (`ACCOUNT.wadm.api`).
    """

    lattice: str
    api: str = DEFAULT_WADM_PREFIX

    def __post_init__(self) -> None:
        token(self.lattice, "lattice")
        prefix(self.api, "wadm's topic prefix")

    def model(self, operation: str, name: str | None = None) -> str:
        """The request subject; raises `InvalidName` for a name that wadm itself would refuse."""
        subject = f"{self.api}.{self.lattice}.model.{operation}"
        if name is None:
            return subject
        if not _MODEL_NAME.fullmatch(name):
            raise InvalidName(f"application name {name!r}: wadm takes letters, digits, dashes and underscores only")
        return f"{subject}.{name}"

    @property
    def statuses(self) -> str:
        """Every application's status pushes."""
        return f"wadm.status.{self.lattice}.*"

    @property
    def events(self) -> tuple[str, str]:
        """manifest_published and manifest_unpublished; wadm 0.12 and older publish without the event's name."""
        return (f"wadm.evt.{self.lattice}", f"wadm.evt.{self.lattice}.>")


@dataclass(frozen=True, slots=True)
class ControlSubjects:
    """The control interface and the event stream of one lattice; `control` is the hosts' control topic prefix."""

    lattice: str
    control: str = DEFAULT_CONTROL_PREFIX

    def __post_init__(self) -> None:
        token(self.lattice, "lattice")
        prefix(self.control, "control topic prefix")

    @property
    def _base(self) -> str:
        return f"{self.control}.v1.{self.lattice}"

    @property
    def ping(self) -> str:
        """Every host answers."""
        return f"{self._base}.host.ping"

    def inventory(self, host_id: str) -> str:
        """That host answers with what it runs."""
        return f"{self._base}.host.get.{token(host_id, 'host id')}"

    def config(self, name: str) -> str:
        """Any one host answers with a named configuration."""
        return f"{self._base}.config.get.{token(name, 'config name')}"

    @property
    def links(self) -> str:
        """Any one host answers with the links of the lattice."""
        return f"{self._base}.link.get"

    @property
    def put_link(self) -> str:
        """Any one host takes a link for the lattice."""
        return f"{self._base}.link.put"

    @property
    def registries(self) -> str:
        """Every host takes registry credentials."""
        return f"{self._base}.registry.put"

    @property
    def events(self) -> str:
        """The events that hosts publish of themselves."""
        return f"wasmbus.evt.{self.lattice}.>"

    @property
    def config_service(self) -> str:
        """Where a starting host asks for its supplemental configuration."""
        return f"wasmbus.cfg.{self.lattice}.req"
