"""What is asked of the scripted provider besides calls: its scripts, its counts, its models."""

from typing import Any

import msgspec

from tidegate.upstream.asgi_types import Receive, Scope, Send
from tidegate.upstream.dialect import openai_error
from tidegate.upstream.prompt_cache import PromptCache
from tidegate.upstream.scenario import Scenario
from tidegate.upstream.script import ScriptError
from tidegate.upstream.sending import send_json
from tidegate.upstream.settings import Settings
from tidegate.upstream.stats import Stats

MAX_SCRIPTS_BYTES = 8 << 20
CREATED_S = 1767225600


class Control:
    """Answers every request that is no call."""

    def __init__(self, settings: Settings, stats: Stats, scenario: Scenario, cache: PromptCache) -> None:
        self._settings = settings
        self._stats = stats
        self._scenario = scenario
        self._cache = cache

    async def respond(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; of an unknown path that there is none."""
        method = scope["method"]
        if path == "/__scripts" and method in ("GET", "PUT", "POST", "DELETE"):
            await send_json(send, *await self._scripts(method, receive))
        elif path == "/__reset" and method == "POST":
            self._scenario.clear()
            self._stats.reset()
            self._cache.clear()
            await send_json(send, 200, self._scenario.shown())
        elif method in ("GET", "HEAD") and (shown := self._shown(path, scope)) is not None:
            await send_json(send, 200, shown)
        else:
            self._stats.unknown()
            await send_json(send, 404, openai_error(404, f"no route {method} {path[:200]}", {}))

    def _shown(self, path: str, scope: Scope) -> bytes | None:
        match path:
            case "/__stats":
                return self._stats.counts()
            case "/__requests":
                return self._stats.kept()
            case "/health":
                return b'{"status":"ok"}'
            case _ if path.endswith("/models"):
                anthropic = any(name == b"anthropic-version" for name, _ in scope["headers"])
                return _models(self._settings.models, anthropic=anthropic)
            case _:
                return None

    async def _scripts(self, method: str, receive: Receive) -> tuple[int, bytes]:
        """Show what waits, add to it, replace it or forget it."""
        if method == "DELETE":
            self._scenario.clear()
        elif method != "GET":
            body = await read_body(receive, MAX_SCRIPTS_BYTES)
            if body is None:
                return 413, openai_error(413, "the scripts are over 8 MB or were cut", {})
            try:
                if method == "PUT":
                    self._scenario.replace(body)
                else:
                    self._scenario.add(body)
            except ScriptError as error:
                return 400, openai_error(400, str(error), {})
        return 200, self._scenario.shown()


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


async def read_body(receive: Receive, limit: int) -> bytes | None:
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
        if size > limit or message["type"] != "http.request":
            return None
    return b"".join(pieces)
