"""The scripted provider as an ASGI application."""

import time
from itertools import count
from typing import Any

import msgspec

from tidegate.upstream.answer import Answer, Ask, AskError, answer
from tidegate.upstream.asgi_types import Receive, Scope, Send
from tidegate.upstream.chat import CHAT, COMPLETIONS
from tidegate.upstream.client import Client
from tidegate.upstream.dialect import Surface, openai_error
from tidegate.upstream.embeddings import EMBEDDINGS
from tidegate.upstream.faults import steps
from tidegate.upstream.messages import COUNT_TOKENS, MESSAGES
from tidegate.upstream.prompt_cache import PromptCache
from tidegate.upstream.responses import RESPONSES
from tidegate.upstream.script import Script, ScriptError, find
from tidegate.upstream.sending import Exchange, send_json
from tidegate.upstream.settings import Settings
from tidegate.upstream.stats import Stats

MAX_BODY_BYTES = 64 * 1024 * 1024
CREATED_S = 1767225600
SURFACES = {
    "/chat/completions": CHAT,
    "/completions": COMPLETIONS,
    "/embeddings": EMBEDDINGS,
    "/responses": RESPONSES,
    "/messages/count_tokens": COUNT_TOKENS,
    "/messages": MESSAGES,
}


class Upstream:
    """Answers the routes of three dialects under `/v1` or any other prefix, such as Azure's."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stats = Stats(settings.keep_requests)
        self._cache = PromptCache()
        self._ids = count(1)
        self._surfaces: dict[str, Surface] = {f"/v1{path}": surface for path, surface in SURFACES.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a lifespan or a websocket is none."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        surface = self._surfaces.get(path) or _by_suffix(path)
        if surface is None or scope["method"] != "POST":
            await self._other(path, scope, send)
            return
        body = await _body(receive)
        if body is None:
            await send_json(send, 413, surface.error(413, "the body is over 64 MB or was cut", {}))
            return
        client = Client(receive)
        with self.stats.exchange(path, scope["headers"], body, client) as record:
            record.whole = await self._serve(surface, scope, body, client, send)

    async def _serve(self, surface: Surface, scope: Scope, body: bytes, client: Client, send: Send) -> bool:
        """Answer one call; return whether the reply is whole."""
        try:
            ask = surface.read(body)
            header = next((value for name, value in scope["headers"] if name == b"x-script"), b"")
            model, script = find(header.decode("latin-1"), ask.model, ask.text)
        except (AskError, ScriptError) as error:
            await send_json(send, 400, surface.error(400, str(error), {}))
            return True
        exchange = Exchange(scope, client, send, script)
        early = await exchange.begin(self.settings.latency_ms)
        if early is not None:
            return early
        if script.body is not None:
            return await exchange.plain(script.body.encode())
        if script.status >= 400:
            text = f"scripted status {script.status}"
            return await exchange.plain(surface.error(script.status, text, script.error))
        said = self._answer(surface, ask, model, script)
        if not ask.stream or surface.stream is None:
            return await exchange.plain(surface.plain(ask, said, script))
        trouble = surface.error_event("scripted error", script.error)
        out = steps(surface.stream(ask, said, script), script, trouble)
        self.stats.open_streams += 1
        try:
            return await exchange.stream(out, self.settings.tokens_per_second)
        finally:
            self.stats.open_streams -= 1

    def _answer(self, surface: Surface, ask: Ask, model: str, script: Script) -> Answer:
        said = answer(
            ask,
            script,
            id_=f"{surface.id_prefix}{next(self._ids):012x}",
            model=model,
            created_s=int(time.time()),
            output_tokens=self.settings.output_tokens,
        )
        read, written = self._cache.look(model, ask.prompt)
        said.cache_read = min(read, said.input)
        said.cache_write = min(written, said.input - said.cache_read)
        return said

    async def _other(self, path: str, scope: Scope, send: Send) -> None:
        """Answer what is no call: models, statistics, health, and unknown paths."""
        if scope["method"] not in ("GET", "HEAD"):
            await send_json(send, 404, openai_error(404, f"no route {scope['method']} {path}", {}))
        elif path == "/__stats":
            await send_json(send, 200, self.stats.counts())
        elif path == "/__requests":
            await send_json(send, 200, self.stats.kept())
        elif path == "/health":
            await send_json(send, 200, b'{"status":"ok"}')
        elif path.endswith("/models"):
            anthropic = any(name == b"anthropic-version" for name, _ in scope["headers"])
            await send_json(send, 200, _models(self.settings.models, anthropic=anthropic))
        else:
            await send_json(send, 404, openai_error(404, f"no route GET {path}", {}))


def _models(names: tuple[str, ...], *, anthropic: bool) -> bytes:
    rows: list[dict[str, Any]]
    if anthropic:
        rows = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
            for name in names
        ]
        page = {"data": rows, "has_more": False, "first_id": names[0], "last_id": names[-1]}
        return msgspec.json.encode(page)
    rows = [{"id": name, "object": "model", "created": CREATED_S, "owned_by": "tidegate"} for name in names]
    return msgspec.json.encode({"object": "list", "data": rows})


def _by_suffix(path: str) -> Surface | None:
    return next((surface for suffix, surface in SURFACES.items() if path.endswith(suffix)), None)


async def _body(receive: Receive) -> bytes | None:
    """Return the request's body, or None when it is over the limit or the client left inside it."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body if message["type"] == "http.request" else None
    pieces, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY_BYTES or message["type"] != "http.request":
            return None
    return b"".join(pieces)
