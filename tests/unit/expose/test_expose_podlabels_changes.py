"""When a pod gets and loses the label of a Service: a moved lattice, an incomplete host, somebody who removes it."""

from __future__ import annotations

import pytest

from support.sites.labelled_pods import PodSite, app_manifest, component, provider
from support.sites.lattices_in_memory import Lattice
from wasmcloud_operator.expose.naming import serves_label
from wasmcloud_operator.expose.plan import Claim, claim_of
from wasmcloud_operator.expose.pod_labels import LABELS
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
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


async def test_a_label_that_somebody_takes_off_again_and_again_is_put_back_every_five_minutes() -> None:
    site, lattice = PodSite(), Lattice.at()
    site.host(lattice, POD_UID, providers=provider())
    site.pools.add(POOL, lattice)
    site.deploy(lattice, MANIFEST)
    site.service(MANIFEST, "ns-a", lattice)
    site.pod(POD_KEY)

    for _ in range(1200):
        await site.labeler.reconcile(POD_KEY)
        [pod] = site.pods.store
        site.pod(POD_KEY, version=int(pod.metadata.resource_version) + 1)
        await site.clock.advance(1)

    assert 8 <= site.patches.count <= 13, "after 1, 2, 4, … seconds and then every five minutes"
    [contested, *_] = site.labeler.paced.contests.of([WriteTarget(POD, POD_KEY, LABELS)])
    assert str(contested).startswith(f"Pod ns-a/pod-0: .metadata.labels[{ONE}] is set back by")
    assert "field manager other" in str(contested)
