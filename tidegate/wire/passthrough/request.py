"""Read what is known of a passed-through request: its model, its limits, and how much text it holds."""

import re
from urllib.parse import unquote

import msgspec

from tidegate.model.errors import BadRequest, SpendsLater
from tidegate.model.request import Part, Parts, Passed, RequestFacts
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.measure import bytes_size, json_part
from tidegate.wire.passthrough.multipart import boundary_of, read_form

LIMITS = (
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "max_tokens_to_sample"),
    *("maxOutputTokens", "num_predict"),
)
ANSWERS = ("n", "best_of", "candidateCount", "candidate_count", "num_generations")
NESTED = ("generationConfig", "generation_config", "options", "parameters")
"""Objects in which some dialects put their limits."""
LATER = ("background", "deferred")
"""Fields that are true where the answer is asked for later."""

BLOB_BYTES = 512
"""A string of at least this length without a blank is data, not text."""
MAX_QUOTES = 400_000
FILE_BYTES_PER_TEXT_BYTE = 256
"""A file is held for as about a token a kilobyte: speech at 16 kB/s is 10 to 15 tokens a second."""

_MODEL = re.compile(r"/models/([^/:]+):[A-Za-z]+/?$|/(?:deployments|engines)/([^/]+)/")
_NO_OUTPUT = re.compile(r"(?i)[/:](?:[a-z]*embed[a-z]*|rerank|moderations|classify|classifications)/?$")
_numbers = msgspec.json.Decoder(dict[str, msgspec.Raw])
_number = msgspec.json.Decoder(int)


def is_json(content_type: str) -> bool:
    """Whether a content type is of JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def body_of(raw: bytes, passed: Passed) -> Body:
    """Return a body: JSON is read as everywhere, anything else has no field. Raises as Body.parse does."""
    return Body.parse(raw) if raw and is_json(passed.content_type) else Body(raw, {}, {})


def generates(path: str) -> bool:
    """Whether an answer is generated, as opposed to vectors, ranks or verdicts, which are billed by input."""
    return _NO_OUTPUT.search(path) is None


def read_request(body: Body, passed: Passed) -> RequestFacts:
    """Return the facts of a request. The model is empty where it cannot be known for certain.

    Raises SpendsLater for a field that asks for an answer later, BadRequest where path and body name two
    models.
    """
    pieces = (b"", b"", f"{passed.method} {passed.path}".encode(), body.raw)
    if boundary := boundary_of(passed.content_type):
        return _of_form(body.raw, boundary, passed, pieces)
    for name in LATER:
        if body.value(name) == b"true":
            raise SpendsLater(
                f"{name}: what is answered later cannot be metered yet. Leave it out, or stream.", param=name
            )
    limit, answers = _limits(body)
    part, images = _measured(body.raw if body.fields else b"")
    return RequestFacts(
        surface="pass",
        model=_model(passed.path, fields.model_of(body)),
        stream=body.value("stream") == b"true" or ":stream" in passed.path,
        max_output=limit[1] if limit else None,
        max_output_field=limit[0] if limit else None,
        n=answers,
        message_count=1 if body.raw else 0,
        image_count=images,
        service_tier=fields.word_of(body, "service_tier"),
        prompt=pieces,
        parts=Parts(last_user=part),
        metadata=fields.string_map(body.value("metadata") or b""),
        metadata_user=fields.string_of(body, "user"),
    )


def _of_form(raw: bytes, boundary: str, passed: Passed, pieces: tuple[bytes, ...]) -> RequestFacts:
    form = read_form(raw, boundary)
    said = form.fields.get("model", b"").decode("utf-8", "replace") if form.is_plain else ""
    size, ascii_size = bytes_size(b"\n".join(form.fields.values()))
    standing = form.file_bytes // FILE_BYTES_PER_TEXT_BYTE
    part = Part(size_bytes=len(raw), text_bytes=size + standing, ascii_bytes=ascii_size + standing)
    return RequestFacts(
        surface="pass",
        model=_model(passed.path, said[: fields.MAX_MODEL_CHARS]),
        stream=form.fields.get("stream") == b"true",
        n=max(1, _int(form.fields.get("n", b"")) or 1),
        message_count=1,
        prompt=pieces,
        parts=Parts(last_user=part),
        metadata_user=form.fields.get("user", b"").decode("utf-8", "replace")[: fields.MAX_METADATA_VALUE],
    )


def _model(path: str, said: str) -> str:
    """Return the model that a path names, or else the body. Raises BadRequest where they differ."""
    found = _MODEL.search(path)
    if found is None:
        return said
    named = unquote(found[1] or found[2])
    if said.removeprefix("models/") not in ("", named):
        raise BadRequest(
            f"model: the body names {said[:80]!r}, the path {named[:80]!r}; name one", param="model"
        )
    return named


def _limits(body: Body) -> tuple[tuple[str, int] | None, int]:
    """Return the highest limit on an answer, with its field's name, and how many answers are asked for."""
    found: list[tuple[int, str]] = []
    answers = 1
    for values in (body.fields, *(_object(body.value(name)) for name in NESTED)):
        for name in LIMITS:
            limit = _int(values.get(name, b""))
            if limit is not None and 0 < limit <= fields.MAX_OUTPUT_TOKENS:
                found.append((limit, name))
        for name in ANSWERS:
            answers = max(answers, _int(values.get(name, b"")) or 1)
    highest = max(found, default=None)
    return (highest[1], highest[0]) if highest else None, min(answers, fields.MAX_OUTPUT_TOKENS)


def _object(raw: bytes | None) -> dict[str, msgspec.Raw]:
    try:
        return _numbers.decode(raw or b"{}")
    except (msgspec.DecodeError, RecursionError):
        return {}


def _int(raw: bytes | msgspec.Raw) -> int | None:
    try:
        return _number.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _measured(raw: bytes) -> tuple[Part, int]:
    """Return how much text JSON holds, and how many of its strings are data: images, sound (case 33)."""
    text, blobs = without_data(raw)
    part = json_part(text)
    return Part(size_bytes=len(raw), text_bytes=part.text_bytes, ascii_bytes=part.ascii_bytes), blobs


def without_data(raw: bytes) -> tuple[bytes, int]:
    """Return JSON without its long strings that have no blank in them, and how many those were."""
    if len(raw) < BLOB_BYTES or raw.count(b'"') > MAX_QUOTES:
        return raw, 0
    pieces = raw.split(b'"')
    kept = [piece for piece in pieces if len(piece) < BLOB_BYTES or b" " in piece]
    return b'"'.join(kept), len(pieces) - len(kept)
