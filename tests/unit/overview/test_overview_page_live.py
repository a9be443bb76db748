"""The cluster behind the page of `kubectl wasmcloud ui`."""

from __future__ import annotations

import pytest

from support.kube.bench import KubeBench
from wasmcloud_operator.commands.page.live import Cluster, LiveRows


async def test_a_port_that_is_in_use_ends_the_command_with_that_error_alone() -> None:
    bench = KubeBench()
    cluster = Cluster(bench.client, "ns", bench.clock)
    with pytest.raises(OSError, match="in use"):
        async with cluster.following():
            raise OSError("address already in use")
    await bench.stop()


HOSTILE = "a\x1b[2Jb\u202ec\x9b31m\nREADY\r"


async def test_words_of_others_are_text_on_one_line() -> None:
    live = LiveRows()
    row = {"id": HOSTILE, "labels": {HOSTILE: HOSTILE}, "links": [{"to": (HOSTILE, 1, None, True)}]}
    await live.publish({HOSTILE: row})
    [(key, shown)] = live.rows.items()
    assert (key, shown["links"][0]["to"][1:]) == (shown["id"], [1, None, True])
    assert str(shown).isprintable()
    assert "\\x0aREADY\\x0d" in key
    await live.publish({HOSTILE: {**row}})
    assert live.rows[key] is shown
