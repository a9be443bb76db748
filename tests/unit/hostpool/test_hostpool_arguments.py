"""Each release of the host parses the environment and the arguments that pods of the operator start it with.

`host-arguments.json` is what the releases' own parsers say of themselves: their command-line definitions were compiled
as tagged, and asked for each option, its variable, what its value may be, and what it needs and excludes.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.objects.hostpools import AUTHORITY, SECRET_CA, Rendered, authority, rendered
from wasmcloud_operator.hostpool.inputs import Facts

TABLES: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "host-arguments.json").read_text())
EVERYTHING: dict[str, Any] = {
    "hostLabels": {"zone": "a"},
    "jetstreamDomain": "hub",
    "logLevel": "debug",
    "controlTopicPrefix": "own.ctl",
    "allowLatest": True,
    "allowedInsecure": ["a:5000", "b"],
    "policyService": {"topic": "policy.ask", "timeoutMs": 500, "changesTopic": "policy.changed"},
    "secretsTopicPrefix": "own.secrets",
    "maxLinearMemoryBytes": 1 << 20,
    "secretName": "keys",
    "issuers": ["CA", "CB"],
    "registryCredentialsSecret": "pull",
    "probes": {"port": 9999},
    **authority(SECRET_CA),
}
SIGNALS = {name: {"enable": True, "endpoint": f"http://{name}:4318"} for name in ("traces", "metrics", "logs")}
SPECS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "everything": EVERYTHING,
    "all signals": {"observability": {"enable": True, "endpoint": "http://o:4318", "protocol": "grpc", **SIGNALS}},
    "each signal": {"observability": {"endpoint": "http://o:4318", "protocol": "http", **SIGNALS}},
    "several registries": {"registryCredentialsSecret": "pull", "configServiceEnabled": True},
    "a policy without its changes": {"policyService": {"topic": "policy.ask"}},
}
ONE = Facts(authorities=AUTHORITY.authorities, registries=("ghcr.io",), registry_digest="r1")
# What no option has: the host looks for these by itself, or the kubelet does.
_NOT_PARSED = re.compile(r"HOME|POD_IP|WASMCLOUD_LABEL_.+")
# Before 1.0 the lattice goes by one of two names, and NATS is sought where the leaf is anyway.
_OTHER_NAMES = {"WASMCLOUD_LATTICE", "WASMCLOUD_LATTICE_PREFIX", "WASMCLOUD_NATS_HOST", "WASMCLOUD_NATS_PORT"}


@dataclass(frozen=True)
class Option:
    """An option of a release: `value` is a name of `VALUES`, `needs` and `excludes` are other options."""

    name: str
    env: str | None
    value: str
    many: bool
    needs: tuple[str, ...]
    excludes: tuple[str, ...]
    default: str


def _address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(ipaddress.ip_address(host.strip("[]"))) and port.isdecimal()


VALUES: dict[str, Callable[[str], bool]] = {
    "text": lambda text: True,
    "number": str.isdecimal,
    "boolean": lambda text: text in ("true", "false"),
    "level": lambda text: text.upper() in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR"),
    "address": _address,
    "protocol": lambda text: text in ("grpc", "http"),
}


def options(version: str) -> dict[str, Option]:
    return {
        entry["name"]: Option(
            entry["name"],
            entry.get("env"),
            entry["value"],
            entry.get("many", False),
            tuple(entry.get("needs", ())),
            tuple(entry.get("excludes", ())),
            entry.get("default", ""),
        )
        for entry in TABLES[version]
    }


def given(container: Rendered) -> Iterator[tuple[str, str | None]]:
    """What the kubelet starts the host with: options, with None where there is no value, and variables."""
    for argument in container.args:
        name, equals, text = argument.replace("$$", "$").partition("=")
        yield name, text if equals else None
    for name, value in container.env.items():
        # values from elsewhere are texts that are not known here
        text = value if isinstance(value, str) else "from elsewhere"
        yield name, text.replace("$$", "$").replace("$(POD_IP)", "10.0.0.7")


def refusals(version: str, container: Rendered) -> list[str]:
    """Why that release would not start, or leave unread what it was given. Empty when it parses all."""
    known = options(version)
    named = known | {option.env: option for option in known.values() if option.env}
    found: list[str] = []
    present: Counter[str] = Counter()
    for name, text in given(container):
        option = named.get(name)
        if option is not None:
            present[option.name] += 1
            found += misfits(name, text, option)
        elif not _NOT_PARSED.fullmatch(name) and not (version.startswith("0.") and name in _OTHER_NAMES):
            found.append(f"{name} is not known")
    for name, times in present.items():
        option = known[name]
        found += [f"{name} is there {times} times"] * (times > 1 and not option.many)
        found += [f"{name} lacks {other}" for other in option.needs if other not in present]
        found += [f"{name} excludes {other}" for other in option.excludes if other in present]
    return found


def misfits(name: str, text: str | None, option: Option) -> Iterator[str]:
    """What is wrong with the value; an option without one takes true or false as a variable."""
    if text is None:
        if option.value != "flag":
            yield f"{name} takes a value"
    elif option.value == "flag" and name == option.name:
        yield f"{name} takes no value"
    elif not VALUES["boolean" if option.value == "flag" else option.value](text):
        yield f"{name} is no {option.value}: {text}"


@pytest.mark.parametrize("version", TABLES)
@pytest.mark.parametrize("spec", SPECS)
def test_the_release_parses_what_its_pods_start_with(version: str, spec: str) -> None:
    container = rendered({"version": version, **SPECS[spec]}, ONE)
    assert refusals(version, container) == []


@pytest.mark.parametrize("version", [version for version in TABLES if version.startswith("0.")])
def test_before_1_0_the_lattice_has_one_of_two_names_and_nats_is_where_the_leaf_is(version: str) -> None:
    known = options(version)
    env = rendered({"version": version, "lattice": "blue"}).env
    lattice = known.get("--lattice") or known["--lattice-prefix"]
    assert env[lattice.env] == "blue"
    assert known["--nats-host"].default == env["WASMCLOUD_NATS_HOST"]
    assert known["--nats-port"].default == env["WASMCLOUD_NATS_PORT"]


@pytest.mark.parametrize(
    ("rendered_for", "started", "refusal"),
    [
        ("1.9.2", "1.0.4", "--tls-ca-path is not known"),
        ("1.9.2", "1.4.2", "WASMCLOUD_HTTP_ADMIN is not known"),
        ("1.9.2", "1.1.1", "WASMCLOUD_MAX_LINEAR_MEMORY is not known"),
        ("0.82.0", "1.9.2", "WASMCLOUD_CLUSTER_SEED is not known"),
        ("0.80.0", "0.81.0", "OCI_REGISTRY is not known"),
    ],
)
def test_arguments_rendered_for_another_release_are_noticed(rendered_for: str, started: str, refusal: str) -> None:
    assert refusal in refusals(started, rendered({"version": rendered_for, **EVERYTHING}, ONE))


@pytest.mark.parametrize(
    ("args", "env", "refusal"),
    [
        (["--enable-traces"], [], "--enable-traces takes a value"),
        (["--enable-observability=true"], [], "--enable-observability takes no value"),
        (["--enable-observability", "--enable-logs=true"], [], "--enable-observability excludes --enable-logs"),
        (["--observability-protocol=carrier-pigeon"], [], "--observability-protocol is no protocol: carrier-pigeon"),
        ([], [{"name": "WASMCLOUD_POLICY_TIMEOUT", "value": "5"}], "--policy-timeout-ms lacks --policy-topic"),
        ([], [{"name": "WASMCLOUD_NATS_PORT", "value": "tcp://a:1"}], "WASMCLOUD_NATS_PORT is no number: tcp://a:1"),
        ([], [{"name": "WASMCLOUD_CONFIG_SERVICE", "value": "yes"}], "WASMCLOUD_CONFIG_SERVICE is no flag: yes"),
    ],
)
def test_arguments_that_stop_a_host_at_its_start_are_noticed(
    args: list[str], env: list[dict[str, str]], refusal: str
) -> None:
    own = {"wasmcloud": {"args": args, "env": env}}
    container = rendered({"version": "1.9.2", "schedulingOptions": {"containerTemplateAdditions": own}})
    assert refusal in refusals("1.9.2", container)
