"""What `check` finds in one object: what Kubernetes, the operator, wadm or `wash` would refuse or wonder about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import urlsplit

from wasmcloud_operator.application.manifest import passed_metadata, without_nulls
from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object
from wasmcloud_operator.commands.checking.kinds import foreign_type
from wasmcloud_operator.commands.checking.meant_fields import meant, only_wraps
from wasmcloud_operator.commands.checking.paths import without_paths
from wasmcloud_operator.expose.annotations import read_options
from wasmcloud_operator.hostpool.inputs import Facts, HubTls, uses_cluster_seed
from wasmcloud_operator.hostpool.nats_addresses import hub_addresses
from wasmcloud_operator.hostpool.nats_connection import lattice_route
from wasmcloud_operator.hostpool.reference_checks import Values
from wasmcloud_operator.hostpool.render_workload import leaf_warnings, render
from wasmcloud_operator.hostpool.spec_warnings import spec_warnings
from wasmcloud_operator.lattice.content import strings
from wasmcloud_operator.manifest.http_endpoints import exposure, pod_port_problems
from wasmcloud_operator.manifest.reading import ManifestProblem, Severity
from wasmcloud_operator.manifest.validation import validate
from wasmcloud_operator.names import NAMESPACE_NAME
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem, SpecError
from wasmcloud_operator_types import (
    Application,
    InvalidObjectError,
    WasmCloudHostConfig,
    WasmCloudHostConfigSpec,
    parse,
)
from wasmcloud_operator_types.conformance import unknown_fields, wrong_types
from wasmcloud_operator_types.crd import APPLICATION, HOST_CONFIG, Kind, custom_resource_definition
from wasmcloud_operator_types.defaults import ADMIN_PORT
from wasmcloud_operator_types.parsing import child_path, format_path, path_around

_ONLY_THE_LATTICE_KNOWS = frozenset({Reason.CONFIG_MISSING, Reason.CONFIG_UNKNOWN, Reason.SHARED_APPLICATION_MISSING})
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_METADATA = frozenset(
    [
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ]
)
# Nothing that opens another is in one: a text of openers alone takes no longer than any other.
_OPEN_BRACES = re.compile(r"\{\{[^{}]*\}\}|\{%[^%]*%\}|<%[^%]*%>|\$\{[A-Za-z_]\w*([:?+=-][^}$]*)?\}")
# As the registries' own grammar has it: an optional host, a path in lower case, a tag, a digest.
_IMAGE = re.compile(
    r"(?:(?P<host>localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:\d)|\[[0-9a-fA-F:]+\])(?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
# In place of what is required and missing or wrong, so that the rest can be looked at.
_STAND_INS: Mapping[str, JsonObject] = {"metadata": {"name": "x"}, "spec": {"lattice": "x", "version": "99.0.0"}}
_REFUSED = "is no field: `kubectl apply` refuses it"


def application_problems(document: JsonObject) -> list[ManifestProblem]:
    """Returns the problems of an Application as its author writes it; of one that is KubeVela's, that it is one."""
    if (foreign := foreign_type(document)) is not None:
        what = f"{foreign!r} is not a type of component: use component or capability"
        of_kubevela = f"{what}; an Application of KubeVela's is nothing that wadm can run"
        return [ManifestProblem("error", "spec.components[0].type", of_kubevela)]
    manifest = as_kubernetes_reads(document)
    problems = []
    if manifest.pop("status", None) is not None:
        what = "is written by the operator, and `wash app deploy` refuses it: remove it"
        problems.append(ManifestProblem("warning", "status", what))
    whole = dict(manifest)
    metadata = manifest.get("metadata")
    if isinstance(metadata, dict):
        problems += _metadata_problems(metadata, "warning")
        if "annotations" not in metadata:
            what = "is missing: the operator adds it, but `wash app deploy` needs it written"
            problems.append(ManifestProblem("warning", "metadata.annotations", what))
        problems += _annotation_problems(metadata)
        manifest["metadata"] = _as_sent(metadata)
    problems += validate(manifest)
    problems += _http_problems(manifest)
    problems += _images(manifest)
    _add_new(problems, _refused_by_kubernetes(whole, APPLICATION, "warning"))
    _add_new(problems, _model_problems(Application, whole))
    return problems


