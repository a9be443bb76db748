"""Everything that outsiders can send and the parser that takes it: what may be raised, and how to make bad input.

`TARGETS` are run with examples by hypothesis (a fixed few in the unit tests, 10,000 each in the chaos tests) and with
`WORST`, a mebibyte each of what makes careless parsers slow.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import nkeys
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel

from support.hostile.credentials import (
    CA,
    exec_credential,
    kubeconfig,
    open_with_ca_file,
    open_with_certificate_file,
    open_with_kubeconfig,
    open_with_token_file,
    read_exec_credential,
)
from support.objects.hostpools import config
from wasmcloud_operator.application.place import departures, place
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.annotations import read_options
from wasmcloud_operator.hostpool.docker_config import RegistryError, parse_docker_config
from wasmcloud_operator.hostpool.inputs import ChecksumKey
from wasmcloud_operator.hostpool.nats_addresses import hub_addresses
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.reference_checks import Contents, ReferencedData, examine
from wasmcloud_operator.kube.errors import NoCredentials, Unreachable
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.store import Store
from wasmcloud_operator.lattice import host_events, wadm, wadm_events
from wasmcloud_operator.lattice.configservice import requested_labels
from wasmcloud_operator.lattice.diagnosis import diagnose
from wasmcloud_operator.lattice.errors import InvalidConnection, LatticeError, one_line
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.manifest.http_endpoints import exposure
from wasmcloud_operator.manifest.validation import validate
from wasmcloud_operator.names import FIRST_PLACE
from wasmcloud_operator.shared.object_metrics import ObjectMetrics
from wasmcloud_operator.shared.problem import SpecError
from wasmcloud_operator_types import ApplicationSpec, InvalidObjectError, WasmCloudHostConfigSpec, parse

CANARY = "canary-3b1f"
MIB = 1024 * 1024

# `make chaos` tries 10,000 examples, other ones each time. FUZZ_EXAMPLES asks for so many, always the same ones: what a
# change has to pass must not depend on an example that it did not bring.
MANY = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "10000")),
    derandomize="FUZZ_EXAMPLES" in os.environ,
    print_blob=True,
)


@dataclass(frozen=True)
class Target:
    """A parser of bytes. It returns, or raises one of `refuses` whose text holds no secret."""

    name: str
    take: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...] = ()
    seeds: tuple[bytes, ...] = ()
    """Good input, which examples are made of by cutting, repeating and replacing."""

    def run(self, data: bytes) -> None:
        words = ""
        try:
            self.take(data)
        except self.refuses as error:
            words = str(error)
        assert CANARY not in words, words[:500]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return _text(data)


def _examined(spec: Mapping[str, object], key: str, *, kind: str = "Opaque") -> Callable[[bytes], object]:
    made = config(dict(spec)).spec

    def take(data: bytes) -> object:
        content = ReferencedData(kind, {key: data})
        found = examine(made, Contents({"s": content}, {"s": content}), Platform(), ChecksumKey("k"))
        assert CANARY not in repr(found)
        return found

    return take


def _spec_of(model: type[BaseModel]) -> Callable[[bytes], object]:
    return lambda data: parse(model, _json(data))


def _listed(data: bytes) -> object:
    return wadm.listed_models(wadm._checked(wadm._decoded(data)))


def _annotations(data: bytes) -> object:
    return read_options(dict.fromkeys(naming.STEERING, _text(data)))


def _places(data: bytes) -> object:
    content = _json(data)
    metadata = ObjectMeta("a", "team", "u", "1", annotations={FIRST_PLACE: _text(data)})
    item = CustomResource(metadata, {}, content)
    routes = [LatticeRoute(ConnectionSpec(("a",)), one.lattice) for one in (*departures(content), place(item)) if one]
    return [route.identity for route in routes]


SEED = nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER).decode()
CREDS_JWT = f"{CANARY}.eyJq.c2ln"
CREDS = (
    f"-----BEGIN NATS USER JWT-----\n{CREDS_JWT}\n------END NATS USER JWT------\n\n"
    f"-----BEGIN USER NKEY SEED-----\nSU{CANARY}\n------END USER NKEY SEED------\n"
).encode()
CLAIMS = json.dumps({"iss": "ABC", "exp": 1e9, "nats": {"issuer_account": "ACC"}}).encode()
PEM = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(CANARY.encode()).decode()}\n-----END CERTIFICATE-----\n".encode()
NOT_ASCII = PEM.replace(b"\n", b"\n\xff", 1)
DOCKER = json.dumps({"auths": {"ghcr.io": {"username": "u", "password": CANARY}, "x": {"auth": "dTpw"}}}).encode()
HEARTBEAT = json.dumps(
    {
        "type": "com.wasmcloud.lattice.host_heartbeat",
        "source": "NHOST",
        "data": {
            "host_id": "NHOST",
            "friendly_name": "a",
            "labels": {"a": "b"},
            "components": [{"id": "c", "image_ref": "i"}],
            "providers": [{"id": "p", "image_ref": "i", "annotations": {"wasmcloud.dev/appspec": "x"}}],
            "uptime_seconds": 3,
        },
    }
).encode()
ANSWER = json.dumps({"success": True, "message": "", "response": {"host_id": "NHOST", "providers": []}}).encode()
STATUS = json.dumps({"status": {"type": "deployed", "message": ""}, "scalers": [{"id": "s"}]}).encode()
PUBLISHED = json.dumps(
    {"type": "com.wadm.manifest_published", "data": {"metadata": {"name": "x"}, "spec": {"components": []}}}
).encode()
LIST = json.dumps({"result": "success", "models": [{"name": "x", "version": "1", "detailed_status": {}}]}).encode()
APPLICATION = json.dumps(
    {
        "metadata": {"name": "x", "annotations": {"version": "v1"}},
        "spec": {
            "components": [
                {"name": "c", "type": "component", "properties": {"image": "i"}, "traits": [{"type": "spreadscaler"}]},
                {"name": "p", "type": "capability", "properties": {"image": "ghcr.io/wasmcloud/http-server:0.27"}},
            ]
        },
    }
).encode()
KUBECONFIG_YAML = b"""current-context: c
clusters: [{name: c, cluster: {server: "https://127.0.0.1:9", certificate-authority-data: !!binary ""}}]
contexts: [{name: c, context: {cluster: c, user: c}}]
users:
- name: c
  user:
    token: *""" + CANARY.encode()
SHOWN = json.dumps(
    {
        "replicas": 1,
        "readyReplicas": 1,
        "hostCount": 1,
        "hostReplicas": 1,
        "lattice": "a",
        "phase": "Deployed",
        "schedulingOptions": {"daemonset": True},
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "0001-01-01T00:00:00"}],
        "hosts": [{"version": "1.9.0"}],
        "services": [{"readyEndpoints": 1}],
    }
).encode()
LEAVING = json.dumps({"leaving": [{"lattice": "a", "latticeId": "0123456789ab", "hostConfig": "pool"}]}).encode()
POOL = json.dumps({"hostReplicas": 1, "lattice": "a", "version": "1.9.0", "natsAddress": "nats://hub"}).encode()

TARGETS = (
    Target("docker-config", parse_docker_config, (RegistryError,), (DOCKER,)),
    Target(
        "creds", lambda data: ConnectionSpec(("a",), credentials=_text(data) or "x"), (InvalidConnection,), (CREDS,)
    ),
    Target(
        "ca",
        lambda data: ConnectionSpec(("a",), ca=_text(data) or "x"),
        (InvalidConnection,),
        (PEM, NOT_ASCII),
    ),
    Target(
        "client-certificate",
        lambda data: ConnectionSpec(("a",), client_certificate=_text(data) or "x", client_key=_text(data) or "x"),
        (InvalidConnection,),
        (PEM,),
    ),
    Target("addresses", lambda data: ConnectionSpec((_text(data),)), (InvalidConnection,), (b"tls://u:p@hub:4222",)),
    Target("secret-creds", _examined({"secretName": "s"}, "nats.creds"), (), (CREDS,)),
    Target("secret-ca", _examined({"natsTls": {"secretName": "s"}}, "ca.crt"), (), (PEM, NOT_ASCII)),
    Target("secret-key", _examined({"natsTls": {"secretName": "s"}}, "tls.key"), (), (PEM,)),
    Target(
        "secret-registries",
        _examined({"registryCredentialsSecret": "s"}, ".dockerconfigjson", kind="kubernetes.io/dockerconfigjson"),
        (),
        (DOCKER,),
    ),
    Target(
        "config-map-authorities",
        _examined({"certificates": {"authorities": [{"name": "a", "configMap": {"name": "s"}}]}}, "a.crt"),
        (),
        (PEM, NOT_ASCII),
    ),
    Target("config-request", requested_labels, (), (b'{"labels": {"a": "b"}}',)),
    Target("host-event", host_events.parse_event, (), (HEARTBEAT,)),
    Target("pong", host_events.parse_pong, (), (ANSWER,)),
    Target("inventory", lambda data: host_events.parse_inventory("NHOST", data), (LatticeError,), (ANSWER,)),
    Target("wadm-status", lambda data: wadm_events.parse_status("wadm.status.l.x", data), (), (STATUS,)),
    Target("wadm-event", wadm_events.parse_event, (), (PUBLISHED,)),
    Target("wadm-answer", lambda data: wadm._checked(wadm._decoded(data)), (LatticeError,), (LIST,)),
    Target("wadm-list", _listed, (LatticeError,), (LIST,)),
    Target("application", lambda data: validate(_json(data)), (), (APPLICATION,)),
    Target("application-spec", _spec_of(ApplicationSpec), (InvalidObjectError,), (APPLICATION,)),
    Target("host-config-spec", _spec_of(WasmCloudHostConfigSpec), (InvalidObjectError,), (POOL,)),
    Target("service-annotations", _annotations, (), (b"a.example", b'{"a": "b"}')),
    Target("places", _places, (), (b"u 0123456789ab pool one", SHOWN, LEAVING)),
    Target("foreign-text", lambda data: one_line(_text(data)), (), (b"error\nStack backtrace:\n   0: x",)),
    Target("foreign-error", lambda data: diagnose(ConnectionError(_text(data)), ""), (), (b"x",)),
)


def _of_claims(data: bytes) -> object:
    jwt = f"e30.{base64.urlsafe_b64encode(data).decode()}.c2ln"
    spec = ConnectionSpec(("a",), credentials=CREDS.decode().replace(f"SU{CANARY}", SEED).replace(CREDS_JWT, jwt))
    return spec.account, spec.expires, spec.digest, spec.anonymous


def _measured(data: bytes) -> object:
    content = _json(data)
    store: Store[CustomResource] = Store()
    store.put(CustomResource(ObjectMeta("a", "team", "1", "1"), content, content))
    registry = CollectorRegistry()
    registry.register(ObjectMetrics(store, store))
    return generate_latest(registry)


def _stored_manifest(data: bytes) -> object:
    manifest = _json(data)
    return exposure(manifest) if isinstance(manifest, dict) else None


def _hub(data: bytes) -> object:
    return hub_addresses(config({}).spec.model_copy(update={"nats_address": _text(data)[:2048]}))


TARGETS = (
    *TARGETS,
    Target("claims", _of_claims, (InvalidConnection,), (CLAIMS, CLAIMS.replace(b"1000000000.0", b"9" * 400))),
    Target("object-metrics", _measured, (), (SHOWN,)),
    Target("stored-manifest", _stored_manifest, (), (APPLICATION,)),
    Target(
        "kubeconfig",
        open_with_kubeconfig,
        (NoCredentials,),
        (kubeconfig({"token": CANARY}), kubeconfig({"username": "u", "password": CANARY}), KUBECONFIG_YAML),
    ),
    Target("token-file", open_with_token_file, (NoCredentials,), (CANARY.encode() + b"\n",)),
    Target("certificate-file", open_with_certificate_file, (NoCredentials,), (PEM,)),
    Target("ca-file", open_with_ca_file, (NoCredentials,), (PEM, CA)),
    Target("exec-credential", read_exec_credential, (Unreachable,), (exec_credential(CANARY),)),
    Target("hub-addresses", _hub, (SpecError,), (b"tls://u:p@hub:4222,nats://[::1]",)),
)


def _mebibyte(piece: bytes) -> bytes:
    return piece * (MIB // len(piece))


WORST: Mapping[str, bytes] = {
    "certificate-openers": _mebibyte(b"-----BEGIN CERTIFICATE-----\n"),
    "certificate-openers-in-one-line": _mebibyte(b"-----BEGIN CERTIFICATE-----"),
    "certificates-empty": _mebibyte(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
    "certificates-nested": _mebibyte(b"-----BEGIN CERTIFICATE-----\n" * 8 + b"-----END CERTIFICATE-----\n"),
    "jwt-openers": _mebibyte(b"-----BEGIN NATS USER JWT-----\n"),
    "jwt-spaces": b"-----BEGIN NATS USER JWT-----" + _mebibyte(b" ") + b"x",
    "key-openers": _mebibyte(b"-----BEGIN A PRIVATE KEY-----"),
    "dashes": _mebibyte(b"-"),
    "dashes-before": _mebibyte(b"-")[: 64 * 1024] + CREDS,
    "spaces": _mebibyte(b" "),
    "newlines": _mebibyte(b"\r\n"),
    "dots": _mebibyte(b"a."),
    "letters": _mebibyte(b"a") + b"!",
    "brackets": _mebibyte(b"["),
    "braces": _mebibyte(b'{"a":'),
    "commas": _mebibyte(b"a,"),
    "colons": _mebibyte(b"a:"),
    "at-signs": _mebibyte(b"@"),
    "percents": _mebibyte(b"%41"),
    "digits": _mebibyte(b"9"),
    "strings": b"[" + _mebibyte(b'"a",') + b"1]",
    "keys": b"{" + b",".join(b'"%d":{}' % number for number in range(MIB // 12)) + b"}",
    "auths": b'{"auths":{' + b",".join(b'"h%d":{"auth":"YTpi"}' % number for number in range(MIB // 30)) + b"}}",
    "providers": b'{"type":"host_heartbeat","source":"N","data":{"host_id":"N","providers":['
    + b",".join(b'{"id":"p%d"}' % number for number in range(MIB // 16))
    + b"]}}",
    "components": b'{"metadata":{"name":"x"},"spec":{"components":['
    + b",".join(b'{"name":"c%d"}' % number for number in range(MIB // 18))
    + b"]}}",
    "scalers": b'{"status":{},"scalers":[' + _mebibyte(b"{},") + b"{}]}",
    "models": b'{"result":"success","models":[' + _mebibyte(b'{"name":1},') + b"{}]}",
    "models-with-scalers": b'{"result":"success","models":['
    + b",".join([b'{"name":1,"detailed_status":{"status":{},"scalers":[' + b"{}," * 900 + b"{}]}}"] * 380)
    + b"]}",
    "not-utf8": _mebibyte(b"\xff\xfe"),
    "zeroes": _mebibyte(b"\0"),
}

_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=30,
)


@st.composite
def _mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        piece = draw(
            st.sampled_from([b"", data[start:end] * 2, b"null", b"[]", b"{}", b'""', b"-1", b"1e999", b"\xff"])
        )
        data = data[:start] + piece + data[end:]
    return data


@st.composite
def _shaped(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Well-formed JSON of the right shape with one value of another kind in it."""
    value = _json(draw(st.sampled_from(seeds)))
    at = value
    while isinstance(at, dict | list) and at:
        key = draw(st.sampled_from(sorted(at))) if isinstance(at, dict) else draw(st.integers(0, len(at) - 1))
        if not isinstance(at[key], dict | list) or not at[key] or draw(st.booleans()):
            at[key] = draw(_json_values)
            break
        at = at[key]
    return json.dumps(value).encode()


def inputs(target: Target) -> SearchStrategy[bytes]:
    """Input for a target: mutations of what is good, other JSON, and noise."""
    any_json = _json_values.map(lambda value: json.dumps(value).encode())
    return _mutated(target.seeds) | _shaped(target.seeds) | any_json | st.binary(max_size=200)
