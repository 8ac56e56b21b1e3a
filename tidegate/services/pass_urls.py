"""Addresses of passed-through calls: a deployment's base URL and the provider's own path behind it."""

from urllib.parse import unquote_to_bytes

from tidegate.model.errors import BadRequest
from tidegate.model.provider import Deployment, Provider
from tidegate.model.request import Surface
from tidegate.services.deployments import ROUTES
from tidegate.services.outbound import Outbound

CREDENTIALS = frozenset(
    {
        *(b"key", b"api_key", b"api-key", b"apikey", b"access_token", b"oauth_token", b"token", b"auth"),
        *(b"authorization", b"subscription-key", b"x-api-key", b"x-goog-api-key", b"secret", b"password"),
    }
)
"""Parameters of a query that never go on: a client's key is ours, and the provider's travels in a header."""

_PLAIN = frozenset(b"!$&'()*+,-./:;=?@_~%[]{}|^`<>\"\\") | frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)
_VERSION = "/v1"


def root_of(base_url: str, provider: Provider) -> str:
    """Return what a provider's own paths are added to: its base URL without what they begin with.

    `/v1` is taken off, or what its row names in its place; another end of an operator's own address stays.
    """
    return base_url.removesuffix(provider.pass_through.below or _VERSION)


def pass_url(deployment: Deployment, provider: Provider, path: str, query: bytes) -> str:
    """Return the whole URL. Raises BadRequest for a query that is no query."""
    url = root_of(deployment.base_url, provider) + path
    pairs = _pairs(query)
    named = {name for name, _ in pairs}
    for name, value in {**provider.query, **deployment.query}.items():
        if name.encode() not in named:
            pairs.append((name.encode(), f"{name}={value}".encode()))
    return f"{url}?{b'&'.join(pair for _, pair in pairs).decode()}" if pairs else url


def spoken_at(outbound: Outbound, path: str) -> str:
    """Return our route for a path that is a surface here; empty for any other path."""
    provider, base = outbound.provider, outbound.deployment.base_url
    asked = (root_of(base, provider) + path).rstrip("/").casefold()
    for surface, url in outbound.urls.items():
        if url.partition("?")[0].rstrip("/").casefold() == asked:
            return _route(surface)
    return ""


def _route(surface: Surface) -> str:
    return f"POST {ROUTES[surface]}"


def _pairs(query: bytes) -> list[tuple[bytes, bytes]]:
    """Return a query's pairs by name, as they came, without the credentials among them."""
    if not _PLAIN.issuperset(query):
        raise BadRequest("The query must be visible ASCII, percent-encoded")
    found = ((unquote_to_bytes(pair.partition(b"=")[0]), pair) for pair in query.split(b"&") if pair)
    return [(name, pair) for name, pair in found if name.lower() not in CREDENTIALS]