def host_config_problems(document: JsonObject) -> list[ManifestProblem]:
    """Returns the problems of a WasmCloudHostConfig that can be found without what it refers to."""
    item = as_kubernetes_reads(document)
    problems = []
    if item.pop("status", None) is not None:
        problems.append(ManifestProblem("warning", "status", "is written by the operator: remove it"))
    metadata = item.get("metadata")
    if not isinstance(metadata, dict):
        problems.append(ManifestProblem("error", "metadata", "is required: an object with name"))
    else:
        problems += _metadata_problems(metadata, "error")
    _add_new(problems, _refused_by_kubernetes(item, HOST_CONFIG, "error"))
    _add_new(problems, _model_problems(WasmCloudHostConfig, item))
    _add_new(problems, _config_problems(item))
    return problems


def template_problems(value: Json, path: str = "") -> Iterator[ManifestProblem]:
    """Yields texts that look like a template's, which no tool has filled in."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from template_problems(inner, child_path(path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from template_problems(inner, f"{path}[{index}]")
    elif isinstance(value, str) and (found := _OPEN_BRACES.search(value)):
        mark = "${…}" if found[0].startswith("$") else f"{found[0][:2]} … {found[0][-2:]}"
        yield ManifestProblem("warning", path, f"looks like a template that is not rendered ({mark})")


def as_kubernetes_reads(document: JsonObject) -> JsonObject:
    """Returns the object as the API server takes it: null is left out, but in annotations and labels an empty text.

    (Client-side, `kubectl apply` leaves such labels out: a label may always be empty, so both are fine or neither.)
    """
    metadata = document.get("metadata")
    item = without_nulls(document)
    if isinstance(metadata, dict):
        for part in ("annotations", "labels"):
            if isinstance(metadata.get(part), dict):
                entries = {key: "" if value is None else value for key, value in metadata[part].items()}
                item["metadata"][part] = entries
    return item


def _add_new(problems: list[ManifestProblem], later: Iterator[ManifestProblem]) -> None:
    """Adds what a later rule finds where no earlier one has found anything: two rules may see the same fault."""
    known = {problem.path for problem in problems}
    problems += [problem for problem in later if not problem.path or problem.path not in known]


def _metadata_problems(metadata: JsonObject, severity: Severity) -> Iterator[ManifestProblem]:
    name = metadata.get("name")
    if name is None and severity == "error" and "generateName" not in metadata:
        yield ManifestProblem("error", "metadata.name", "is required")
    if isinstance(name, str) and not _NAME.fullmatch(name):
        what = "is a name that Kubernetes cannot hold: use lower case letters, digits and '-', at most 253"
        yield ManifestProblem(severity, "metadata.name", what)
    namespace = metadata.get("namespace")
    if namespace is not None and not (isinstance(namespace, str) and NAMESPACE_NAME.fullmatch(namespace)):
        what = "is no name of a namespace: use lower case letters, digits and '-', at most 63"
        yield ManifestProblem(severity, "metadata.namespace", what)
    for key in metadata:
        if key not in _METADATA:
            yield ManifestProblem(severity, child_path("metadata", key), _REFUSED)
    for part in ("annotations", "labels"):
        for key, value in as_object(metadata.get(part)).items():
            path = child_path(f"metadata.{part}", key)
            if not _KEY.fullmatch(key):
                what = (
                    "is no key that Kubernetes takes: at most 63 letters, digits, '-', '_' and '.', after an optional"
                )
                yield ManifestProblem(severity, path, f"{what} DNS name and '/'")
            elif not isinstance(value, str) and severity == "error":
                what = "must be a string: put it in quotes" if isinstance(value, int | float) else "must be a string"
                yield ManifestProblem("error", path, what)
            elif part == "labels" and isinstance(value, str) and not _LABEL.fullmatch(value):
                what = "is no value of a label that Kubernetes takes: at most 63 letters, digits, '-', '_' and '.'"
                yield ManifestProblem(severity, path, what)


def _annotation_problems(metadata: JsonObject) -> Iterator[ManifestProblem]:
    for problem in read_options(strings(metadata.get("annotations"))).problems:
        yield ManifestProblem("warning", problem.path, problem.message)


def _as_sent(metadata: JsonObject) -> JsonObject:
    """The metadata with those annotations and labels that reach wadm, and those that Kubernetes does not take."""
    sent = dict(metadata)
    sent.setdefault("annotations", {})
    for part in ("annotations", "labels"):
        entries = sent.get(part)
        if isinstance(entries, Mapping):
            others = {key: value for key, value in entries.items() if not isinstance(value, str)}
            sent[part] = {**passed_metadata(strings(entries)), **others}
    return sent


def _http_problems(manifest: JsonObject) -> Iterator[ManifestProblem]:
    """What the operator would report of the application's HTTP endpoints; what only the lattice knows is left out."""
    found = exposure(manifest)
    for problem in found.problems:
        if problem.reason not in _ONLY_THE_LATTICE_KNOWS:
            yield ManifestProblem("warning", problem.path, problem.message)
    admin = {ADMIN_PORT: "the host's admin endpoint, unless it is set otherwise,"}
    for provider in found.providers:
        for one in pod_port_problems(provider):
            yield ManifestProblem("error", one.path, one.message)
        for one in pod_port_problems(provider, admin):
            yield ManifestProblem("warning", one.path, one.message)


