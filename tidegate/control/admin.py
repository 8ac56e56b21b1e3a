"""The admin API of the Unix socket: what the command line asks of a running control process.

The socket lies in the state directory, which only its owner may enter; whoever can open it may do all of
this, as whoever can read the state directory could without it.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate import __version__
from tidegate.control.budget_book import BudgetList
from tidegate.control.exchange_rates import RatesRequest
from tidegate.control.raising import RaiseRequest
from tidegate.control.registry import KeyRequest, Registry
from tidegate.control.reload import Reloader, Status
from tidegate.model.errors import BadRequest, NotFound, TidegateError

MAX_BODY_BYTES = 65_536
MAX_RATES_BYTES = 32 << 20
"""Every currency of every day since 1999 was 7 MB in 2026."""
"""An import of the whole history of a few dozen currencies."""
T = TypeVar("T")


class RevokeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a key ends."""

    reason: str = ""


class RotateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old key still works, in seconds."""

    overlap_s: int = 0


class NameRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feature's name in reports, from a moment (microseconds, UTC) on; 0 is for all time."""

    feature: str
    name: str
    tenant: str = ""
    from_us: int = 0


class TryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which target of alerts gets a test message; empty is every one."""

    target: str = ""


class Tried(msgspec.Struct, frozen=True):
    """What came of a test message."""

    target: str
    ok: bool
    said: str


class OpenCalls(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls of one running gateway are not over."""

    boot: str
    calls: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers, and what configuration holds; `configuration` is null where it is not followed."""

    status: str = "ok"
    pid: int
    version: str
    keys: int
    configuration: Status | None = None


class Admin:
    """The endpoints. `caught_up` projects what was decided, so that a report right after shows it."""

    def __init__(
        self,
        registry: Registry,
        caught_up: Callable[[], Awaitable[None]],
        open_calls: Callable[[], Awaitable[tuple[OpenCalls, ...]]],
        budgets: Callable[[str], Awaitable[BudgetList]],
        reloader: Reloader | None = None,
        test_alerts: Callable[[str], tuple[Tried, ...]] | None = None,
    ) -> None:
        self._registry = registry
        self._caught_up = caught_up
        self._open_calls = open_calls
        self._budgets = budgets
        self._reloader = reloader
        self._test_alerts = test_alerts

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/keys", self._list_keys, methods=["GET"]),
                Route("/keys", self._create_key, methods=["POST"]),
                Route("/keys/{key_id}/revoke", self._revoke_key, methods=["POST"]),
                Route("/keys/{key_id}/rotate", self._rotate_key, methods=["POST"]),
                Route("/features/name", self._name_feature, methods=["POST"]),
                Route("/fx/import", self._import_rates, methods=["POST"]),
                Route("/budgets", self._list_budgets, methods=["GET"]),
                Route("/budgets/raise", self._raise_budget, methods=["POST"]),
                Route("/catch-up", self._catch_up, methods=["POST"]),
                Route("/gateways", self._gateways, methods=["GET"]),
                Route("/reload", self._reload, methods=["POST"]),
                Route("/alerts/test", self._try_alerts, methods=["POST"]),
            ],
            exception_handlers={TidegateError: _refused},
        )

    async def _health(self, _: Request) -> Response:
        return _json(
            Health(
                pid=os.getpid(),
                version=__version__,
                keys=len(self._registry.keys),
                configuration=self._reloader.status if self._reloader else None,
            )
        )

    async def _list_keys(self, _: Request) -> Response:
        return _json(self._registry.keys)

    async def _create_key(self, request: Request) -> Response:
        made = self._registry.create_key(await _body(request, KeyRequest), by=_by(request))
        await self._caught_up()
        return _json(made, 201)

    async def _revoke_key(self, request: Request) -> Response:
        asked = await _body(request, RevokeRequest)
        key = self._registry.revoke_key(request.path_params["key_id"], by=_by(request), reason=asked.reason)
        await self._caught_up()
        return _json(key)

    async def _rotate_key(self, request: Request) -> Response:
        asked = await _body(request, RotateRequest)
        key_id, overlap_us = request.path_params["key_id"], asked.overlap_s * 1_000_000
        made = self._registry.rotate_key(key_id, by=_by(request), overlap_us=overlap_us)
        await self._caught_up()
        return _json(made, 201)

    async def _name_feature(self, request: Request) -> Response:
        asked = await _body(request, NameRequest)
        self._registry.name_feature(
            asked.tenant, asked.feature, asked.name, by=_by(request), from_us=asked.from_us
        )
        await self._caught_up()
        return _json({"status": "ok"})

    async def _import_rates(self, request: Request) -> Response:
        asked = await _body(request, RatesRequest, MAX_RATES_BYTES)
        taken = self._registry.import_rates(asked, by=_by(request))
        await self._caught_up()
        return _json(taken)

    async def _list_budgets(self, request: Request) -> Response:
        return _json(await self._budgets(request.query_params.get("budget", "")))

    async def _raise_budget(self, request: Request) -> Response:
        raised = self._registry.raise_budget(await _body(request, RaiseRequest), by=_by(request))
        await self._caught_up()
        return _json(raised, 201)

    async def _catch_up(self, _: Request) -> Response:
        await self._caught_up()
        return _json({"status": "ok"})

    async def _gateways(self, _: Request) -> Response:
        return _json(await self._open_calls())

    async def _reload(self, _: Request) -> Response:
        if self._reloader is None:
            raise NotFound("This control process follows no configuration file.")
        return _json(self._reloader.reload())

    async def _try_alerts(self, request: Request) -> Response:
        asked = await _body(request, TryRequest)
        if self._test_alerts is None:
            raise NotFound("This control process sends no alerts.")
        return _json(await asyncio.to_thread(self._test_alerts, asked.target))


def health_app(is_well: Callable[[], bool]) -> Starlette:
    """The health checks of the control listener: no key, no data."""

    async def health(_: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(_: Request) -> Response:
        return _json({"status": "ready"}) if is_well() else _json({"status": "projection_stalled"}, 503)

    return Starlette(routes=[Route("/healthz", health), Route("/readyz", ready)])


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def _by(request: Request) -> str:
    return request.headers.get("tidegate-by", "unknown")[:128]


async def _body(request: Request, kind: type[T], most: int = MAX_BODY_BYTES) -> T:
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > most:
            raise BadRequest(f"The body passes {most} bytes.")
    try:
        return msgspec.json.decode(bytes(raw) or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise BadRequest(str(error)) from None


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, TidegateError)
    body = {"error": {"code": error.code, "message": error.message, "param": error.param}}
    return _json(body, error.status)
