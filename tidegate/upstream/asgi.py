"""The scripted provider as an ASGI application."""

import time
from itertools import count
from urllib.parse import parse_qs

from tidegate.upstream.answer import Answer, Ask, AskError, answer
from tidegate.upstream.asgi_types import Receive, Scope, Send
from tidegate.upstream.chat import CHAT, COMPLETIONS
from tidegate.upstream.client import Client
from tidegate.upstream.control import Control, read_body
from tidegate.upstream.dialect import Stream, Surface
from tidegate.upstream.embeddings import EMBEDDINGS
from tidegate.upstream.faults import gzip_bomb
from tidegate.upstream.messages import COUNT_TOKENS, MESSAGES
from tidegate.upstream.prompt_cache import AUTOMATIC, PromptCache, Rules
from tidegate.upstream.replies import Whole, head_lines, instead, trouble
from tidegate.upstream.responses import RESPONSES
from tidegate.upstream.scenario import Scenario
from tidegate.upstream.script import PLAIN, Script, ScriptError, find, parse
from tidegate.upstream.sending import Exchange, send_json
from tidegate.upstream.settings import Settings
from tidegate.upstream.stats import Record, Stats
from tidegate.upstream.usage import bill

MAX_BODY_BYTES = 64 * 1024 * 1024
SURFACES = {
    "/chat/completions": CHAT,
    "/completions": COMPLETIONS,
    "/embeddings": EMBEDDINGS,
    "/responses": RESPONSES,
    "/messages/count_tokens": COUNT_TOKENS,
    "/messages": MESSAGES,
}
MARKED = Rules(marked=True)


class Upstream:
    """Answers the routes of three dialects under `/v1` or any other prefix, such as Azure's.

    Raises ScriptError where the settings' scripts are none.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stats = Stats(settings.keep_requests)
        self.scenario = Scenario()
        if settings.scripts:
            self.scenario.add(settings.scripts)
        self._cache = PromptCache()
        self._control = Control(settings, self.stats, self.scenario, self._cache)
        self._ids = count(1)
        self._surfaces: dict[str, Surface] = {f"/v1{path}": surface for path, surface in SURFACES.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a lifespan or a websocket is none."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        surface = self._surfaces.get(path) or _by_suffix(path)
        if surface is None or scope["method"] != "POST":
            await self._control.respond(path, scope, receive, send)
            return
        client = Client(receive)
        own = _own(scope)
        if (own or not self.scenario.idle) and (unread := self._unread(own, path)) is not None:
            with self.stats.exchange(path, scope["headers"], b"", client) as record:
                record.whole = bool(await Exchange(scope, client, send, unread).begin(0))
            return
        body = await read_body(receive, MAX_BODY_BYTES)
        if body is None:
            await send_json(send, 413, surface.error(413, "the body is over 64 MB or was cut", {}))
            return
        with self.stats.exchange(path, scope["headers"], body, client) as record:
            try:
                ask = surface.read(body)
                record.model, script = find(own, ask.model, ask.text)
            except (AskError, ScriptError) as error:
                record.status, record.whole = 400, True
                await send_json(send, 400, surface.error(400, str(error), {}))
                return
            if script is PLAIN and not self.scenario.idle:
                script = self.scenario.take(record.model, path)
            exchange = Exchange(scope, client, send, script, head_lines(surface, script))
            record.whole = await self._reply(surface, ask, body, exchange, record)

    def _unread(self, own: str, path: str) -> Script | None:
        """Return the script that breaks this call's connection before its body is read, if there is one."""
        if not own:
            return self.scenario.take_unread(path)
        try:
            script = parse(own)
        except ScriptError:
            return None
        return script if script.breaks_at("reading") else None

    async def _reply(
        self, surface: Surface, ask: Ask, raw: bytes, exchange: Exchange, record: Record
    ) -> bool:
        """Answer one call, or do what comes instead, and bill it on every way out."""
        script = exchange.script
        whole = instead(surface, ask, script, raw)
        if whole is not None:
            try:
                early = await exchange.begin(self.settings.latency_ms)
                return await exchange.plain(whole) if early is None else early
            finally:
                record.status = exchange.status
        said = answer(
            ask,
            script,
            id_=f"{surface.id_prefix}{next(self._ids):012x}",
            model=record.model,
            created_s=int(time.time()),
            output_tokens=self.settings.output_tokens,
        )
        self._remember(ask, record.model, script, said)
        stream = None
        if surface.stream is not None and (ask.stream if script.form is None else script.form == "stream"):
            stream = surface.stream(ask, said, script)
        try:
            early = await exchange.begin(self.settings.latency_ms)
            if early is not None:
                return early
            if script.gzip_bomb_bytes is not None:
                streamed = stream is not None
                return await exchange.bomb(
                    gzip_bomb(script.gzip_bomb_bytes, streamed=streamed), streamed=streamed
                )
            if stream is None:
                return await exchange.plain(Whole(script.status or 200, surface.plain(ask, said, script)))
            error = b"" if script.error_event_after is None else trouble(surface, ask, script, said)
            return await self._stream(exchange, stream, error)
        finally:
            record.status = exchange.status
            if surface.bills:
                tokens = 0 if stream is None else len(stream.tokens)
                record.bill = bill(said, script, began=exchange.began, spoken=exchange.spoken, tokens=tokens)

    async def _stream(self, exchange: Exchange, stream: Stream, error_event: bytes) -> bool:
        self.stats.open_streams += 1
        try:
            return await exchange.stream(stream, self.settings.tokens_per_second, error_event)
        finally:
            self.stats.open_streams -= 1

    def _remember(self, ask: Ask, model: str, script: Script, said: Answer) -> None:
        """Look the prompt up in the cache, and note what is read from it and what a mark writes to it."""
        how = script.cache or ask.cache
        if how == "off" or (how == "marks" and b"cache_control" not in ask.prompt):
            return
        rules = AUTOMATIC if how == "auto" else MARKED
        if script is not PLAIN:
            rules = Rules(
                how == "marks", script.cache_min_tokens, script.cache_block_tokens, script.cache_ttl_s
            )
        found = self._cache.look(model, ask.prompt, time.monotonic(), rules)
        said.cache_read = min(found.read, said.input)
        if how == "marks":
            said.cache_write = min(found.written, said.input - said.cache_read)
            said.cache_write_1h = min(found.written_1h, said.cache_write)


def _own(scope: Scope) -> str:
    """Return the script that a call brings in its header or its query."""
    for name, value in scope["headers"]:
        if name == b"x-script" and value:
            return str(value.decode("latin-1"))
    query = scope["query_string"]
    return parse_qs(query.decode("latin-1")).get("script", [""])[0] if b"script=" in query else ""


def _by_suffix(path: str) -> Surface | None:
    return next((surface for suffix, surface in SURFACES.items() if path.endswith(suffix)), None)
