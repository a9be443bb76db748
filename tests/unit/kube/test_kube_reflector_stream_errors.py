"""A list that came whole as a stream is one, whatever becomes of the stream after it."""

from __future__ import annotations

import pytest

from support.kube.bench import KubeBench
from support.kube.objects import WIDGET, widget
from wasmcloud_operator.kube.testing import ErrorEvent


@pytest.mark.parametrize("code", [400, 422])
async def test_a_request_called_wrong_after_its_streamed_list_does_not_end_streamed_lists(bench: KubeBench, code: int):
    """Only before anything came does it mean that the server knows no streamed lists."""
    for name in ("a", "b"):
        bench.api.put(WIDGET, widget(name))
    bench.api.fail(ErrorEvent(after=3, code=code, reason="wrong"))  # the objects, and the bookmark that ends the list
    informer = bench.informer()
    await bench.clock.until(lambda: informer.synced)
    bench.api.put(WIDGET, widget("c"))
    await bench.clock.until(lambda: len([r for r in bench.api.requests if r.lists]) == 2 and not informer.problem)
    assert [r.watch for r in bench.api.requests if r.lists] == [True, True]
    assert bench.equal(informer)
