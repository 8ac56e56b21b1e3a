"""A provider that costs next to nothing: canned chat completions, whole or as a paced stream.

It runs as a process of its own (`python -m benchmarks.provider PORT`) and answers every peer alike. A request
that names the model `slow` waits `DELAY_S` first, as a real provider's does; `fast` is answered at once.
"""

import asyncio
import re
import sys
from typing import cast

import uvloop

DELAY_S = 0.06
"""Time to the first token of a quick real provider."""
CHUNK_EVERY_S = 0.04
"""Pace of a stream: 25 tokens a second."""
CHUNKS = 400

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_ANSWER = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":"small-2026",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"'
    + b"All work and no play. "
    * 12
    + b'"},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":256,"completion_tokens":64,"total_tokens":320}}'
)
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER)
) + _ANSWER
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _event(fields: bytes) -> bytes:
    data = (
        b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,'
        b'"model":"small-2026",' + fields + b"}\n\n"
    )
    return b"%x\r\n%b\r\n" % (len(data), data)


FIRST = _event(b'"choices":[{"index":0,"delta":{"role":"assistant","content":"A"},"finish_reason":null}]')
TOKEN = _event(b'"choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]')
LAST = (
    _event(b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]')
    + _event(
        b'"choices":[],"usage":{"prompt_tokens":256,"completion_tokens":400,"total_tokens":656}',
    )
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


class Conversation(asyncio.Protocol):
    """One connection: requests one after another, each answered before the next is read."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._got = bytearray()
        self._need = 0
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class names it
        """Stop talking."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Collect a request; answer it once it is whole."""
        got = self._got
        got += data
        if not self._need:
            end = got.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(got, 0, end)
            self._need = end + 4 + (int(length.group(1)) if length else 0)
        if len(got) >= self._need:
            request = bytes(got[: self._need])
            del got[: self._need]
            self._need = 0
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        streamed = b'"stream":true' in request or b'"stream": true' in request
        answer = self._begin if streamed else self._whole
        if b'"slow"' in request:
            self._timer = self._loop.call_later(DELAY_S, answer)
        else:
            answer()

    def _whole(self) -> None:
        if self._transport is not None:
            self._transport.write(WHOLE)

    def _begin(self) -> None:
        if self._transport is not None:
            self._transport.write(HEAD + FIRST)
            self._due_s, self._left = self._loop.time(), CHUNKS
            self._wait()

    def _wait(self) -> None:
        self._due_s += CHUNK_EVERY_S
        self._timer = self._loop.call_at(self._due_s, self._token)

    def _token(self) -> None:
        assert self._transport is not None
        self._left -= 1
        self._transport.write(TOKEN if self._left else LAST)
        if self._left:
            self._wait()


async def serve(port: int) -> None:
    """Answer on 127.0.0.1 until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(loop), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
