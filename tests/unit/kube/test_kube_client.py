"""Deadlines of every request, the gate before every write, and errors by name; over real sockets on loopback."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from support.kube.bench import WIDGETS, KubeBench
from support.kube.objects import WIDGET, key, widget
from support.kube.served import CALLS, WRITES, Served, read_on
from testbed import eventually
from wasmcloud_operator import kube
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube import errors
from wasmcloud_operator.kube.access import Permission, missing_permissions, server_version, serves
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.testing import Answer, Cut, NoAnswer, ScriptedApi, ScriptedApiServer, Silent
from wasmcloud_operator.kube.transport import ConnectionOptions, Timeouts, Transport

HTML = "<html><body>502 Bad Gateway</body></html>"


def test_every_call_of_the_client_is_tried_here():
    """A new method must join the table, and with it the test of its deadlines."""
    public = {name for name, _ in inspect.getmembers(Writer, inspect.isfunction) if not name.startswith("_")}
    assert public == CALLS.keys()


def test_a_reader_has_no_method_that_writes():
    assert set(WRITES) == {name for name in CALLS if not hasattr(Reader, name)}


@pytest.mark.parametrize("call", CALLS)
async def test_every_request_has_connect_read_and_total_deadlines(served: Served, monkeypatch, call: str):
    seen: list[aiohttp.ClientTimeout] = []
    original = aiohttp.ClientSession._request

    async def spy(self, method, url, **settings):
        seen.append(settings["timeout"])
        return await original(self, method, url, **settings)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", spy)
    with contextlib.suppress(errors.ApiError):  # what the scripted server thinks of it is of no concern
        await CALLS[call](served.client)
    assert seen
    for timeout in seen:
        assert timeout.sock_connect
        assert timeout.sock_connect <= 5
        assert timeout.connect
        assert timeout.connect <= 5
        assert timeout.sock_read
        assert timeout.sock_read <= 90
        if call != "watch":  # a watch has none in all: it is read for as long as something comes
            assert timeout.total
            assert timeout.total <= 60


GARBAGE = {
    "nothing": "",
    "a page": HTML,
    "half an answer": '{"metadata": {"name": "a"',
    "null": "null",
    "a number": "3",
    "an array": "[]",
    "an object of another shape": '{"metadata": "none", "major": 1, "items": 3}',
    "metadata that is a list": '{"metadata": [1]}',
    "an empty object": "{}",
    "an object that has no name": '{"metadata": {}}',
    "a list without items": '{"metadata": {"resourceVersion": "9"}}',
    "an array without end": "[" * 100_000,
    "numbers that are none": '{"metadata": {"name": NaN}}',
    "half of a character": r'{"metadata": {"name": "\ud800"}}',
}


AS_IT_CAME = ("get_path", "get_text", "review", "watch")
READ_AS_SOMETHING = {
    **{call: send for call, send in CALLS.items() if call not in AS_IT_CAME},
    "server_version": server_version,
    "serves": lambda c: serves(c, WIDGET),
    "missing_permissions": lambda c: missing_permissions(c, [Permission("list", WIDGET)]),
}


@pytest.mark.parametrize("call", READ_AS_SOMETHING)
async def test_garbage_for_an_answer_is_a_named_error(bench: KubeBench, call: str):
    headers = {"Date": "yesterday", "Retry-After": "soon"}
    for garbage, code in itertools.product(GARBAGE.values(), (200, 299, 403, 500)):
        bench.api.fail(Answer("any", code, garbage, headers))
        with pytest.raises(errors.KubeError) as caught:
            await READ_AS_SOMETHING[call](bench.client)
        assert caught.type is (
            errors.GarbledAnswer if code < 400 else errors.Forbidden if code == 403 else errors.ServerError
        )
        assert bench.client.server_now is None


def test_nobody_sends_past_the_client():
    """The library's own calls, which have no deadline, are made in one place; so are aiohttp sessions."""
    places: dict[str, set[str]] = {"call_api": set(), "ClientSession": set(), "pool_manager": set()}
    for path in Path(kube.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in places:
                places[node.attr].add(path.name)
    assert set().union(*places.values()) == {"transport.py"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_never_answers_is_given_up(served: Served, method: str):
    served.api.fail(NoAnswer())
    async with asyncio.timeout(60):
        with pytest.raises(errors.DeadlineExceeded, match=f"{method} /version"):
            await served.transport.request(method, "/version", timeouts=Timeouts(total=0.2))


async def test_a_silent_stream_is_given_up(served: Served):
    served.api.fail(Silent(after=1))
    with pytest.raises(errors.DeadlineExceeded):
        await read_on(served.client, idle=0.2)


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (400, {"code": 400}, errors.BadRequest),
        (401, {"code": 401}, errors.Unauthorized),
        (403, {"code": 403}, errors.Forbidden),
        (404, {"code": 404, "reason": "NotFound"}, errors.NotFound),
        (404, "404 page not found\n", errors.NotFound),
        (404, HTML, errors.ServerError),
        (404, {"detail": "Not Found"}, errors.ServerError),
        (404, "", errors.ServerError),
        (409, {"code": 409, "reason": "Conflict"}, errors.Conflict),
        (409, {"code": 409, "reason": "AlreadyExists"}, errors.AlreadyExists),
        (410, {"code": 410, "reason": "Expired"}, errors.Expired),
        (400, {"code": 400, "reason": "Expired"}, errors.Expired),
        (422, {"code": 422, "details": {"causes": [{"field": "spec.x", "message": "bad"}]}}, errors.Invalid),
        (429, {"code": 429}, errors.Throttled),
        (500, {"code": 500}, errors.ServerError),
        (502, HTML, errors.ServerError),
        (503, "", errors.ServerError),
        (504, {"code": 504, "message": "Too large resource version: 9"}, errors.ResourceVersionTooLarge),
        (418, {"code": 418}, errors.ApiError),
    ],
)
async def test_errors_have_names(served: Served, code: int, body, kind: type[errors.ApiError]):
    served.api.fail(Answer("any", code, body))
    with pytest.raises(errors.ApiError) as caught:
        await served.client.get(WIDGET, key("a"))
    assert type(caught.value) is kind
    assert caught.value.code == code
    if kind is errors.Invalid:
        assert caught.value.causes == (("spec.x", "bad"),)
    requests = served.metrics.registry.get_sample_value(
        "rest_client_requests_total", {"code": str(code), "method": "GET"}
    )
    assert requests == 1


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, HTML, 7),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:27:51 GMT"}, HTML, 9),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:51 GMT"}, HTML, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "today"}, HTML, None),
        ({"Retry-After": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, HTML, None),
        ({"Retry-After": "-1"}, HTML, None),
        ({"Retry-After": "nan"}, HTML, None),
        ({}, {"code": 429, "details": {"retryAfterSeconds": -3}}, None),
        ({}, {"code": 429, "details": {"retryAfterSeconds": 3}}, 3),
        ({}, {"code": 429}, None),
    ],
)
async def test_retry_after_is_read(served: Served, headers, body, seconds):
    served.api.fail(Answer("any", 429, body, headers))
    with pytest.raises(errors.Throttled) as caught:
        await served.client.get(WIDGET, key("a"))
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("code", "asked", "seconds"),
    [(429, None, 1.0), (503, None, 1.0), (429, 0.2, 0.2), (503, 7.0, 7.0), (500, None, 0.0), (409, None, 0.0)],
)
def test_a_server_that_is_overloaded_and_does_not_say_for_how_long_is_left_alone_for_a_second(code, asked, seconds):
    assert errors.retry_after(errors.ApiError(code, "any", "wait", retry_after=asked)) == seconds


