"""The application: a path to a surface or a page, a key to its owner, and the exchange for the rest."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.exchange.call import Call, Headers
from tidegate.exchange.exchange import Exchange
from tidegate.exchange.refuse import send_refusal
from tidegate.gateway import models, paths
from tidegate.gateway.auth import Authenticator, credentials, query_credentials
from tidegate.gateway.cycle import Cycle, Receive, Send, client_of
from tidegate.model.errors import MethodNotAllowed, ModelNotFound, NotFound, TidegateError, Unavailable
from tidegate.model.identity import Key
from tidegate.model.ids import uuid7
from tidegate.model.record import Who
from tidegate.model.request import Passed, Surface
from tidegate.services.ledger import Ledger
from tidegate.services.pseudonyms import who_of
from tidegate.services.state import Current, State
from tidegate.wire.refusal import refusal_headers
from tidegate.wire.registry import CODECS, error_codec

Scope = Mapping[str, Any]

_KEY_IN_QUERY = ("/v1beta/", paths.PASSING)
"""Paths whose clients may send their key as `?key=`, as Gemini's do."""
_LOGIN_STATUSES = (400, 401, 403, 429)
_JSON = (b"content-type", b"application/json")


class Application:
    """The data plane's ASGI application. It has no route but those of `paths`."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        current: Current,
        ledger: Ledger,
        authenticator: Authenticator,
    ) -> None:
        self._exchange = exchange
        self._current = current
        self._ledger = ledger
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Answer one request. The key is known first; only then is a body read."""
        if scope["type"] != "http":
            return
        client = client_of(scope)
        path: str = scope["path"]
        surface = paths.SURFACES.get(path)
        key: Key | None = None
        try:
            passed: Passed | None = None
            if surface is None:
                if not path.startswith(paths.PASSING):
                    await self._page(scope, path, client)
                    return
                surface = "pass"
            clock = self._ledger.clock
            started_s, at_us = clock.mono_s(), clock.wall_us()
            if surface == "pass":
                passed = paths.passed_of(scope["method"], path, scope["headers"])
            elif scope["method"] != "POST":
                raise MethodNotAllowed(f"{path} takes POST, not {scope['method']}.")
            key = self._key(scope, at_us)
            body = await client.body()
        except TidegateError as error:
            who = None if key is None else who_of(key)
            await self._refuse(error, path, surface, scope["headers"], client, who)
            return
        call = Call(
            id=uuid7(at_us, clock.random_bits(62)),
            surface=surface,
            key=key,
            headers=scope["headers"],
            query=scope["query_string"],
            body=body,
            at_us=at_us,
            started_s=started_s,
            passed=passed,
        )
        await self._exchange.run(call, client)

    async def _page(self, scope: Scope, path: str, client: Cycle) -> None:
        """Answer what calls no provider: probes and model lists."""
        found = paths.page_of(path)
        if found is None:
            raise NotFound(f"There is no {path[:200]} here. {paths.suggestion(path)}")
        page, model = found
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{path[:200]} takes GET, not {scope['method']}.")
        if page in ("models", "model"):
            body = self._models(scope, model)
        elif page == "ready":
            if self._current.state is None:
                raise Unavailable("Tidegate has no configuration yet.", retry_after_s=1)
            body = msgspec.json.encode({"status": "ready", "snapshot": self._current.state.version})
        else:
            body = b'{"status":"ok"}'
        await client.reply(200, [_JSON], body)

    def _models(self, scope: Scope, model: str) -> bytes:
        key = self._key(scope, self._ledger.clock.wall_us())
        names = self._state().deployments.models_for(key.models)
        dialect = models.list_dialect(scope["headers"])
        if not model:
            return models.models_body(dialect, names)
        if model not in names:
            raise ModelNotFound(f"There is no model {model[:200]!r} for this key.", param="model")
        return models.model_body(dialect, model)

    def _state(self) -> State:
        if self._current.state is None:
            raise Unavailable("Tidegate has no configuration yet; try again.", retry_after_s=1)
        return self._current.state

    def _key(self, scope: Scope, now_us: int) -> Key:
        keyring = self._state().keyring
        found = credentials(scope["headers"])
        if scope["query_string"] and scope["path"].startswith(_KEY_IN_QUERY):
            found += query_credentials(scope["query_string"])
        address = scope["client"][0] if scope["client"] else ""
        return self._authenticator.key_of(keyring, found, address, now_us)

    async def _refuse(
        self,
        error: TidegateError,
        path: str,
        surface: Surface | None,
        headers: Headers,
        client: Cycle,
        who: Who | None,
    ) -> None:
        """Refuse what never came to the exchange; a probe of a page leaves no record."""
        ident = self._new_id()
        if surface is not None or error.status in _LOGIN_STATUSES:
            self._ledger.refuse(error, request_id=ident, surface=surface, who=who)
        codec = (
            CODECS[surface] if surface and surface != "pass" else error_codec(paths.dialect_of(path, headers))
        )
        await send_refusal(client, codec, error, ident)

    def render(self, error: TidegateError, path: str, headers: Headers) -> tuple[int, Headers, bytes]:
        """Word a refusal that the server makes before the application runs, and record it."""
        ident = self._new_id()
        self._ledger.refuse(error, request_id=ident, surface=paths.SURFACES.get(path))
        body = error_codec(paths.dialect_of(path, headers)).error_body(error, ident)
        return error.status, refusal_headers(error, ident), body

    def _new_id(self) -> str:
        clock = self._ledger.clock
        return uuid7(clock.wall_us(), clock.random_bits(62))
