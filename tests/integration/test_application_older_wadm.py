"""Applications with a wadm that answers as earlier ones did: a real one's answers, put into the older forms.

Before 0.14 a list entry has a word and a message instead of a detailed status, words are others, and an unknown
application has no status. Before 0.15 `get` needs a name, and `list` answers with a bare array.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, Site
from support.wadm.between import Between, Handle, Json, Request
from testbed import Admin, ControlPlane, NatsServer, eventually

_WORDS = {"reconciling": "compensating", "deployed": "ready"}


def wadm_0_12(summary: Json) -> Json:
    """A list entry of wadm 0.12."""
    del summary["detailed_status"]
    return summary | {"status": _WORDS.get(summary["status"], summary["status"])}


def wadm_0_14(summary: Json) -> Json:
    """A list entry of wadm 0.14."""
    return summary


def older(entry: Callable[[Json], Json]) -> Handle:
    """Answers in the form of the wadm whose list entries these are."""

    async def handle(request: Request) -> None:
        operation, _, name = request.operation.partition(".")
        if operation == "get" and not name:
            await request.answer(
                {"result": "error", "message": "Invalid subject: no name\n\nStack backtrace:\n   0: x"}
            )
            return
        if operation == "list":
            subject = request.message.subject.replace("model.list", "model.get")
            answer: Any = [entry(model) for model in (await request.between.ask(subject, b""))["models"]]
        elif operation == "del" and not request.message.data:
            answer = {"result": "error", "message": "Unable to parse delete model request: EOF while parsing"}
        else:
            answer = await request.pass_on()
            if entry is wadm_0_12 and operation == "status":
                answer = await _status_0_12(request, answer, name)
            elif entry is wadm_0_12:
                answer = {key: value for key, value in answer.items() if key != "name"}
        await request.message.respond(json.dumps(answer).encode())

    return handle


async def _status_0_12(request: Request, answer: Json, name: str) -> Json:
    subject = request.message.subject.replace("model.status", "model.get")
    if (await request.between.ask(subject, b"{}"))["result"] == "notfound":
        return {"result": "notfound", "message": f"Model with the name {name} not found"}
    info = answer["status"]["status"]
    info["type"] = _WORDS.get(info["type"], info["type"])
    return answer


@pytest.mark.parametrize("entry", [wadm_0_12, wadm_0_14])
async def test_from_apply_to_running_and_back(
    admin: Admin, crds: ControlPlane, tmp_path: Path, entry: Callable[[Json], Json]
) -> None:
    async with (
        NatsServer.start(tmp_path / "nats") as server,
        Between.start(tmp_path / "wadm", server) as between,
        Site.open(admin, server) as site,
        site.host() as lattice_host,
    ):
        between.handle = older(entry)
        settings = {"watch_namespaces": site.namespace, "services": False}
        async with RunningOperator.start(crds, **settings):
            await site.create()
            first = (await site.phase("Deployed"))["status"]["deployedVersion"]
            await site.change("x/web:2")
            second = (await site.phase("Deployed"))["status"]["deployedVersion"]
            assert await site.versions() == {first: False, second: True}
            await site.create("waits", id="needs-another-host")
            await site.deployed("waits")
        puts = between.done["put created"] + between.done["put newversion"]
        async with RunningOperator.start(crds, **settings):
            await site.change("x/web:1")
            await site.reaches(lambda app: app["status"].get("deployedVersion") == first)
            # wadm stops nothing on an undeploy of which its store has no instance yet
            await site.phase("Deployed")
            assert between.done["put created"] + between.done["put newversion"] == puts
            for name in ("hello", "waits"):
                await site.admin.delete(APP, name, site.namespace)
                await site.gone(name)
            await eventually(lambda: not lattice_host.components)
