"""Which path is which surface: one table, with the spellings that clients really use (trap K12)."""

from typing import Literal
from urllib.parse import quote

from tidegate.model.errors import BadRequest, MethodNotAllowed, NotFound
from tidegate.model.request import Dialect, Passed, Surface

Page = Literal["models", "model", "health", "ready", "hello", "key"]
"""Routes that call no provider."""

_SURFACES: dict[str, Surface] = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/responses": "responses",
    "/messages": "messages",
    "/messages/count_tokens": "count_tokens",
}
_ROOTS = ("/v1", "/openai/v1", "/anthropic/v1", "/v1/v1")
_UNVERSIONED: tuple[str, ...] = ("/chat/completions", "/completions", "/embeddings", "/responses")

SURFACES: dict[str, Surface] = {
    **{root + path: surface for root in _ROOTS for path, surface in _SURFACES.items()},
    **{path: _SURFACES[path] for path in _UNVERSIONED},
}
PAGES: dict[str, Page] = {
    "/": "hello",
    "/api/hello": "hello",
    "/healthz": "health",
    "/readyz": "ready",
    "/models": "models",
    "/v1beta/models": "models",
    **{root + "/models": "models" for root in _ROOTS},
}
PASSING = "/pass/"
PASSED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_PATH_CHARACTERS = "/:@!$&'()*+,;=~"
MODEL_PREFIXES = tuple(f"{path}/" for path, page in PAGES.items() if page == "models")


def page_of(path: str) -> tuple[Page, str] | None:
    """The page a path names, and the model id for one model's page."""
    page = PAGES.get(path)
    if page is not None:
        return page, ""
    for prefix in MODEL_PREFIXES:
        if path.startswith(prefix) and len(path) > len(prefix):
            return "model", path[len(prefix) :]
    return None


def passed_of(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Passed:
    """Where a path under PASSING leads. `path` is decoded: it holds no dot segment and no percent sign.

    Raises MethodNotAllowed, NotFound for a path that names no provider, BadRequest for an empty segment.
    """
    if method not in PASSED_METHODS:
        raise MethodNotAllowed(f"{PASSING}... takes {', '.join(PASSED_METHODS)}, not {method}.")
    place, slash, rest = path[len(PASSING) :].partition("/")
    if not (place and slash):
        raise NotFound("The path is /pass/<deployment or provider>/<the provider's own path>.")
    if "//" in path:
        raise BadRequest("The path holds an empty segment")
    kind = next((value for name, value in headers if name == b"content-type"), b"")
    return Passed(
        method=method,
        place=place,
        path="/" + quote(rest, safe=_PATH_CHARACTERS),
        content_type=kind.decode("latin-1"),
        dialect=dialect_of(path, headers),
    )


def suggestion(path: str) -> str:
    """What to call instead of a path that does not exist."""
    for tail in _SURFACES:
        if path.rstrip("/").endswith(tail):
            return f"Use /v1{tail}."
    return "See the documentation for the paths that exist; they start with /v1/."


def dialect_of(path: str, headers: list[tuple[bytes, bytes]]) -> Dialect:
    """The dialect an error is worded in before anything else is known: Anthropic's by path or header."""
    if "/messages" in path or any(name == b"anthropic-version" for name, _ in headers):
        return "anthropic"
    return "openai"
