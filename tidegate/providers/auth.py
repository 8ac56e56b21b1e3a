"""Where a call to a deployment goes and what credentials it carries."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from tidegate.model.errors import ConfigError, Unsupported
from tidegate.model.provider import Deployment, Provider
from tidegate.model.request import Surface


def url_for(provider: Provider, deployment: Deployment, surface: Surface) -> str:
    """Return the whole URL, query included. Raises Unsupported for a surface the provider does not speak."""
    path = provider.paths.get(surface)
    if path is None:
        raise Unsupported(f"{provider.title} does not speak {surface}")
    return _url(provider, deployment, path)


def models_url_for(provider: Provider, deployment: Deployment) -> str:
    """Return the URL that lists the provider's models; the empty string where there is none."""
    return _url(provider, deployment, provider.models_path) if provider.models_path else ""


def key_url_for(provider: Provider, deployment: Deployment) -> str:
    """Return the URL that answers a valid key alone; the empty string where there is none."""
    return _url(provider, deployment, provider.key_path) if provider.key_path else ""


def _url(provider: Provider, deployment: Deployment, path: str) -> str:
    place = path.replace("{deployment}", quote(deployment.path_model, safe=""))
    query = urlencode({**provider.query, **deployment.query})
    return f"{deployment.base_url}{place}{'?' if query else ''}{query}"


def headers_for(
    provider: Provider, deployment: Deployment, secret: str, client: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the headers of a call, names in lower case; the exchange adds those of the body.

    Later wins: the row's, what the client sent of the row's `client_headers` (lower-case names), the
    operator's for this deployment, the credentials. Raises ConfigError when a needed secret is empty.
    """
    headers = {name.lower(): value for name, value in provider.headers.items()}
    for name in provider.client_headers:
        if client is not None and name in client:
            headers[name] = client[name]
    headers.update({name.lower(): value for name, value in deployment.headers.items()})
    if secret:
        headers[provider.auth.header] = f"{provider.auth.prefix}{secret}"
    elif provider.auth.required:
        raise ConfigError(f"deployment {deployment.name!r} has no key: {provider.title} needs one")
    return headers
