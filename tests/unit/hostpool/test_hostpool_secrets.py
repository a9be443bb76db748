"""What referenced Secrets and ConfigMaps may hold: digests of what is right, the key to mend of what is wrong."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.objects.hostpools import config
from wasmcloud_operator.hostpool.docker_config import RegistryError, parse_docker_config
from wasmcloud_operator.hostpool.inputs import Authority, ChecksumKey, HubTls
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.reference_checks import Contents, ReferencedData, examine
from wasmcloud_operator.lattice.control import RegistryCredential

CANARY = "canary-5f1c9d"
CREDS = (
    b"-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n\n"
    b"************************* IMPORTANT *************************\n\n"
    b"-----BEGIN USER NKEY SEED-----\nSUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4\n"
    b"------END USER NKEY SEED------\n"
)
NO_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----\n"
DOCKER = "kubernetes.io/dockerconfigjson"


def certificate():
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), NOW, NOW + timedelta(1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


NOW = datetime.now(UTC)
PEM = certificate()


def judge(spec, secrets=None, config_maps=None, *, secret_type="Opaque"):
    contents = Contents(
        {name: data and ReferencedData(secret_type, data) for name, data in (secrets or {}).items()},
        {name: data and ReferencedData("", data) for name, data in (config_maps or {}).items()},
    )
    return examine(config(spec).spec, contents, Platform(), ChecksumKey("k"))


def auths(**entries):
    return {".dockerconfigjson": json.dumps({"auths": entries}).encode()}


ISSUERS = {"secretName": "keys", "issuers": ["C"], "version": "0.82.0"}
NEW_ISSUERS = {**ISSUERS, "version": "1.0.0"}
KEYS = {"secretName": "keys"}
TLS = {"natsTls": {"secretName": "hub"}}
PULL = {"registryCredentialsSecret": "pull"}
ROOTS = {"certificates": {"authorities": [{"name": "roots", "secret": {"secretName": "ca"}}]}}
MAP = {"certificates": {"authorities": [{"name": "roots", "configMap": {"name": "ca"}}]}}
SEED = {"WASMCLOUD_CLUSTER_SEED": CANARY.encode()}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (ISSUERS, {"keys": SEED}),
        (NEW_ISSUERS, {"keys": {"nats.creds": CREDS}}),
        (KEYS, {"keys": {"nats.creds": CREDS}}),
        (KEYS, {"keys": SEED}),
        (TLS, {"hub": {"ca.crt": PEM}}),
        (TLS, {"hub": {"tls.crt": PEM, "tls.key": KEY}}),
        (ROOTS, {"ca": {"a.crt": PEM, "other": b"x"}}),
        (ROOTS, {"ca": {"a.crt": "# Autorité\n".encode() + PEM + b"# more\n" + PEM.replace(b"\n", b"\r\n")}}),
    ],
)
def test_correct_secrets_have_no_problems(spec, found):
    assert judge(spec, found).problems == ()


OBSERVED = {"observability": {"enable": True}}
ENDPOINT_ENV = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://o:4318"}


@pytest.mark.parametrize(
    ("spec", "found", "reason", "path"),
    [
        (NEW_ISSUERS, {"keys": {"nats.creds": CREDS}}, "HostTooNew", ".spec.issuers"),
        ({**ROOTS, "version": "1.0.4"}, {"ca": {"a.crt": PEM}}, "HostTooOld", ".spec.certificates.authorities"),
        ({"secretsTopicPrefix": "s", "version": "1.0.4"}, {}, "HostTooOld", ".spec.secretsTopicPrefix"),
        ({"maxLinearMemoryBytes": 1 << 20, "version": "1.1.1"}, {}, "HostTooOld", ".spec.maxLinearMemoryBytes"),
        ({**OBSERVED, "version": "0.82.0"}, {}, "HostTooOld", ".spec.observability"),
        ({"observability": {"enable": True, "endpoint": "http://o", "protocol": "http"}, "version": "1.0.4"}, {},
         "HostTooOld", ".spec.observability.protocol"),
        (OBSERVED, {}, "NoEndpoint", ".spec.observability.endpoint"),
        ({"observability": {"enable": True, "endpoint": ""}}, {}, "NoEndpoint", ".spec.observability.endpoint"),
        ({"observability": {"traces": {"enable": True}}}, {}, "NoEndpoint", ".spec.observability.endpoint"),
    ],
)  # fmt: skip
def test_a_field_without_effect_is_a_warning_and_no_problem(spec, found, reason, path):
    judged = judge(spec, found)
    assert judged.problems == ()
    assert [(warning.reason, warning.path) for warning in judged.warnings] == [(reason, path)]


@pytest.mark.parametrize(
    "spec",
    [
        {"secretsTopicPrefix": "s", "maxLinearMemoryBytes": 1 << 20, "version": "1.2.0"},
        {"secretsTopicPrefix": "s", "version": "latest"},
        {"observability": {"enable": False, "logs": {"enable": False}}},
        {"observability": {"logs": {"enable": True, "endpoint": "http://o"}}},
        {**OBSERVED, "schedulingOptions": {"containerTemplateAdditions": {"wasmcloud": {"env": [ENDPOINT_ENV]}}}},
    ],
)
def test_a_field_with_effect_is_no_warning(spec):
    assert judge(spec).warnings == ()


WRONG = [
    (ISSUERS, {"keys": None}, ".spec.secretName", "keys", "WASMCLOUD_CLUSTER_SEED"),
    (ISSUERS, {"keys": {"nats.creds": CREDS}}, ".spec.secretName", "keys", "WASMCLOUD_CLUSTER_SEED"),
    (ISSUERS, {"keys": {"WASMCLOUD_CLUSTER_SEED": b""}}, ".spec.secretName", "keys", "WASMCLOUD_CLUSTER_SEED"),
    (KEYS, {"keys": {"other": b"x"}}, ".spec.secretName", "keys", "nats.creds"),
    (KEYS, {"keys": {"nats.creds": b""}}, ".spec.secretName", "keys", "nats.creds is empty"),
    (KEYS, {"keys": {**SEED, "nats.creds": b" \n"}}, ".spec.secretName", "keys", "nats.creds is empty"),
    (KEYS, {"keys": {"nats.creds": CREDS.replace(b"\n", b"\r\n")}}, ".spec.secretName", "keys", "line endings"),
    (KEYS, {"keys": {"nats.creds": CANARY.encode()}}, ".spec.secretName", "keys", "JWT"),
    (KEYS, {"keys": {"nats.creds": CREDS[: CREDS.index(b"*")]}}, ".spec.secretName", "keys", "SEED"),
    (TLS, {"hub": None}, ".spec.natsTls.secretName", "hub", "ca.crt"),
    (TLS, {"hub": {"other": b"x"}}, ".spec.natsTls.secretName", "hub", "ca.crt"),
    (TLS, {"hub": {"tls.crt": PEM}}, ".spec.natsTls.secretName", "hub", "tls.key"),
    (TLS, {"hub": {"ca.crt": CANARY.encode()}}, ".spec.natsTls.secretName", "hub", "ca.crt"),
    (TLS, {"hub": {"tls.crt": PEM, "tls.key": CANARY.encode()}}, ".spec.natsTls.secretName", "hub", "tls.key"),
    (PULL, {"pull": None}, ".spec.registryCredentialsSecret", "pull", ".dockerconfigjson"),
    (PULL, {"pull": auths(a={"auth": "eDp5"})}, ".spec.registryCredentialsSecret", "pull", DOCKER),
    (ROOTS, {"ca": None}, ".spec.certificates.authorities[0]", "ca", ".crt"),
    (ROOTS, {"ca": {"a.pem": PEM}}, ".spec.certificates.authorities[0]", "ca", ".crt"),
    (ROOTS, {"ca": {"a.crt": CANARY.encode()}}, ".spec.certificates.authorities[0]", "ca", "a.crt"),
    (ROOTS, {"ca": {"a.crt": NO_CERTIFICATE}}, ".spec.certificates.authorities[0]", "ca", "a.crt"),
    (ROOTS, {"ca": {"a.crt": PEM + NO_CERTIFICATE}}, ".spec.certificates.authorities[0]", "ca", "a.crt"),
    (TLS, {"hub": {"tls.crt": NO_CERTIFICATE, "tls.key": KEY}}, ".spec.natsTls.secretName", "hub", "tls.crt"),
]


@pytest.mark.parametrize(("spec", "found", "path", "name", "says"), WRONG)
def test_problems_name_field_object_and_key(spec, found, path, name, says):
    (problem,) = judge(spec, found).problems
    assert problem.path == path
    assert name in problem.message
    assert says in problem.message
    assert CANARY not in str(problem)


def test_a_missing_config_map_is_called_one():
    (problem,) = judge(MAP, {}, {"ca": None}).problems
    assert problem.reason == "ConfigMapNotFound"


def test_an_optional_authority_may_be_missing():
    spec = {"certificates": {"authorities": [{"name": "r", "secret": {"secretName": "ca", "optional": True}}]}}
    examined = judge(spec, {"ca": None})
    assert (examined.problems, examined.facts.authorities) == ((), ())


def test_all_problems_come_at_once():
    assert len(judge({**KEYS, **TLS, **ROOTS}, {"keys": None, "hub": None, "ca": None}).problems) == 3


def test_the_facts_have_what_the_secrets_hold():
    facts = judge({**TLS, **ROOTS}, {"hub": {"ca.crt": PEM}, "ca": {"b.crt": PEM, "a.crt": PEM}}).facts
    assert facts.hub_tls == HubTls(True, False, facts.hub_tls.digest)
    assert facts.authorities == (Authority("roots", ("a.crt", "b.crt"), facts.authorities[0].digest),)


def test_only_the_files_named_are_taken():
    items = [{"key": "root", "path": "sub/root.crt"}]
    spec = {"certificates": {"authorities": [{"name": "r", "secret": {"secretName": "ca", "items": items}}]}}
    (authority,) = judge(spec, {"ca": {"root": PEM, "other.crt": b"no"}}).facts.authorities
    assert authority.certificates == ("sub/root.crt",)


@pytest.mark.parametrize(("version", "used"), [("0.82.0", True), ("1.0.2", False)])
def test_a_new_seed_concerns_only_the_hosts_that_take_one(version, used):
    one, two = (
        judge({**ISSUERS, "version": version}, {"keys": {"WASMCLOUD_CLUSTER_SEED": seed}}).facts
        for seed in (b"a", b"b")
    )
    assert (one != two) is used


def test_new_hub_credentials_are_no_new_facts_for_the_leaf_reads_them_again():
    one = judge(KEYS, {"keys": {"nats.creds": CREDS}}).facts
    assert one == judge(KEYS, {"keys": {"nats.creds": CREDS + b"\n", "else": b"x"}}).facts
    assert one.credentials is True


def test_a_digest_depends_on_the_content_and_on_the_key():
    def digest(content, key):
        contents = Contents({"hub": ReferencedData("Opaque", {"ca.crt": content})}, {})
        return examine(config(TLS).spec, contents, Platform(), ChecksumKey(key)).facts.hub_tls.digest

    assert digest(PEM, "a") == digest(PEM, "a")
    assert len({digest(PEM, "a"), digest(PEM, "b"), digest(PEM + PEM, "a")}) == 3


def test_nothing_secret_is_in_a_repr():
    examined = judge(
        PULL, {"pull": auths(r={"username": "u", "password": CANARY})}, secret_type=DOCKER
    )  # fmt: skip
    assert [held.password for held in examined.values.registries.values()] == [CANARY]
    assert CANARY not in repr(examined)
    assert CANARY not in repr(examined.facts)


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"ghcr.io": {"username": "u", "password": "p"}}, [("ghcr.io", "u", "p")]),
        ({"ghcr.io": {"auth": encoded("u:p:q")}}, [("ghcr.io", "u", "p:q")]),
        ({"https://ghcr.io/v2/": {"auth": encoded("u:p")}}, [("ghcr.io", "u", "p")]),
        ({"https://index.docker.io/v1/": {"auth": encoded("u:p")}}, [("docker.io", "u", "p")]),
        ({"localhost:5000": {"auth": encoded("u:p")}}, [("localhost:5000", "u", "p")]),
        ({"b": {"auth": encoded("u:p")}, "a": {"auth": encoded("v:q")}}, [("a", "v", "q"), ("b", "u", "p")]),
        # auth before the two others, as for the kubelet and docker
        ({"r": {"auth": encoded("u:p"), "username": "old", "password": "old"}}, [("r", "u", "p")]),
        ({"r": {"auth": "", "username": "u", "password": "p"}}, [("r", "u", "p")]),
        # no padding, and lines of 76 characters as `base64` writes them
        ({"r": {"auth": encoded("u:p1").rstrip("=")}}, [("r", "u", "p1")]),
        ({"r": {"auth": encoded(f"AWS:{'x' * 99}")[:76] + "\n" + encoded(f"AWS:{'x' * 99}")[76:]}},
         [("r", "AWS", "x" * 99)]),
        ({"gcr.io": {"auth": encoded('_json_key:{"a": "b:c",\n "d": 1}')}},
         [("gcr.io", "_json_key", '{"a": "b:c",\n "d": 1}')]),
        ({"r.azurecr.io": {"auth": encoded("u:p"), "identitytoken": "t"}}, [("r.azurecr.io", "u", "p")]),
    ],
)  # fmt: skip
def test_docker_configs(entries, expected):
    text = json.dumps({"auths": entries}).encode()
    found = parse_docker_config(text)
    assert list(found.registries.items()) == [(name, RegistryCredential(*pair)) for name, *pair in expected]
    assert found.unused == ()


ONE, OTHER = {"auth": encoded("u:p")}, {"auth": encoded("v:q")}


@pytest.mark.parametrize(
    ("entries", "used", "unused"),
    [
        ({"r/team": OTHER, "r": ONE}, {"r": "u"}, ["r/team"]),
        ({"https://r/v2/team": OTHER, "https://r/v1/": ONE}, {"r": "u"}, ["r/team"]),
        ({"r/b": OTHER, "r/a": ONE}, {"r": "u"}, ["r/b"]),
        ({"r/b": ONE, "r/a": ONE}, {"r": "u"}, []),
        ({"docker.io": ONE, "https://index.docker.io/v1/": OTHER}, {"docker.io": "u"}, ["docker.io"]),
        ({"*.dkr.ecr.us-east-1.amazonaws.com": ONE, "r": ONE}, {"r": "u"}, ["*.dkr.ecr.us-east-1.amazonaws.com"]),
        ({"*.r": {}}, {}, ["*.r"]),
    ],
)
def test_an_entry_of_a_docker_config_that_hosts_cannot_use_is_a_warning(entries, used, unused):
    judged = judge(PULL, {"pull": auths(**entries)}, secret_type=DOCKER)
    assert judged.problems == ()
    assert {name: held.username for name, held in judged.values.registries.items()} == used
    assert [(one.reason, one.path) for one in judged.warnings] == [
        ("RegistryUnused", ".spec.registryCredentialsSecret") for _ in unused
    ]
    assert all(f"entry for {name} " in one.message for name, one in zip(unused, judged.warnings, strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CANARY, "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("[]", "auths"),
        ("{}", "auths"),
        ('{"auths": {}}', "auths"),
        ('{"auths": {"r": "x"}}', "entry for r"),
        ('{"auths": {"r": {}}}', "entry for r"),
        (json.dumps({"auths": {"r": {"auth": CANARY + "!"}}}), "entry for r"),
        (json.dumps({"auths": {"r": {"auth": encoded(CANARY)}}}), "entry for r"),
        (json.dumps({"auths": {"r": {"auth": encoded(f"{CANARY}:"), "username": "u", "password": CANARY}}}),
         "is not base64 of user:password"),
        (json.dumps({"auths": {"r.azurecr.io": {"auth": encoded("0000:"), "identitytoken": CANARY}}}), "identitytoken"),
        (json.dumps({"auths": {"r.azurecr.io": {"identitytoken": CANARY}}}), "identitytoken"),
        (json.dumps({"auths": {f"https://u:{CANARY}@r/": {}}}), "entry for r"),
        (json.dumps({"auths": {"http://[": {"auth": encoded("u:p")}}}), "names no registry"),
        (json.dumps({"auths": {"": {"auth": encoded("u:p")}}}), "names no registry"),
    ],
)  # fmt: skip
def test_bad_docker_configs_are_refused_by_entry_without_their_secrets(text, says):
    with pytest.raises(RegistryError) as raised:
        parse_docker_config(text.encode())
    assert says in str(raised.value)
    assert CANARY not in str(raised.value)
