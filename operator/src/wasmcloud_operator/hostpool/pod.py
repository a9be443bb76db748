"""The pod template of the hosts: byte-stable for an unchanged config, since every difference restarts hosts."""

from __future__ import annotations

from collections.abc import Iterable

from wasmcloud_operator.base.jsontypes import JsonObject, as_object
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.inputs import Facts, registry_in_environment
from wasmcloud_operator.hostpool.merge import CONTAINER, POD_SPEC, merged, normal, repeated
from wasmcloud_operator.hostpool.nats_addresses import has_userinfo
from wasmcloud_operator.hostpool.pod_defaults import HOST_REQUESTS, LEAF_REQUESTS, resources, spread
from wasmcloud_operator.hostpool.render_host import grace_seconds, host_container
from wasmcloud_operator.hostpool.render_leaf import leaf_container, leaf_volumes
from wasmcloud_operator.hostpool.serving import Patience
from wasmcloud_operator.kube.difference import fingerprint
from wasmcloud_operator.kube.field_shapes import Struct
from wasmcloud_operator.names import HOST_CONTAINER, SERVING_GATE
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem, SpecError
from wasmcloud_operator_types import (
    ContainerTemplateAdditions,
    KubernetesResources,
    SchedulingOptions,
    WasmCloudHostConfig,
    WasmCloudHostConfigSpec,
)

_ADDITIONS = ".spec.schedulingOptions.podTemplateAdditions"
_CONTAINER_ADDITIONS = ".spec.schedulingOptions.containerTemplateAdditions"
# Any user will do who is not root; the same for both containers, so that one fsGroup serves.
_USER = 65532


def pod_template(config: WasmCloudHostConfig, conf: str, facts: Facts) -> JsonObject:
    """The template. `conf` is the text of nats.conf. Raises SpecError for additions that cannot be merged."""
    own = config.spec.pod_metadata
    annotations = {**((own.annotations if own else None) or {}), **_checksums(config.spec, conf, facts)}
    return {
        "metadata": {"labels": naming.pod_labels(config), "annotations": dict(sorted(annotations.items()))},
        "spec": pod_spec(config, facts),
    }


