"""Everything that wadm would refuse or wonder about in a manifest, all at once, before it gets there.

The rules are those of wadm-types 0.8 (wadm 0.21) and of wadm's handler of ``put``; what wadm leaves to chance is a
warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.manifest.reading import CheckedReader, ManifestProblem, Object
from wasmcloud_operator.manifest.structure import (
    ManifestComponent,
    ManifestLink,
    Policy,
    Secret,
    read_component,
    read_policy,
)
from wasmcloud_operator.manifest.walking import component_id
from wasmcloud_operator_types.parsing import child_path

SECRET_POLICY = "policy.secret.wasmcloud.dev/v1alpha1"  # noqa: S105  # the type of a policy
NATS_MESSAGE_LIMIT = 1024 * 1024
"""NATS's default max_payload, in bytes; wadm keeps all versions of an application in one value of that size."""

_NAME = re.compile(r"[-\w]+")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[A-Za-z]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?")

# WIT interfaces that hosts and providers know, by namespace and package: others in these namespaces are likely typos.
_KNOWN_INTERFACES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "wasi": {
        "blobstore": frozenset({"blobstore"}),
        "config": frozenset({"runtime"}),
        "http": frozenset({"incoming-handler", "outgoing-handler"}),
        "keyvalue": frozenset({"atomics", "batch", "store", "watch"}),
        "logging": frozenset({"logging"}),
    },
    "wasmcloud": {"messaging": frozenset({"consumer", "handler"})},
    "wrpc": {
        "blobstore": frozenset({"blobstore"}),
        "http": frozenset({"incoming-handler", "outgoing-handler"}),
        "keyvalue": frozenset({"atomics", "store"}),
    },
}


def validate(manifest: object) -> list[ManifestProblem]:
    """Every problem of a manifest in the form that wadm takes, in the order of the manifest within each rule.

    A manifest without errors is one that wadm's ``put`` takes; what only the lattice knows (ids in use by other
    applications, shared components) shows at ``deploy``.
    """
    reader = CheckedReader()
    root = reader.mapping(manifest, "")
    if root is None:
        return reader.problems
    _check_root(reader, root)
    metadata = reader.section(root, "metadata", "")
    if metadata is not None:
        _check_metadata(reader, metadata)
    spec = reader.section(root, "spec", "")
    if spec is not None:
        components, policies = _read_spec(reader, spec)
        _check_names(reader, components)
        _check_ids(reader, components, metadata or {})
        _check_sources(reader, components)
        _check_links(reader, components)
        _check_scalers(reader, components)
        _check_secrets(reader, components, policies)
    if not errors(reader.problems):
        _check_size(reader, root)
    return reader.problems


def errors(problems: Sequence[ManifestProblem]) -> list[ManifestProblem]:
    """The problems that keep a manifest from wadm."""
    return [problem for problem in problems if problem.severity == "error"]


def _check_root(reader: CheckedReader, root: Object) -> None:
    reader.only(root, ("apiVersion", "kind", "metadata", "spec"), "")
    for key, wanted in (("apiVersion", APPLICATION.api_version), ("kind", APPLICATION.kind)):
        found = reader.text(root, key, "")
        if found is not None and found != wanted:
            reader.error(key, f"must be {wanted}")


def _check_metadata(reader: CheckedReader, metadata: Object) -> None:
    name = reader.text(metadata, "name", "metadata")
    if name is not None and not _NAME.fullmatch(name):
        reader.error("metadata.name", "must consist of letters, digits, '-' and '_': wadm takes no dots or spaces")
    if "annotations" not in metadata:
        reader.error("metadata.annotations", "is required by wadm: write {} if there are none")
    for part in ("annotations", "labels"):
        if part not in metadata:
            continue
        for key in reader.strings(metadata[part], f"metadata.{part}"):
            if not is_oam_key(key):
                reader.error(
                    child_path(f"metadata.{part}", key),
                    "is not a key that wadm takes: at most 63 letters, digits, '-', '_' and '.', "
                    "after an optional DNS name and '/' whose parts start with a letter",
                )
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping) and annotations.get("version") == "latest":
        reader.error("metadata.annotations.version", "latest means the newest version in wadm: choose another name")


def is_oam_key(key: str) -> bool:
    """Whether wadm takes this as key of an annotation or label: ``[dns.name/]name``."""
    prefix, slash, name = key.partition("/")
    if not slash:
        prefix, name = "", prefix
    elif not prefix or len(prefix) > 253 or not all(_DNS_LABEL.fullmatch(part) for part in prefix.split(".")):
        return False
    return _LABEL_NAME.fullmatch(name) is not None


def _read_spec(reader: CheckedReader, spec: Object) -> tuple[list[ManifestComponent], list[Policy]]:
    reader.ignored(spec, ("components", "policies"), "spec")
    if "components" not in spec:
        reader.error("spec.components", "is required")
    components = [read_component(reader, entry, path) for path, entry in reader.objects(spec, "components", "spec")]
    policies = [read_policy(reader, entry, path) for path, entry in reader.objects(spec, "policies", "spec")]
    return components, policies


def _check_names(reader: CheckedReader, components: Sequence[ManifestComponent]) -> None:
    first: dict[str, str] = {}
    for component in components:
        if component.name is None:
            continue
        taken = first.setdefault(component.name, component.path)
        if taken != component.path:
            reader.error(f"{component.path}.name", f"{component.name!r} is also the name of {taken}: rename one")


