"""A go-between in front of a real wadm: what is asked of wadm is passed on when, and as often as, the test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats

from testbed import NatsServer, Wadm
from wasmcloud_operator.lattice.testing import flushed

_PREFIX = "behind.api"

Json = dict[str, Any]


@dataclass
class Request:
    """What was asked: `operation` as in the subject (`put`, `deploy.hello`), the body, and the way on."""

    operation: str
    body: Any
    message: Any
    between: Between

    async def pass_on(self) -> Json:
        """wadm's answer, which nobody has been given yet."""
        return await self.between.ask(self.message.subject, self.message.data, self.message.headers)

    async def answer(self, answer: Json) -> None:
        await self.message.respond(json.dumps(answer).encode())


Handle = Callable[[Request], Awaitable[None]]


async def straight_on(request: Request) -> None:
    await request.answer(await request.pass_on())


@dataclass
class Between:
    """Hands each request of any lattice to `handle`; wadm itself listens elsewhere. `done` counts wadm's answers."""

    client: Any
    handle: Handle
    done: Counter[str] = field(default_factory=Counter)

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, folder: Path, server: NatsServer) -> AsyncIterator[Between]:
        """With a wadm of its own behind it."""
        tasks: set[asyncio.Task[None]] = set()
        client = await nats.connect(server.url)
        between = cls(client, straight_on)

        async def on_request(message: Any) -> None:
            body = json.loads(message.data) if message.data else None
            request = Request(message.subject.split(".", 4)[4], body, message, between)
            task = asyncio.ensure_future(between.handle(request))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        async with Wadm.start(folder, server.url, env={"WADM_API_PREFIX": _PREFIX}):
            await client.subscribe("wadm.api.*.model.>", cb=on_request)
            await flushed(client)
            try:
                yield between
            finally:
                for task in tasks:
                    task.cancel()
                await client.close()

    async def ask(self, subject: str, data: bytes, headers: Any = None) -> Json:
        """What wadm answers to a request on that subject of its API."""
        behind = subject.replace("wadm.api", _PREFIX, 1)
        answer: Json = json.loads((await self.client.request(behind, data, timeout=60, headers=headers)).data)
        self.done[f"{subject.split('.', 4)[4]} {answer.get('result')}"] += 1
        return answer