def pod_spec(config: WasmCloudHostConfig, facts: Facts) -> JsonObject:
    """The pod's spec with the user's additions."""
    spec = config.spec
    scheduling = spec.scheduling_options or SchedulingOptions()
    sizes = scheduling.resources or KubernetesResources()
    containers = scheduling.container_template_additions or ContainerTemplateAdditions()
    of_pod = (scheduling.pod_template_additions or {}).get("resources")
    leaf_additions, host_additions = containers.nats or {}, containers.wasmcloud or {}
    _refuse_repeated(leaf_additions, CONTAINER, f"{_CONTAINER_ADDITIONS}.nats")
    _refuse_repeated(host_additions, CONTAINER, f"{_CONTAINER_ADDITIONS}.wasmcloud")
    leaf_sizes = resources(LEAF_REQUESTS, sizes.nats, leaf_additions, of_pod)
    host_sizes = resources(HOST_REQUESTS, sizes.wasmcloud, host_additions, of_pod)
    leaf = _completed({**leaf_container(spec, facts), "resources": leaf_sizes}, leaf_additions)
    host = _completed({**host_container(config, facts), "resources": host_sizes}, host_additions)
    pod: JsonObject = {
        "serviceAccountName": naming.service_account_name(config),
        "automountServiceAccountToken": False,
        # A Service named like a host's setting (wasmcloud-ctl) would become that setting.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds(spec),
        "securityContext": {
            "runAsNonRoot": True,
            # OpenShift refuses a user that is not of the namespace's own range, and fills in one that is.
            **({} if facts.platform.openshift else {"runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER}),
            "seccompProfile": {"type": "RuntimeDefault"},
            # A component's HTTP server may be on port 80; the namespaced sysctl allows that without a capability.
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        },
        **spread(config),
        "initContainers": [leaf],
        "containers": [host],
        "volumes": [*leaf_volumes(config, facts), {"name": "tmp", "emptyDir": {}}, *_authority_volumes(config)],
    }
    if spec.registry_credentials_secret:
        pod["imagePullSecrets"] = [{"name": spec.registry_credentials_secret}]
    if scheduling.pod_template_additions:
        additions = _with_account(_checked(facts, scheduling.pod_template_additions))
        pod = merged(pod, additions, POD_SPEC)
        pod["initContainers"] = _in_order(leaf, additions.get("initContainers") or ())
        if _is_root(as_object(additions.get("securityContext"))):
            pod["securityContext"].pop("runAsNonRoot", None)
    for field in ("initContainers", "containers"):
        pod[field] = [_as_its_user(container) for container in pod[field]]
    patience = Patience.of(spec.rollout)
    if patience.lattice or patience.applications:
        pod["readinessGates"] = [*(pod.get("readinessGates") or ()), {"conditionType": SERVING_GATE}]
    security = pod.get("securityContext") or {}
    if pod.get("hostNetwork") and security.get("sysctls"):
        # The node's own network settings: Kubernetes refuses a pod that would change them.
        kept = [entry for entry in security["sysctls"] if not entry["name"].startswith("net.")]
        pod["securityContext"] = {**security, "sysctls": kept}
    result: JsonObject = normal(pod, POD_SPEC)
    return result


def _completed(container: JsonObject, additions: JsonObject) -> JsonObject:
    """The container with the user's additions."""
    wanted = as_object(additions.get("securityContext"))
    # The API server refuses it beside what escalates in any case.
    escalates = wanted.get("privileged") or "CAP_SYS_ADMIN" in (as_object(wanted.get("capabilities")).get("add") or ())
    base = {
        **container,
        "securityContext": {
            **({} if escalates else {"allowPrivilegeEscalation": False}),
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # The last log line of a container that ends is shown in the config's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return merged(base, {**additions, "name": container["name"]}, CONTAINER)


def _with_account(additions: JsonObject) -> JsonObject:
    """The additions without `serviceAccount`, which the API server takes for `serviceAccountName` where that is not set
    and else puts its value in the place of."""
    rest = {name: value for name, value in additions.items() if name != "serviceAccount"}
    former = additions.get("serviceAccount")
    return {**rest, "serviceAccountName": former} if former and not rest.get("serviceAccountName") else rest


def _is_root(security: JsonObject) -> bool:
    """Whether the user wants root: the kubelet starts no such container where the pod has runAsNonRoot."""
    return security.get("runAsUser") == 0 and security.get("runAsNonRoot") is None


def _as_its_user(container: JsonObject) -> JsonObject:
    security = as_object(container.get("securityContext"))
    return {**container, "securityContext": {**security, "runAsNonRoot": False}} if _is_root(security) else container


def _in_order(leaf: JsonObject, additions: Iterable[JsonObject]) -> list[JsonObject]:
    """The init containers: the user's, then the leaf, then what the user lists after the leaf's name."""
    ordered = [leaf if _is_marker(container) else container for container in additions]
    return ordered if leaf in ordered else [*ordered, leaf]


def _is_marker(container: JsonObject) -> bool:
    return {name: value for name, value in container.items() if value is not None} == {"name": naming.LEAF_CONTAINER}


def _checked(facts: Facts, additions: JsonObject) -> JsonObject:
    """The additions, if they leave the two containers and the authorities' volumes alone, and name nothing twice."""
    for field in ("containers", "initContainers"):
        for index, entry in enumerate(additions.get(field) or ()):
            name = entry.get("name")
            own = name in (naming.LEAF_CONTAINER, HOST_CONTAINER)
            if own and not (field == "initContainers" and _is_marker(entry)):
                what = f"{name} is the operator's own; change it with containerTemplateAdditions"
                raise SpecError(Problem(Reason.RESERVED_CONTAINER, f"{_ADDITIONS}.{field}[{index}]", what))
    authorities = {authority.name for authority in facts.authorities}
    for index, volume in enumerate(additions.get("volumes") or ()):
        name = volume.get("name")
        if name in authorities:
            path = f"{_ADDITIONS}.volumes[{index}]"
            raise SpecError(
                Problem(Reason.DUPLICATE_NAME, path, f"another one is named {name}, too; rename one of them")
            )
    _refuse_repeated(additions, POD_SPEC, _ADDITIONS)
    return additions


def _refuse_repeated(additions: JsonObject, shape: Struct, path: str) -> None:
    for where, keys in repeated(additions, shape):  # the first alone: there may be as many as a list is long
        what = f"an earlier entry has the same {keys}; change one of them"
        raise SpecError(Problem(Reason.DUPLICATE_NAME, f"{path}{where}", what))


def _authority_volumes(config: WasmCloudHostConfig) -> list[JsonObject]:
    certificates = config.spec.certificates
    authorities = (certificates.authorities if certificates else None) or ()
    return [authority.model_dump(mode="json", by_alias=True, exclude_none=True) for authority in authorities]


def _checksums(spec: WasmCloudHostConfigSpec, conf: str, facts: Facts) -> JsonObject:
    """What rolls the pods when content that they read at start changes.

    Credentials for the hub are not among it: the leaf reads their file again whenever it connects. Nor are those for
    registries that running hosts get.
    """
    authorities = "".join(authority.digest for authority in facts.authorities)
    found = {
        "nats-conf": facts.checksum_key.digest({"conf": conf.encode()})
        if has_userinfo(spec)
        else fingerprint({"conf": conf}),
        "cluster-seed": facts.seed_digest,
        "nats-tls": facts.hub_tls.digest if facts.hub_tls else "",
        "registry": facts.registry_digest if registry_in_environment(spec, facts.registries) else "",
        "authorities": fingerprint({"authorities": authorities}) if authorities else "",
    }
    return {f"{naming.CHECKSUM_PREFIX}/{name}": digest for name, digest in sorted(found.items()) if digest}
