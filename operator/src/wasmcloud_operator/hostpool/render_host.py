"""The wasmcloud-host container: environment and arguments as the host expects them, by version."""

from __future__ import annotations

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.inputs import (
    Facts,
    own_variable,
    registry_in_environment,
    uses_cluster_seed,
    uses_config_service,
)
from wasmcloud_operator.hostpool.natsconf import CLIENT_PORT
from wasmcloud_operator.hostpool.pod_defaults import probe
from wasmcloud_operator.hostpool.versions import Feature, is_known, understands
from wasmcloud_operator.names import HOST_CONTAINER
from wasmcloud_operator_types import (
    POD_NAME_LABEL,
    POD_UID_LABEL,
    WasmCloudHostConfig,
    WasmCloudHostConfigSpec,
    defaults,
)

AUTHORITIES_FOLDER = "/wasmcloud/certificates"
USERNAME_KEY = "username"
PASSWORD_KEY = "password"  # noqa: S105 - the name of a key

# preStop, then up to 10 s in which the host announces to the lattice that it stops, then the leaf.
_GRACE_SECONDS = 30
# Long enough for kube-proxy everywhere to stop sending here before the host goes: on a node that has more to do than it
# can, that takes it seven seconds and more.
_PRE_STOP_SECONDS = 10


def host_container(config: WasmCloudHostConfig, facts: Facts) -> JsonObject:
    """The container."""
    spec = config.spec
    container: JsonObject = {
        "name": HOST_CONTAINER,
        "image": spec.image or f"{defaults.HOST_IMAGE}:{spec.version}",
        # The official images have the program as default arguments, not as entrypoint: ours would take its place.
        "command": ["wasmcloud"],
        "env": environment(config, facts),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *_authority_mounts(facts)],  # noqa: S108
    }
    if arguments := host_arguments(spec, facts):
        container["args"] = [_literal(argument) for argument in arguments]
    if port := probed_port(spec):
        container["ports"] = [{"name": "admin", "containerPort": port, "protocol": "TCP"}]
        container |= {
            "startupProbe": probe("/readyz", port, period=1, failures=120),
            "readinessProbe": probe("/readyz", port, period=5, failures=2),
            "livenessProbe": probe("/livez", port, period=10, failures=6),
        }
    # a pod that has less time to stop in still announces that it stops
    pre_stop = min(_PRE_STOP_SECONDS, grace_seconds(spec) // 3)
    if facts.platform.sleep_action and pre_stop > 0:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pre_stop}}}
    return container


def grace_seconds(spec: WasmCloudHostConfigSpec) -> int:
    """Seconds that a pod has to stop in: the user's own, else enough for both containers."""
    scheduling = spec.scheduling_options
    additions = (scheduling.pod_template_additions if scheduling is not None else None) or {}
    wanted = additions.get("terminationGracePeriodSeconds")
    return wanted if isinstance(wanted, int) else _GRACE_SECONDS


def probed_port(spec: WasmCloudHostConfigSpec) -> int | None:
    """The port of the host's HTTP admin endpoint if it is probed: where the user's own variable opens it, if there is
    one, else where ours does.
    """
    enabled = spec.probes.enabled if spec.probes is not None else None
    if enabled is False:
        return None
    own = own_variable(spec, "WASMCLOUD_HTTP_ADMIN")
    if own is None:
        return admin_port(spec) if opens_admin(spec) else None
    host, _, port = str(own.get("value") or "").rpartition(":")
    there = port.isdecimal() and 0 < int(port[:6]) < 65536
    return int(port) if there and host not in ("localhost", "[::1]") and host[:4] != "127." else None


def opens_admin(spec: WasmCloudHostConfigSpec) -> bool:
    """Whether the host's HTTP admin endpoint is opened."""
    if spec.probes is not None and spec.probes.enabled is not None:
        return spec.probes.enabled
    if spec.image is not None and not is_known(spec.version):
        return False  # nobody knows whether that image has the endpoint
    return understands(spec.version, Feature.HTTP_ADMIN)


def admin_port(spec: WasmCloudHostConfigSpec) -> int:
    """The port at which we have the host open its HTTP admin endpoint."""
    return (spec.probes and spec.probes.port) or defaults.ADMIN_PORT


