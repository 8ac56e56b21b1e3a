"""What every way of delivering shares: how it ended, how long it may take, and what may be said of it."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

TIMEOUT_S = 10.0
"""For each step: connecting, writing, reading."""
TOTAL_S = 30.0
"""For all of it together: who sends a byte now and then holds no thread."""
CUT_AGAIN_S = 0.5
MOST_SAID = 200
LEAST_SECRET = 8
"""Shorter pieces of an address are words, not secrets."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try ended. `said` is what came back, without secrets; `retry_after_s` what it asked for.

    `partly`: it is taken, but not for everybody, and another try would not help those.
    """

    ok: bool
    said: str
    retry_after_s: int = 0
    partly: bool = False


@contextlib.contextmanager
def cut_after(sock: Callable[[], socket.socket | None], total_s: float = TOTAL_S) -> Iterator[None]:
    """Cut the connection when the block takes longer; what waits on it then fails.

    It is cut again until the block ends: the connection may come late, and be wrapped in TLS meanwhile.
    """
    over = threading.Event()

    def cut() -> None:
        wait_s = total_s
        while not over.wait(wait_s):
            held, wait_s = sock(), CUT_AGAIN_S
            if held is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(held, socket.SHUT_RDWR)  # of the connection, not of its TLS

    threading.Thread(target=cut, name="cut", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def reason_of(error: Exception) -> str:
    """Why it did not come to an answer; never an address, which may be a secret."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or type(error).__name__}"
        case socket.gaierror():
            return "its host name is not found"
        case TimeoutError():
            return "no answer in time"
        case OSError() if error.strerror:
            return error.strerror
        case _:
            return type(error).__name__


def secret_parts(address: str) -> list[str]:
    """An address, and each piece of it that may be a secret by itself."""
    pieces = re.split(r"[/?&=#:]+", address)
    return [address, *(piece for piece in pieces if len(piece) >= LEAST_SECRET)]


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """A text of somebody else as one short line, without what must not be shown."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return "".join(char if char.isprintable() else " " for char in text)[:MOST_SAID].strip()
