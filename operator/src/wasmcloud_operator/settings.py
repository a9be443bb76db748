"""The settings of `wasmcloud-operator run`: from flags, then the environment, then these defaults."""

from __future__ import annotations

import difflib
import re
import secrets
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, CliSettingsSource, NoDecode, SettingsConfigDict

from wasmcloud_operator.kube.service_account import pod_namespace
from wasmcloud_operator.names import NAMESPACE_NAME, OBJECT_NAME, IpFamily

_PREFIX = "WASMCLOUD_OPERATOR_"
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"_(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP|SCTP)\w*)?)$")


def _own_namespace() -> str:
    return pod_namespace() or "default"


class Settings(BaseSettings):
    """Every setting is a flag (`--watch-namespaces a,b`) and a variable (`WASMCLOUD_OPERATOR_WATCH_NAMESPACES=a,b`).

    An empty one is as none: that is what a template leaves of a value which is not set.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        str_strip_whitespace=True,
        cli_prog_name="wasmcloud-operator run",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        use_attribute_docstrings=True,
        extra="ignore",
        frozen=True,
    )

    kubeconfig: Path | None = None
    """The kubeconfig file; without it $KUBECONFIG, else the pod's service account, else ~/.kube/config."""

    context: str | None = None
    """The kubeconfig's context; without it the current one."""

    namespace: str = Field(default_factory=_own_namespace)
    """The operator's own namespace: its Lease is there, and the list of what was left in wadm on purpose."""

    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Follow only these namespaces (comma separated), with Roles instead of a ClusterRole; empty: all of them."""

    leader_election: bool = True
    """Take a Lease before writing anything, so that several replicas can run."""

    lease_name: str = "wasmcloud-operator"
    """The Lease's name."""

    identity: str = Field(default_factory=lambda: f"{socket.gethostname()}-{secrets.token_hex(3)}", min_length=1)
    """The name of this replica in the Lease and in Events."""

    cluster_id: str = ""
    """Distinguishes clusters that share a lattice; empty: the uid of the namespace kube-system."""

    http_address: str = ":8080"
    """Where /metrics, /healthz and /readyz are served; no host: on all addresses; port 0 takes a free one."""

    ip_family: IpFamily = "auto"
    """The family of a pod's first address; auto: the family of the API's Service, IPv4 outside of a cluster."""

    workers: int = Field(default=32, ge=1, le=256)
    """How many objects of one kind are reconciled at the same time; each may hold a connection to the API server.

    Of applications, which mostly wait for wadm, twice as many."""

    reconcile_timeout: float = Field(default=60.0, gt=0, le=3600)
    """Seconds after which a reconcile is cancelled and counts as failed; an hour at most."""

    applications: bool = True
    """Run Applications (core.oam.dev/v1beta1) through wadm."""

    orphans: Literal["report", "remove"] = "report"
    """What becomes of applications in wadm whose Application of this cluster is gone, other than by `deletion-policy`.

    remove: once the API server has confirmed it, three in any ten minutes, none where more than half are affected."""

    services: bool = True
    """Keep Services for the HTTP endpoints of applications."""

    connect_to_pods: bool = True
    """Before a Service leads to a host pod, see by a TCP connection that the host listens there.

    A refused connection is waited for, a minute at most; where the network answers nothing, nothing is waited for."""

    max_connections: int = Field(default=64, ge=4, le=10000)
    """Connections to the API server, watches not counted."""

    trust_env: bool = False
    """Honour HTTPS_PROXY and NO_PROXY for the API server; costs 0.4 ms a request."""

    strict_x509: bool = True
    """Refuse CA certificates that Python 3.13 finds unclean; some clusters have such."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto`: readable on a terminal, JSON lines otherwise."""

    @field_validator("http_address")
    @classmethod
    def _with_port(cls, value: str) -> str:
        port = value.rpartition(":")[2]
        if not port.isdecimal() or int(port) > 65535:
            raise ValueError("write host:port or :port, with a port from 0 to 65535")
        return value

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(dict.fromkeys(filter(None, (part.strip() for part in value.split(",")))))
        return names or tuple(filter(None, (value.strip(),)))  # commas alone do not mean all namespaces

    @field_validator("namespace", "watch_namespaces")
    @classmethod
    def _of_namespaces(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if not NAMESPACE_NAME.fullmatch(name):
                raise ValueError(f"{name!r} can be no namespace")
        return value

    @field_validator("lease_name")
    @classmethod
    def _of_a_lease(cls, value: str) -> str:
        if not OBJECT_NAME.fullmatch(value):
            raise ValueError(f"{value!r} can be no name of a Lease")
        return value

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Settings:
        """The settings with these command-line arguments on top; prints help or the mistake and exits on either."""
        return cls(_cli_settings_source=CliSettingsSource(cls, cli_parse_args=list(arguments)))


def unknown_variables(environment: Iterable[str]) -> list[str]:
    """Returns a sentence for each variable that begins as a setting does and is none, with the nearest name.

    Those that Kubernetes derives from a Service whose name begins like ours are no mistake of a user.
    """
    known = [name.upper() for name in Settings.model_fields]
    given = (name.removeprefix(_PREFIX) for name in sorted(map(str.upper, environment)) if name.startswith(_PREFIX))
    found = []
    for name in given:
        if name in known or _SERVICE_LINK.search(f"_{name}"):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        found.append(f"{_PREFIX}{name} is no setting" + (f": is {_PREFIX}{near[0]} meant?" if near else ""))
    return found
