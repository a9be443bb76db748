"""From an Application resource to its content: what of it reaches wadm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.lattice.content import DESCRIPTION, VERSION, Content, Owner, strings, to_manifest
from wasmcloud_operator.manifest.validation import is_oam_key

_DECIDING_DOMAIN = "wasmcloud.dev"
_OWN_DOMAIN = "k8s.wasmcloud.dev"
_TOOLS = (
    "kubectl.kubernetes.io",
    "argoproj.io",
    "fluxcd.io",
    "helm.sh",
    "config.kubernetes.io",
    "config.k8s.io",
)


def content_of(metadata: Mapping[str, object], spec: Mapping[str, object]) -> Content:
    """The content of an Application with this ``metadata`` and ``spec``, as the API server returns them.

    Raises KeyError for metadata without a name, which the API server never sends.
    """
    name = str(metadata["name"])
    annotations = passed_metadata(strings(metadata.get("annotations")))
    labels = passed_metadata(strings(metadata.get("labels")))
    version = annotations.pop(VERSION, None) or None  # wadm would store "", which everywhere else means none
    counted = {"annotations": deciding_metadata(annotations), "labels": deciding_metadata(labels)}
    return Content(
        name=name,
        annotations=annotations,
        labels=labels,
        spec=spec,
        declared_version=version,
        digest=_digest({"name": name, "spec": spec, **counted}),
    )


def without_nulls(value: JsonObject) -> JsonObject:
    """Returns the object without null fields: the API server treats them as absent, wadm refuses some."""
    return {name: _without_nulls(field) for name, field in value.items() if field is not None}


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return without_nulls(value)
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def passed_metadata(entries: Mapping[str, str]) -> dict[str, str]:
    """The annotations or labels that reach wadm: all but the operator's own, the tools', and what wadm refuses.

    What kubectl and GitOps tools write for themselves stays out: it is of no use to who looks at the lattice. Keys that
    Kubernetes takes and wadm does not, like `3scale.net/team`, would have it refuse the whole manifest.
    """
    return {key: value for key, value in entries.items() if _passes(key)}


def deciding_metadata(entries: Mapping[str, str]) -> dict[str, str]:
    """Returns the ones that count as content: a change of the others alone deploys nothing."""
    return {key: value for key, value in entries.items() if key == DESCRIPTION or _is_within(key, (_DECIDING_DOMAIN,))}


def deployed_manifest(item: CustomResource, version: str, cluster: str) -> dict[str, object] | None:
    """Returns the manifest that wadm has deployed, if the Application's status shows its content in this version.

    None when wadm has to be asked.
    """
    status = as_object(item.status)
    if status.get("deployedVersion") != version or not isinstance(item.spec, dict):
        return None
    meta, spec = item.metadata, without_nulls(item.spec)
    content = content_of({"name": meta.name, "annotations": meta.annotations, "labels": meta.labels}, spec)
    if status.get("contentDigest") != content.digest:
        return None
    return to_manifest(content, version, Owner(cluster, meta.namespace, meta.name, meta.uid))


def _passes(key: str) -> bool:
    return not _is_within(key, (_OWN_DOMAIN, *_TOOLS)) and (is_oam_key(key) or _is_within(key, (_DECIDING_DOMAIN,)))


def _is_within(key: str, domains: Iterable[str]) -> bool:
    """Whether a key like `domain/name` belongs to one of the domains or their subdomains."""
    domain, slash, _ = key.partition("/")
    return bool(slash) and any(domain == parent or domain.endswith(f".{parent}") for parent in domains)


def _digest(content: Mapping[str, object]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
