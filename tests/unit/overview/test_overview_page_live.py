"""The cluster behind the page of `kubectl wasmcloud ui`."""

from __future__ import annotations

import pytest

from support.kube.bench import KubeBench
from wasmcloud_operator.commands.page.live import Cluster


async def test_a_port_that_is_in_use_ends_the_command_with_that_error_alone() -> None:
    bench = KubeBench()
    cluster = Cluster(bench.client, "ns", bench.clock)
    with pytest.raises(OSError, match="in use"):
        async with cluster.following():
            raise OSError("address already in use")
    await bench.stop()
