"""Rate limits of every scope, in memory: taken when a call comes, put right when its bill is known."""

from collections.abc import Sequence
from typing import Self

from tidegate.model.errors import RateLimited
from tidegate.policy.rate import (
    EMPTY,
    SECOND_US,
    Ask,
    Kind,
    Limit,
    Tally,
    Verdict,
    admit_all,
    corrected,
    is_idle,
    left,
)
from tidegate.policy.rate_headers import retry_after_s

MAX_TALLIES = 16_384
SWEEP_US = 5 * SECOND_US
OTHERS = "others"
"""The scope that those beyond the table's size share."""

Key = tuple[str, Kind, int]
ScopedLimit = tuple[str, Limit]
"""A limit and whose it is: `key:k1`, `team:red`."""


class Rates:
    """One tally a scope, kind and window.

    The table is bounded (trap V4): what counts no longer is swept out when room is needed, at most every
    `SWEEP_US`; while it is full of what does, new scopes share one tally, which only ever refuses more.
    Times are of one clock that only rises, in microseconds.
    """

    def __init__(self, *, max_tallies: int = MAX_TALLIES) -> None:
        self._max = max_tallies
        self._tallies: dict[Key, tuple[Tally, Limit]] = {}
        self._swept_us: int | None = None

    def __len__(self) -> int:
        return len(self._tallies)

    def enter(self, limits: Sequence[ScopedLimit], *, tokens: int, now_us: int) -> "Turn":
        """Take a call's share of all its limits, or of none: see `Turn.ok`. `tokens` is an estimate."""
        asks: dict[Key, Ask] = {}
        for scope, limit in limits:
            key = self._key(scope, limit, len(asks), now_us)
            known = asks.get(key)
            if known is None or limit.amount < known.limit.amount:
                cost = tokens if limit.kind == "tokens" else 1
                asks[key] = Ask(scope, limit, self._of(key), cost)
        tallies, verdicts = admit_all(tuple(asks.values()), now_us)
        turn = Turn(self, tuple(asks), verdicts, tokens, now_us)
        if turn.ok:
            for key, ask, tally in zip(asks, asks.values(), tallies, strict=True):
                self._tallies[key] = tally, ask.limit
        return turn

    def settle(self, key: Key, *, at_us: int, now_us: int, estimated: int, billed: int) -> None:
        """Put a bill in place of an estimate; a tally that was forgotten stays so."""
        known = self._tallies.get(key)
        if known is not None:
            tally, limit = known
            put_right = corrected(
                tally, at_us=at_us, now_us=now_us, estimated=estimated, billed=billed, limit=limit
            )
            self._tallies[key] = put_right, limit

    def leave(self, key: Key) -> None:
        """Give a concurrent call's place back."""
        known = self._tallies.get(key)
        if known is not None:
            tally = left(known[0])
            if tally.running:
                self._tallies[key] = tally, known[1]
            else:
                del self._tallies[key]

    def _of(self, key: Key) -> Tally:
        known = self._tallies.get(key)
        return EMPTY if known is None else known[0]

    def _key(self, scope: str, limit: Limit, more: int, now_us: int) -> Key:
        """Return where a limit is counted; `more` tallies are about to be kept besides."""
        key = (scope, limit.kind, limit.window_us)
        if key not in self._tallies and len(self._tallies) + more >= self._max:
            self._sweep(now_us)
            if len(self._tallies) + more >= self._max:
                return OTHERS, limit.kind, limit.window_us
        return key

    def _sweep(self, now_us: int) -> None:
        if self._swept_us is not None and 0 <= now_us - self._swept_us < SWEEP_US:
            return
        self._swept_us = now_us
        idle = [key for key, (tally, limit) in self._tallies.items() if is_idle(tally, now_us, limit)]
        for key in idle:
            del self._tallies[key]


class Turn:
    """One call's share of its limits; leaving it gives the places of concurrent calls back.

    A refused turn (`ok` is False) has taken nothing, and nothing is given back.
    """

    __slots__ = ("_at_us", "_billed", "_keys", "_over", "_rates", "_tokens", "ok", "verdicts")

    def __init__(
        self, rates: Rates, keys: tuple[Key, ...], verdicts: tuple[Verdict, ...], tokens: int, at_us: int
    ) -> None:
        self._rates = rates
        self._keys = keys
        self._tokens = tokens
        self._at_us = at_us
        self.verdicts = verdicts
        self.ok = all(one.ok for one in verdicts)
        self._over = not self.ok
        self._billed = False

    def billed(self, tokens: int, now_us: int) -> None:
        """Put the tokens that were billed, by all attempts, in place of the estimate; once."""
        if not self.ok or self._billed:
            return
        self._billed = True
        for key in self._keys:
            if key[1] == "tokens":
                self._rates.settle(
                    key, at_us=self._at_us, now_us=now_us, estimated=self._tokens, billed=tokens
                )

    def leave(self) -> None:
        """End the call; a second time does nothing."""
        if not self._over:
            self._over = True
            for key in self._keys:
                if key[1] == "concurrent":
                    self._rates.leave(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()


def refusal(verdicts: Sequence[Verdict]) -> RateLimited:
    """Word what a refused call is told: the limit that keeps it out longest, and when to come again."""
    refused = [one for one in verdicts if not one.ok]
    assert refused, "an admitted call is refused nothing"
    worst = max(refused, key=lambda one: (one.retry_after_us is None, one.retry_after_us or 0))
    limit, wait_us = worst.limit, worst.retry_after_us
    what = f"{limit.amount} {limit.kind} in {limit.window_us // SECOND_US} s"
    if limit.kind == "concurrent":
        what = f"{limit.amount} calls at once"
    text = f"{worst.scope} may have {what}"
    if wait_us is None:
        text += ", which this call alone passes; make it smaller, or have the limit raised."
    else:
        text += f"; try again in {retry_after_s(wait_us)} s, or have the limit raised."
    error = RateLimited(
        text,
        retry_after_s=None if wait_us is None else retry_after_s(wait_us),
        facts={"scope": worst.scope, "kind": limit.kind, "limit": limit.amount},
    )
    error.retryable = wait_us is not None
    return error
