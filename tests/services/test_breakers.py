import pytest

from tidegate.policy.breaker import BreakerEvent, BreakerPolicy
from tidegate.policy.rate import MINUTE_US
from tidegate.policy.spend_breaker import SpendEvent, SpendPolicy
from tidegate.services.breakers import BUSY_US, Breakers, SpendBreakers

S = 1_000_000
POLICY = BreakerPolicy(last_calls=2, last_failures=2, cooldown_us=5 * S, probes=1, successes=2, slow_us=S)


class House:
    """Breakers that fail two calls at once, and what they told."""

    def __init__(self, policy: BreakerPolicy = POLICY, max_breakers: int = 100) -> None:
        self.told: list[str] = []
        self.breakers = Breakers(policy, on_event=self.tell, max_breakers=max_breakers)

    def tell(self, name: str, event: BreakerEvent) -> None:
        self.told.append(f"{name} {event.kind}: {event.by}")

    def fail(self, name: str, now_us: int) -> None:
        passage = self.breakers.enter(name, now_us)
        assert passage is not None
        passage.end("failed", now_us)

    def opened(self, name: str = "a") -> Breakers:
        self.fail(name, 0)
        self.fail(name, 0)
        return self.breakers


def test_a_dead_deployment_is_left_alone_and_then_probed() -> None:
    house = House()
    breakers = house.opened()
    assert breakers.enter("a", 0) is None
    assert (breakers.state("a"), breakers.back_us("a", S)) == ("open", 4 * S)
    assert breakers.enter("b", 0) is not None
    probe = breakers.enter("a", 5 * S)
    assert probe is not None
    assert probe.is_probe
    assert breakers.enter("a", 5 * S) is None
    assert breakers.back_us("a", 5 * S) == BUSY_US
    probe.end("ok", 6 * S)
    assert breakers.back_us("a", 6 * S) == 0
    again = breakers.enter("a", 6 * S)
    assert again is not None
    again.end("ok", 7 * S)
    assert breakers.state("a") == "closed"
    assert house.told == ["a opened: count", "a half_opened: cooldown", "a closed: probes"]


def test_a_cancelled_probe_frees_its_place() -> None:
    breakers = House().opened()
    probe = breakers.enter("a", 5 * S)
    assert probe is not None
    assert breakers.enter("a", 5 * S) is None
    with pytest.raises(ZeroDivisionError), probe:
        raise ZeroDivisionError
    assert breakers.enter("a", 5 * S) is not None


def test_a_probe_that_starts_well_lets_others_follow_before_it_ends() -> None:
    breakers = House().opened()
    for now_us in (5 * S, 6 * S):
        probe = breakers.enter("a", now_us)
        assert probe is not None
        probe.first_content(1000, now_us)
        probe.first_content(1000, now_us)
    assert breakers.state("a") == "closed"


@pytest.mark.parametrize("also", [False, True])
def test_a_probe_that_starts_well_and_ends_in_an_error_is_a_failure(*, also: bool) -> None:  # trap S12
    house = House(BreakerPolicy(last_calls=1, last_failures=1, cooldown_us=5 * S))
    house.fail("a", 0)
    breakers = house.breakers
    first = breakers.enter("a", 5 * S)
    assert first is not None
    first.first_content(1000, 6 * S)
    if also:
        second = breakers.enter("a", 6 * S)
        assert second is not None
        second.end("ok", 6 * S)
        assert breakers.state("a") == "closed"
    first.end("failed", 7 * S)
    assert breakers.state("a") == "open"


def test_a_probe_from_an_older_failure_says_nothing_now() -> None:
    house = House(BreakerPolicy(last_calls=1, last_failures=1, cooldown_us=5 * S, successes=1))
    house.fail("a", 0)
    breakers = house.breakers
    old = breakers.enter("a", 5 * S)
    assert old is not None
    old.first_content(1000, 5 * S)
    house.fail("a", 6 * S)
    probe = breakers.enter("a", 11 * S)
    assert probe is not None
    old.end("failed", 12 * S)
    assert breakers.state("a") == "half_open"
    probe.end("ok", 12 * S)
    assert breakers.state("a") == "closed"


def test_a_slow_probe_opens_again() -> None:
    breakers = House().opened()
    probe = breakers.enter("a", 5 * S)
    assert probe is not None
    probe.first_content(S, 6 * S)
    assert breakers.state("a") == "open"


def test_the_time_to_first_content_counts() -> None:
    policy = BreakerPolicy(last_failures=0, min_calls=2, slow_us=S)
    house = House(policy)
    for number in range(2):
        passage = house.breakers.enter("a", number)
        assert passage is not None
        passage.first_content(2 * S, number)
        passage.end("ok", number)
        passage.end("failed", number)
    assert house.told == ["a opened: slow"]


def test_an_operator_closes_a_breaker() -> None:
    house = House()
    house.opened().close("a", 1)
    assert house.breakers.enter("a", 1) is not None
    assert house.told[-1] == "a closed: operator"


def test_the_breaker_used_longest_ago_is_forgotten() -> None:  # trap V4
    house = House(max_breakers=2)
    breakers = house.opened()
    for name in "bc":
        house.fail(name, 0)
    assert len(breakers) == 2
    assert breakers.enter("a", 0) is not None


LIMIT = SpendPolicy(max_tokens=1000)


def test_a_runaway_key_is_stopped_until_its_cooldown_is_over() -> None:
    told: list[tuple[str, str]] = []

    def tell(key_id: str, event: SpendEvent) -> None:
        told.append((key_id, event.kind))

    breakers = SpendBreakers(on_event=tell)
    assert breakers.enter("k", 0)
    breakers.spent("k", 0, tokens=1001, nano=0, policy=LIMIT)
    assert not breakers.enter("k", 1)
    assert breakers.enter("other", 1)
    assert breakers.back_us("k", MINUTE_US) == 4 * MINUTE_US
    assert breakers.enter("k", 5 * MINUTE_US)
    breakers.spent("k", 6 * MINUTE_US, tokens=1001, nano=0, policy=LIMIT)
    breakers.close("k")
    breakers.close("nobody")
    assert breakers.enter("k", 6 * MINUTE_US)
    assert told == [("k", "opened"), ("k", "closed"), ("k", "opened"), ("k", "closed")]


def test_the_key_used_longest_ago_is_forgotten() -> None:  # trap V4
    breakers = SpendBreakers(on_event=lambda key_id, event: None, max_spends=2)
    for key_id in "abc":
        breakers.spent(key_id, 0, tokens=1, nano=1, policy=LIMIT)
    assert len(breakers) == 2
    assert breakers.back_us("a", 0) == 0
