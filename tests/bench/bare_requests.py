"""What requests alone cost: the processor time of a process that sends them with aiohttp and does nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
import uvloop

from parallel import in_parallel
from testbed import ControlPlane

AT_ONCE = 32  # as many as the operator has workers


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    content_type: str
    body: str


def applied(path: str, body: object) -> Request:
    return Request("PATCH", f"{path}?fieldManager=bench&force=true", "application/apply-patch+yaml", json.dumps(body))


def created(path: str, body: object) -> Request:
    return Request("POST", path, "application/json", json.dumps(body))


async def cpu_of(cluster: ControlPlane, pools: Sequence[Sequence[Request]]) -> float:
    """Seconds of processor time, for the requests of each pool one after the other. Each has to succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    work = {
        "url": cluster.url,
        "ca_file": str(cluster.ca_file),
        "token": cluster.admin_token,
        "pools": [[asdict(request) for request in requests] for requests in pools],
    }
    printed, _ = await process.communicate(json.dumps(work).encode())
    if process.returncode:
        raise RuntimeError(f"the requests failed: exit code {process.returncode}")
    return float(printed)


async def _send(work: dict[str, Any]) -> float:
    tls = ssl.create_default_context(cafile=work["ca_file"])
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=AT_ONCE), headers={"Authorization": f"Bearer {work['token']}"}
    )

    async def send(requests: Sequence[dict[str, str]]) -> None:
        for request in requests:
            url, headers = work["url"] + request["path"], {"Content-Type": request["content_type"]}
            async with session.request(request["method"], url, data=request["body"], headers=headers) as answer:
                text = await answer.text()
                if answer.status >= 300:
                    raise RuntimeError(f"{request['method']} {request['path']}: {answer.status} {text}")

    async with session:
        started = time.process_time()
        await in_parallel(work["pools"], send, at_once=AT_ONCE)
        return time.process_time() - started


if __name__ == "__main__":
    print(uvloop.run(_send(json.load(sys.stdin))))
