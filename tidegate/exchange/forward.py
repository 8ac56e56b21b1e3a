"""What goes on to the provider, and what comes back from it: the permitted edits, each named (V3, K11)."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from tidegate import __version__
from tidegate.exchange.bridge import Bridge, Straight, translated
from tidegate.exchange.call import Headers
from tidegate.exchange.plan import Plan
from tidegate.model.message import Kept as KeptPart
from tidegate.model.request import Passed, Surface
from tidegate.providers.catalog import usage_rules
from tidegate.services.outbound import Outbound

USER_AGENT = f"tidegate/{__version__}"

_REPLY_HEADERS = frozenset(
    {
        "content-type",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-request-id",
        "request-id",
        "apim-request-id",
        "openai-processing-ms",
        "openai-version",
        "openai-model",
        "x-ms-region",
        "cf-ray",
        "warning",
    }
)
_REPLY_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")
_PASSED_HEADERS = frozenset(
    {"content-length", "content-disposition", "content-language", "etag", "last-modified", "cache-control"}
)
"""What a passed-through reply keeps besides: it may be a file."""
_REQUEST_IDS = (b"x-request-id", b"request-id")
MAX_REPLY_HEADER = 4096
MAX_PATHS = 16
"""Paths of one kind that a record names; a translated request may lose more."""
_OF_ANTHROPIC = ("messages", "count_tokens")

_ASKS_USAGE = b'{"include_usage":true}'


class Prepared(NamedTuple):
    """One upstream call, ready to go: where, with what, and how its reply comes back.

    `injects_usage`: the stream's usage is asked for, and the client did not (trap S2).
    """

    url: str
    headers: dict[str, str]
    body: bytes
    edits: tuple[str, ...]
    bridge: Bridge
    injects_usage: bool = False
    method: str = "POST"


def prepared(
    plan: Plan, outbound: Outbound, restored: Mapping[str, Sequence[KeptPart]], limit: int | None = None
) -> Prepared:
    """What one deployment is sent, with our `limit` on its answer in tokens where there is one.

    Raises Unsupported for what its dialect cannot express (trap V3).
    """
    if plan.call.passed is not None:
        return passed_on(plan, outbound, plan.call.passed)
    asked = plan.facts.surface
    surface = outbound.through[asked]
    url, headers = request_url(plan, outbound, surface), request_headers(plan, outbound)
    if surface == asked:
        body, edits = request_body(plan, outbound, limit)
        return Prepared(url, headers, body, edits, Straight(surface), injects_usage(plan, outbound))
    written, bridge = translated(
        plan.asked.body,
        asked,
        surface,
        outbound.traits,
        model=outbound.deployment.model,
        rules=usage_rules(outbound.provider, surface),
        reply_id=plan.call.id,
        created_s=plan.call.at_us // 1_000_000,
        drop_unsupported=(b"tidegate-drop-unsupported", b"true") in plan.call.headers,
        restored=restored,
        earlier=plan.earlier,
        max_output=limit,
    )
    edits = (
        f"request.dialect.{surface}",
        *((f"request.{outbound.limit_fields[surface]}",) if limit is not None else ()),
        *(f"request.dropped.{path}" for path in written.dropped[:MAX_PATHS]),
        *(f"request.adapted.{path}" for path in written.adapted[:MAX_PATHS]),
    )
    return Prepared(url, headers, written.body, edits, bridge)


def passed_on(plan: Plan, outbound: Outbound, passed: Passed) -> Prepared:
    """What a passed-through call sends: its own bytes, and of its headers what request_headers lets go on."""
    headers = request_headers(plan, outbound)
    sent = dict(plan.call.headers)
    headers["accept"] = sent.get(b"accept", b"*/*").decode("latin-1")
    del headers["content-type"]
    if passed.content_type:
        headers["content-type"] = passed.content_type
    return Prepared(
        outbound.urls["pass"], headers, plan.call.body, (), Straight("pass"), method=passed.method
    )


def request_body(plan: Plan, outbound: Outbound, limit: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """The body for one deployment of the same dialect, and the names of the edits that were made to it."""
    edits: dict[str, bytes | None] = {}
    names: list[str] = []
    model = outbound.deployment.model
    if plan.facts.model and plan.facts.model != model:
        edits["model"] = msgspec.json.encode(model)
        names.append("request.model")
    if limit is not None:
        field = outbound.limit_fields[plan.facts.surface]
        edits[field] = str(limit).encode()
        names.append(f"request.{field}")
    if injects_usage(plan, outbound):
        edits["stream_options"] = _with_usage(plan)
        names.append("request.stream_options.include_usage")
    return (plan.asked.body.edited(edits) if edits else plan.call.body), tuple(names)


def injects_usage(plan: Plan, outbound: Outbound) -> bool:
    """True where the stream's usage must be asked for and the client did not (trap S2)."""
    facts = plan.facts
    return facts.stream and not facts.asks_usage and facts.surface in outbound.asks_usage


