"""Who may call now: limits on requests, tokens and concurrent calls, and breakers on what a key spends."""

from collections.abc import Callable

from tidegate.model.errors import SpendPaused
from tidegate.model.identity import Key
from tidegate.model.record import Settled, Who
from tidegate.model.request import DIALECT_OF, Surface
from tidegate.policy.rate_headers import Headers, limit_headers
from tidegate.policy.spend_breaker import SpendEvent
from tidegate.services.breakers import SpendBreakers
from tidegate.services.clock import Clock
from tidegate.services.policies import ScopeLimits, SpendRules
from tidegate.services.rates import Rates, Turn, refusal

SECOND_US = 1_000_000


class Admitted:
    """One call that was let in: what it tells its client, and what it gives back at its end."""

    __slots__ = ("_key", "_limiter", "_turn", "headers")

    def __init__(self, limiter: "Limiter", key: Key, turn: Turn | None, headers: Headers) -> None:
        self._limiter = limiter
        self._key = key
        self._turn = turn
        self.headers = headers

    def settle(self, settled: Settled) -> None:
        """Put the last attempt's bill in place of the estimate, and end the call; a repeat does nothing."""
        usage = settled.usage
        tokens = (usage.input_total or 0) + (usage.output_total or 0)
        if self._turn is not None:
            self._turn.billed(tokens, self._limiter.now_us())
            self._turn.leave()
        self._limiter.spent(self._key, tokens, settled)

    def leave(self) -> None:
        """End a call that was never made."""
        if self._turn is not None:
            self._turn.leave()


class Limiter:
    """Applies the limits that it was given last; before that, none. Without any, a call costs a look."""

    def __init__(self, clock: Clock, *, on_spend: Callable[[str, SpendEvent], None]) -> None:
        self._clock = clock
        self._rates = Rates()
        self._spends = SpendBreakers(on_event=on_spend)
        self.configure(ScopeLimits({}), SpendRules({}))

    def configure(self, limits: ScopeLimits, spending: SpendRules) -> None:
        """Apply other limits from now on; what was used of those that stay is still counted.

        Calls that were let in before a limit came are not counted by it.
        """
        self._limits = limits
        self._spending = spending
        self.limits_nothing = not limits.scopes and not spending.rules

    def now_us(self) -> int:
        """The clock that only rises."""
        return int(self._clock.mono_s() * SECOND_US)

    def enter(
        self, key: Key, who: Who, surface: Surface, *, model: str, provider: str, tokens: int
    ) -> Admitted | None:
        """Let a call in; None where nothing limits it. `tokens` is what it may use, by estimate.

        Raises RateLimited, with the limits as headers, or SpendPaused. Counting tokens is not limited (K14).
        """
        rule = self._spending.of(key.id, key.name)
        if (not self._limits.scopes and rule is None) or surface == "count_tokens":
            return None
        now_us = self.now_us()
        if rule is not None and not self._spends.enter(key.id, now_us, rule):
            raise self._paused(key, now_us)
        found = self._limits.of(
            tenant=who.tenant,
            key=key.id,
            key_name=key.name,
            team=who.team,
            feature=who.feature,
            model=model,
            provider=provider,
        )
        if not found:
            return Admitted(self, key, None, [])
        turn = self._rates.enter(found, tokens=tokens, now_us=now_us)
        wall_us = self._clock.wall_us()
        headers = limit_headers(turn.verdicts, DIALECT_OF[surface], wall_us=wall_us)
        headers += limit_headers(turn.verdicts, "ietf", wall_us=wall_us)
        if not turn.ok:
            error = refusal(turn.verdicts)
            error.headers = headers
            raise error
        return Admitted(self, key, turn, headers)

    def spent(self, key: Key, tokens: int, settled: Settled) -> None:
        """Take in a bill; money counts in the currency that the rule is stated in alone."""
        rule = self._spending.of(key.id, key.name)
        if rule is None:
            return
        nano = (settled.cost_nano or 0) if settled.currency == rule.currency else 0
        self._spends.spent(key.id, self.now_us(), tokens=tokens, nano=nano, rule=rule)

    def _paused(self, key: Key, now_us: int) -> SpendPaused:
        wait_us = self._spends.back_us(key.id, now_us)
        wait_s = None if wait_us is None else max(1, -(-wait_us // SECOND_US))
        when = "an operator has to let it go on" if wait_s is None else f"it may go on in {wait_s} s"
        return SpendPaused(
            f"Key {key.id} spends more than is usual for it or allowed; {when}.", wait_s=wait_s
        )
