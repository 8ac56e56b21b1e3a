"""A provider of any path: it answers from a table and keeps what it was sent, to the byte."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Got:
    """One request as it arrived; names of headers in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    """One reply, in chunks of `pieces` bytes where that is set, `pause_s` apart.

    `cut`: the connection is closed after the body, which is so many bytes short of its length.
    """

    body: bytes = b"{}"
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: int = 0
    pause_s: float = 0
    cut: int = 0


@dataclass
class Echo:
    """A running provider. `answer` says what a request gets. `base_url` ends without a path."""

    base_url: str = ""
    answer: Callable[[Got], Said] = lambda _: Said()
    got: list[Got] = field(default_factory=list)


def _handler(echo: Echo) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Got(self.command, self.path, headers, body)
            echo.got.append(got)
            said = echo.answer(got)
            self.send_response(said.status)
            self.send_header("content-type", said.content_type)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.pieces:
                self.send_header("transfer-encoding", "chunked")
            else:
                self.send_header("content-length", str(len(said.body) + said.cut))
            self.end_headers()
            if self.command != "HEAD":
                self._body(said)

        def _body(self, said: Said) -> None:
            if not said.pieces:
                self.wfile.write(said.body)
                self.close_connection = self.close_connection or said.cut > 0
                return
            for at in range(0, len(said.body), said.pieces):
                piece = said.body[at : at + said.pieces]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                time.sleep(said.pause_s)
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def echo_provider() -> Iterator[Echo]:
    """Serve until the `with` ends."""
    echo = Echo()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(echo))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    echo.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield echo
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