async def test_a_proxys_word_for_an_error_is_not_taken_for_the_api_servers(served: Served):
    served.api.fail(Answer("any", 503, {"code": 404, "message": "no upstream"}))
    with pytest.raises(errors.ServerError) as caught:
        await served.client.get(WIDGET, key("a"))
    assert caught.value.code == 503


@pytest.mark.parametrize("date", ["soon", "Thu, 01 Jan 99999999999999999999 05:00:00 GMT"])
async def test_a_date_that_cannot_be_read_costs_no_answer(served: Served, date: str):
    served.api.fail(Answer("any", 200, {"major": "1"}, {"Date": date}))
    assert await served.client.get_path("/version") == {"major": "1"}
    assert served.client.server_now is None


async def test_the_servers_time_is_that_of_its_last_answer(served: Served):
    client = served.client
    assert client.server_now is None
    served.api.fail(Answer("any", 200, {"major": "1"}, {"Date": "Thu, 01 Jan 2026 05:00:00 GMT"}))
    await client.get_path("/version")
    for same in (client, Writer(client, field_manager="tests", gate=served.gate)):
        assert same.server_now is not None
        assert timedelta(0) <= same.server_now - datetime(2026, 1, 1, 5, tzinfo=UTC) < timedelta(seconds=60)


@pytest.mark.parametrize("text", ["plain", "…\u0085\u2028\ufeff🌍", "a\x7fb\x01", 'quoted "\\"'])
async def test_the_text_of_an_apply_is_the_same_in_yaml_and_in_json(served: Served, text: str):
    sent: list[bytes] = []
    library = served.transport._calls
    call_api = library.call_api

    async def recording(*arguments, **named):
        sent.append(named["body"])
        return await call_api(*arguments, **named)

    library.call_api = recording
    client = Writer(Reader(served.transport), field_manager="tests", gate=AlwaysOpen())
    body = {**widget("a"), "spec": {"text": text}}
    assert (await client.apply(WIDGET, body, WIDGETS)).spec["text"] == text
    assert served.api.requests[-1].headers["Content-Type"].partition(";")[0] == "application/apply-patch+yaml"
    (written,) = sent
    assert isinstance(written, bytes), "the library neither copies nor encodes it"
    assert not set(written.decode()) & {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\ufeff"}
    assert b"\\ud83c" not in written, "YAML has no pairs of escapes for one character"


async def test_nobody_listens(tmp_path: Path):
    async with ScriptedApiServer.serve(ScriptedApi()) as server:
        credentials = Credentials(kubeconfig=server.kubeconfig(tmp_path / "kubeconfig"))
    async with Transport.open(ConnectionOptions(credentials=credentials)) as transport:
        client = Writer(Reader(transport), field_manager="tests", gate=AlwaysOpen())
        with pytest.raises(errors.Unreachable, match="GET /version"):
            await client.get_path("/version")


async def test_a_kubeconfig_that_is_not_there_is_said_once(tmp_path: Path):
    options = ConnectionOptions(credentials=Credentials(kubeconfig=tmp_path / "none"))
    with pytest.raises(errors.NoCredentials) as caught:
        async with Transport.open(options):
            pass
    assert str(caught.value) == f"the kubeconfig {tmp_path / 'none'} does not exist"


async def test_no_usable_credentials_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "empty"))
    (tmp_path / "empty").touch()
    with pytest.raises(errors.NoCredentials, match="set KUBECONFIG"):
        async with Transport.open(ConnectionOptions(credentials=Credentials())):
            pass


