import pytest

from tidegate.policy.breaker import BreakerEvent, BreakerPolicy
from tidegate.policy.rate import MINUTE_US
from tidegate.policy.spend_breaker import SpendEvent, SpendPolicy
from tidegate.services.breakers import BUSY_US, Breakers, SpendBreakers
from tidegate.stores.snapshot import SpendRule

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


def test_an_open_breaker_stays_open_under_another_policy_and_closes_by_it() -> None:
    house = House()
    breakers = house.opened()
    breakers.configure(BreakerPolicy(cooldown_us=60 * S, probes=2, successes=1), S)
    assert breakers.back_us("a", S) == 4 * S
    probes = [breakers.enter("a", 5 * S) for _ in range(3)]
    assert [probe is not None for probe in probes] == [True, True, False]
    assert probes[0] is not None
    probes[0].end("ok", 6 * S)
    assert breakers.state("a") == "closed"


def test_fewer_probes_than_are_out_let_no_more_through_until_those_end() -> None:
    house = House(BreakerPolicy(last_calls=1, last_failures=1, cooldown_us=5 * S, probes=2))
    house.fail("a", 0)
    breakers = house.breakers
    probes = [breakers.enter("a", 5 * S) for _ in range(2)]
    breakers.configure(BreakerPolicy(probes=1), 6 * S)
    let_through = []
    for probe in probes:
        let_through.append(breakers.enter("a", 6 * S))
        assert probe is not None
        probe.end("neutral", 6 * S)
    assert let_through == [None, None]
    assert breakers.enter("a", 6 * S) is not None


def test_the_latest_calls_are_judged_by_a_shorter_history_too() -> None:
    house = House(BreakerPolicy(last_calls=5, last_failures=5))
    for _ in range(4):
        house.fail("a", 0)
    house.breakers.configure(BreakerPolicy(last_calls=2, last_failures=2), 0)
    house.fail("a", 0)
    assert house.told == ["a opened: count"]


def test_streams_under_way_are_no_row_of_failures() -> None:
    """Of many that start together the few that fail do so at once; the others end much later."""
    house = House(BreakerPolicy(last_calls=5, last_failures=5, failure_permille=0))
    running = [house.breakers.enter("a", 0) for _ in range(8)]
    for passage in running:
        assert passage is not None
        house.fail("a", 0)
        passage.first_content(1000, 0)
    assert house.told == []
    for passage in running[:5]:
        assert passage is not None
        passage.end("failed", S)
    assert house.told == ["a opened: count"], "what fails behind its start has failed"


def test_answers_counted_apart_belong_to_the_policy_they_came_under() -> None:
    rate = BreakerPolicy(last_failures=0, min_calls=4, failure_permille=500, window_us=30 * S)
    house = House(rate)
    for _ in range(3):
        passage = house.breakers.enter("a", 29 * S)
        assert passage is not None
        passage.end("ok", 29 * S)
    house.breakers.configure(BreakerPolicy(last_failures=0, min_calls=4, window_us=60 * S), 29 * S)
    for _ in range(3):
        house.fail("a", 29 * S)
    assert house.told == [], "the counts of another window are gone, those of this one too few"
    house.fail("a", 29 * S)
    assert house.told == ["a opened: rate"]


def test_switched_off_breakers_let_every_call_through_and_never_open() -> None:
    house = House()
    breakers = house.opened()
    probe = breakers.enter("a", 5 * S)
    assert probe is not None
    breakers.configure(BreakerPolicy(enabled=False), 5 * S)
    assert house.told[-1] == "a closed: operator"
    for _ in range(9):
        house.fail("a", 6 * S)
    breakers.configure(POLICY, 7 * S)
    probe.end("failed", 7 * S)
    house.fail("a", 7 * S)
    assert breakers.state("a") == "closed", "what failed before counts no more"
    house.fail("a", 7 * S)
    assert breakers.state("a") == "open"


def test_the_breaker_used_longest_ago_is_forgotten() -> None:  # trap V4
    house = House(max_breakers=2)
    breakers = house.opened()
    for name in "bc":
        house.fail(name, 0)
    assert len(breakers) == 2
    assert breakers.enter("a", 0) is not None


LIMIT = SpendRule(SpendPolicy(max_tokens=1000))


