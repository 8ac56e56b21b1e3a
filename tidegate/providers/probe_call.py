"""What one billed call tells of a deployment: made only when the operator says so, and as small as it gets.

It is the one way to learn whether a key that no list proves is good, and whether a stream carries usage.
"""

import time
from collections.abc import Callable
from typing import Literal

import msgspec

from tidegate.model.provider import Deployment, ErrorClass, Provider, StreamUsage
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import Surface
from tidegate.policy.classify_error import classify
from tidegate.providers.auth import headers_for, url_for
from tidegate.providers.catalog import output_limit_field, stream_usage, surfaces, usage_rules
from tidegate.providers.probe import shown
from tidegate.providers.transport import PhaseLimits, Reply, Transport, TransportError
from tidegate.wire.registry import CODECS
from tidegate.wire.sse import FrameReader

CALL_S = 60.0
"""A local server may load its model first."""
LIMITS = PhaseLimits(connect_s=5.0, first_byte_s=CALL_S, idle_s=CALL_S, total_s=CALL_S)
REPLY_BYTES = 4 * 1024 * 1024
OUTPUT_TOKENS = 16
"""The least that Responses takes, and no less than some models need to say anything."""
PROMPT = "Say ok."

_ORDER: tuple[Surface, ...] = ("chat", "messages", "responses", "completions", "embeddings")


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """One billed call. `usage`: whether the reply carried it; `row_usage`: how the row says it is come by.

    `model` is the one that the reply names. `error` is the class of what went wrong, empty when nothing did.
    """

    surface: Surface
    status: int | None
    latency_ms: int
    error: ErrorClass | Literal["", "no_reply"] = ""
    model: str = ""
    usage: bool = False
    row_usage: StreamUsage
    input_tokens: int | None = None
    output_tokens: int | None = None
    stated_cost: str | None = None
    notes: tuple[str, ...] = ()


def surface_for(provider: Provider, deployment: Deployment) -> Surface | None:
    """Return the surface a model is tried through: embeddings by the model's name, else the first spoken."""
    model = deployment.price_model or deployment.model
    spoken = surfaces(provider, model)
    if "embed" in model.lower() and "embeddings" in spoken:
        return "embeddings"
    return next((surface for surface in _ORDER if surface in spoken), None)


async def call(
    transport: Transport,
    provider: Provider,
    deployment: Deployment,
    secret: str,
    *,
    surface: Surface,
    now_s: Callable[[], float] = time.perf_counter,
) -> Called:
    """Make one small call, streamed where the surface streams. Raises ConfigError without a needed key."""
    how = deployment.stream_usage if surface in ("chat", "completions") else None
    how = how or stream_usage(provider, deployment.model, surface)
    headers = {**headers_for(provider, deployment, secret), "content-type": "application/json"}
    body = msgspec.json.encode(_body(provider, deployment, surface, how))
    began = now_s()
    status, facts, failure = None, ReplyFacts(), ""
    retry_after = False
    try:
        url = url_for(provider, deployment, surface)
        async with transport.post(url, headers=headers, body=body, limits=LIMITS) as reply:
            status, retry_after = reply.status, "retry-after" in reply.headers
            facts = await _facts(reply, provider, surface)
    except TransportError as error:
        failure = str(error)
    kind = _error(provider, status, facts, failure=failure, retry_after=retry_after)
    usage = facts.usage
    return Called(
        surface=surface,
        status=status,
        latency_ms=round((now_s() - began) * 1000),
        error=kind,
        model=facts.model,
        usage=usage is not None,
        row_usage=how,
        input_tokens=usage.stated_input if usage is not None else None,
        output_tokens=usage.stated_output if usage is not None else None,
        stated_cost=usage.stated_cost if usage is not None else None,
        notes=tuple(_notes(deployment, facts, how, failure, secret, kind=kind, surface=surface)),
    )


def _body(
    provider: Provider, deployment: Deployment, surface: Surface, how: StreamUsage
) -> dict[str, object]:
    body: dict[str, object] = {"model": deployment.model}
    if surface in ("chat", "messages"):
        body["messages"] = [{"role": "user", "content": PROMPT}]
    else:
        body["prompt" if surface == "completions" else "input"] = PROMPT
    limit = output_limit_field(provider, deployment.price_model or deployment.model, surface)
    if limit is not None:
        body[limit] = OUTPUT_TOKENS
        body["stream"] = True
    if surface == "responses":
        body["store"] = False
    if how == "ask":
        body["stream_options"] = {"include_usage": True}
    return body


async def _facts(reply: Reply, provider: Provider, surface: Surface) -> ReplyFacts:
    """Read a reply with its surface's codec, as the exchange would."""
    codec, rules = CODECS[surface], usage_rules(provider, surface)
    raw = await reply.read(REPLY_BYTES)
    if reply.status >= 300:
        return codec.read_error(raw)
    if "event-stream" not in reply.headers.get("content-type", ""):
        return codec.read_reply(raw, rules)
    watcher = codec.watch_stream(rules, injected_usage=False)
    for frame in FrameReader().feed(raw):
        if frame.data:
            watcher.event(frame.event, frame.data)
    return watcher.facts


def _error(
    provider: Provider, status: int | None, facts: ReplyFacts, *, failure: str, retry_after: bool
) -> ErrorClass | Literal["", "no_reply"]:
    if facts.error is not None and status is not None:
        return classify(provider.errors, status=status, error=facts.error, has_retry_after=retry_after)
    if failure:
        return "no_reply"
    return "" if status is not None and status < 300 else "upstream"


def _notes(
    deployment: Deployment,
    facts: ReplyFacts,
    how: StreamUsage,
    failure: str,
    secret: str,
    *,
    kind: str,
    surface: Surface,
) -> list[str]:
    """Say what went wrong, and where the reply is not as the row has it."""
    notes = [failure] if failure else []
    if facts.error is not None:
        notes.append(f"the provider says {shown(facts.error.message, secret)}")
    if kind:
        return notes
    if facts.model and facts.model not in (deployment.model, deployment.price_model):
        notes.append(f"the reply names the model {shown(facts.model, secret)}")
    if not facts.complete and surface != "embeddings":
        notes.append("the stream had no end mark")
    if facts.usage is None and how in ("ask", "always", "own"):
        asked = "asked for" if how == "ask" else "expected"
        notes.append(f"usage was {asked} and did not come: costs will be estimates")
    if facts.usage is not None and how == "never":
        notes.append("usage came although the row says that it is not to be asked for")
    return notes
