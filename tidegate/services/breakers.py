"""The breakers of deployments and of keys' spending, in memory."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Self

import msgspec

from tidegate.policy.breaker import (
    Admission,
    Breaker,
    BreakerEvent,
    BreakerPolicy,
    Outcome,
    State,
    Verdict,
    admits,
    answering,
    back_us,
    enter,
    on_result,
    reset,
    slot_of,
    with_successes,
)
from tidegate.policy.rate import EMPTY
from tidegate.policy.spend_breaker import NEW, Spend, SpendEvent, on_spent
from tidegate.policy.spend_breaker import back_us as spend_back_us
from tidegate.policy.spend_breaker import enter as spend_enter
from tidegate.policy.spend_breaker import reset as spend_reset
from tidegate.stores.snapshot import SpendRule

MAX_BREAKERS = 4096
MAX_SPENDS = 4096
BUSY_US = 1_000_000
"""When to look again at a breaker whose probes are all out: nobody knows when they end."""

_CLOSED = Breaker()


class _Quick:
    """Good answers of one slice, not yet taken in."""

    __slots__ = ("at_us", "count", "slot")

    def __init__(self, slot: int, at_us: int) -> None:
        self.slot = slot
        self.at_us = at_us
        self.count = 1


class Breakers:
    """A breaker for each deployment, closed until it is seen to fail.

    `on_event` is told of each change with the deployment's name. Beyond `max_breakers` names, the one used
    longest ago is forgotten, which closes it. Times are of one clock that only rises, in microseconds.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        on_event: Callable[[str, BreakerEvent], None],
        max_breakers: int = MAX_BREAKERS,
    ) -> None:
        self.policy = policy
        self._on_event = on_event
        self._max = max_breakers
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()
        self._quick: dict[str, _Quick] = {}

    def __len__(self) -> int:
        return len(self._breakers)

    def configure(self, policy: BreakerPolicy, now_us: int) -> None:
        """Go on under another policy.

        An open breaker stays so until the moment that was set. Where breakers are switched off, all close:
        the results that would close them no longer count. Counts of one window mean nothing in another.
        """
        was = self.policy
        if policy == was:
            return
        for name in tuple(self._quick):
            self._of(name)
        self.policy = policy
        for name, breaker in tuple(self._breakers.items()):
            if not policy.enabled:
                self.close(name, now_us)
            elif policy.window_us != was.window_us:
                self._breakers[name] = msgspec.structs.replace(breaker, buckets=())

    def state(self, name: str) -> State:
        """Return the state to show an operator."""
        return self._breakers.get(name, _CLOSED).state

    def back_us(self, name: str, now_us: int) -> int:
        """Return how long a deployment refuses calls, for balancing; 0 where one may go, also as a probe."""
        breaker = self._breakers.get(name, _CLOSED)
        if breaker.state == "closed":
            return 0
        if admits(breaker, now_us, self.policy) != "refused":
            return 0
        return back_us(breaker, now_us) or BUSY_US

    def enter(self, name: str, now_us: int) -> "Passage | None":
        """Let a call through, None where the breaker refuses it."""
        known = self._breakers.get(name, _CLOSED)
        if known.state == "closed":
            return Passage(self, name, Admission("closed", known.epoch, now_us))
        breaker, admission, event = enter(self._of(name), now_us, self.policy)
        if admission.admitted == "refused":
            return None
        self._keep(name, breaker, event)
        return Passage(self, name, admission)

    def report(self, name: str, outcome: Outcome, now_us: int) -> None:
        """Take in how a call ended; a `Passage` does so once."""
        breaker, event = on_result(self._of(name), outcome, now_us, self.policy)
        self._keep(name, breaker, event)

    def answering(self, name: str, admission: Admission) -> None:
        """Take in the first content of a call that is no probe."""
        known = self._breakers.get(name, _CLOSED)
        if known.history:
            self._breakers[name] = answering(known, admission, self.policy)

    def succeeded(self, name: str, admission: Admission, took_us: int | None, now_us: int) -> None:
        """Take in a good answer. Those of one slice are counted together: there are so many of them."""
        policy, known = self.policy, self._breakers.get(name, _CLOSED)
        slow = policy.slow_us and took_us is not None and took_us >= policy.slow_us
        if slow or known.state != "closed" or known.epoch != admission.epoch:
            self.report(name, Outcome(admission, "ok", took_us), now_us)
            return
        quick = self._quick.get(name)
        slot = slot_of(now_us, policy)
        if quick is not None and quick.slot == slot:
            quick.count += 1
            return
        if quick is not None:
            self._of(name)
        elif len(self._quick) >= self._max:
            self._of(next(iter(self._quick)))
        self._quick[name] = _Quick(slot, now_us)

    def epoch(self, name: str) -> int:
        """Return the epoch of calls that are let through now."""
        return self._of(name).epoch

    def close(self, name: str, now_us: int) -> None:
        """Close a breaker by an operator's hand."""
        breaker, event = reset(self._of(name), now_us)
        self._keep(name, breaker, event)

    def _of(self, name: str) -> Breaker:
        """The breaker of a deployment, the good answers that were counted apart taken in."""
        known = self._breakers.get(name, _CLOSED)
        quick = self._quick.pop(name, None)
        if quick is None:
            return known
        known = with_successes(known, quick.count, quick.at_us, self.policy)
        self._keep(name, known, None)
        return known

    def _keep(self, name: str, breaker: Breaker, event: BreakerEvent | None) -> None:
        self._breakers[name] = breaker
        self._breakers.move_to_end(name)
        if len(self._breakers) > self._max:
            self._breakers.popitem(last=False)
        if event is not None:
            self._on_event(name, event)


