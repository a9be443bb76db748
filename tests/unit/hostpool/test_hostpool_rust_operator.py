"""A host config beside the operator written in Rust, and after it: what is taken over, and when the rest is removed."""

from __future__ import annotations

from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.legacy.hostpools import FINALIZER, RIVAL_SECONDS


async def test_beside_the_operator_written_in_rust_nothing_is_applied(site):
    site.config()
    site.rust.runs = True
    assert (await site.look()).requeue_after == RIVAL_SECONDS
    assert site.conditions["Stalled"][1] == "OtherOperatorRuns"
    assert site.rust.asked == []
    assert not hasattr(site, "facts")


async def test_objects_of_the_rust_operator_go_once_the_hosts_have_rolled_out(site):
    site.config()
    site.deployment("u1", ready=0)
    await site.look()
    assert site.rust.asked == [("take over", True), ("clean up", False)]
    assert site.events == []
    site.deployment("u1", ready=1)
    site.rust.cleaned = True
    await site.look()
    assert site.rust.asked[-1] == ("clean up", True)
    assert site.events == ["Adopted"]


async def test_the_service_of_leaf_nodes_stays_where_the_operator_written_in_rust_had_one(site):
    site.config()
    for owner, annotated, kept in (
        ("u1", {}, False),
        ("u1", {naming.ADOPTED: "true"}, True),
        ("somebody", {naming.ADOPTED: "true"}, False),
    ):
        site.service(owner, annotated)
        await site.look()
        assert site.facts.leaf_service_kept is kept
    site.annotate({}, finalizers=(FINALIZER,))
    await site.look()
    assert site.facts.leaf_service_kept
