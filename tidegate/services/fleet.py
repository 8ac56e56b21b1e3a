"""What is known of every deployment while calls go on: cooldowns, breakers, retry budgets, latencies."""

from collections.abc import Callable

from tidegate.model.record import Decision
from tidegate.policy.balance import Candidate, Choice, order, recorded
from tidegate.policy.breaker import BreakerEvent, Verdict
from tidegate.services.breakers import Breakers, Passage
from tidegate.services.clock import Clock
from tidegate.services.latency import Latencies, Running
from tidegate.services.outbound import Outbound
from tidegate.services.retries import RetryBudgets
from tidegate.stores.snapshot import Policies

SECOND_US = 1_000_000


class TimedPassage:
    """One call at a deployment whose latency matters: calls are spread by it."""

    __slots__ = ("_passage", "_running")

    def __init__(self, passage: Passage, running: Running) -> None:
        self._passage = passage
        self._running = running

    def first_content(self, took_us: int, now_us: int) -> None:
        """See Passage."""
        self._passage.first_content(took_us, now_us)
        self._running.first_content(took_us, now_us)

    def end(self, verdict: Verdict, now_us: int) -> None:
        """See Passage."""
        self._passage.end(verdict, now_us)
        self._running.end()


Visit = Passage | TimedPassage
"""One call at a deployment, from when it was let through to its end."""


class Fleet:
    """The deployments of one gateway. Times are microseconds of the clock that only rises."""

    def __init__(
        self, clock: Clock, policies: Policies, *, on_breaker: Callable[[str, BreakerEvent], None]
    ) -> None:
        self.policies = policies
        self.breakers = Breakers(policies.breaker, on_event=on_breaker)
        self.retries = RetryBudgets(policies.retries)
        self.latencies = Latencies()
        self._clock = clock
        self._cooling: dict[str, int] = {}

    def configure(self, policies: Policies) -> None:
        """Go on under other policies; everything that is known of the deployments stays known."""
        now_us = self.now_us()
        self.policies = policies
        self.breakers.configure(policies.breaker, now_us)
        self.retries.configure(policies.retries, now_us)

    def now_us(self) -> int:
        """The time of all that is known here."""
        return int(self._clock.mono_s() * SECOND_US)

    def enter(self, name: str) -> Visit | None:
        """Let a call through to a deployment; None where its breaker is open."""
        passage = self.breakers.enter(name, int(self._clock.mono_s() * SECOND_US))
        if passage is None or self.policies.balance != "latency":
            return passage
        return TimedPassage(passage, self.latencies.start(name))

    def cool(self, name: str, for_us: int) -> None:
        """Pass a deployment over for a while, where another can take its place; the longest wish wins."""
        if for_us > 0:
            self._cooling[name] = max(self.now_us() + for_us, self._cooling.get(name, 0))

    def back_us(self, name: str, now_us: int) -> int:
        """How long a deployment had better be left alone; 0 where it is ready, be it for a probe."""
        cool_us = self._cooling.get(name, 0) - now_us if self._cooling else 0
        return max(self.breakers.back_us(name, now_us), cool_us, 0)

    def order(
        self, outbounds: tuple[Outbound, ...], conversation: str
    ) -> tuple[tuple[Outbound, ...], tuple[Decision, ...]]:
        """The deployments in the order to try them, and the decision where there was one to make.

        Deployments of one model are spread by the policy; another model behind them is a fallback.
        `conversation` is a digest that stays the same from turn to turn, empty where there is none (R6).
        """
        if len(outbounds) == 1:
            return outbounds, ()
        now_us, mode = self.now_us(), self.policies.balance
        backs = [self.back_us(one.name, now_us) for one in outbounds]
        if mode == "in_order" and not any(backs):
            return outbounds, ()
        candidates: list[Candidate] = []
        tier, model = 0, outbounds[0].asked_model
        for place, (one, back_us) in enumerate(zip(outbounds, backs, strict=True)):
            if one.asked_model != model:
                tier, model = tier + 1, one.asked_model
            candidates.append(
                Candidate(
                    name=one.name,
                    tier=place if mode == "in_order" else tier,
                    weight=one.deployment.weight,
                    latency_us=self.latencies.latency_us(one.name, now_us),
                    running=self.latencies.running(one.name),
                    back_us=back_us,
                )
            )
        choice = Choice(
            candidates=tuple(candidates),
            mode=mode,
            draw=0 if mode == "in_order" else self._clock.random_bits(32),
            sticky=conversation if self.policies.sticky and mode != "in_order" else "",
        )
        names = order(choice)
        by_name = {one.name: one for one in outbounds}
        return tuple(by_name[name] for name in names), (recorded(choice, names),)

    def back_in_s(self, outbounds: tuple[Outbound, ...]) -> int:
        """When the first of these breakers may let a call through, in whole seconds from now, at least 1."""
        now_us = self.now_us()
        soonest_us = min(self.breakers.back_us(one.name, now_us) for one in outbounds)
        return max(1, -(-soonest_us // SECOND_US))
