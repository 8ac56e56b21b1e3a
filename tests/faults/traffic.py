"""Clients that never stop calling a served Tidegate, and remember what each of them was given."""

import asyncio
import json
import random
import re
from dataclasses import dataclass, field

from tests.support.served import Served, deployment

PATIENCE_S = 60.0
PRICE = '{ currency = "EUR", rates = { input_uncached = "0.5", cache_read = "0.1", output_text = "2" } }'
STEP = re.compile(r"call (\d+)")
"""What a request's text and its `tidegate-step` have in common."""

_IDENT = re.compile(rb"(?i)\r\ntidegate-request-id: (\S+)\r\n")


def config(upstream: str) -> str:
    """Chat and messages of the scripted provider, and a chat model whose first deployment nobody answers."""
    return (
        deployment("small", "vllm", f"{upstream}/v1", "small", price=PRICE)
        + deployment("claude", "anthropic-compatible", upstream, "claude-x", price=PRICE)
        + deployment("dead", "vllm", "http://127.0.0.1:9/v1", "small")
        + '\n[aliases]\nwobbly = ["dead", "small"]\n'
    )


@dataclass(slots=True)
class Given:
    """What one client was given: the request's id and the status, once a byte came; whether all of it."""

    step: str
    ident: str = ""
    status: int = 0
    whole: bool = False


@dataclass
class Traffic:
    """`width` clients at once until `stop` is set; each call is new, on a connection of its own."""

    served: Served
    key: str
    chance: random.Random
    width: int = 8
    calls: list[Given] = field(default_factory=list)
    answered: int = 0
    stop: bool = False

    async def run(self) -> None:
        """Call until told to stop, then let what runs end."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.width):
                group.create_task(self._client())

    async def _client(self) -> None:
        while not self.stop:
            given = Given(str(len(self.calls)))
            self.calls.append(given)
            patience_s = self.chance.choice([PATIENCE_S, PATIENCE_S, PATIENCE_S, 0.15])
            try:
                async with asyncio.timeout(patience_s):
                    await self._call(given)
            except (OSError, EOFError):
                await asyncio.sleep(0.005)  # the gateway died, or is just being replaced
            except TimeoutError:
                assert patience_s < PATIENCE_S, f"call {given.step} was never answered: {given}"

    async def _call(self, given: Given) -> None:
        request = self._request(given.step)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.served.base_url.rsplit(":")[-1]))
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = _IDENT.search(head)
            given.status = int(head.split(b" ", 2)[1])
            given.ident = found[1].decode() if found else ""
            self.answered += 1
            if b"\r\ntransfer-encoding: chunked" in head.lower():
                await reader.readuntil(b"\r\n0\r\n\r\n")
            else:
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                assert length, head
                await reader.readexactly(int(length[1]))
            given.whole = True
        finally:
            writer.close()

    def _request(self, step: str) -> bytes:
        path, model = self.chance.choice(
            [("chat/completions", "small"), ("chat/completions", "wobbly"), ("messages", "claude")]
        )
        said = {"role": "user", "content": f"call {step} of many"}
        body = {"model": model, "max_tokens": 16, "messages": [said], "stream": self.chance.random() < 0.6}
        raw = json.dumps(body).encode()
        lines = {
            "host": "localhost",
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            "content-length": str(len(raw)),
            "connection": "close",
            "tidegate-step": step,
            "tidegate-feature": "load",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST /v1/{path} HTTP/1.1\r\n{head}\r\n".encode() + raw
