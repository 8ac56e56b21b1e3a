"""Which application is this, by the look of its prompt; and keyed hashes of what decides an answer.

Everything is keyed per tenant, so that no hash can be compared across tenants or tried against a guess by
someone who does not hold the key.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

PREFIX_HEX = 16
EXACT_HEX = 32
FINGERPRINT_HEX = 32
OLDER_BOUNDARIES = (2, 4, 8, 16)
"""How many messages back, besides the newest two, a prefix is hashed: enough to see a conversation grow."""

MAX_FINGERPRINT_TEXT = 262_144

_DIGIT = re.compile(r"[0-9]")
_HEADER_LIKE = re.compile(r"x-[a-z-]+:", re.IGNORECASE)
"""A header-like line, such as a coding agent's billing line (trap K13)."""

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_VOLATILE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"  # a date
    r"|[0-9]{1,2}[:.][0-9]{2}(?:[:.][0-9]{2})?\s*(?:[ap]m)?\b"  # a time, a version
    r"|\b[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}\b"
    rf"|\b(?:{_MONTHS})[a-z]*\.? [0-9]{{1,2}}\b"
    rf"|\b[0-9]{{1,2}}\.? (?:{_MONTHS})"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-"  # a UUID
    r"|\b(?=[0-9a-f]*[0-9])[0-9a-f]{12,}\b"  # a hash
    r"|\b[0-9]{6,}\b",  # an id, a time stamp
    re.IGNORECASE,
)
_TOOL_NAME = re.compile(rb'"name"\s*:\s*"([^"\\]{1,128})"')

_MODEL_ALONE = frozenset({"model"})
_MODEL_AND_PROMPT = _MODEL_ALONE | {"messages", "tools", "system", "input"}
"""With the long fields whose content is in `RequestFacts.prompt`, in every dialect."""


def stable_lines(text: str) -> list[str]:
    """The lines of a system prompt that stay the same from call to call, blank ones left out."""
    return [
        stripped
        for line in text[:MAX_FINGERPRINT_TEXT].splitlines()
        if (stripped := line.strip()) and not _is_volatile(stripped)
    ]


def _is_volatile(line: str) -> bool:
    """True for a line with a date, a time, a version, an id or a hash: all of them have a digit."""
    if line[:2] in ("x-", "X-") and _HEADER_LIKE.match(line):
        return True
    return _DIGIT.search(line) is not None and _VOLATILE.search(line) is not None


def fingerprint(key: bytes, system_text: str, tools_raw: bytes) -> str:
    """32 hex digits that name an application: its system prompt's stable lines and its tools' names.

    Names are sorted, because agents re-order their tools and load some late (trap K5).
    """
    digest = blake2b(key=key, digest_size=FINGERPRINT_HEX // 2, person=b"tg-fingerprint")
    lines = "\n".join(stable_lines(system_text))
    digest.update(lines.encode("utf-8", "replace") + b"\n\0")
    digest.update(b"\n".join(sorted(set(_TOOL_NAME.findall(tools_raw)))))
    return digest.hexdigest()


def prefixes(key: bytes, pieces: Sequence[bytes]) -> tuple[tuple[int, str], ...]:
    """Keyed hashes of the prompt up to its newest and a few older boundaries: (message index, hex).

    `pieces` are tools, system, then each message; index -1 is the end of tools and system. Two prompts
    that share a hash share everything up to there. The last one is of the whole prompt. SHA-256, because
    prompts are long and processors have it; the key is its first block and the output is truncated.
    """
    assert len(pieces) >= 2, "tools and system come first, empty where there are none"
    framed: list[bytes] = []
    for piece in pieces:
        framed += (len(piece).to_bytes(8, "little"), piece)
    running = _keyed(key).copy()
    found: list[tuple[int, str]] = []
    start = 0
    for index in _boundaries(len(pieces) - 3):
        end = 2 * (index + 3)
        running.update(b"".join(framed[start:end]))
        found.append((index, running.hexdigest()[:PREFIX_HEX]))
        start = end
    return tuple(found)


@lru_cache(maxsize=1024)
def _boundaries(last: int) -> tuple[int, ...]:
    """The messages after which a prefix is hashed, oldest first, where `last` is the newest's index."""
    backs = (0, 1, *OLDER_BOUNDARIES)
    return tuple(sorted({-1, *(last - back for back in backs if last - back >= -1)}))


@lru_cache(maxsize=1024)
def _keyed(key: bytes) -> "hashlib._Hash":
    """A hash that has taken in a tenant's key as its first block; copied, never changed."""
    return hashlib.sha256(b"tg-prefix".ljust(32, b"\0") + key[:32].ljust(32, b"\0"))


def exact(
    key: bytes, fields: Iterable[tuple[str, bytes]], *, surface: str, target: str, whole_prompt: str
) -> str:
    """A keyed hash of everything that decides the answer: equal means the same question.

    `fields` are the request's top-level fields as raw JSON, of which `model` is left out: `target` says where
    it leads. `whole_prompt` is the last of the prompt's prefix hashes, which stands for the long ones. Two
    spellings of one question differ; that is safe, and the cache has a canonical key of its own (trap C2).
    """
    passed_over = _MODEL_AND_PROMPT if whole_prompt else _MODEL_ALONE
    parts = [f"{surface}\0{target}\0{whole_prompt}\0".encode()]
    for name, value in fields:
        if name not in passed_over:
            parts += (f"{name}\0{len(value)}\0".encode("utf-8", "replace"), value)
    digest = blake2b(b"".join(parts), key=key, digest_size=EXACT_HEX // 2, person=b"tg-exact")
    return digest.hexdigest()
