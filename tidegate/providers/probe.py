"""What free requests tell of a deployment: reached, TLS, the key, the model; beside what its row says (M14).

GET on the list of models costs nothing. That it answers proves a key only where it does not answer without.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from tidegate.config.secret import LOOKS_LIKE_A_KEY
from tidegate.model.provider import Deployment, Provider
from tidegate.policy.classify_error import classify
from tidegate.providers.auth import headers_for, key_url_for, models_url_for
from tidegate.providers.catalog import model_row
from tidegate.providers.transport import PhaseLimits, Transport, TransportError
from tidegate.wire.registry import CODECS

PROBE_S = 5.0
LIMITS = PhaseLimits(connect_s=PROBE_S, first_byte_s=PROBE_S, idle_s=PROBE_S, total_s=PROBE_S)
LIST_BYTES = 16 * 1024 * 1024
SAID_CHARS = 200

OPEN_LIST = "the list of models is open to everybody, so it proves nothing of the key"
NO_LIST = "the row knows no list of models, so only a call tells whether the key is good"

Tls = Literal["ok", "failed", "none", "unknown"]
KeyFound = Literal["accepted", "refused", "unproven", "not_sent", "unknown"]
ModelFound = Literal["listed", "not_listed", "unknown"]

_MORE = "*"
"""Stands in a list of which this is one page; no model is called so."""
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})")
_CONTEXT_FIELDS = (
    "context_window",
    "max_context_length",
    "context_length",
    "max_model_len",
    "max_input_tokens",
)


@dataclass(frozen=True, slots=True)
class Look:
    """The answers of one address to one key. `status` is None where no reply's head came in time."""

    url: str
    status: int | None = None
    latency_ms: int | None = None
    body: bytes = b""
    failure: TransportError | None = None
    key: KeyFound = "unknown"
    notes: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment as it was found. `notes` say what is odd, or not as the catalogue's row has it.

    `row_context` and `listed_context` are the context window by the row and by the provider's list, in
    tokens. `row_verified` and `row_checked`: how the row was come by, and when.
    """

    url: str
    reached: bool
    tls: Tls
    status: int | None
    latency_ms: int | None
    key: KeyFound
    model: ModelFound
    row_verified: bool
    row_checked: str
    row_context: int | None = None
    listed_context: int | None = None
    notes: tuple[str, ...] = ()


async def look(
    transport: Transport,
    provider: Provider,
    deployment: Deployment,
    secret: str,
    *,
    now_s: Callable[[], float] = time.perf_counter,
) -> Look:
    """Ask a provider for its models, at most twice, or for its key; each within five seconds.

    Raises ConfigError where the provider needs a key and `secret` is empty; then nothing is sent.
    """
    headers = headers_for(provider, deployment, secret)
    url = models_url_for(provider, deployment) or deployment.base_url
    began = now_s()
    status, latency_ms = None, None
    try:
        async with transport.get(url, headers=headers, limits=LIMITS) as reply:
            status, latency_ms = reply.status, round((now_s() - began) * 1000)
            body = await reply.read(LIST_BYTES)
    except TransportError as failure:
        return Look(url=url, status=status, latency_ms=latency_ms, failure=failure)
    notes: tuple[str, ...] = ()
    if status >= 400 and provider.models_path:
        notes = (_said(body, secret),)
    key = await _key(transport, provider, deployment, secret, status=status, body=body)
    return Look(url=url, status=status, latency_ms=latency_ms, body=body, key=key, notes=notes)


def found(provider: Provider, deployment: Deployment, seen: Look) -> Found:
    """Read what was seen for one deployment, and set it beside its row."""
    listing = _listing(seen, provider)
    model, listed_context = _model(deployment, provider, listing)
    row = model_row(provider, deployment.price_model or deployment.model)
    row_context = row.context_tokens if row is not None else None
    notes = [*_notes(provider, seen, readable=listing is not None)]
    if row_context and listed_context and row_context != listed_context:
        notes.append(f"the row says a context of {row_context} tokens, the list {listed_context}")
    return Found(
        url=seen.url,
        reached=seen.status is not None,
        tls=_tls(seen),
        status=seen.status,
        latency_ms=seen.latency_ms,
        key=seen.key,
        model=model,
        row_verified=provider.verified,
        row_checked=provider.checked,
        row_context=row_context,
        listed_context=listed_context,
        notes=tuple(notes),
    )


def shown(text: str, secret: str) -> str:
    """Return a provider's words fit for a terminal: short, printable, without anything like a key."""
    plain = text.replace(secret, "[key]") if secret else text
    plain = LOOKS_LIKE_A_KEY.sub("[key]", plain[:2_000])
    return ascii(plain[:SAID_CHARS])