def environment(config: WasmCloudHostConfig, facts: Facts) -> list[JsonObject]:
    """The variables, sorted by name but for those that others refer to, which come first."""
    spec = config.spec
    values: dict[str, str] = {
        # Hosts write below /tmp alone: what they pulled, and unpacked providers. The image's home would be read-only.
        "HOME": "/tmp",  # noqa: S108
        "WASMCLOUD_LATTICE": spec.lattice,
        "WASMCLOUD_JS_DOMAIN": spec.jetstream_domain or defaults.JETSTREAM_DOMAIN,
        "WASMCLOUD_NATS_HOST": "127.0.0.1",
        "WASMCLOUD_NATS_PORT": str(CLIENT_PORT),
        "WASMCLOUD_RPC_TIMEOUT_MS": "4000",
        "WASMCLOUD_LOG_LEVEL": spec.log_level or defaults.LOG_LEVEL,
        "WASMCLOUD_STRUCTURED_LOGGING_ENABLED": _flag(spec.enable_structured_logging is not False),
        "WASMCLOUD_OCI_ALLOW_LATEST": _flag(bool(spec.allow_latest)),
        "WASMCLOUD_CONFIG_SERVICE": _flag(uses_config_service(spec, facts.registries)),
        **{f"WASMCLOUD_LABEL_{key}": value for key, value in naming.host_labels(config).items()},
        **_policy(spec),
    }
    optional: dict[str, str | int | None] = {
        "WASMCLOUD_OCI_ALLOWED_INSECURE": ",".join(spec.allowed_insecure or ()),
        "WASMCLOUD_CTL_TOPIC_PREFIX": spec.control_topic_prefix,
    }
    if understands(spec.version, Feature.LATTICE_PREFIX):
        optional["WASMCLOUD_LATTICE_PREFIX"] = spec.lattice
    if understands(spec.version, Feature.SECRETS_TOPIC):
        optional["WASMCLOUD_SECRETS_TOPIC"] = spec.secrets_topic_prefix
    if understands(spec.version, Feature.MAX_LINEAR_MEMORY):
        optional["WASMCLOUD_MAX_LINEAR_MEMORY"] = spec.max_linear_memory_bytes
    values |= {name: str(value) for name, value in optional.items() if value}
    values = {name: _literal(value) for name, value in values.items()}
    first = [
        _from_field(f"WASMCLOUD_LABEL_{POD_NAME_LABEL}", "metadata.name"),
        _from_field(f"WASMCLOUD_LABEL_{POD_UID_LABEL}", "metadata.uid"),
    ]
    if opens_admin(spec):
        first.append(_from_field("POD_IP", "status.podIP"))
        pod = "[$(POD_IP)]" if facts.platform.ipv6 else "$(POD_IP)"
        values["WASMCLOUD_HTTP_ADMIN"] = f"{pod}:{admin_port(spec)}"
    secret = _registry(config, facts, values)
    if spec.secret_name and uses_cluster_seed(spec):
        values["WASMCLOUD_CLUSTER_ISSUERS"] = _literal(",".join(spec.issuers or ()))
        secret.append(_from_secret("WASMCLOUD_CLUSTER_SEED", spec.secret_name, "WASMCLOUD_CLUSTER_SEED"))
    plain = [{"name": name, "value": value} for name, value in sorted(values.items())]
    return [*first, *plain, *secret]


def host_arguments(spec: WasmCloudHostConfigSpec, facts: Facts) -> list[str]:
    """The flags: what the host takes only there."""
    arguments = _observability(spec)
    if understands(spec.version, Feature.AUTHORITIES):
        for authority in facts.authorities:
            for certificate in authority.certificates:
                arguments.append(f"--tls-ca-path={AUTHORITIES_FOLDER}/{authority.name}/{certificate}")
    return arguments


def _policy(spec: WasmCloudHostConfigSpec) -> dict[str, str]:
    """All of it or none: a host given a timeout or a changes topic without the topic does not start."""
    policy = spec.policy_service
    if policy is None or policy.topic is None:
        return {}
    values = {"WASMCLOUD_POLICY_TOPIC": policy.topic}
    if policy.changes_topic:
        values["WASMCLOUD_POLICY_CHANGES_TOPIC"] = policy.changes_topic
    if policy.timeout_ms:
        values["WASMCLOUD_POLICY_TIMEOUT"] = str(policy.timeout_ms)
    return values


def _registry(config: WasmCloudHostConfig, facts: Facts, values: dict[str, str]) -> list[JsonObject]:
    """The credentials for one registry: all three variables or none."""
    if not registry_in_environment(config.spec, facts.registries):
        return []
    short = understands(config.spec.version, Feature.SHORT_REGISTRY_NAMES)
    variable = "OCI_REGISTRY" if short else "WASMCLOUD_OCI_REGISTRY"
    values[variable] = _literal(facts.registries[0])
    name = naming.registry_secret_name(config)
    return [
        _from_secret(f"{variable}_USER", name, USERNAME_KEY),
        _from_secret(f"{variable}_PASSWORD", name, PASSWORD_KEY),
    ]


def _observability(spec: WasmCloudHostConfigSpec) -> list[str]:
    """The common switch means all three signals, whatever their own are: so the operator written in Rust took it.

    The host refuses the common switch beside single ones, which take a value.
    """
    wanted = spec.observability
    if wanted is None or not understands(spec.version, Feature.OBSERVABILITY):
        return []
    signals = {"traces": wanted.traces, "metrics": wanted.metrics, "logs": wanted.logs}
    if wanted.enable:
        enabled, arguments = set(signals), ["--enable-observability"]
    else:
        enabled = {name for name, signal in signals.items() if signal is not None and signal.enable}
        arguments = [f"--enable-{name}=true" for name in signals if name in enabled]
    if not enabled:
        return []
    if wanted.endpoint:
        arguments.append(f"--override-observability-endpoint={wanted.endpoint}")
    for name, signal in signals.items():
        if signal is not None and signal.endpoint and name in enabled:
            arguments.append(f"--override-{name}-endpoint={signal.endpoint}")
    if wanted.protocol and understands(spec.version, Feature.OBSERVABILITY_PROTOCOL):
        arguments.append(f"--observability-protocol={wanted.protocol}")
    return arguments


def _authority_mounts(facts: Facts) -> list[JsonObject]:
    return [
        {"name": authority.name, "mountPath": f"{AUTHORITIES_FOLDER}/{authority.name}", "readOnly": True}
        for authority in facts.authorities
    ]


def _from_field(name: str, path: str) -> JsonObject:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _from_secret(name: str, secret: str, key: str) -> JsonObject:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _literal(text: str) -> str:
    """The text with `$` doubled: the kubelet would put variables in place of `$(…)`."""
    return text.replace("$", "$$")


def _flag(value: bool) -> str:
    return "true" if value else "false"
