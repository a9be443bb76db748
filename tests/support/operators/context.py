"""The context of a single controller on the scripted API server: nothing of wasmCloud is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from support.kube.bench import KubeBench
from wasmcloud_operator.kube.apply import Applier
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.tracing import no_span
from wasmcloud_operator.kube.write_rate import WriteRate
from wasmcloud_operator.shared.context import Context


def bare_context(bench: KubeBench) -> Context:
    """Returns a context on the bench's client and clock, without Applications, pools and Events."""
    nothing: Any = None
    scope: Any = SimpleNamespace(narrow=lambda _: ())
    informers: Any = SimpleNamespace(everywhere=())
    return Context(
        reader=bench.client,
        writer=bench.client,
        applications_gate=nothing,
        applications_writer=bench.client,
        applier=Applier(bench.client, "rendered", paced=PacedWrites(bench.client, clock=bench.clock)),
        recorder=nothing,
        clock=bench.clock,
        metrics=bench.metrics,
        pools=nothing,
        cluster_id="",
        scope=scope,
        workers=1,
        reconcile_timeout=60.0,
        span=no_span,
        informers=informers,
        write_rate=WriteRate(bench.clock),
    )