class Passage:
    """One call that a breaker let through; leaving it without a word says nothing, and frees a probe's place.

    A probe's good start is its success: a stream of minutes need not end before others may follow. What
    happens to it afterwards counts like any call's.
    """

    __slots__ = ("_admission", "_breakers", "_content_us", "_name", "_over", "_was_probe")

    def __init__(self, breakers: Breakers, name: str, admission: Admission) -> None:
        self._breakers = breakers
        self._name = name
        self._admission = admission
        self._content_us: int | None = None
        self._was_probe = self._over = False

    @property
    def is_probe(self) -> bool:
        """Whether the deployment's recovery hangs on this call."""
        return self._admission.admitted == "probe"

    def first_content(self, took_us: int, now_us: int) -> None:
        """Take in that content came, `took_us` after the call went out."""
        if self._over or self._content_us is not None:
            return
        self._content_us = took_us
        if self.is_probe:
            self._was_probe = True
            self._breakers.report(self._name, Outcome(self._admission, "ok", took_us), now_us)
            self._admission = Admission("closed", self._admission.epoch, now_us)
        else:
            self._breakers.answering(self._name, self._admission)

    def end(self, verdict: Verdict, now_us: int) -> None:
        """Take in how the call ended; a second time does nothing."""
        if self._over:
            return
        self._over = True
        admission, content_us = self._admission, self._content_us
        if verdict == "ok" and not self._was_probe:
            self._breakers.succeeded(self._name, admission, content_us, now_us)
            return
        if self._was_probe:
            content_us = None
            if self._breakers.epoch(self._name) == admission.epoch + 1:
                admission = Admission("closed", admission.epoch + 1, admission.at_us)
        self._breakers.report(self._name, Outcome(admission, verdict, content_us), now_us)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end("neutral", self._admission.at_us)


class SpendBreakers:
    """A breaker for what each key spends; `on_event` is told of each change with the key's id.

    A key whose rule was changed may go on, as by an operator's hand. Beyond `max_spends` keys, the one that
    was used longest ago is forgotten.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[str, SpendEvent], None],
        max_spends: int = MAX_SPENDS,
    ) -> None:
        self._on_event = on_event
        self._max = max_spends
        self._spends: OrderedDict[str, tuple[Spend, SpendRule]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._spends)

    def enter(self, key_id: str, now_us: int, rule: SpendRule) -> bool:
        """Tell whether a key may call now."""
        if key_id not in self._spends:
            return True
        known = self._under(key_id, rule)
        spend, ok, event = spend_enter(known, now_us)
        if spend is not known:
            self._keep(key_id, spend, rule, event)
        return ok

    def back_us(self, key_id: str, now_us: int) -> int | None:
        """Return how long a key has to wait, None where only an operator lets it go on."""
        known = self._spends.get(key_id)
        return 0 if known is None else spend_back_us(known[0], now_us)

    def spent(self, key_id: str, now_us: int, *, tokens: int, nano: int, rule: SpendRule) -> None:
        """Take in a bill, in nano-units of the currency that `rule` is stated in."""
        known = self._under(key_id, rule)
        spend, event = on_spent(known, now_us, tokens=tokens, nano=nano, policy=rule.policy)
        self._keep(key_id, spend, rule, event)

    def close(self, key_id: str) -> None:
        """Close a breaker by an operator's hand."""
        known = self._spends.get(key_id)
        if known is not None:
            spend, event = spend_reset(known[0])
            self._keep(key_id, spend, known[1], event)

    def _under(self, key_id: str, rule: SpendRule) -> Spend:
        """What is known of a key, made to fit the rule that holds now."""
        spend, was = self._spends.get(key_id, (NEW, rule))
        if was is rule or was == rule:
            return spend
        event: SpendEvent | None = None
        if spend.is_open:
            spend, event = spend_reset(spend)
        if was.currency != rule.currency:  # amounts of two currencies do not add up
            tokens, _ = spend.running
            spend = msgspec.structs.replace(spend, money=EMPTY, running=(tokens, 0), past=(), usual=None)
        self._keep(key_id, spend, rule, event)
        return spend

    def _keep(self, key_id: str, spend: Spend, rule: SpendRule, event: SpendEvent | None) -> None:
        self._spends[key_id] = spend, rule
        self._spends.move_to_end(key_id)
        if len(self._spends) > self._max:
            self._spends.popitem(last=False)
        if event is not None:
            self._on_event(key_id, event)