def _images(manifest: JsonObject) -> Iterator[ManifestProblem]:
    components = as_object(manifest.get("spec")).get("components")
    for index, component in enumerate(components if isinstance(components, list) else ()):
        image = as_object(as_object(component).get("properties")).get("image")
        if not isinstance(image, str):
            continue
        path = f"spec.components[{index}].properties.image"
        if image.startswith(("file:", "/", "./", "../")):
            what = "is a file, which the hosts' pods do not have: push it to a registry and name it there"
            yield ManifestProblem("warning", path, what)
        elif image != image.strip() or not image:
            yield ManifestProblem("warning", path, "is empty, or begins or ends with a blank")
        elif "://" not in image and not _OPEN_BRACES.search(image):
            yield from _reference_problems(image, path)


def _reference_problems(image: str, path: str) -> Iterator[ManifestProblem]:
    found = _IMAGE.fullmatch(image)
    if found is None:
        what = "is no name of an image: write REGISTRY/NAME:TAG, the name in lower case; no variable is filled in here"
        yield ManifestProblem("warning", path, what)
    elif _is_loopback((found["host"] or "").strip("[]")):
        what = "is at the pod of the host, which fetches it: use a registry's address that pods reach"
        yield ManifestProblem("warning", path, what)


def _refused_by_kubernetes(item: JsonObject, kind: Kind, severity: Severity) -> Iterator[ManifestProblem]:
    schema = _schema(kind)
    for unknown in unknown_fields(_body(item), schema):
        field = meant(unknown, schema)
        if only_wraps(unknown, item, schema):
            advice = ": write what is in it one level up"
        else:
            advice = f"; did you mean {format_path(field)}?" if field is not None else ""
        yield ManifestProblem(severity, format_path(unknown), _REFUSED + advice)
    for steps, what in wrong_types(_body(item), schema):
        yield ManifestProblem("error", format_path(steps), what)


def unknown_in(item: JsonObject) -> Iterator[str]:
    """Yields the paths in a host config that are no fields of it."""
    return map(format_path, unknown_fields(_body(item), _schema(HOST_CONFIG)))


