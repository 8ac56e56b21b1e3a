"""The list of models a key may use, as each dialect writes it (trap K3)."""

from collections.abc import Iterable

import msgspec

Headers = list[tuple[bytes, bytes]]

_CREATED_S = 1_735_689_600
_CREATED_AT = "2025-01-01T00:00:00Z"
"""Clients want a date, and a gateway's names have none: the start of 2025 for all of them."""


def list_dialect(headers: Headers) -> str:
    """Whose list to answer with: `google`, `anthropic` or `openai`."""
    names = {name for name, _ in headers}
    if b"x-goog-api-key" in names or b"x-goog-api-client" in names:
        return "google"
    return "anthropic" if b"anthropic-version" in names else "openai"


def models_body(dialect: str, names: Iterable[str]) -> bytes:
    """The whole list; never paged, because it is short."""
    entries = [_entry(dialect, name) for name in names]
    if dialect == "google":
        return msgspec.json.encode({"models": entries})
    if dialect == "anthropic":
        first = entries[0]["id"] if entries else None
        last = entries[-1]["id"] if entries else None
        return msgspec.json.encode({"data": entries, "has_more": False, "first_id": first, "last_id": last})
    return msgspec.json.encode({"object": "list", "data": entries})


def model_body(dialect: str, name: str) -> bytes:
    """One model."""
    return msgspec.json.encode(_entry(dialect, name))


def _entry(dialect: str, name: str) -> dict[str, object]:
    if dialect == "google":
        methods = ["generateContent", "streamGenerateContent", "countTokens"]
        return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
    if dialect == "anthropic":
        return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}
    return {"id": name, "object": "model", "created": _CREATED_S, "owned_by": "tidegate"}