def _with_usage(plan: Plan) -> bytes:
    """The client's `stream_options` with the one field added, its other fields as they were."""
    own = plan.asked.body.get("stream_options", dict[str, msgspec.Raw])
    if not own:
        return _ASKS_USAGE
    return msgspec.json.encode({**own, "include_usage": msgspec.Raw(b"true")})


def request_headers(plan: Plan, outbound: Outbound) -> dict[str, str]:
    """The headers of one upstream call: its provider's, and those its row lets a client choose (case 15)."""
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "accept": "text/event-stream" if plan.facts.stream else "application/json",
        **outbound.headers,
    }
    allowed = outbound.client_headers
    if allowed:
        for name, value in plan.call.headers:
            if name in allowed:
                headers[name.decode("latin-1")] = value.decode("latin-1")
    return headers


def request_url(plan: Plan, outbound: Outbound, surface: Surface) -> str:
    """The address of one upstream call; Anthropic's `?beta=true` is the client's to choose (trap K12)."""
    url = outbound.urls[surface]
    query = plan.call.query
    beta = query and plan.codec.surface in _OF_ANTHROPIC and surface in _OF_ANTHROPIC
    if beta and b"beta=true" in query.split(b"&"):
        return f"{url}&beta=true" if "?" in url else f"{url}?beta=true"
    return url


def reply_headers(upstream: Mapping[str, str], request_id: str, limits: Headers) -> Headers:
    """The provider's headers that its SDKs act on, our request id, and our limits before the provider's."""
    headers: Headers = []
    named = False
    ours = {name for name, _ in limits} if limits else ()
    for name, value in upstream.items():
        kept = _kept(name)
        if kept is not None and kept not in ours:
            headers.append((kept, value[:MAX_REPLY_HEADER].encode("latin-1", "replace")))
            named = named or kept in _REQUEST_IDS
    ident = request_id.encode()
    headers.append((b"tidegate-request-id", ident))
    if not named:
        headers += [(b"x-request-id", ident), (b"request-id", ident)]
    headers += limits
    return headers


def passed_headers(upstream: Mapping[str, str], request_id: str, limits: Headers) -> Headers:
    """The headers of a passed-through reply: those of any, and what describes a file."""
    own = [
        (name.encode(), value[:MAX_REPLY_HEADER].encode("latin-1", "replace"))
        for name, value in upstream.items()
        if name in _PASSED_HEADERS
    ]
    return [*reply_headers(upstream, request_id, limits), *own]


@lru_cache(maxsize=1024)
def _kept(name: str) -> bytes | None:
    """A reply header's name as it goes on; None for one that stays here."""
    lower = name.lower()
    goes_on = lower in _REPLY_HEADERS or lower.startswith(_REPLY_PREFIXES)
    return lower.encode("latin-1", "replace") if goes_on else None


def scrubbed(raw: bytes, secrets: Iterable[str]) -> bytes:
    """A provider's error body without our credentials in it (case 42)."""
    for secret in secrets:
        if len(secret) >= 8:
            raw = raw.replace(secret.encode(), b"[redacted]")
            raw = raw.replace(msgspec.json.encode(secret)[1:-1], b"[redacted]")
    return raw