def _body(item: JsonObject) -> JsonObject:
    return {name: value for name, value in item.items() if name not in ("apiVersion", "kind", "metadata")}


def _model_problems(model: type[Application | WasmCloudHostConfig], item: JsonObject) -> Iterator[ManifestProblem]:
    try:
        parse(model, item)
    except InvalidObjectError as error:
        for fault in error.errors:
            yield ManifestProblem("error", fault.path, fault.message)


@cache
def _schema(kind: Kind) -> JsonObject:
    found: JsonObject = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def _config_problems(item: JsonObject) -> Iterator[ManifestProblem]:
    """Yields what the operator finds in a config, as if all that it refers to were there.

    In one that its model does not take, only warnings about the rest: an error may come of what is left out.
    """
    known = without_paths(item, set(unknown_in(item)))
    config, whole = _readable(known)
    if config is None:
        return
    # One fault may be found by several rules.
    for severity, problem in dict.fromkeys(_judged(config, _as_if_all_were_there(config))):
        if whole or severity == "warning":
            yield ManifestProblem(severity, problem.path.removeprefix("."), problem.message)


def _readable(item: JsonObject) -> tuple[WasmCloudHostConfig | None, bool]:
    """Returns the config without the fields that its model does not take, None where too little would be left.

    Beside it is whether it is the whole one.
    """
    rest = item
    while True:
        try:
            return parse(WasmCloudHostConfig, rest), rest is item
        except InvalidObjectError as error:
            paths = {fault.path for fault in error.errors}
        smaller = _with_stand_ins(without_paths(rest, paths))
        while smaller == rest:  # what is required and missing: without what it is missing in
            paths = {path_around(path) for path in paths}
            if paths == {""}:
                return None, False
            smaller = _with_stand_ins(without_paths(rest, paths))
        rest = smaller


def _with_stand_ins(item: JsonObject) -> JsonObject:
    given = {part: item.get(part) for part in _STAND_INS}
    filled = {part: {**_STAND_INS[part], **value} for part, value in given.items() if isinstance(value, dict)}
    return {**item, **filled}


def _judged(config: WasmCloudHostConfig, facts: Facts) -> Iterator[tuple[Severity, Problem]]:
    spec = config.spec
    yield from (("warning", problem) for problem in spec_warnings(spec))
    telemetry = spec.observability.endpoint if spec.observability is not None else None
    if telemetry and _is_loopback(urlsplit(telemetry).hostname or ""):
        what = "is the pod itself: telemetry is lost unless a container of the pod receives it"
        yield "warning", Problem(Reason.LOOPBACK, ".spec.observability.endpoint", what)
    for look in (_loopback_hub, leaf_warnings):
        try:
            yield from (("warning", problem) for problem in look(spec, facts))
        except SpecError as error:
            yield from (("error", problem) for problem in error.problems)
    for attempt in (lambda: render(config, facts), lambda: lattice_route(spec, Values())):
        try:
            attempt()
        except SpecError as error:
            yield from (("error", problem) for problem in error.problems)


def _loopback_hub(spec: WasmCloudHostConfigSpec, _: Facts) -> Iterator[Problem]:
    if any(_is_loopback(address.host) for address in hub_addresses(spec)):
        what = "is the pod itself, where the leaf node listens and no hub: use the address of the hub's Service"
        yield Problem(Reason.LOOPBACK, ".spec.natsAddress", what)


def _as_if_all_were_there(config: WasmCloudHostConfig) -> Facts:
    """What would be known of the Secrets and ConfigMaps that a config names if each held what is needed."""
    spec = config.spec
    return Facts(
        credentials=spec.secret_name is not None,
        seed_digest="seed" if uses_cluster_seed(spec) else "",
        hub_tls=HubTls(ca=True, client=True, digest="tls") if spec.nats_tls is not None else None,
        registries=("registry.example.com",) if spec.registry_credentials_secret else (),
    )


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
