"""The server behind `kubectl wasmcloud ui`: who gets an answer, and what it has of a real cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from support.operators.page import PROGRAM, page_of
from support.sites.hostpools import host_config
from testbed import Admin, ControlPlane


async def rows(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The rows by id after each event of the stream."""
    found: dict[str, Any] = {}
    async for line in answer.content:
        if line.startswith(b"data: "):
            news = json.loads(line.removeprefix(b"data: "))
            found = {} if news["all"] else found
            found = {key: row for key, row in found.items() if key not in news["gone"]}
            found |= {row["id"]: row for row in news["put"]}
            yield found


async def test_nothing_is_served_without_the_token_under_another_name_or_for_writing(crds: ControlPlane) -> None:
    async with page_of(crds.kubeconfig_for(crds.user("admin"))) as printed, aiohttp.ClientSession() as http:
        address = URL(printed)
        assert address.host == "127.0.0.1"
        elsewhere = {"Host": f"localhost:{address.port}"}
        for url, headers, expected in (
            (address, {}, 200),
            (address / "app.js", {}, 200),
            (address / "server.py", {}, 404),
            (address.origin(), {}, 403),
            (address.origin() / "events", {}, 403),
            (address.with_path("/x" + address.path), {}, 403),
            (address, elsewhere, 421),
            (address / "events", {"Host": "wasmcloud.example"}, 421),
        ):
            async with http.get(url, headers=headers) as answer:
                assert answer.status == expected, url
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert (answer.headers["Referrer-Policy"], answer.headers["Cache-Control"]) == (
                    "no-referrer",
                    "no-store",
                )
                assert "Access-Control-Allow-Origin" not in answer.headers
        async with http.post(address) as answer:
            assert answer.status == 405


async def test_the_stream_has_the_cluster_and_then_what_changes(
    crds: ControlPlane, admin: Admin, namespace: str
) -> None:
    made = host_config(namespace, "edge")
    await admin.create(made)
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    async with (
        page_of(kubeconfig, "-n", namespace) as address,
        aiohttp.ClientSession(base_url=address) as http,
        http.get("events") as stream,
        asyncio.timeout(60),
    ):
        found = rows(stream)
        pool = f"pool/{namespace}/edge"
        async for now in found:
            if pool in now:
                assert {row["namespace"] for row in now.values() if "namespace" in row} == {namespace}
                break
        async with http.get(f"why/{pool}") as answer:
            (cause,) = (await answer.json())["causes"]
            assert "the operator has not looked at this state yet" in cause["text"]
        async with http.get(f"why/pool/{namespace}/other") as answer:
            assert answer.status == 404
        await admin.delete("k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig", "edge", namespace)
        async for now in found:
            if pool not in now:
                assert (now["recent"]["entries"][0]["of"], now["recent"]["entries"][0]["text"]) == (pool, "deleted")
                break


async def test_a_kind_that_may_not_be_read_is_a_problem_and_the_rest_is_shown(
    crds: ControlPlane, namespace: str
) -> None:
    async with (
        page_of(crds.kubeconfig_for(crds.user("dave")), "-n", namespace) as address,
        aiohttp.ClientSession(base_url=address) as http,
        http.get("events") as stream,
        asyncio.timeout(60),
    ):
        async for now in rows(stream):
            if any("pods" in problem and "403" in problem for problem in now["cluster"]["problems"]):
                break


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--port", "http"]])
async def test_a_port_that_is_none_is_refused(arguments: list[str]) -> None:
    program = await asyncio.create_subprocess_exec(PROGRAM, "ui", *arguments, stderr=asyncio.subprocess.PIPE)
    _, said = await program.communicate()
    assert program.returncode == 2
    assert b"--port" in said