async def test_the_token_is_sent(served: Served):
    await served.client.get(WIDGET, key("a"))
    assert served.api.requests[0].headers["Authorization"] == "Bearer scripted"


async def test_lines_of_any_length_and_streams_that_break(served: Served):
    """Over sockets: 5 MB in one line, a connection that breaks in the middle of one, and on at the same version."""
    informer = Informer.on_api(served.client, WIDGET, WIDGETS, clock=SYSTEM_CLOCK, metrics=served.metrics)
    served.api.fail(Cut(after=2, half_line=True))
    running = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(60):
            await informer.wait_synced()
        served.api.put(WIDGET, widget("huge", blob="x" * 5_000_000))
        await eventually(lambda: key("huge") in informer.store)
    finally:
        running.cancel()
        await asyncio.wait({running})
    item = informer.store.get(key("huge"))
    assert item is not None
    assert len(item.spec["blob"]) == 5_000_000
    assert [r.lists for r in served.api.requests if r.watch] == [True, False]


async def test_a_line_without_end_does_not_fill_the_memory(served: Served, monkeypatch):
    monkeypatch.setattr("wasmcloud_operator.kube.transport._MAX_LINE", 1_000_000)
    served.api.put(WIDGET, widget("huge", blob="x" * 3_000_000))
    with pytest.raises(errors.Unreachable, match="a line of more than"):
        await read_on(served.client, idle=60)


async def test_watches_do_not_use_up_the_connections_of_calls(tmp_path: Path):
    api = ScriptedApi()
    async with ScriptedApiServer.serve(api) as server:
        credentials = Credentials(kubeconfig=server.kubeconfig(tmp_path / "kubeconfig"))
        options = ConnectionOptions(credentials=credentials, max_connections=2)
        async with Transport.open(options) as transport, asyncio.TaskGroup() as group:
            client = Writer(Reader(transport), field_manager="tests", gate=AlwaysOpen())
            metrics = Metrics()
            informers = [
                Informer.on_api(client, WIDGET, WIDGETS, clock=SYSTEM_CLOCK, metrics=metrics) for _ in range(10)
            ]
            tasks = [group.create_task(informer.run()) for informer in informers]
            async with asyncio.timeout(60):
                for informer in informers:
                    await informer.wait_synced()
                await client.create(WIDGET, widget("a"), namespace="ns")
            for task in tasks:
                task.cancel()


async def test_find_returns_none_for_an_object_that_is_not_there(bench: KubeBench):
    bench.api.put(WIDGET, {**widget("a"), "metadata": {**widget("a")["metadata"], "managedFields": [{"manager": "m"}]}})
    for find, held in ((bench.client.find, False), (bench.client.find_whole, True)):
        found = await find(WIDGET, key("a"))
        assert ("managedFields" in getattr(found, "body", found)["metadata"]) is held
        assert await find(WIDGET, key("b")) is None
