"""wadm's words over its versions, subjects, error texts, the limited and the quiet log."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.lattice.errors import AnswerLost, InvalidName, LatticeBusy, one_line
from wasmcloud_operator.lattice.log_limiter import LogLimiter
from wasmcloud_operator.lattice.request_limit import RequestLimit
from wasmcloud_operator.lattice.subjects import ControlSubjects, WadmSubjects
from wasmcloud_operator.lattice.wadm_events import (
    ManifestPublished,
    ManifestUnpublished,
    parse_event,
    parse_status,
)
from wasmcloud_operator.lattice.wadm_types import (
    AppStatus,
    StatusInfo,
    StatusType,
    VersionInfo,
    model_summaries,
    model_summary,
)


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("waiting", StatusType.WAITING),
        ("compensating", StatusType.RECONCILING),
        ("reconciling", StatusType.RECONCILING),
        ("ready", StatusType.DEPLOYED),
        ("Deployed", StatusType.DEPLOYED),
        ("unhealthy", StatusType.UNHEALTHY),
        ("something-new", StatusType.UNKNOWN),
        (None, StatusType.UNKNOWN),
        (7, StatusType.UNKNOWN),
    ],
)
def test_status_words(word: object, meaning: StatusType) -> None:
    assert StatusInfo.model_validate({"type": word}).type is meaning


def test_a_status_with_all_that_wadm_says_and_more() -> None:
    body = {
        "status": {"type": "failed", "message": "no host\nmatches"},
        "scalers": [{"id": "1", "kind": "SpreadScaler", "name": "a -(b)-> c", "status": {"type": "failed"}, "new": 1}],
        "version": "",
        "components": [],
    }
    pushed = parse_status("wadm.status.default.shop", json.dumps(body).encode())
    assert pushed is not None
    assert (pushed.name, pushed.status.info.message) == ("shop", "no host; matches")
    assert pushed.status.scalers[0].info == StatusInfo(type=StatusType.FAILED)
    assert AppStatus.model_validate({"status": {}, "scalers": None}).scalers == ()
    assert parse_status("wadm.status.default.shop", b"{}") is None


@pytest.mark.parametrize(
    ("body", "word", "message"),
    [
        ('{"type":"deployed"}', StatusType.DEPLOYED, ""),
        ('{"type":"failed","message":"no host\\nmatches"}', StatusType.FAILED, "no host; matches"),
    ],
)
def test_a_status_as_it_is_pushed_before_0_14(body: str, word: StatusType, message: str) -> None:
    pushed = parse_status("wadm.status.default.shop", body.encode())
    assert pushed is not None
    assert (pushed.name, pushed.status.info, pushed.status.scalers) == (
        "shop",
        StatusInfo(type=word, message=message),
        (),
    )


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'"deployed"', b'{"message":"x"}', b'{"status":"deployed"}', b'{"type":"x","data":1}', b""]
)
def test_a_message_that_names_no_status_is_none(body: bytes) -> None:
    assert parse_status("wadm.status.default.shop", body) is None


def test_summaries_of_three_generations() -> None:
    newest = {"name": "a", "version": "2", "deployed_version": "1", "status": "undeployed", "status_message": "x"}
    detailed = {"status": {"type": "waiting", "message": "no hosts"}, "scalers": []}
    summary = model_summary(newest | {"detailed_status": detailed})
    assert (summary.status.type, summary.status.message) == (StatusType.WAITING, "no hosts")
    assert model_summary(newest).status == StatusInfo(type=StatusType.UNDEPLOYED, message="x")
    assert model_summary({"name": "a", "version": 3}).version == "3"
    assert VersionInfo.model_validate({"version": "1"}).deployed is False


def test_manifest_events() -> None:
    manifest = {"metadata": {"name": "shop"}, "spec": {}}
    published = json.dumps({"type": "com.wadm.manifest_published", "data": manifest}).encode()
    assert parse_event(published) == ManifestPublished("shop", manifest)
    gone = json.dumps({"type": "com.wadm.manifest_unpublished", "data": {"name": "shop"}}).encode()
    assert parse_event(gone) == ManifestUnpublished("shop")


@given(st.binary(max_size=40) | st.from_regex(rb'\{"type": ?"com\.wadm\.manifest_published".{0,20}', fullmatch=True))
def test_no_push_breaks_the_parsers(data: bytes) -> None:
    parse_event(data)
    parse_status("wadm.status.default.x", data)


def test_subjects() -> None:
    wadm = WadmSubjects("blue", "ACC.wadm.api")
    assert wadm.model("deploy", "shop_1-a") == "ACC.wadm.api.blue.model.deploy.shop_1-a"
    assert wadm.model("get") == "ACC.wadm.api.blue.model.get"
    assert wadm.statuses == "wadm.status.blue.*"
    control = ControlSubjects("blue", "my.ctl")
    assert control.ping == "my.ctl.v1.blue.host.ping"
    assert control.events == "wasmbus.evt.blue.>"
    assert control.config_service == "wasmbus.cfg.blue.req"
    for name in ("", "a.b", "a b", "*", "a>", "ü\r\nPUB"):
        with pytest.raises(InvalidName):
            wadm.model("get", name)
        with pytest.raises(InvalidName):
            WadmSubjects(name)
        with pytest.raises(InvalidName):
            control.inventory(name)
    with pytest.raises(InvalidName):
        ControlSubjects("blue", "a..b")


def test_foreign_texts_become_one_line() -> None:
    rust = "missing field `spec`\n\nCaused by:\n    x\n\nStack backtrace:\n   0: core::ops\n   1: tokio"
    assert one_line(rust) == "missing field `spec`"
    assert one_line(" a \n\n b\tc ") == "a; b c"
    assert len(one_line("x" * 5000)) == 1024


def test_the_gate_refuses_at_once_and_tightens_on_silence() -> None:
    limited = RequestLimit("wadm", limit=3)
    with limited, limited, limited, pytest.raises(LatticeBusy, match="3 requests"), limited:
        pass
    with pytest.raises(AnswerLost), limited:
        raise AnswerLost("late")
    assert limited.silent
    with limited, limited, pytest.raises(LatticeBusy, match="does not answer"), limited:
        pass
    assert not limited.silent, "an answer opens it"
    with pytest.raises(AnswerLost), limited:
        raise AnswerLost("late")
    with pytest.raises(asyncio.CancelledError), limited:
        raise asyncio.CancelledError
    assert limited.silent, "a caller that gave up shows nothing about the peer"
    assert limited.inside == 0


def test_a_repeated_error_is_logged_once_a_minute_with_a_count() -> None:
    now = 0.0
    quiet = LogLimiter(lambda: now)
    assert quiet.admit("a") == 0
    assert quiet.admit("a") is None
    assert quiet.admit("b") == 0
    now = 30.0
    assert quiet.admit("a") is None
    now = 60.0
    assert quiet.admit("a") == 2
    for number in range(1000):
        quiet.admit(str(number))
    assert quiet.admit("b") == 0


@pytest.mark.parametrize("name", ["x" * 1_000_000, "", "a b", "a\n", "\ud800", {"a": 1}, None, 7])
@pytest.mark.parametrize("kind", ["published", "unpublished"])
def test_an_event_about_what_can_be_no_application_is_dropped(kind: str, name: object) -> None:
    data = {"name": name, "metadata": {"name": name}}
    assert parse_event(json.dumps({"type": f"com.wadm.manifest_{kind}", "data": data}).encode()) is None


def test_of_foreign_text_nothing_is_kept_that_a_terminal_or_an_encoder_takes_amiss() -> None:
    line = one_line("\x1b]0;title\x07 a\u202eb \ud800 c\x9bd\nnext Übung 日本")
    assert line == "\ufffd]0;title\ufffd a\ufffdb \ufffd c\ufffdd; next Übung 日本"
    status = AppStatus.model_validate({"status": {}, "scalers": [{"name": "\x1b[2J\udfff"}]})
    assert status.scalers[0].name == "\ufffd[2J\ufffd"


def test_a_status_has_a_bounded_number_of_scalers() -> None:
    pushed = parse_status(
        "wadm.status.l.x", json.dumps({"status": {}, "scalers": [{"id": str(n)} for n in range(9999)]}).encode()
    )
    assert pushed is not None
    assert [scaler.id for scaler in pushed.status.scalers] == [str(n) for n in range(1000)]


def test_a_list_of_more_than_can_be_taken_is_refused_as_a_whole() -> None:
    model = {"name": "x", "detailed_status": {"status": {}, "scalers": [{}] * 999}}
    assert len(model_summaries([model] * 20)) == 20
    with pytest.raises(ValueError, match="applications and scalers"):
        model_summaries([model] * 21)
