"""Constant load: `load.py URL RATE` sends RATE requests a second and prints each second, as JSON, how they ended.

`sent` is how many requests were sent, `ended` how many of them, from the first on, have all ended. Each kind of failure
is counted, with the time of its first and its last. It begins with the first answer, awaited for a minute: until then
this node's kube-proxy may not lead to the Service yet.
"""

import asyncio
import errno
import json
import sys
import time

import aiohttp

# Seconds for one answer. A machine that has more to do than it can answers late, after half a minute and more; only
# what is never answered is lost.
PATIENCE = 120


def nothing_yet() -> dict:
    return {"sent": 0, "ended": 0, "failed": 0, "slowest": 0.0, "failures": {}}


async def main(url: str, rate: float) -> None:
    seen = nothing_yet()
    open_requests: dict[asyncio.Task[None], int] = {}  # the oldest first
    # a new connection for each request, so that each is a decision of the Service's
    connector = aiohttp.TCPConnector(force_close=True, limit=0, ttl_dns_cache=60)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as group:
        await first_answer(session, url)
        due = time.monotonic()
        reported = due
        while True:
            request = group.create_task(ask(session, url, seen))
            open_requests[request] = seen["sent"]
            request.add_done_callback(open_requests.pop)
            seen["sent"] += 1
            due += 1 / rate
            if time.monotonic() - reported >= 1:
                reported = time.monotonic()
                seen["ended"] = next(iter(open_requests.values()), seen["sent"])
                print(json.dumps(seen), flush=True)
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def first_answer(session: aiohttp.ClientSession, url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        tried = nothing_yet()
        await ask(session, url, tried)
        if not tried["failed"]:
            return
        await asyncio.sleep(0.05)


async def ask(session: aiohttp.ClientSession, url: str, seen: dict) -> None:
    started = time.monotonic()
    try:
        async with session.get(url) as answer:
            body = await answer.text()
            problem = None if answer.status == 200 and body.startswith("Hello") else f"{answer.status} {body[:80]}"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        number = errno.errorcode.get(getattr(error, "errno", None), "")
        problem = f"{type(error).__name__}: {number} {error}"
    took = time.monotonic() - started
    seen["slowest"] = max(seen["slowest"], took)
    if problem:
        seen["failed"] += 1
        at = time.strftime("%H:%M:%S")
        kind = seen["failures"].setdefault(problem, {"count": 0, "first": at, "slowest": 0.0})
        kind |= {"count": kind["count"] + 1, "last": at, "slowest": max(kind["slowest"], round(took, 2))}


asyncio.run(main(sys.argv[1], float(sys.argv[2])))