async def _key(
    transport: Transport, provider: Provider, deployment: Deployment, secret: str, *, status: int, body: bytes
) -> KeyFound:
    """Say what became of the key, by one more request where the first answer does not tell."""
    if not secret:
        return "not_sent"
    if _good(status) and provider.models_path:
        return await _proof(transport, provider, deployment, secret)
    return "refused" if _is_about_the_key(provider, status, body) else "unknown"


async def _proof(transport: Transport, provider: Provider, deployment: Deployment, secret: str) -> KeyFound:
    """Ask where the key alone opens, or for the list again without it: what then fails, the key opened."""
    headers = headers_for(provider, deployment, secret)
    key_url = key_url_for(provider, deployment)
    if not key_url:
        headers.pop(provider.auth.header, None)
    url = key_url or models_url_for(provider, deployment)
    try:
        async with transport.get(url, headers=headers, limits=LIMITS) as reply:
            status = reply.status
            body = await reply.read(LIST_BYTES) if status >= 400 else b""
    except TransportError:
        return "unknown"
    if _good(status):
        return "accepted" if key_url else "unproven"
    if key_url:
        return "refused" if _is_about_the_key(provider, status, body) else "unknown"
    return "accepted" if 400 <= status < 500 and status not in (408, 429) else "unknown"


def _good(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def _is_about_the_key(provider: Provider, status: int, body: bytes) -> bool:
    error = CODECS[next(iter(provider.paths))].read_error(body).error
    return error is not None and (
        classify(provider.errors, status=status, error=error, has_retry_after=False) == "key"
    )


def _tls(seen: Look) -> Tls:
    if not seen.url.startswith("https:"):
        return "none"
    if seen.failure is None or seen.status is not None:
        return "ok"
    match seen.failure.phase:
        case "tls":
            return "failed"
        case "connect":
            return "unknown"
        case _:
            return "ok"


def _said(body: bytes, secret: str) -> str:
    error = CODECS["chat"].read_error(body).error
    text = error.message if error is not None else ""
    return f"the provider says {shown(text, secret)}" if text else "the provider says nothing"


def _notes(provider: Provider, seen: Look, *, readable: bool) -> list[str]:
    """Say what is odd about an answer; the provider's own words come last."""
    notes = [str(seen.failure)] if seen.failure is not None else []
    path, status = provider.models_path, seen.status
    if status is not None and 300 <= status < 400:
        notes.append("a redirect, which is never followed: state the address it leads to as base_url")
    if status is not None and not path:
        notes.append(NO_LIST)
    elif status in (404, 405):
        notes.append(f"the row says that GET {path} lists the models; here it does not")
    elif _good(status) and seen.failure is None and not readable:
        notes.append(f"the row says that GET {path} lists the models; the answer is no such list")
    elif readable and provider.models_listed == "offered":
        notes.append("the list is of what could be deployed, so it does not tell what can be called")
    if seen.key == "unproven":
        notes.append(OPEN_LIST)
    return [*notes, *seen.notes]


def _listing(seen: Look, provider: Provider) -> dict[str, int | None] | None:
    """Return the listed ids with their context windows; None where the answer is no list."""
    if not provider.models_path or not _good(seen.status) or seen.failure:
        return None
    try:
        answer = msgspec.json.decode(seen.body)
    except (ValueError, RecursionError):
        return None
    rows = answer.get("data", answer.get("models")) if isinstance(answer, dict) else answer
    if not isinstance(rows, list):
        return None
    listed: dict[str, int | None] = {}
    for row in rows:
        name = row.get("id", row.get("name")) if isinstance(row, dict) else None
        if isinstance(name, str):
            listed[name.removeprefix("models/")] = _context(row)
    if isinstance(answer, dict) and answer.get("has_more") is True:
        listed[_MORE] = None
    return listed


def _context(row: dict[str, object]) -> int | None:
    stated = (row.get(name) for name in _CONTEXT_FIELDS)
    return next((value for value in stated if type(value) is int and value > 0), None)


def _model(
    deployment: Deployment, provider: Provider, listing: dict[str, int | None] | None
) -> tuple[ModelFound, int | None]:
    """Say whether a list names the deployment's model, also under a dated id, a tag or without one.

    A list that is cut into pages shows what is there and not what is missing.
    """
    wanted = deployment.model
    if listing is None or wanted == "*" or provider.models_listed == "offered":
        return "unknown", None
    names = [wanted.removeprefix("models/"), f"{wanted}:latest", wanted.partition(":")[0]]
    names += [name for name in listing if name.startswith(wanted) and _DATED.fullmatch(name[len(wanted) :])]
    for name in names:
        if name in listing:
            return "listed", listing[name]
    return ("unknown" if _MORE in listing else "not_listed"), None
