"""Which settings of alerts fit together. Settings in, problems out."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from tidegate.config.problem import Problem
from tidegate.config.secret_rules import secret_problems
from tidegate.config.settings import Alerts, AlertTarget

MOST_TARGETS = 32
MOST_RECIPIENTS = 50
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")
_USES = {
    "webhook": ("url", "url_secret", "secret"),
    "slack": ("url_secret",),
    "email": ("smtp", "security", "user", "password", "sender", "to"),
}
"""What each kind of target takes, besides a name, events and teams."""

_NEEDS = {"webhook": ("secret",), "slack": ("url_secret",), "email": ("smtp", "sender", "to")}
_SECRETS = ("url_secret", "secret", "password")


def alert_problems(section: Alerts) -> Iterator[Problem]:
    """Yield what is wrong with the settings of alerts, whose types are right."""
    if 0 < section.spend_jump_ratio <= 1:
        yield Problem(
            path="alerts.spend_jump_ratio", message="must be above 1; write 0 to look at no jumps of spending"
        )
    if len(section.targets) > MOST_TARGETS:
        yield Problem(path="alerts.targets", message=f"at most {MOST_TARGETS}")
    first: dict[str, int] = {}
    for at, row in enumerate(section.targets):
        path = f"alerts.targets[{at}]"
        if (earlier := first.setdefault(row.name, at)) != at:
            yield Problem(
                path=f"{path}.name", message=f"{row.name!r} is also the name of alerts.targets[{earlier}]"
            )
        yield from _target(row, path)


def _target(row: AlertTarget, path: str) -> Iterator[Problem]:
    plain = AlertTarget(name=row.name, kind=row.kind)
    for name in (one for names in _USES.values() for one in names):
        if name not in _USES[row.kind] and getattr(row, name) != getattr(plain, name):
            what = (
                "write url_secret: the address is the secret" if (row.kind, name) == ("slack", "url") else ""
            )
            message = f"is not of the kind {row.kind!r}" + (f"; {what}" if what else "")
            yield Problem(path=f"{path}.{name}", message=message)
    for name in _NEEDS[row.kind]:
        if not getattr(row, name):
            yield Problem(path=path, message=f"{name!r} is missing: a target of kind {row.kind!r} needs it")
    for name in _SECRETS:
        secret = getattr(row, name)
        if secret is not None:
            yield from secret_problems(secret, f"{path}.{name}")
    match row.kind:
        case "webhook":
            yield from _webhook(row, path)
        case "email":
            yield from _email(row, path)
        case "slack":
            pass


def _webhook(row: AlertTarget, path: str) -> Iterator[Problem]:
    if bool(row.url) == (row.url_secret is not None):
        yield Problem(path=path, message="needs one of url and url_secret")
    if row.url and (wrong := wrong_with_url(row.url)):
        yield Problem(path=f"{path}.url", message=wrong)


def _email(row: AlertTarget, path: str) -> Iterator[Problem]:
    if bool(row.user) != (row.password is not None):
        yield Problem(path=path, message="user and password go together")
    if row.user and row.security == "none":
        yield Problem(
            path=f"{path}.security", message='a password is only sent over TLS; write "starttls" or "tls"'
        )
    if row.user and not (row.user.isascii() and row.user.isprintable()):
        yield Problem(path=f"{path}.user", message="printable ASCII only")
    if row.sender and not _MAILBOX.fullmatch(row.sender):
        yield Problem(path=f"{path}.sender", message="expected an address such as tidegate@example.com")
    if len(row.to) > MOST_RECIPIENTS:
        yield Problem(path=f"{path}.to", message=f"at most {MOST_RECIPIENTS}")
    for at, address in enumerate(row.to):
        if not _MAILBOX.fullmatch(address):
            yield Problem(path=f"{path}.to[{at}]", message="expected an address such as ops@example.com")


def wrong_with_url(url: str) -> str:
    """Say why no alert can be posted to a URL; empty where one can. The text never holds the URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "not a URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "expected a URL such as https://host/path"
    if parts.username is not None or parts.password is not None:
        return "a URL holds no user name or password"
    if parts.fragment:
        return "leave the fragment out"
    if not (url.isascii() and url.isprintable()) or " " in url:
        return "printable ASCII without blanks only"
    return ""
