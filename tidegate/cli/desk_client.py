"""The control desk from the command line: the running process, or its place taken for a moment."""

import getpass
import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from tidegate.config.settings import Settings
from tidegate.control.admin import NameRequest, RevokeRequest, RotateRequest
from tidegate.control.budget_book import BudgetList
from tidegate.control.exchange_rates import RatesRequest, RatesTaken
from tidegate.control.raising import Raised, RaiseRequest
from tidegate.control.registry import KeyRequest, NewKey
from tidegate.model.errors import NotFound, TidegateError, Unavailable
from tidegate.model.identity import Key
from tidegate.stores.layout import Layout

if TYPE_CHECKING:
    from tidegate.control.process import Desk

TIMEOUT_S = 10.0
IMPORT_TIMEOUT_S = 120.0
"""Every currency since 1999 takes seconds."""
T = TypeVar("T")


class DeskClient(Protocol):
    """What the command line asks for."""

    def keys(self) -> tuple[Key, ...]:
        """Every key."""
        ...

    def create_key(self, asked: KeyRequest) -> NewKey:
        """Make a key."""
        ...

    def revoke_key(self, key_id: str, reason: str) -> Key:
        """End a key now."""
        ...

    def rotate_key(self, key_id: str, overlap_s: int) -> NewKey:
        """Replace a key."""
        ...

    def name_feature(self, asked: NameRequest) -> None:
        """Name a feature."""
        ...

    def import_rates(self, asked: RatesRequest) -> RatesTaken:
        """Keep exchange rates."""
        ...

    def budgets(self, only: str) -> BudgetList:
        """How budgets stand; empty is all of them."""
        ...

    def raise_budget(self, asked: RaiseRequest) -> Raised:
        """Give a budget more, or less."""
        ...


class _Direct:
    """Works on the state directory itself, while no control process runs."""

    def __init__(self, desk: "Desk", by: str) -> None:
        self._desk, self._registry = desk, desk.registry
        self._by = by

    def keys(self) -> tuple[Key, ...]:
        return self._registry.keys

    def create_key(self, asked: KeyRequest) -> NewKey:
        return self._registry.create_key(asked, by=self._by)

    def revoke_key(self, key_id: str, reason: str) -> Key:
        return self._registry.revoke_key(key_id, by=self._by, reason=reason)

    def rotate_key(self, key_id: str, overlap_s: int) -> NewKey:
        return self._registry.rotate_key(key_id, by=self._by, overlap_us=overlap_s * 1_000_000)

    def name_feature(self, asked: NameRequest) -> None:
        self._registry.name_feature(
            asked.tenant, asked.feature, asked.name, by=self._by, from_us=asked.from_us
        )

    def import_rates(self, asked: RatesRequest) -> RatesTaken:
        return self._registry.import_rates(asked, by=self._by)

    def budgets(self, only: str) -> BudgetList:
        self._desk.catch_up()
        return self._desk.budgets(*self._desk.in_force(), only)

    def raise_budget(self, asked: RaiseRequest) -> Raised:
        return self._registry.raise_budget(asked, by=self._by)


class _Remote:
    """Asks the running control process over its Unix socket."""

    def __init__(self, path: Path, by: str) -> None:
        self._path = path
        self._by = by

    def keys(self) -> tuple[Key, ...]:
        return self._ask("GET", "/keys", None, tuple[Key, ...])

    def create_key(self, asked: KeyRequest) -> NewKey:
        return self._ask("POST", "/keys", asked, NewKey)

    def revoke_key(self, key_id: str, reason: str) -> Key:
        return self._ask("POST", f"/keys/{_segment(key_id)}/revoke", RevokeRequest(reason), Key)

    def rotate_key(self, key_id: str, overlap_s: int) -> NewKey:
        return self._ask("POST", f"/keys/{_segment(key_id)}/rotate", RotateRequest(overlap_s), NewKey)

    def name_feature(self, asked: NameRequest) -> None:
        self._ask("POST", "/features/name", asked, dict[str, str])

    def import_rates(self, asked: RatesRequest) -> RatesTaken:
        return _ask(
            self._path, "POST", "/fx/import", asked, RatesTaken, by=self._by, timeout_s=IMPORT_TIMEOUT_S
        )

    def budgets(self, only: str) -> BudgetList:
        return self._ask("GET", f"/budgets?budget={quote(only, safe='')}", None, BudgetList)

    def raise_budget(self, asked: RaiseRequest) -> Raised:
        return self._ask("POST", "/budgets/raise", asked, Raised)

    def _ask(self, method: str, path: str, body: object, kind: type[T]) -> T:
        return _ask(self._path, method, path, body, kind, by=self._by)


def ask_control(
    layout: Layout, method: str, path: str, body: object, kind: type[T], *, timeout_s: float = TIMEOUT_S
) -> T:
    """Ask the running control process. Raises Unavailable where none answers, and what it refuses."""
    return _ask(layout.socket, method, path, body, kind, by=_me(), timeout_s=timeout_s)


def is_running(layout: Layout) -> bool:
    """Whether a control process answers there."""
    return _answers(layout.socket)


def _me() -> str:
    return f"cli:{getpass.getuser()}"


def _ask(
    socket_path: Path,
    method: str,
    path: str,
    body: object,
    kind: type[T],
    *,
    by: str,
    timeout_s: float = TIMEOUT_S,
) -> T:
    connection = _UnixConnection(socket_path, timeout_s)
    try:
        headers = {"content-type": "application/json", "tidegate-by": by}
        payload = None if body is None else msgspec.json.encode(body)
        connection.request(method, path, body=payload, headers=headers)
        reply = connection.getresponse()
        raw = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"The control process does not answer: {error}.") from None
    finally:
        connection.close()
    if reply.status >= 400:
        raise _refusal(reply.status, raw)
    return msgspec.json.decode(raw, type=kind)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path, self._timeout_s = path, timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(str(self._path))


class _Refusal(msgspec.Struct):
    class Error(msgspec.Struct):
        message: str
        code: str = ""
        param: str | None = None

    error: Error


def _refusal(status: int, raw: bytes) -> TidegateError:
    try:
        said = msgspec.json.decode(raw, type=_Refusal).error
    except msgspec.DecodeError:
        return Unavailable(f"The control process answered {status}.")
    return TidegateError(said.message, param=said.param)


def _segment(key_id: str) -> str:
    """A key id as one path segment; anything else than letters and digits is no id."""
    if not key_id.isalnum() or not key_id.isascii():
        raise NotFound(f"{key_id[:32]!r} is no key id; `tidegate keys list` shows them.", param="key")
    return key_id


@contextmanager
def open_desk(settings: Settings) -> Iterator[DeskClient]:
    """The running control process if there is one, else its place on the state directory."""
    by = _me()
    layout = Layout(Path(settings.server.state_dir))
    if _answers(layout.socket):
        yield _Remote(layout.socket, by)
        return
    from tidegate.control.process import desk  # noqa: PLC0415 - a database, only where it is needed
    from tidegate.providers.catalog import load  # noqa: PLC0415

    with desk(settings, load()) as taken:
        yield _Direct(taken, by)
        taken.catch_up()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True