def _check_ids(reader: CheckedReader, components: Sequence[ManifestComponent], metadata: Object) -> None:
    written: dict[str, str] = {}
    for component in components:
        if component.id is None:
            continue
        taken = written.setdefault(component.id, component.path)
        if taken != component.path:
            reader.error(f"{component.path}.properties.id", f"{component.id!r} is also the id of {taken}: change one")
    application = metadata.get("name")
    if not isinstance(application, str):
        return
    made: dict[str, ManifestComponent] = {}
    for component in components:
        if component.id is not None or component.name is None or component.has_application:
            continue
        identifier = component_id(application, component.name)
        other = made.setdefault(identifier, component)
        if identifier in written or (other is not component and other.name != component.name):
            reader.warn(
                f"{component.path}.name",
                f"wadm makes the id {identifier!r} of it, which {written.get(identifier, other.path)} has too: "
                "change the id of one of them",
            )


def _check_sources(reader: CheckedReader, components: Sequence[ManifestComponent]) -> None:
    for component in components:
        at = f"{component.path}.properties"
        if component.has_image and component.has_application:
            reader.error(at, "has both image and application: keep the one to run")
        elif not component.has_image and not component.has_application:
            reader.error(at, "needs image, or application for a component of a shared application")
        elif component.has_application:
            _check_shared(reader, component)


def _check_shared(reader: CheckedReader, component: ManifestComponent) -> None:
    why = "belongs to the application that runs the shared component: remove it here"
    if component.configs:
        reader.error(f"{component.path}.properties.config", why)
    if component.secrets:
        reader.error(f"{component.path}.properties.secrets", why)
    for scaler in component.scalers:
        reader.error(scaler, f"the scaler {why}")


def _check_scalers(reader: CheckedReader, components: Sequence[ManifestComponent]) -> None:
    """wadm starts providers without one, but no component."""
    for component in components:
        runs_elsewhere = component.has_application or component.kind == "capability"
        if not component.scalers and not runs_elsewhere:
            what = f"component {component.name!r}" if component.name else "the component"
            reader.warn(
                f"{component.path}.traits",
                f"{what} has no spreadscaler or daemonscaler: wadm starts no instance of it",
            )


def _check_links(reader: CheckedReader, components: Sequence[ManifestComponent]) -> None:
    names = {component.name for component in components if component.name is not None}
    configs: dict[str, str] = {}
    for component in components:
        seen: dict[tuple[str, str, str, str], str] = {}
        for link in component.links:
            if link.target is not None and link.target not in names:
                reader.error(f"{link.path}.target", f"{link.target!r} is not the name of a component of this manifest")
            if link.declared:
                _check_interfaces(reader, link)
                _check_repeated(reader, link, seen)
                _check_configs(reader, link, configs)


def _check_interfaces(reader: CheckedReader, link: ManifestLink) -> None:
    packages = _KNOWN_INTERFACES.get(link.namespace)
    if packages is None:
        return
    for interface in link.interfaces:
        if interface not in packages.get(link.package, ()):
            full = f"{link.namespace}:{link.package}/{interface}"
            reader.warn(f"{link.path}.interfaces", f"{full} is not a known interface: check the spelling")


def _check_repeated(reader: CheckedReader, link: ManifestLink, seen: dict[tuple[str, str, str, str], str]) -> None:
    for interface in dict.fromkeys(link.interfaces):
        full = f"{link.namespace}:{link.package}/{interface}"
        if link.interfaces.count(interface) > 1:
            reader.error(f"{link.path}.interfaces", f"names {full} more than once: remove one")
        taken = seen.setdefault((link.name, link.namespace, link.package, interface), link.path)
        if taken != link.path:
            reader.error(link.path, f"links {full} under the name {link.name!r} again, as {taken} does: name one apart")


def _check_configs(reader: CheckedReader, link: ManifestLink, configs: dict[str, str]) -> None:
    for config in link.configs:
        if not config.defined:
            continue
        taken = configs.setdefault(config.name, config.path)
        if taken != config.path:
            reader.error(
                f"{config.path}.name",
                f"{config.name!r} is already defined by {taken}: rename it, or leave out properties to share it",
            )


def _check_secrets(reader: CheckedReader, components: Sequence[ManifestComponent], policies: Sequence[Policy]) -> None:
    known = {policy.name: policy for policy in policies}
    for policy in policies:
        if known[policy.name] is not policy:
            reader.warn(
                f"{policy.path}.name", f"{policy.name!r} is defined again by {known[policy.name].path}, which wins"
            )
    for secret in _all_secrets(components):
        at = f"{secret.path}.properties.policy"
        used = known.get(secret.policy)
        if used is None:
            reader.error(at, f"{secret.policy!r} is not the name of a policy in spec.policies: add it there")
        elif used.type != SECRET_POLICY:
            reader.error(at, f"{secret.policy!r} is no policy for secrets: its type must be {SECRET_POLICY}")
        elif not used.has_backend:
            reader.error(
                at, f"{secret.policy!r} does not name a secrets backend: add backend to {used.path}.properties"
            )


def _all_secrets(components: Sequence[ManifestComponent]) -> Iterator[Secret]:
    for component in components:
        yield from component.secrets
        for link in component.links:
            yield from link.secrets


def _check_size(reader: CheckedReader, root: Object) -> None:
    size = len(json.dumps(root, ensure_ascii=False, separators=(",", ":"), default=str).encode(errors="replace"))
    if size > NATS_MESSAGE_LIMIT:
        reader.warn(
            "", f"has {size:,} bytes: NATS takes {NATS_MESSAGE_LIMIT:,} in a message unless it is set otherwise"
        )
