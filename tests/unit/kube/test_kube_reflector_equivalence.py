"""Whatever a scripted API server does, the reflector's cache ends up equal to a list."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from support.kube.bench import KubeBench
from support.kube.objects import WIDGET, key, widget
from wasmcloud_operator.kube.testing import Answer, Cut, End, ErrorEvent, Garbage, NoAnswer, Silent

GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
TOO_LARGE = {
    "kind": "Status",
    "code": 504,
    "reason": "Timeout",
    "message": "Too large resource version: 999, current: 1",
    "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
}
HTML = "<html><body>502 Bad Gateway</body></html>"
FAULTS = st.one_of(
    st.sampled_from(["any", "list", "page", "watch"]).flatmap(
        lambda on: st.sampled_from(
            [
                Answer(on, 410, GONE),
                Answer(on, 504, TOO_LARGE),
                Answer(on, 503, HTML),
                Answer(on, 500, {"kind": "Status", "code": 500, "reason": "InternalError"}),
                Answer(on, 429, {"kind": "Status", "code": 429}, {"Retry-After": "7"}),
                Answer(on, 403, {"kind": "Status", "code": 403, "reason": "Forbidden"}),
                Answer(on, 404, {"kind": "Status", "code": 404, "reason": "NotFound"}),
                NoAnswer(on),
            ]
        )
    ),
    st.integers(0, 3).flatmap(
        lambda after: st.sampled_from(
            [
                ErrorEvent(after=after),
                ErrorEvent(after=after, code=500, reason="InternalError", message="etcd is away"),
                ErrorEvent(after=after, code=504, reason="Timeout", message="Too large resource version: 9"),
                End(after=after),
                Cut(after=after),
                Cut(after=after, half_line=True),
                Silent(after=after),
                Garbage(after=after),
            ]
        )
    ),
)
NAMES = st.sampled_from(["a", "b", "c", "d"])
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), NAMES, st.integers(0, 99)),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("recreate"), NAMES),
    st.tuples(st.just("label"), NAMES, st.booleans()),
    st.tuples(st.just("compact")),
    st.tuples(st.just("rewind")),
    st.tuples(st.just("fail"), FAULTS),
    st.tuples(st.just("advance"), st.floats(0.01, 200)),
)


async def play(bench: KubeBench, operation: tuple) -> None:
    what, *rest = operation
    if what == "fail":
        bench.api.fail(rest[0])
    elif what == "advance":
        await bench.clock.advance(rest[0])
    elif what == "compact":
        bench.api.compact()
    elif what == "rewind":
        bench.api.rewind(1000)
    elif what == "remove":
        if bench.api.get(WIDGET, key(rest[0])) is not None:
            bench.api.remove(WIDGET, key(rest[0]))
    elif what == "recreate":
        bench.api.put(WIDGET, widget(rest[0], uid=f"uid-{bench.api.version}", labels={"in": "yes"}))
    elif what == "label":
        held = bench.api.get(WIDGET, key(rest[0]))
        spec = held["spec"] if held else {}
        bench.api.put(WIDGET, widget(rest[0], labels={"in": "yes"} if rest[1] else {}, **spec))
    else:
        bench.api.put(WIDGET, widget(rest[0], labels={"in": "yes"}, value=rest[1]))
    await bench.clock.settle()


async def equivalence(operations: list[tuple], watch_list: str, selector: str, page_size: int) -> None:
    bench = KubeBench()
    bench.api.watch_list = watch_list
    bench.api.page_size = page_size
    bench.api.put(WIDGET, widget("elsewhere", namespace="other", labels={"in": "yes"}))
    informer = bench.informer(label_selector=selector)
    uids: set[str] = set()
    for operation in operations:
        await play(bench, operation)
        uids |= {obj.metadata.uid for obj in informer.store}
    bench.api._faults.clear()

    def selects(body: dict) -> bool:
        return not selector or (body["metadata"].get("labels") or {}).get("in") == "yes"

    try:
        await bench.clock.until(lambda: bench.equal(informer, selects) and not informer.problem, within=1200)
        left = {obj.metadata.uid for obj in informer.store}
        if not selector and ("rewind",) not in operations:
            assert {uid: bench.deletes.get(uid, 0) for uid in uids - left} == dict.fromkeys(uids - left, 1)
            assert not left & bench.deletes.keys()
    finally:
        await bench.stop()


@settings(max_examples=120)
@given(
    st.lists(OPERATIONS, max_size=25),
    st.sampled_from(["streamed", "refused", "ignored"]),
    st.sampled_from(["", "in=yes"]),
    st.sampled_from([0, 2]),
)
def test_after_any_faults_the_cache_equals_a_list(operations, watch_list, selector, page_size):
    asyncio.run(equivalence(operations, watch_list, selector, page_size))
