"""E-mail addresses, passwords in links, and addresses of machines."""

import ipaddress
import re

from tidegate.policy.guard import Severity
from tidegate.policy.guard_sight import Rule, Sight

EMAIL = Rule("email", "email", Severity.MEDIUM, rank=30)
LINK_PASSWORD = Rule("key", "key/in-link", Severity.HIGH, rank=20)
IP_V4 = Rule("ip", "ip/v4", Severity.LOW, rank=60)
IP_V6 = Rule("ip", "ip/v6", Severity.LOW, rank=60)

LONGEST_LOCAL = 64
"""RFC 5321, section 4.5.3.1.1."""
_LONGEST_DOMAIN = 253
_LOCAL_BACKWARDS = re.compile(r"[A-Za-z0-9._%+'-]{1,65}+")
_DOMAIN = re.compile(r"[^\W_](?:[^\W_]|-){0,62}+(?:\.[^\W_](?:[^\W_]|-){0,62}+){1,10}+")
_DOMAIN_SO_FAR = re.compile(r"(?:[^\W_]|[.-]){0,254}+\Z")
_LAST_LABEL = re.compile(r"(?:[a-z]{2,24}|xn--[a-z0-9-]{2,59})\Z")
_FILE_ENDINGS = frozenset(
    {
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "bmp",
        "ico",
        "css",
        "js",
        "ts",
        "json",
        "html",
        "htm",
        "xml",
        "txt",
    }
    | {"pdf", "gz"}
)
"""What ends names of files (`icon@2x.png`) and no domain."""
_LINK_USER = re.compile(r"://[^\s/@:]{0,64}:\Z")

_V4 = re.compile(r"\d(?<![\w.].)\d{0,2}+(?:\.\d{1,3}+){3}(?!\w|\.\d)", re.DOTALL)
_V6 = re.compile(r"[0-9A-Fa-f:](?<![\w:.].)[0-9A-Fa-f:]{2,44}+(?![\w.])", re.DOTALL)


def emails(sight: Sight) -> None:
    """Find e-mail addresses, and passwords that stand before the `@` of a link."""
    text = sight.text
    at = text.find("@", sight.begin)
    while at >= 0:
        local = _LOCAL_BACKWARDS.match(text[max(0, at - LONGEST_LOCAL - 1) : at][::-1])
        if local is not None and local.end() <= LONGEST_LOCAL:
            _address(sight, at - local.end(), at)
        at = text.find("@", at + 1)


def _address(sight: Sight, start: int, at: int) -> None:
    text = sight.text
    while start < at and text[start] in ".'-+%":
        start += 1
    if start == at or text[at - 1] == ".":
        return
    so_far = _DOMAIN_SO_FAR.match(text, at + 1)
    if so_far and not sight.final:
        sight.undecided(start)
        return
    domain = _DOMAIN.match(text, at + 1)
    if domain is None or domain.end() - at > _LONGEST_DOMAIN:
        return
    end = domain.end() - (len(domain[0]) - len(domain[0].rstrip("-")))
    last = text[at + 1 : end].rpartition(".")[2].lower()
    if not _LAST_LABEL.match(last) or last in _FILE_ENDINGS:
        return
    if text[start - 1 : start] == ":" and _LINK_USER.search(text, max(0, start - 70), start):
        sight.found(LINK_PASSWORD, start, at)
    else:
        sight.found(EMAIL, start, end)


def machines(sight: Sight) -> None:
    """Find addresses of machines, IPv4 and IPv6."""
    for found in _V4.finditer(sight.text, sight.begin):
        if all(int(part) <= 255 for part in found[0].split(".")):
            sight.found(IP_V4, *found.span())
    for found in _V6.finditer(sight.text, sight.begin):
        if found[0].count(":") >= 2 and _is_v6(found[0]):
            sight.found(IP_V6, *found.span())


def _is_v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return sum(part != "" for part in text.split(":")) >= 2
