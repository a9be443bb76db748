"""The operator's own pods, as its users see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import POD, Key

# Labels that stay whatever names are given to a chart's release; other operators have the first one too.
SELECTOR = "app.kubernetes.io/component=operator"
DEPLOYMENT_SELECTOR = "app.kubernetes.io/part-of=wasmcloud-operator"
LEASE_NAME = "wasmcloud-operator"
_METRICS_PORT = 8080
_VARIABLE = "WASMCLOUD_OPERATOR_"
_NO = frozenset({"false", "f", "no", "n", "off", "0"})


@dataclass(frozen=True, slots=True)
class Deployed:
    """The settings of an operator's pod that decide what it needs, and under which ServiceAccount it asks for it."""

    account: Key
    namespace: str
    watch_namespaces: tuple[str, ...]
    applications: bool
    services: bool
    leader_election: bool
    lease_name: str


def metrics_path(pod: Key) -> str:
    """Returns the path on which the API server fetches the metrics of a pod."""
    return POD.path(Key(pod.namespace, f"{pod.name}:{_METRICS_PORT}"), "proxy/metrics")


async def listed(client: Reader) -> list[Unstructured]:
    """Returns the pods of all operators but those being deleted. Raises the errors of `kube.errors`."""
    found = await client.list_all(POD, UNSTRUCTURED, selector=SELECTOR)
    return [pod for pod in found if runs_operator(pod.body) and not pod.metadata.deleting]


def runs_operator(pod: JsonObject) -> bool:
    """Whether a pod with the label runs this project's operator: each of its installs sets one of its variables."""
    return any(str(entry.get("name")).startswith(_VARIABLE) for entry in as_objects(container(pod).get("env")))


def container(pod: JsonObject) -> JsonObject:
    """Returns the container that the operator runs in."""
    found = list(as_objects(as_object(pod.get("spec")).get("containers")))
    return next((one for one in found if one.get("name") == "operator"), found[0] if found else {})


def deployed(pod: Unstructured) -> Deployed:
    """Returns the settings of an operator's pod, from its flags and variables; those from elsewhere are not known."""
    given = dict(_settings(container(pod.body)))
    namespace = pod.metadata.namespace
    account = str(as_object(pod.body.get("spec")).get("serviceAccountName") or "default")
    watched = (name.strip() for name in given.get("watch_namespaces", "").split(","))
    return Deployed(
        account=Key(namespace, account),
        namespace=given.get("namespace") or namespace,
        watch_namespaces=tuple(filter(None, watched)),
        applications=_is_on(given, "applications"),
        services=_is_on(given, "services"),
        leader_election=_is_on(given, "leader_election"),
        lease_name=given.get("lease_name") or LEASE_NAME,
    )


def _settings(operator: JsonObject) -> Iterator[tuple[str, str]]:
    """Yields the settings by name, flags after variables: they count more."""
    for entry in as_objects(operator.get("env")):
        name = str(entry.get("name", ""))
        if name.startswith(_VARIABLE) and "value" in entry:
            yield name.removeprefix(_VARIABLE).lower(), str(entry["value"])
    words = [str(word) for part in ("command", "args") for word in (operator.get(part) or ()) if isinstance(word, str)]
    for word, following in zip(words, [*words, "--"][1:], strict=True):
        if word.startswith("--"):
            flag, separate, value = word.removeprefix("--").partition("=")
            name = flag.replace("-", "_")
            if separate or not following.startswith("--"):
                yield name, value if separate else following
            else:
                yield name.removeprefix("no_"), "false" if name.startswith("no_") else "true"


def _is_on(given: dict[str, str], name: str) -> bool:
    return given.get(name, "true").strip().lower() not in _NO
