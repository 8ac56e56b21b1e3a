"""A TCP server whose every byte a test decides: one thread per connection, run by a callback."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

PATIENCE_S = 10.0
"""How long a socket waits before the test fails; never reached when all is well."""


class Peer:
    """The server's end of one connection. `number` counts connections from 0."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self._tail = b""

    def request(self) -> tuple[bytes, bytes]:
        """Read one request; return its head (without the blank line) and its body. EOFError at the end."""
        while b"\r\n\r\n" not in self._tail:
            self._more()
        head, _, self._tail = self._tail.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(self._tail) < length:
            self._more()
        body, self._tail = self._tail[:length], self._tail[length:]
        return head, body

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.sock.sendall(piece)

    def answer(self, body: bytes, *, status: str = "200 OK", head: bytes = b"") -> None:
        line = b"HTTP/1.1 " + status.encode() + b"\r\n"
        self.send(line + head + b"content-length: %d\r\n\r\n" % len(body) + body)

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n" % len(data) + data + b"\r\n")

    def drain(self) -> int:
        """Read until the other side has closed or reset the connection; return how many bytes came."""
        count = len(self._tail)
        with contextlib.suppress(ConnectionError):
            while data := self.sock.recv(65536):
                count += len(data)
        return count

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self._tail += data


class RawServer:
    """Serves on a loopback port until the `with` ends; then raises what a connection's callback raised."""

    def __init__(self, serve: Callable[[Peer], None], *, tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(PATIENCE_S)
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a connection of the raw server never ended"
        if error is None and self._errors:
            raise self._errors[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE_S)
            thread = threading.Thread(target=self._run, args=(sock, self.connections), daemon=True)
            self.connections += 1
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                try:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                except (ssl.SSLError, ConnectionError):
                    return
            self._serve(Peer(sock, number))
        except EOFError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in __exit__
            self._errors.append(error)
        finally:
            sock.close()


def echo(peer: Peer) -> None:
    """Answer every request of a connection with its own body, until the client closes or resets it."""
    with contextlib.suppress(ConnectionResetError):
        while True:
            _, body = peer.request()
            peer.answer(body)
