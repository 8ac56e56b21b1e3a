"""The order of deployments, and what failures teach of them."""

import pytest

from tidegate.model.provider import Deployment
from tidegate.policy.balance import Mode, replayed
from tidegate.policy.breaker import BreakerEvent, BreakerPolicy
from tidegate.policy.resilience import ResiliencePolicy
from tidegate.policy.retry_budget import RetryBudgetPolicy
from tidegate.providers.catalog import load
from tidegate.services.clock import Clock
from tidegate.services.fleet import SECOND_US, Fleet
from tidegate.services.outbound import Outbound
from tidegate.stores.snapshot import Policies

PROVIDER = load()["vllm"]


class Time:
    """A clock that a test moves, and draws in turn."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.draws = 0

    def draw(self, bits: int) -> int:
        self.draws += 2654435761
        return self.draws % (1 << bits)

    def clock(self) -> Clock:
        return Clock(mono_s=lambda: self.now_s, random_bits=self.draw)


def outbound(name: str, model: str = "m", weight: int = 1) -> Outbound:
    row = Deployment(
        name=name, provider="vllm", model=model, names=(model,), base_url=f"http://{name}/v1", weight=weight
    )
    return Outbound(row, PROVIDER, {"chat": f"http://{name}/v1/chat/completions"}, {}, "")


def fleet(time: Time, mode: Mode = "in_order", **policies: object) -> tuple[Fleet, list[BreakerEvent]]:
    events: list[BreakerEvent] = []
    made = Policies(balance=mode, **policies)  # type: ignore[arg-type]
    return Fleet(time.clock(), made, on_breaker=lambda _, event: events.append(event)), events


A, B, OTHER = outbound("a"), outbound("b"), outbound("c", "other")


def names(found: tuple[Outbound, ...]) -> list[str]:
    return [one.name for one in found]


def test_healthy_deployments_are_tried_in_the_operators_order() -> None:
    here, _ = fleet(Time())
    assert here.order((A, B), "") == ((A, B), ())


def test_one_that_cools_down_goes_last_until_it_is_back() -> None:
    time = Time()
    here, _ = fleet(time)
    here.cool("a", 5 * SECOND_US)
    here.cool("a", SECOND_US)
    ordered, (decision,) = here.order((A, B), "")
    assert names(ordered) == ["b", "a"]
    assert replayed(decision) == ("b", "a")
    time.now_s += 5
    assert here.order((A, B), "")[0] == (A, B)


def test_when_all_are_down_the_one_that_is_back_first_goes_first() -> None:
    here, _ = fleet(Time())
    here.cool("a", 20 * SECOND_US)
    here.cool("b", 10 * SECOND_US)
    assert names(here.order((A, B), "")[0]) == ["b", "a"]


def test_an_open_breaker_refuses_and_says_when_it_is_back() -> None:
    time = Time()
    here, events = fleet(time, breaker=BreakerPolicy(last_calls=2, last_failures=2))
    for _ in range(2):
        visit = here.enter("a")
        assert visit is not None
        visit.end("failed", here.now_us())
    assert here.enter("a") is None
    assert [event.kind for event in events] == ["opened"]
    assert here.back_in_s((A,)) == 5
    assert names(here.order((A, B), "")[0]) == ["b", "a"]
    time.now_s += 5
    assert here.enter("a") is not None
    assert here.enter("a") is None, "one probe at a time"


@pytest.mark.parametrize("mode", ["weight", "latency"])
def test_another_model_is_a_fallback_and_never_goes_first(mode: Mode) -> None:
    here, _ = fleet(Time(), mode)
    assert {names(here.order((A, B, OTHER), "")[0])[2] for _ in range(50)} == {"c"}
    assert {names(here.order((A, B, OTHER), "")[0])[0] for _ in range(50)} == {"a", "b"}


def test_weights_decide_how_often_each_goes_first() -> None:
    here, _ = fleet(Time(), "weight")
    heavy = outbound("heavy", weight=9)
    first = [names(here.order((A, heavy), "")[0])[0] for _ in range(1000)]
    assert 820 < first.count("heavy") < 980


def test_a_conversation_keeps_its_deployment_while_that_is_ready() -> None:  # trap R6
    here, _ = fleet(Time(), "weight")
    (first,) = {names(here.order((A, B), "talk-1")[0])[0] for _ in range(20)}
    here.cool(first, SECOND_US)
    (second,) = {names(here.order((A, B), "talk-1")[0])[0] for _ in range(20)}
    assert {first, second} == {"a", "b"}


def test_the_quicker_one_goes_first_by_latency() -> None:
    time = Time()
    here, _ = fleet(time, "latency")
    for name, took_us in (("a", 900_000), ("b", 20_000)):
        visit = here.enter(name)
        assert visit is not None
        visit.first_content(took_us, here.now_us())
        visit.end("ok", here.now_us())
        visit.end("ok", here.now_us())
    assert {names(here.order((A, B), "")[0])[0] for _ in range(20)} == {"b"}
    assert here.latencies.running("a") == 0


def test_what_is_known_outlives_a_change_of_policies() -> None:
    time = Time()
    here, _ = fleet(time, "latency", breaker=BreakerPolicy(last_calls=1, last_failures=1))
    for name, verdict in (("a", "failed"), ("b", "ok")):
        visit = here.enter(name)
        assert visit is not None
        visit.first_content(20_000, here.now_us())
        visit.end(verdict, here.now_us())  # type: ignore[arg-type]
    here.cool("b", 9 * SECOND_US)
    while here.retries.retried("a", here.now_us()):
        pass
    here.configure(
        Policies(
            resilience=ResiliencePolicy(max_total=9),
            breaker=BreakerPolicy(last_calls=9, probes=3),
            retries=RetryBudgetPolicy(ratio_permille=0),
            balance="weight",
        )
    )
    assert here.policies.resilience.max_total == 9
    assert here.enter("a") is None
    assert here.back_us("b", here.now_us()) == 9 * SECOND_US
    assert not here.retries.has_retry("a", here.now_us())
    assert here.latencies.latency_us("b", here.now_us()) == 20_000
    time.now_s += 5
    assert [here.enter("a") is not None for _ in range(4)] == [True, True, True, False]


def test_other_policies_decide_the_next_order() -> None:
    here, _ = fleet(Time())
    here.configure(Policies(balance="weight"))
    assert {names(here.order((A, B), "")[0])[0] for _ in range(50)} == {"a", "b"}
