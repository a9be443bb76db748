"""Checks of what referenced Secrets and ConfigMaps hold: usable facts, or what to mend. Values stay in here."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wasmcloud_operator.hostpool.docker_config import SECRET_KEY, SECRET_TYPE, RegistryError, parse_docker_config
from wasmcloud_operator.hostpool.inputs import Authority, ChecksumKey, Facts, HubTls, uses_cluster_seed
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.spec_warnings import spec_warnings
from wasmcloud_operator.hostpool.versions import Feature, understands
from wasmcloud_operator.lattice import armor
from wasmcloud_operator.lattice.control import RegistryCredential
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator_types import (
    CertificateAuthority,
    ConfigMapVolume,
    KeyToPath,
    SecretVolume,
    WasmCloudHostConfigSpec,
)

SEED_KEY = "WASMCLOUD_CLUSTER_SEED"
CREDENTIALS_KEY = "nats.creds"

_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_SEED = re.compile(r"SU[A-Z2-7]+")
_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\s")


@dataclass(frozen=True, slots=True)
class ReferencedData:
    """What a Secret or ConfigMap holds, decoded; never shown."""

    type: str
    data: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Contents:
    """The referenced objects by name; one that does not exist is None."""

    secrets: Mapping[str, ReferencedData | None] = field(repr=False)
    config_maps: Mapping[str, ReferencedData | None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Values:
    """The secret values themselves, as text, for whoever has to use them at once; empty means none."""

    registries: Mapping[str, RegistryCredential] = field(default_factory=dict, repr=False)
    credentials: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)
    client_certificate: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ExaminedReferences:
    """What was found: facts without a secret, problems, warnings, and the values if they were just read."""

    facts: Facts
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    values: Values | None = field(default=None, repr=False)


def examine(
    spec: WasmCloudHostConfigSpec, contents: Contents, platform: Platform, checksum_key: ChecksumKey
) -> ExaminedReferences:
    """Judge everything that the spec refers to, all problems at once."""
    problems: list[Problem] = []
    warnings = list(spec_warnings(spec))
    credentials, seed = _credentials(spec, contents, problems, warnings)
    hub_tls = _hub_tls(spec, contents, problems, checksum_key)
    registries = _registries(spec, contents, problems, warnings)
    authorities = tuple(
        found
        for index, authority in enumerate((spec.certificates and spec.certificates.authorities) or ())
        if (found := _authority(authority, index, contents, problems)) is not None
    )
    facts = Facts(
        credentials=credentials,
        seed_digest=checksum_key.digest({SEED_KEY: seed}) if seed else "",
        hub_tls=hub_tls,
        registries=tuple(registries),
        registry_digest=checksum_key.digest(
            {name: f"{held.username}\0{held.password}".encode() for name, held in registries.items()}
        )
        if registries
        else "",
        authorities=authorities,
        platform=platform,
        checksum_key=checksum_key,
    )
    return ExaminedReferences(facts, tuple(problems), tuple(warnings), _values(spec, contents, registries))


def _values(spec: WasmCloudHostConfigSpec, contents: Contents, registries: Mapping[str, RegistryCredential]) -> Values:
    def text(secret_name: str | None, key: str) -> str:
        content = contents.secrets.get(secret_name or "")
        return content.data.get(key, b"").decode("utf-8", "replace") if content is not None else ""

    tls = spec.nats_tls.secret_name if spec.nats_tls is not None else None
    return Values(
        registries,
        text(spec.secret_name, CREDENTIALS_KEY),
        text(tls, "ca.crt"),
        text(tls, "tls.crt"),
        text(tls, "tls.key"),
    )


def _credentials(
    spec: WasmCloudHostConfigSpec, contents: Contents, problems: list[Problem], warnings: list[Problem]
) -> tuple[bool, bytes]:
    """Whether there is nats.creds, and the cluster seed; empty if the pods use none."""
    if spec.secret_name is None:
        return False, b""
    path, name = ".spec.secretName", spec.secret_name
    secret = contents.secrets.get(name)
    if secret is None:
        problems.append(_missing("Secret", name, path, _wanted_keys(spec)))
        return False, b""
    seed, creds = secret.data.get(SEED_KEY), secret.data.get(CREDENTIALS_KEY)
    if spec.issuers and not understands(spec.version, Feature.CLUSTER_SEED):
        warnings.append(
            Problem(Reason.HOST_TOO_NEW, ".spec.issuers", "has no effect: hosts from 1.0 on read no cluster seed")
        )
    if uses_cluster_seed(spec) and not seed:
        problems.append(_no_key("Secret", name, SEED_KEY, path, "it is needed because issuers are set"))
    elif not seed and creds is None:
        problems.append(
            Problem(
                Reason.SECRET_KEY_MISSING, path, f"Secret {name} has neither {CREDENTIALS_KEY} nor {SEED_KEY}; add one"
            )
        )
    used_seed = seed if seed and uses_cluster_seed(spec) else b""
    if creds is None:
        return False, used_seed
    if fault := _credentials_fault(creds):
        problems.append(_bad_key(name, CREDENTIALS_KEY, path, fault))
    return True, used_seed


def _credentials_fault(creds: bytes) -> str:
    """Returns what is wrong with a creds file; empty if nothing is."""
    text = creds.decode("utf-8", "replace")
    if not creds.strip():
        return "is empty; remove the key, or put the whole creds file there"
    if b"\r" in creds:
        return "has Windows line endings; convert it to Unix ones"
    if len(creds) > armor.CREDENTIALS_LIMIT:
        return f"has more than {armor.CREDENTIALS_LIMIT // 1024} KiB"
    if not _JWT.fullmatch(armor.token(text, armor.USER_JWT)):
        return "has no NATS USER JWT section; put the whole creds file there"
    if not _SEED.fullmatch(armor.token(text, armor.USER_SEED)):
        return "has no USER NKEY SEED section; put the whole creds file there"
    return ""


def _hub_tls(
    spec: WasmCloudHostConfigSpec, contents: Contents, problems: list[Problem], checksum_key: ChecksumKey
) -> HubTls | None:
    if spec.nats_tls is None:
        return None
    path, name = ".spec.natsTls.secretName", spec.nats_tls.secret_name
    secret = contents.secrets.get(name)
    if secret is None:
        problems.append(_missing("Secret", name, path, "ca.crt, or tls.crt and tls.key, or all three"))
        return None
    found = {key: secret.data[key] for key in ("ca.crt", "tls.crt", "tls.key") if secret.data.get(key)}
    if not found:
        problems.append(_no_key("Secret", name, "ca.crt", path, "it has no tls.crt and tls.key either"))
    if ("tls.crt" in found) != ("tls.key" in found):
        problems.append(_no_key("Secret", name, "tls.key" if "tls.crt" in found else "tls.crt", path, "one needs both"))
    problems.extend(
        _bad_key(name, key, path, "is not a PEM certificate")
        for key in ("ca.crt", "tls.crt")
        if key in found and not _is_pem(found[key])
    )
    if "tls.key" in found and not _PRIVATE_KEY.search(found["tls.key"]):
        problems.append(_bad_key(name, "tls.key", path, "is not an unencrypted PEM private key"))
    return HubTls("ca.crt" in found, "tls.crt" in found and "tls.key" in found, checksum_key.digest(found))


def _registries(
    spec: WasmCloudHostConfigSpec, contents: Contents, problems: list[Problem], warnings: list[Problem]
) -> Mapping[str, RegistryCredential]:
    if spec.registry_credentials_secret is None:
        return {}
    path, name = ".spec.registryCredentialsSecret", spec.registry_credentials_secret
    secret = contents.secrets.get(name)
    if secret is None:
        problems.append(_missing("Secret", name, path, SECRET_KEY))
        return {}
    if secret.type != SECRET_TYPE:
        problems.append(Problem(Reason.SECRET_TYPE_WRONG, path, f"Secret {name} must be of type {SECRET_TYPE}"))
        return {}
    if not secret.data.get(SECRET_KEY):
        problems.append(_no_key("Secret", name, SECRET_KEY, path, "it is what the type promises"))
        return {}
    try:
        found = parse_docker_config(secret.data[SECRET_KEY])
    except RegistryError as error:
        problems.append(Problem(Reason.SECRET_CONTENT_INVALID, path, f"Secret {name}: {error}"))
        return {}
    warnings += (Problem(Reason.REGISTRY_UNUSED, path, f"Secret {name}: {what}") for what in found.unused)
    return found.registries


def _authority(
    authority: CertificateAuthority, index: int, contents: Contents, problems: list[Problem]
) -> Authority | None:
    path = f".spec.certificates.authorities[{index}]"
    source: SecretVolume | ConfigMapVolume
    if authority.secret is not None:
        kind, name, source = "Secret", authority.secret.secret_name, authority.secret
        content = contents.secrets.get(name)
    elif authority.config_map is not None:
        kind, name, source = "ConfigMap", authority.config_map.name, authority.config_map
        content = contents.config_maps.get(name)
    else:
        problems.append(Problem(Reason.INVALID_AUTHORITY, path, "name a secret or a configMap"))
        return None
    if content is None:
        if not source.optional:
            problems.append(_missing(kind, name, path, "at least one key that ends in .crt"))
        return None
    files = _files(content, source.items)
    certificates = {file: data for file, data in files.items() if file.endswith(".crt")}
    if not certificates:
        problems.append(_no_key(kind, name, "*.crt", path, "the hosts take the keys with that ending"))
        return None
    for file, data in certificates.items():
        if not _is_pem(data):
            problems.append(
                Problem(Reason.SECRET_CONTENT_INVALID, path, f"{kind} {name}: {file} is not a PEM certificate")
            )
    # Certificates are public: their digest needs no key.
    return Authority(authority.name, tuple(sorted(certificates)), ChecksumKey().digest(certificates))


def _files(content: ReferencedData, items: Sequence[KeyToPath] | None) -> dict[str, bytes]:
    """The volume's files by path, as the kubelet lays them out."""
    if not items:
        return dict(content.data)
    return {item.path: content.data[item.key] for item in items if item.key in content.data}


def _is_pem(data: bytes) -> bool:
    """Whether there are certificates, and every one of them can be read. Text between them is ignored."""
    if len(data) > armor.CERTIFICATES_LIMIT:
        return False
    certificates = armor.certificates(data.decode("utf-8", "replace"))
    if not certificates.isascii():  # ssl raises a TypeError for it
        return False
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _wanted_keys(spec: WasmCloudHostConfigSpec) -> str:
    return SEED_KEY if uses_cluster_seed(spec) else f"{CREDENTIALS_KEY} or {SEED_KEY}"


def _missing(kind: str, name: str, path: str, keys: str) -> Problem:
    return Problem(Reason(f"{kind}NotFound"), path, f"{kind} {name} does not exist; create it with {keys}")


def _no_key(kind: str, name: str, key: str, path: str, why: str) -> Problem:
    return Problem(Reason(f"{kind}KeyMissing"), path, f"{kind} {name} has no key {key}: {why}")


def _bad_key(name: str, key: str, path: str, what: str) -> Problem:
    return Problem(Reason.SECRET_CONTENT_INVALID, path, f"Secret {name}: {key} {what}")
