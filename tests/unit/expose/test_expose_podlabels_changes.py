"""When a pod gets and loses the label of a Service: a moved lattice, an incomplete host, somebody who removes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from support.sites.labelled_pods import PodSite, app_manifest, component, provider
from support.sites.lattices_in_memory import Lattice
from wasmcloud_operator.expose.naming import LATTICE_ID, SERVICE, serves_label
from wasmcloud_operator.expose.plan import Claim, Plan, claim_of
from wasmcloud_operator.expose.pod_labels import LABELS
from wasmcloud_operator.expose.queries import ServiceQueries
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.errors import Conflict
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import POD, Key

POD_KEY = Key("ns-a", "pod-0")
POD_UID = f"uid-{POD_KEY}"
POOL = Key("ns-a", "pool")
ONE = serves_label("one")
MANIFEST = app_manifest("one", ["http"])


@pytest.mark.parametrize("still_wanted", [False, True])
async def test_a_pod_serves_on_while_its_lattice_gets_another_address(still_wanted: bool) -> None:
    site, former, now = PodSite(), Lattice.at("nats://a"), Lattice.at("nats://b")
    site.host(now, POD_UID, providers=provider())
    site.pools.add(POOL, now)
    site.deploy(now, MANIFEST)
    if still_wanted:
        site.pools.add(Key("ns-a", "other"), former)
        site.deploy(former, MANIFEST)
    site.service(MANIFEST, "ns-a", former)
    site.pod(POD_KEY, "one")

    await site.labeler.reconcile(POD_KEY)

    assert (ONE in site.labelled(POD_KEY)) != still_wanted


@pytest.mark.parametrize(
    ("image", "with_component", "labelled"),
    [
        pytest.param("wasmcloud+builtin://http-server", True, True, id="both"),
        pytest.param("wasmcloud+builtin://http-server", False, False, id="the builtin server alone: it answers 500"),
        pytest.param("x/http-server:1", False, True, id="a server of its own asks the lattice's other hosts"),
    ],
)
async def test_a_host_serves_once_it_runs_what_its_server_cannot_have_from_others(
    image: str, with_component: bool, labelled: bool
) -> None:
    site, lattice, manifest = PodSite(), Lattice.at(), app_manifest("one", ["http"], image=image)
    components = component("one") if with_component else {}
    site.host(lattice, POD_UID, components=components, providers=provider(image=image))
    site.pools.add(POOL, lattice)
    site.deploy(lattice, manifest)
    site.service(manifest, "ns-a", lattice)
    site.pod(POD_KEY)

    await site.labeler.reconcile(POD_KEY)

    assert (ONE in site.labelled(POD_KEY)) == labelled
    [host] = lattice.hosts.hosts.values()
    missing = site.queries.placement_on(lattice, host).missing
    assert missing == (() if with_component else ("one/one-web",)), "the pod's gate waits for it, whatever serves it"


def test_nobody_else_gets_the_claim_of_a_pool_that_is_not_known_yet() -> None:
    site, mine, theirs = PodSite(), Lattice.at(name="mine"), Lattice.at(name="theirs")
    site.service(MANIFEST, "ns-a", mine)
    [service] = site.services.store
    site.configs.offer(CustomResource(ObjectMeta("paused", "ns-a", "u", "1"), {"lattice": "mine"}))

    assert site.queries.wants("ns-a", claim_of(service.metadata), "one")
    assert not site.queries.leads_to("ns-a", "one", Claim("one", theirs.identity.id))
    assert not site.queries.wants("ns-b", claim_of(service.metadata), "one"), "its config is in another namespace"
    assert not site.queries.wants("ns-a", Claim("one", theirs.identity.id, "theirs"), "one")


def _ready_to_serve() -> PodSite:
    """A pod without labels, whose host runs the provider of a Service."""
    site, lattice = PodSite(), Lattice.at()
    site.host(lattice, POD_UID, providers=provider())
    site.pools.add(POOL, lattice)
    site.deploy(lattice, MANIFEST)
    site.service(MANIFEST, "ns-a", lattice)
    site.pod(POD_KEY)
    return site


async def test_a_label_that_somebody_takes_off_again_and_again_is_put_back_every_five_minutes() -> None:
    site = _ready_to_serve()

    for _ in range(1200):
        await site.labeler.reconcile(POD_KEY)
        [pod] = site.pods.store
        site.pod(POD_KEY, version=int(pod.metadata.resource_version) + 1)
        await site.clock.advance(1)

    assert 8 <= site.patches.count <= 13, "after 1, 2, 4, … seconds and then every five minutes"
    [contested, *_] = site.labeler.paced.contests.of([WriteTarget(POD, POD_KEY, LABELS)])
    assert str(contested).startswith(f"Pod ns-a/pod-0: .metadata.labels[{ONE}] is set back by")
    assert "field manager other" in str(contested)


async def test_the_services_of_a_provider_are_found_once_for_all_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    site, plans, make = _ready_to_serve(), list[str](), ServiceQueries.plan

    def counted(queries: ServiceQueries, namespace: str, *rest: Any) -> Plan:
        plans.append(namespace)
        return make(queries, namespace, *rest)

    monkeypatch.setattr(ServiceQueries, "plan", counted)
    other, [lattice] = Key("ns-a", "pod-1"), site.queries.lattices("ns-a")
    site.host(lattice, f"uid-{other}", providers=provider())
    site.pod(other)

    await site.labeler.reconcile(POD_KEY)
    await site.labeler.reconcile(other)

    assert site.labelled(POD_KEY) == site.labelled(other) == {ONE}
    assert plans == ["ns-a"]


def _is_not_deployed(site: PodSite, lattice: Lattice) -> None:
    site.queries.book(lattice).put("one", None)


def _wants_no_service(site: PodSite, lattice: Lattice) -> None:
    record = site.queries.book(lattice).records["one"]
    site.queries.book(lattice).put("one", replace(record, annotations={SERVICE: "false"}))


def _is_away(site: PodSite, _: Lattice) -> None:
    [service] = site.services.store
    site.services.forget(service)


def _leads_elsewhere(site: PodSite, _: Lattice) -> None:
    former = Lattice.at("nats://b")
    site.pools.add(Key("ns-a", "other"), former)
    site.deploy(former, MANIFEST)
    [service] = site.services.store
    annotations = {**service.metadata.annotations, LATTICE_ID: former.identity.id}
    body = {
        **service.body,
        "metadata": {**service.body["metadata"], "resourceVersion": "2", "annotations": annotations},
    }
    site.services.offer(Unstructured.from_body(body))


@pytest.mark.parametrize("change", [_is_not_deployed, _wants_no_service, _is_away, _leads_elsewhere])
async def test_no_label_stays_by_what_was_found_before_a_change(change: Callable[[PodSite, Lattice], None]) -> None:
    site = _ready_to_serve()
    [lattice] = site.queries.lattices("ns-a")
    await site.labeler.reconcile(POD_KEY)
    assert site.labelled(POD_KEY) == {ONE}

    change(site, lattice)
    await site.labeler.reconcile(POD_KEY)

    assert site.labelled(POD_KEY) == set()


def _moved() -> tuple[PodSite, Lattice]:
    """A pod whose host runs the provider of a Service that was made for another lattice; and that lattice."""
    site, former, now = PodSite(), Lattice.at("nats://a"), Lattice.at("nats://b")
    site.host(now, POD_UID, providers=provider())
    site.pools.add(POOL, now)
    site.deploy(now, MANIFEST)
    site.service(MANIFEST, "ns-a", former)
    site.pod(POD_KEY)
    return site, former


def _has_a_pool_again(site: PodSite, former: Lattice) -> None:
    site.pools.add(Key("ns-a", "other"), former)
    site.deploy(former, MANIFEST)


def _may_have_a_pool_again(site: PodSite, former: Lattice) -> None:
    site.configs.offer(CustomResource(ObjectMeta("paused", "ns-a", "u", "1"), {"lattice": former.name}))


@pytest.mark.parametrize("change", [_has_a_pool_again, _may_have_a_pool_again])
async def test_a_service_goes_back_to_the_lattice_that_it_was_made_for(
    change: Callable[[PodSite, Lattice], None],
) -> None:
    site, former = _moved()
    await site.labeler.reconcile(POD_KEY)
    assert site.labelled(POD_KEY) == {ONE}

    change(site, former)
    await site.labeler.reconcile(POD_KEY)

    assert site.labelled(POD_KEY) == set()


async def test_a_service_is_another_lattices_once_that_for_which_it_was_made_lists_no_such_application() -> None:
    site, former = _moved()
    site.pools.add(Key("ns-a", "other"), former)
    former.ledger.listed = None
    await site.labeler.reconcile(POD_KEY)
    assert site.labelled(POD_KEY) == set()

    former.ledger.listed = ()
    await site.labeler.reconcile(POD_KEY)

    assert site.labelled(POD_KEY) == {ONE}


def _as_written(site: PodSite) -> list[bool]:
    """Of each change of a pod from now on, whether it has the labels that a write under way leaves there."""
    found: list[bool] = []
    site.pods.on_change(lambda change, _: found.append(site.labeler.is_as_written(change.item)))
    return found


async def test_the_answer_to_a_write_of_labels_is_known_as_its_own() -> None:
    site = _ready_to_serve()
    found = _as_written(site)

    await site.labeler.reconcile(POD_KEY)

    assert site.labelled(POD_KEY) == {ONE}
    assert found == [True]


@pytest.mark.parametrize(
    ("services", "own"),
    [
        pytest.param(["one"], True, id="what is written"),
        pytest.param(["one", "two"], False, id="with another label of ours beside it"),
        pytest.param([], False, id="without it"),
    ],
)
async def test_labels_that_the_watch_reports_before_the_answer_are_known_by_what_they_are(
    services: list[str], own: bool
) -> None:
    site = _ready_to_serve()
    found = _as_written(site)
    site.patches.before_answer = lambda: site.pod(POD_KEY, *services, version=2)

    await site.labeler.reconcile(POD_KEY)

    assert found[0] is own


async def test_labels_that_are_put_on_by_others_later_are_never_taken_for_our_own() -> None:
    site = _ready_to_serve()
    await site.labeler.reconcile(POD_KEY)
    found = _as_written(site)

    site.pod(POD_KEY, version=3)
    site.pod(POD_KEY, "one", version=4)

    assert found == [False, False]


async def test_a_failed_write_of_labels_leaves_nothing_behind() -> None:
    site = _ready_to_serve()

    def fail() -> None:
        raise Conflict(409, "Conflict", "changed")

    site.patches.before_answer = fail
    await site.labeler.reconcile(POD_KEY)
    found = _as_written(site)

    site.pod(POD_KEY, "one", version=2)

    assert found == [False]


async def test_another_pod_of_the_same_name_is_not_known_by_its_labels() -> None:
    site = _ready_to_serve()
    [pod] = site.pods.store
    other = msgspec.structs.replace(pod.metadata, uid="another", labels={**pod.metadata.labels, ONE: "true"})
    found: list[bool] = []

    site.patches.before_answer = lambda: found.append(
        site.labeler.is_as_written(msgspec.structs.replace(pod, metadata=other))
    )
    await site.labeler.reconcile(POD_KEY)

    assert found == [False]
