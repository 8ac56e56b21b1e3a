"""A client of bare sockets: what really came over the wire, and how it ended."""

import json
import re
import socket
import zlib
from dataclasses import dataclass
from typing import Any, Literal

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "input": "Hi", "max_tokens": 100}


@dataclass(frozen=True)
class Heard:
    """All that came. `end`: closed, reset, or still open when patience was over."""

    raw: bytes
    end: Literal["eof", "reset", "open"]

    @property
    def informed(self) -> int:
        """How many informational heads came first."""
        return self.raw.count(b"HTTP/1.1 102 ")

    @property
    def head(self) -> bytes:
        return self._parts[0]

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = [line.split(b": ", 1) for line in self.head.split(b"\r\n")[1:]]
        return {name.decode(): value.decode("latin-1") for name, value in lines}

    @property
    def ended(self) -> bool:
        """Whether the reply is whole by the rules of HTTP."""
        length = re.search(rb"\ncontent-length: (\d+)", self.head)
        if length:
            return len(self._parts[1]) == int(length[1])
        return self._parts[1].endswith(b"0\r\n\r\n")

    @property
    def body(self) -> bytes:
        """The body without its chunks' frames, as far as it came."""
        raw = self._parts[1]
        if b"\ntransfer-encoding: chunked" not in self.head:
            return raw
        out = b""
        while raw:
            size, _, raw = raw.partition(b"\r\n")
            out += raw[: int(size or b"0", 16)]
            raw = raw[int(size or b"0", 16) + 2 :]
        return out

    @property
    def events(self) -> list[str]:
        """The events, the last perhaps a part of one."""
        return [event for event in self.body.decode(errors="replace").split("\n\n") if event]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def inflated(self) -> bytes:
        return zlib.decompress(self.body, wbits=31)

    @property
    def _parts(self) -> tuple[bytes, bytes]:
        raw = re.sub(rb"HTTP/1\.1 102 Processing\r\n\r\n", b"", self.raw)
        head, _, body = raw.partition(b"\r\n\r\n")
        return head, body


def ask(
    base_url: str,
    script: dict[str, Any] | None = None,
    *,
    path: str = CHAT,
    stream: bool = False,
    patience_s: float = 5.0,
    limit: int = 1 << 25,
    **fields: Any,
) -> Heard:
    """Send one call on a connection of its own and hear it to its end, or as long as patience lasts."""
    body = json.dumps({"model": "m", "stream": stream, **HELLO, **fields}).encode()
    lines = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n"
    if script is not None:
        lines += f"x-script: {json.dumps(script)}\r\n"
    with connect(base_url, patience_s) as sock:
        sock.sendall(lines.encode() + b"\r\n" + body)
        return hear(sock, limit)


def connect(base_url: str, patience_s: float = 5.0) -> socket.socket:
    host, _, port = base_url.rpartition("/")[2].partition(":")
    return socket.create_connection((host, int(port)), timeout=patience_s)


def hear(sock: socket.socket, limit: int = 1 << 25) -> Heard:
    got = bytearray()
    try:
        while len(got) < limit:
            piece = sock.recv(1 << 16)
            if not piece:
                return Heard(bytes(got), "eof")
            got += piece
    except TimeoutError:
        pass
    except ConnectionError:
        return Heard(bytes(got), "reset")
    return Heard(bytes(got), "open")


def control(base_url: str, method: str, path: str, value: Any = None) -> tuple[int, Any]:
    """Ask a route that is no call."""
    body = b"" if value is None else json.dumps(value).encode()
    lines = f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    with connect(base_url) as sock:
        sock.sendall(lines.encode() + body)
        heard = hear(sock)
    return heard.status, heard.json


def stats(base_url: str) -> Any:
    return control(base_url, "GET", "/__stats")[1]
