"""What types cannot say: which values fit together. Settings in, problems out."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from tidegate.config.alert_rules import alert_problems
from tidegate.config.budget_rules import budget_problems
from tidegate.config.lines import join
from tidegate.config.problem import Problem
from tidegate.config.resilience_rules import resilience_problems
from tidegate.config.secret_rules import secret_problems
from tidegate.config.settings import DeploymentRow, Server, Settings, host_port
from tidegate.config.zones import is_zone

CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key"}
)
OUR_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_CASE = (
    "provider",
    "model",
    "region",
    "processing",
    "input_over",
    "valid_from",
    "valid_to",
    "weekdays",
    "window",
)
"""What tells two prices of one model apart."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9._-]{1,253}")


def problems_of(settings: Settings) -> Iterator[Problem]:
    """Yield what is wrong with settings whose types are right."""
    yield from _server(settings.server)
    yield from _deployments(settings.deployments)
    yield from _aliases(settings)
    yield from resilience_problems(settings)
    yield from budget_problems(settings)
    yield from alert_problems(settings.alerts)
    yield from _prices(settings)
    yield from _fx(settings)
    if not is_zone(settings.report.time_zone):
        yield Problem(path="report.time_zone", message="no such time zone; write one such as Europe/Berlin")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches `host`."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _server(server: Server) -> Iterator[Problem]:
    if not server.control_remote and not is_loopback(host_port(server.control)[0]):
        yield Problem(
            path="server.control",
            message="the control listener is reachable from other machines; keep it on 127.0.0.1, "
            "or set control_remote = true",
        )
    if server.listen == server.control and not server.listen.endswith(":0"):
        yield Problem(path="server.control", message="listen and control need different addresses")
    for at, name in enumerate(server.allowed_hosts):
        if not _HOST.fullmatch(name) and not _is_ip(name):
            yield Problem(
                path=f"server.allowed_hosts[{at}]",
                message="expected a host name without port, such as gateway.example.com or *.example.com",
            )
    if server.total_timeout_s < server.first_byte_timeout_s:
        yield Problem(
            path="server.total_timeout_s", message="is shorter than first_byte_timeout_s, which never applies"
        )


def _deployments(rows: tuple[DeploymentRow, ...]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for at, row in enumerate(rows):
        path = f"deployments[{at}]"
        if row.name in first:
            yield Problem(
                path=f"{path}.name",
                message=f"{row.name!r} is also the name of deployments[{first[row.name]}]",
            )
        first.setdefault(row.name, at)
        yield from _deployment(row, path)
    if not rows:
        yield Problem(
            path="",
            level="warning",
            message="no [[deployments]]: every call will be answered 404 model_not_found",
        )


def _deployment(row: DeploymentRow, path: str) -> Iterator[Problem]:
    if "/" in row.name:
        yield Problem(
            path=f"{path}.name", message="a deployment's name holds no slash: a/b means provider/model"
        )
    if row.key is not None:
        yield from secret_problems(row.key, f"{path}.key")
    if row.base_url and (wrong := _wrong_with_url(row.base_url)):
        yield Problem(path=f"{path}.base_url", message=wrong)
    for field in ("resource", "deployment", "region", "api_version"):
        value = getattr(row, field)
        if value and not _PLACE.fullmatch(value):
            yield Problem(
                path=f"{path}.{field}", message="letters, digits, dots, dashes and underscores only"
            )
    for name, value in row.headers.items():
        if wrong := _wrong_with_header(name, value):
            yield Problem(path=join(f"{path}.headers", name), message=wrong)


def _wrong_with_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "not a URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "expected a URL such as https://host/v1"
    if parts.username is not None or parts.password is not None:
        return "a URL holds no user name or password; the key goes into `key`"
    if "?" in url or "#" in url:
        return "leave the query and the fragment out; api_version has a field of its own"
    if not (url.isascii() and url.isprintable()) or " " in url or "{" in url:
        return "printable ASCII without blanks and placeholders only"
    return ""


def _wrong_with_header(name: str, value: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        return "not a header's name"
    if name.lower() in CREDENTIAL_HEADERS:
        return "credentials go into `key`, never into headers"
    if name.lower() in OUR_HEADERS or name.lower().startswith("tidegate-"):
        return "Tidegate sets this header itself"
    if not _HEADER_VALUE.fullmatch(value):
        return "a header's value is printable ASCII, at most 1000 characters"
    return ""


def _aliases(settings: Settings) -> Iterator[Problem]:
    for alias, targets in settings.aliases.items():
        path = join("aliases", alias)
        if not targets:
            yield Problem(path=path, message="an alias needs at least one deployment or provider/model")
        for at, target in enumerate(targets):
            if target in targets[:at]:
                yield Problem(path=f"{path}[{at}]", message=f"{target!r} stands here twice")


def _prices(settings: Settings) -> Iterator[Problem]:
    rows = [(f"prices.override[{at}]", row) for at, row in enumerate(settings.prices.override)]
    rows += [
        (f"deployments[{at}].price", row.price.override(row.provider, row.model, row.region))
        for at, row in enumerate(settings.deployments)
        if row.price is not None
    ]
    first: dict[tuple[object, ...], str] = {}
    for path, row in rows:
        try:
            card = row.card()
        except ValueError as error:
            yield Problem(path=path, message=str(error))
            continue
        case = tuple(getattr(card, name) for name in _CASE)
        if case in first:
            yield Problem(path=path, message=f"prices the same case as {first[case]}; keep one of the two")
        first.setdefault(case, path)


def _fx(settings: Settings) -> Iterator[Problem]:
    seen = set()
    for at, fx in enumerate(settings.prices.fx):
        if (fx.base, fx.quote, fx.date) in seen:
            yield Problem(
                path=f"prices.fx[{at}].date", message="there is already a rate of that day for these two"
            )
        seen.add((fx.base, fx.quote, fx.date))