def test_a_runaway_key_is_stopped_until_its_cooldown_is_over() -> None:
    told: list[tuple[str, str]] = []

    def tell(key_id: str, event: SpendEvent) -> None:
        told.append((key_id, event.kind))

    breakers = SpendBreakers(on_event=tell)
    assert breakers.enter("k", 0, LIMIT)
    breakers.spent("k", 0, tokens=1001, nano=0, rule=LIMIT)
    assert not breakers.enter("k", 1, LIMIT)
    assert breakers.enter("other", 1, LIMIT)
    assert breakers.back_us("k", MINUTE_US) == 4 * MINUTE_US
    assert breakers.enter("k", 5 * MINUTE_US, LIMIT)
    breakers.spent("k", 6 * MINUTE_US, tokens=1001, nano=0, rule=LIMIT)
    breakers.close("k")
    breakers.close("nobody")
    assert breakers.enter("k", 6 * MINUTE_US, LIMIT)
    assert told == [("k", "opened"), ("k", "closed"), ("k", "opened"), ("k", "closed")]


def test_the_key_used_longest_ago_is_forgotten() -> None:  # trap V4
    breakers = SpendBreakers(on_event=lambda key_id, event: None, max_spends=2)
    for key_id in "abc":
        breakers.spent(key_id, 0, tokens=1, nano=1, rule=LIMIT)
    assert len(breakers) == 2
    assert breakers.back_us("a", 0) == 0


USUAL = SpendPolicy(factor_permille=2000, floor_tokens=10, floor_nano=10, min_minutes=2)


def test_a_key_may_go_on_when_its_rule_was_changed() -> None:
    told: list[str] = []
    breakers = SpendBreakers(on_event=lambda _, event: told.append(f"{event.kind}: {event.by}"))
    for_good = SpendRule(SpendPolicy(max_tokens=1000, cooldown_us=None))
    breakers.spent("k", 0, tokens=1001, nano=0, rule=for_good)
    assert not breakers.enter("k", 1, SpendRule(SpendPolicy(max_tokens=1000, cooldown_us=None)))
    assert breakers.enter("k", 1, SpendRule(SpendPolicy(max_tokens=2000, cooldown_us=None)))
    assert told == ["opened: limit", "closed: operator"]


def test_what_was_spent_counts_under_another_rule_of_the_same_currency() -> None:
    breakers = SpendBreakers(on_event=lambda key_id, event: None)
    breakers.spent("k", 0, tokens=0, nano=900, rule=SpendRule(SpendPolicy(max_nano=1000), "EUR"))
    lowered = SpendRule(SpendPolicy(max_nano=950), "EUR")
    breakers.spent("k", 1, tokens=0, nano=100, rule=lowered)
    assert not breakers.enter("k", 2, lowered)


def test_amounts_of_two_currencies_are_not_added_up() -> None:
    breakers = SpendBreakers(on_event=lambda key_id, event: None)
    breakers.spent("k", 0, tokens=600, nano=900, rule=SpendRule(SpendPolicy(max_nano=1000), "EUR"))
    dollars = SpendRule(SpendPolicy(max_nano=1000, max_tokens=1000), "USD")
    breakers.spent("k", 1, tokens=0, nano=900, rule=dollars)
    assert breakers.enter("k", 2, dollars)
    breakers.spent("k", 2, tokens=500, nano=0, rule=dollars)
    assert not breakers.enter("k", 3, dollars), "tokens are tokens"


def test_what_is_usual_in_one_currency_says_nothing_of_another() -> None:
    breakers = SpendBreakers(on_event=lambda key_id, event: None)
    for minute in range(4):
        breakers.spent("k", minute * MINUTE_US, tokens=1, nano=100, rule=SpendRule(USUAL, "EUR"))
    dollars = SpendRule(USUAL, "USD")
    breakers.spent("k", 5 * MINUTE_US, tokens=1, nano=900, rule=dollars)
    assert breakers.enter("k", 5 * MINUTE_US, dollars)
    breakers.spent("k", 7 * MINUTE_US, tokens=1, nano=900, rule=SpendRule(USUAL, "EUR"))
    assert breakers.enter("k", 7 * MINUTE_US, SpendRule(USUAL, "EUR"))
