"""A loopback server that speaks one dialect and asks a provider of the other, with nothing but the codecs."""

import http.client
import http.server
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tidegate.model.errors import TidegateError
from tidegate.model.message import Kept, Message, TargetTraits
from tidegate.model.provider import UsageRules
from tidegate.wire import anthropic_errors, openai_errors
from tidegate.wire.body import Body
from tidegate.wire.sse import FrameReader
from tidegate.wire.translate import (
    Asked,
    ChatEvents,
    ChatWriter,
    Fold,
    MessagesEvents,
    MessagesWriter,
    ResponsesWriter,
    Written,
    continued,
    echo_of,
    plain_chat,
    plain_message,
    plain_response,
    read_chat,
    read_messages,
    read_responses,
    write_chat,
    write_messages,
)

CREATED_S = 1_700_000_000
CHUNK = 777


@dataclass
class Translating:
    """What was asked and answered. `replies` are answered instead of the provider's, where there are any.

    `by_chat`: a request of Responses is said in chat, else in messages. `turns` are remembered by the id of
    the response that ends them.
    """

    base_url: str = ""
    upstream: str = ""
    traits: TargetTraits = field(default_factory=lambda: TargetTraits(prefill="plain"))
    written: list[Written] = field(default_factory=list)
    kept: dict[str, tuple[Kept, ...]] = field(default_factory=dict)
    replies: list[tuple[int, bytes]] = field(default_factory=list)
    by_chat: bool = False
    turns: dict[str, tuple[Message, ...]] = field(default_factory=dict)

    def ask(self, to_messages: bool, body: bytes) -> tuple[int, bytes]:
        """Ask the provider, or answer what the test scripted."""
        if self.replies:
            return self.replies.pop(0)
        url = urllib.parse.urlsplit(self.upstream)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
        try:
            path = "/v1/messages" if to_messages else "/v1/chat/completions"
            headers = {"content-type": "application/json", "authorization": "Bearer k", "x-api-key": "k"}
            connection.request("POST", path, body, headers | {"anthropic-version": "2023-06-01"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers `/v1/chat/completions` from a messages provider, `/v1/messages` from a chat one.

    `/v1/responses` it answers from either.
    """

    protocol_version = "HTTP/1.1"
    state: ClassVar[Translating]

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/responses"):
            self._responses(raw)
            return
        to_messages = self.path.endswith("/chat/completions")
        drop = self.headers.get("tidegate-drop-unsupported") == "true"
        try:
            body = Body.parse(raw)
            asked = read_chat(body) if to_messages else read_messages(body)
            write = write_messages if to_messages else write_chat
            state = self.state
            written = write(asked, state.traits, model="m", drop_unsupported=drop, restored=state.kept)
        except TidegateError as error:
            words = openai_errors if to_messages else anthropic_errors
            self._send(error.status, "application/json", words.error_body(error, "r"))
            return
        state.written.append(written)
        status, reply = state.ask(to_messages, written.body)
        self._reply(status, reply, asked, to_messages=to_messages)

    def _responses(self, raw: bytes) -> None:
        state = self.state
        try:
            body = Body.parse(raw)
            asked = read_responses(body)
            if asked.previous_id:
                asked = continued(asked, state.turns[asked.previous_id])
            write = write_chat if state.by_chat else write_messages
            written = write(asked, state.traits, model="m")
        except TidegateError as error:
            self._send(error.status, "application/json", openai_errors.error_body(error, "r"))
            return
        state.written.append(written)
        status, reply = state.ask(not state.by_chat, written.body)
        ident, fold = f"resp_{len(state.written)}", Fold()
        reader = ChatEvents(UsageRules()) if state.by_chat else MessagesEvents()
        if asked.conversation.stream and status < 300:
            frames = FrameReader().feed(reply)
            events = [
                event for frame in frames if frame.data for event in reader.event(frame.event, frame.data)
            ]
            events += reader.close()
            writer = ResponsesWriter(created_s=CREATED_S, response_id=ident, request=echo_of(body))
            kind, out = "text/event-stream", b"".join(writer.event(event) for event in events)
        else:
            events = reader.plain(reply)
            kind, out = "application/json", b""
        for event in events:
            fold.event(event)
        whole = fold.reply()
        state.turns[ident] = (*asked.turns, Message(role="assistant", parts=whole.parts))
        self._send(
            status,
            kind,
            out or plain_response(whole, created_s=CREATED_S, response_id=ident, request=echo_of(body)),
        )

    def _reply(self, status: int, reply: bytes, asked: Asked, *, to_messages: bool) -> None:
        reader = MessagesEvents() if to_messages else ChatEvents(UsageRules())
        fold = Fold()
        if not asked.conversation.stream or status >= 300:
            for event in reader.plain(reply):
                fold.event(event)
            self.state.kept |= fold.kept()
            whole = fold.reply()
            body = plain_chat(whole, created_s=CREATED_S) if to_messages else plain_message(whole)
            self._send(status, "application/json", body)
            return
        writer: ChatWriter | MessagesWriter = MessagesWriter()
        if to_messages:
            writer = ChatWriter(created_s=CREATED_S, asks_usage=asked.conversation.asks_usage)
        out, frames = bytearray(), FrameReader()
        for at in range(0, len(reply), CHUNK):
            for frame in frames.feed(reply[at : at + CHUNK]):
                for event in reader.event(frame.event, frame.data) if frame.data else ():
                    fold.event(event)
                    out += writer.event(event)
        for event in reader.close():
            out += writer.event(event)
        self.state.kept |= fold.kept()
        self._send(200, "text/event-stream", bytes(out))

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def translating(upstream: str, **options: Any) -> Iterator[Translating]:
    """Serve until the `with` ends."""
    state = Translating(upstream=upstream, **options)
    handler = type("Handler", (Handler,), {"state": state})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        state.base_url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join(10)
