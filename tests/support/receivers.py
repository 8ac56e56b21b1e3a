"""A real web server and a real mail server on loopback, each in a thread, that keep what arrives."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import default
from typing import Any

READY_S = 10.0
RAW_KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(RAW_KEY).decode()
"""What a test's webhook is signed with."""

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@dataclass
class Posted:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return json.loads(self.body)

    def is_signed(self, key: bytes = RAW_KEY) -> bool:
        """Whether the signature is what the specification says, computed by itself."""
        head = self.headers["webhook-id"] + "." + self.headers["webhook-timestamp"] + "."
        wanted = hmac.new(key, head.encode() + self.body, hashlib.sha256).digest()
        return self.headers["webhook-signature"] == "v1," + base64.b64encode(wanted).decode()


@dataclass
class Receiver:
    """What a server got. `answers` are the next ones' status, headers and text; then it is 204 for each.

    An `answer` of 0 is none: the connection is held until the server stops.
    """

    port: int = 0
    posted: list[Posted] = field(default_factory=list)
    answers: list[tuple[int, str, str]] = field(default_factory=list)
    always: int = 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def kinds(self) -> list[tuple[str, str]]:
        """The type and the event of what arrived, in order."""
        return [(one.told["type"], one.told["data"]["event"]) for one in self.posted]

    def wait_for(self, count: int, within_s: float = 20.0) -> list[Posted]:
        """What arrived, once it is so many."""
        until_s = time.monotonic() + within_s
        while len(self.posted) < count:
            assert time.monotonic() < until_s, f"only {self.kinds()} arrived"
            time.sleep(0.02)
        return self.posted

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.posted.append(Posted(first.split(" ")[1], headers, body))
        status, more, text = self.answers.pop(0) if self.answers else (self.always, "", "")
        if not status:
            await reader.read()
            return
        more += f"content-length: {len(text)}\r\nconnection: close\r\n"
        writer.write(f"HTTP/1.1 {status} x\r\n{more}\r\n{text}".encode())


@dataclass
class MailServer:
    """What a mail server got. `refused` recipients are turned away, `knows` is user and password.

    One that `echoes` says a wrong password as it came, else in plain text.
    """

    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    knows: tuple[str, str] = ("me", "hush-hush-0123")
    context: ssl.SSLContext | None = None
    offers_tls: bool = True
    greeting: str = "220 here"
    farewell: str = "221 bye"
    echoes: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self, reader, writer)
        await session.run()


class _Session:
    """As much of RFC 5321, 3207 and 4954 as a client needs."""

    def __init__(
        self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._is_safe = writer.get_extra_info("sslcontext") is not None
        self._to: list[str] = []

    async def run(self) -> None:
        await self._say(self._server.greeting)
        while line := (await self._reader.readline()).decode().strip():
            word, _, rest = line.partition(" ")
            self._server.log.append(f"{word.upper()}{' over TLS' if self._is_safe else ''}")
            if not await self._on(word.upper(), rest):
                return

    async def _on(self, word: str, rest: str) -> bool:
        match word:
            case "EHLO":
                offers = ["250-here", "250-AUTH PLAIN"]
                if self._server.context is not None and self._server.offers_tls and not self._is_safe:
                    offers.append("250-STARTTLS")
                await self._say("\r\n".join([*offers, "250 SIZE 100000"]))
            case "STARTTLS":
                assert self._server.context is not None
                await self._say("220 go on")
                await self._writer.start_tls(self._server.context)
                self._is_safe = True
            case "AUTH":
                user, password = base64.b64decode(rest.split(" ")[1]).decode().split("\0")[1:]
                good = (user, password) == self._server.knows
                told = rest.split(" ")[1] if self._server.echoes else password
                await self._say("235 yes" if good else f"535 not {told}")
            case "RCPT":
                address = rest.partition(":")[2].strip("<>")
                if address in self._server.refused:
                    await self._say("550 unknown")
                else:
                    self._to.append(address)
                    await self._say("250 ok")
            case "DATA":
                await self._say("354 go on")
                raw = await self._reader.readuntil(b"\r\n.\r\n")
                self._server.mails.append(message_from_bytes(raw[:-3], policy=default))
                self._server.to.append(self._to)
                await self._say("250 taken")
            case "QUIT":
                await self._say(self._server.farewell)
                return False
            case _:
                await self._say("250 ok")
        return True

    async def _say(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")
        await self._writer.drain()


@contextmanager
def receiver(port: int = 0, tls: ssl.SSLContext | None = None, **facts: Any) -> Iterator[Receiver]:
    """A web server that keeps what is posted; with `tls` it speaks nothing else."""
    made = Receiver(**facts)
    with _serving(made.serve, port, tls) as made.port:
        yield made


@contextmanager
def mail_server(
    *, tls: ssl.SSLContext | None = None, at_once: bool = False, **facts: Any
) -> Iterator[MailServer]:
    """A mail server; with `tls` it offers STARTTLS, or speaks TLS `at_once`."""
    made = MailServer(context=None if at_once else tls, **facts)
    with _serving(made.serve, 0, tls if at_once else None) as made.port:
        yield made


@contextmanager
def _serving(client: Client, port: int, context: ssl.SSLContext | None = None) -> Iterator[int]:
    ready, found = threading.Event(), [0]
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await client(reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.close()

    async def main() -> None:
        server = await asyncio.start_server(guarded, "127.0.0.1", port, ssl=context)
        found[0] = server.sockets[0].getsockname()[1]
        ready.set()
        await stopping.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.05)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(READY_S)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(READY_S)
