"""The tails of runs that were seen before, so that of a long conversation only what is new is read.

A conversation that goes on has a beginning that is known by its prefix hash; where it grew by a number of
messages after which none is taken, it is found by how it starts, and all of it is compared. What is kept is
hashes and counts, apart by tenant, bounded: the run that was quiet for longest goes first, and where it comes
again the end of it is read anew.
"""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from tidegate.model.message import ToolResult
from tidegate.model.request import RequestFacts
from tidegate.policy.steps import KEPT, Tail, extended
from tidegate.wire.turns import FIRST, count_calls, read_turns

MAX_RUNS = 512
READ_ANEW = 5 * KEPT // 2
"""Messages that are read of a long conversation nobody remembers; a step is two, or a little more."""

Prefixes = Sequence[tuple[int, str]]
"""As `policy.fingerprint.prefixes` gives them: (message index, hash), the oldest first, which is -1."""

_Key = tuple[str, str, int]
"""A tenant, a prefix hash, and the hash of a first user message, 0 where the prefix is of all messages."""


class _Known(msgspec.Struct, frozen=True):
    """A tail and the messages it was read from: their number, and a hash of them within this process."""

    tail: Tail
    messages: int
    digest: int


class Tails:
    """Tails by tenant and prefix."""

    def __init__(self, *, max_runs: int = MAX_RUNS) -> None:
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._max_entries = 2 * max_runs

    def __len__(self) -> int:
        return len(self._known)

    def of(self, tenant: str, tenant_key: bytes, facts: RequestFacts, prefixes: Prefixes) -> Tail:
        """Return the tail of the conversation that a request holds."""
        messages = facts.prompt[FIRST:]
        start: _Key = (tenant, prefixes[0][1], hash(facts.first_user))
        newest: _Key = (tenant, prefixes[-1][1], 0)
        known = self._grown(tenant, messages, prefixes) or self._begun(start, messages)
        if known is None:
            tail, digest = _anew(tenant_key, facts, messages), _digest(0, messages)
        else:
            new = messages[known.messages :]
            tail = extended(known.tail, read_turns(facts.surface, new), tenant_key) if new else known.tail
            digest = _digest(known.digest, new)
        known = _Known(tail, len(messages), digest)
        self._keep(newest, known)
        self._keep(start, known)
        return tail

    def _grown(self, tenant: str, messages: Sequence[bytes], prefixes: Prefixes) -> _Known | None:
        """Take what is known of the longest beginning; where more has come, nobody will ask for it again."""
        for _, prefix in reversed(prefixes):
            known = self._known.get((tenant, prefix, 0))
            if known is not None:
                if known.messages < len(messages):
                    del self._known[tenant, prefix, 0]
                return known
        return None

    def _begun(self, start: _Key, messages: Sequence[bytes]) -> _Known | None:
        """What is known of a conversation by its start, if it is a beginning of these messages."""
        known = self._known.get(start)
        if known is None or known.messages > len(messages):
            return None
        return known if known.digest == _digest(0, messages[: known.messages]) else None

    def _keep(self, key: _Key, known: _Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > self._max_entries:
            self._known.popitem(last=False)


def _anew(tenant_key: bytes, facts: RequestFacts, messages: Sequence[bytes]) -> Tail:
    """The tail of a conversation nobody remembers: of a long one the end is read, and all calls counted."""
    first = max(0, len(messages) - READ_ANEW)
    turns = list(read_turns(facts.surface, messages[first:]))
    if first:  # results at the start of what is read belong to calls that are only counted
        orphans = 0
        while orphans < len(turns) and any(isinstance(part, ToolResult) for part in turns[orphans].parts):
            orphans += 1
        first, turns = first + orphans, turns[orphans:]
    before = Tail(messages=first, calls=sum(count_calls(facts.surface, piece) for piece in messages[:first]))
    return extended(before, turns, tenant_key)


def _digest(so_far: int, messages: Sequence[bytes]) -> int:
    for message in messages:
        so_far = hash((so_far, message))
    return so_far
