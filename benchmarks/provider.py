"""A provider that costs next to nothing: canned chat completions and messages, whole or as a paced stream.

It runs as a process of its own (`python -m benchmarks.provider PORT`) and answers every peer alike. A request
that names the model `slow` waits `DELAY_S` first, as a real provider's does; `fast` is answered at once.
`calm` waits as `slow` does and streams at a lower pace.
"""

import asyncio
import re
import sys
from dataclasses import dataclass
from typing import cast

import uvloop

DELAY_S = 0.06
"""Time to the first token of a quick real provider."""
CHUNK_EVERY_S = 0.04
"""Pace of a stream: 25 tokens a second."""
CALM_CHUNK_EVERY_S = 0.1
CHUNKS = 400

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_TEXT = b"All work and no play. " * 12
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Canned:
    """One dialect's replies, ready to be written: a whole one, and a stream's first, next and last bytes."""

    whole: bytes
    first: bytes
    token: bytes
    last: bytes


def _whole(answer: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(answer) + answer


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chat_event(fields: bytes) -> bytes:
    return _chunk(
        b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,'
        b'"model":"small-2026",' + fields + b"}\n\n"
    )


def _messages_event(kind: bytes, fields: bytes) -> bytes:
    return _chunk(b'event: %b\ndata: {"type":"%b"%b}\n\n' % (kind, kind, fields))


def _block_delta(text: bytes) -> bytes:
    return _messages_event(
        b"content_block_delta", b',"index":0,"delta":{"type":"text_delta","text":"%b"}' % text
    )


CHAT = Canned(
    whole=_whole(
        b'{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":"small-2026",'
        b'"choices":[{"index":0,"message":{"role":"assistant","content":"' + _TEXT + b'"},'
        b'"logprobs":null,"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":256,"completion_tokens":64,"total_tokens":320}}'
    ),
    first=HEAD
    + _chat_event(b'"choices":[{"index":0,"delta":{"role":"assistant","content":"A"},"finish_reason":null}]'),
    token=_chat_event(b'"choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]'),
    last=_chat_event(b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]')
    + _chat_event(
        b'"choices":[],"usage":{"prompt_tokens":256,"completion_tokens":400,"total_tokens":656}',
    )
    + _chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n",
)
_MESSAGE = b'"id":"msg_bench","type":"message","role":"assistant","model":"small-2026","content":'
MESSAGES = Canned(
    whole=_whole(
        b"{" + _MESSAGE + b'[{"type":"text","text":"' + _TEXT + b'"}],"stop_reason":"end_turn",'
        b'"stop_sequence":null,"usage":{"input_tokens":256,"output_tokens":64}}'
    ),
    first=HEAD
    + _messages_event(
        b"message_start",
        b',"message":{' + _MESSAGE + b'[],"stop_reason":null,"stop_sequence":null,'
        b'"usage":{"input_tokens":256,"output_tokens":1}}',
    )
    + _messages_event(b"content_block_start", b',"index":0,"content_block":{"type":"text","text":""}')
    + _block_delta(b"A"),
    token=_block_delta(b" token"),
    last=_messages_event(b"content_block_stop", b',"index":0')
    + _messages_event(
        b"message_delta",
        b',"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":400}',
    )
    + _messages_event(b"message_stop", b"")
    + b"0\r\n\r\n",
)
_MESSAGES_PATH = b"POST /v1/messages"


class Conversation(asyncio.Protocol):
    """One connection: requests one after another, each answered before the next is read."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._got = bytearray()
        self._need = 0
        self._canned = CHAT
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
        self._canned = MESSAGES if request.startswith(_MESSAGES_PATH) else CHAT
        streamed = b'"stream":true' in request or b'"stream": true' in request
        answer = self._begin if streamed else self._whole
        calm = b'"calm"' in request
        self._every_s = CALM_CHUNK_EVERY_S if calm else CHUNK_EVERY_S
        if calm or b'"slow"' in request:
            self._timer = self._loop.call_later(DELAY_S, answer)
        else:
            answer()

    def _whole(self) -> None:
        if self._transport is not None:
            self._transport.write(self._canned.whole)

    def _begin(self) -> None:
        if self._transport is not None:
            self._transport.write(self._canned.first)
            self._due_s, self._left = self._loop.time(), CHUNKS
            self._wait()

    def _wait(self) -> None:
        self._due_s += self._every_s
        self._timer = self._loop.call_at(self._due_s, self._token)

    def _token(self) -> None:
        assert self._transport is not None
        self._left -= 1
        self._transport.write(self._canned.token if self._left else self._canned.last)
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
