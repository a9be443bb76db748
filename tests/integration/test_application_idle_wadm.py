"""A version that wadm stored as deployed and then lost sight of is deployed once more."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import Site
from testbed import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM = "wadm_event_consumer"


async def ask(site: Site, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """An answer of NATS's own about wadm's streams."""
    payload = json.dumps(body or {}).encode()
    answer = json.loads((await site.client.request(f"$JS.API.{subject}", payload, timeout=30)).data)
    assert "error" not in answer, answer
    return dict(answer)


async def consumer(site: Site) -> str | None:
    """The consumer through which wadm's workers read the events of the lattice; None before its first host."""
    names = (await ask(site, f"CONSUMER.NAMES.{STREAM}"))["consumers"] or []
    return next((name for name in names if name.endswith(f"-{site.lattice}")), None)


async def test_a_deploy_that_wadm_lost_is_repeated(site: Site, application_operator: RunningOperator) -> None:
    async with site.host():
        name = await eventually(lambda: consumer(site), message="wadm has seen the host")
        until = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
        await ask(site, f"CONSUMER.PAUSE.{STREAM}.{name}", {"pause_until": until})
        await site.create()
        await eventually(lambda: _stored(site), message="wadm has it as deployed")
        await ask(site, f"STREAM.PURGE.{STREAM}", {"filter": f"{STREAM}.evt.{site.lattice}.manifest_published"})
        await ask(site, f"CONSUMER.PAUSE.{STREAM}.{name}")
        app = await site.reaches(lambda app: app["status"].get("phase") == "Deployed")
        assert [scaler["status"] for scaler in app["status"]["scalers"]] == ["deployed"]
        assert len(await site.versions()) == 1
        await eventually(lambda: site.has_event("DeployedAgain"))


async def test_without_hosts_nothing_is_repeated(site: Site, application_operator: RunningOperator) -> None:
    await site.create()
    await site.reaches(lambda app: "waits for hosts" in app["status"].get("message", ""))
    async with site.host():
        await site.reaches(lambda app: app["status"].get("phase") == "Deployed")
    assert "DeployedAgain" not in await site.events()


async def _stored(site: Site) -> bool:
    return any((await site.versions()).values())
