"""What a guard is: a pure callable that reads a text and names what it found in it, never the text itself.

The guards that ship are in `guard_patterns.py`, `guard_stop.py` and `grounding.py`. Others plug in by dotted
name: any callable `(text, context) -> findings` will do.
"""

import enum
import importlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from tidegate.model.errors import ConfigError

DIGEST_HEX = 16


class Severity(enum.IntEnum):
    """How much a finding matters, where the text is what it looks like."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Side(enum.StrEnum):
    """Which way a text goes."""

    REQUEST = "request"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class GuardContext:
    """What a guard may know beside the text.

    `digest_key` is the tenant's: no digest can be compared across tenants. `given` is the text that a reply
    is to rest on, and empty where there is none.
    """

    digest_key: bytes
    side: Side = Side.REQUEST
    given: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a guard found at `text[start:end]`.

    `kind` is the family that actions are configured for (`email`, `key`), `rule` what exactly matched
    (`key/aws-secret`). The evidence is `digest`, keyed, equal for equal values, and `counts`; never the text.
    """

    kind: str
    rule: str
    start: int
    end: int
    severity: Severity
    digest: str
    counts: tuple[tuple[str, int], ...] = ()


Guard = Callable[[str, GuardContext], Sequence[Finding]]


def new_digest(key: bytes) -> blake2b:
    """A digest to be fed with a value; keyed by the tenant's key."""
    return blake2b(key=key[:64], digest_size=DIGEST_HEX // 2, person=b"tg-guard")


def digest_of(key: bytes, value: str) -> str:
    """16 hex digits that are equal for equal values of one tenant."""
    made = new_digest(key)
    made.update(value.encode("utf-8", "replace"))
    return made.hexdigest()


def placeholder(kind: str) -> str:
    """What stands in a text for something that was taken out of it."""
    return f"[{kind}]"


def redact(text: str, findings: Iterable[Finding], kinds: Collection[str]) -> str:
    """Return the text with the findings of these kinds replaced, `[email]` for an address.

    Meant for what a person reads, and for the strings inside JSON once they are decoded: a placeholder holds
    nothing that JSON would have to escape. Text that a program will parse, such as a tool's arguments or a
    number outside quotes, is not safe to redact: a placeholder there changes its structure. Alert or stop.
    """
    parts: list[str] = []
    at = 0
    for finding in sorted(findings, key=lambda one: (one.start, -one.end)):
        if finding.kind not in kinds:
            continue
        if finding.start >= at:
            parts += (text[at : finding.start], placeholder(finding.kind))
        at = max(at, finding.end)
    return "".join([*parts, text[at:]])


def findings_of(guard: Guard, text: str, context: GuardContext) -> tuple[Finding, ...]:
    """What the guard finds, in order. Raises ValueError where a finding lies outside of the text."""
    found = tuple(sorted(guard(text, context), key=lambda one: (one.start, one.end)))
    for one in found:
        if not 0 <= one.start <= one.end <= len(text):
            raise ValueError(f"{one.rule} lies at {one.start}:{one.end} of a text of {len(text)} characters")
    return found


def guard_named(name: str) -> Guard:
    """The guard of a dotted name, `package.module.callable`. Raises ConfigError where there is none."""
    module, _, attribute = name.rpartition(".")
    if not module:
        raise ConfigError(f"{name!r} is no dotted name of a guard, such as 'our_guards.customer_numbers'")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"there is no guard {name!r}: {error}") from None
    if not callable(found):
        raise ConfigError(f"{name!r} is no guard: it cannot be called with a text and a context")
    guard: Guard = found
    return guard
