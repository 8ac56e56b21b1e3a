"""Which application is this, by the look of its prompt; and keyed hashes of what decides an answer.

Everything is keyed per tenant, so that no hash can be compared across tenants or tried against a guess by
someone who does not hold the key.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b

from tidegate.model.request import RequestFacts

PREFIX_HEX = 16
FINGERPRINT_HEX = 32
OLDER_BOUNDARIES = (2, 4, 8, 16)
"""How many messages back, besides the newest two, a prefix is hashed: enough to see a conversation grow."""

MAX_FINGERPRINT_TEXT = 262_144

_VOLATILE = re.compile(
    r"\d{4}-\d{2}-\d{2}"  # a date
    r"|\d{1,2}[:.]\d{2}(?:[:.]\d{2})?\s*(?:[ap]m)?\b"  # a time, a version
    r"|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2}\b"
    r"|\b\d{1,2}\.? (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-"  # a UUID
    r"|\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b"  # a hash
    r"|\b\d{6,}\b"  # an id, a time stamp
    r"|^\s*x-[a-z-]+:",  # a header-like line, such as a coding agent's billing line (trap K13)
    re.IGNORECASE,
)
_TOOL_NAME = re.compile(rb'"name"\s*:\s*"([^"\\]{1,128})"')


def stable_lines(text: str) -> list[str]:
    """The lines of a system prompt that stay the same from call to call, blank ones left out."""
    return [
        stripped
        for line in text[:MAX_FINGERPRINT_TEXT].splitlines()
        if (stripped := line.strip()) and not _VOLATILE.search(stripped)
    ]


def fingerprint(key: bytes, system_text: str, tools_raw: bytes) -> str:
    """32 hex digits that name an application: its system prompt's stable lines and its tools' names.

    Names are sorted, because agents re-order their tools and load some late (trap K5).
    """
    digest = blake2b(key=key, digest_size=FINGERPRINT_HEX // 2, person=b"tg-fingerprint")
    for line in stable_lines(system_text):
        digest.update(line.encode("utf-8", "replace") + b"\n")
    digest.update(b"\0")
    for name in sorted(set(_TOOL_NAME.findall(tools_raw))):
        digest.update(name + b"\n")
    return digest.hexdigest()


def prefixes(key: bytes, pieces: Sequence[bytes]) -> tuple[tuple[int, str], ...]:
    """Keyed hashes of the prompt up to its newest and a few older boundaries: (message index, hex).

    `pieces` are tools, system, then each message; index -1 is the end of tools and system. Two prompts
    that share a hash share everything up to there.
    """
    last = len(pieces) - 3
    wanted = {-1, last, last - 1, *(last - back for back in OLDER_BOUNDARIES)}
    running = blake2b(key=key, digest_size=PREFIX_HEX // 2, person=b"tg-prefix")
    found: list[tuple[int, str]] = []
    for index, piece in enumerate(pieces, start=-2):
        running.update(len(piece).to_bytes(8, "little"))
        running.update(piece)
        if index in wanted and index >= -1:
            found.append((index, running.hexdigest()))
    return tuple(found)


def exact(key: bytes, body: bytes, facts: RequestFacts, target_model: str) -> str:
    """A keyed hash of everything the client sent, and where it goes: equal means the same question.

    `body` is the request as the client wrote it. Two spellings of one question differ; that is safe, and
    the cache has a canonical key of its own (trap C2).
    """
    digest = blake2b(key=key, digest_size=16, person=b"tg-exact")
    digest.update(f"{facts.surface}\0{target_model}\0".encode())
    digest.update(body)
    return digest.hexdigest()
