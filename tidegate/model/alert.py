"""What is worth telling an operator: what was seen, and the messages that come of it."""

from typing import Literal

import msgspec

AlertEvent = Literal[
    "breaker_open",
    "key_refused",
    "wallet_refused",
    "unpriced_model",
    "model_drift",
    "cost_drift",
    "spend_jump",
    "spend_paused",
    "budget_threshold",
    "budget_forecast",
]
MessageKind = Literal["started", "reminder", "recovered", "test"]


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that holds now. `event` and `subject` say what it is and tell it from others.

    `text` is one sentence for people, `facts` the same for programs; amounts of money are decimals as text.
    Neither holds a prompt, a secret or a person's plain name. `team` is empty where it is nobody's.
    """

    event: AlertEvent
    subject: str
    text: str
    facts: dict[str, str | int] = {}
    team: str = ""

    @property
    def key(self) -> tuple[AlertEvent, str]:
        """What tells one alert from another."""
        return (self.event, self.subject)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message about one alert. `id` is the same however often it is sent; times in microseconds, UTC.

    `since_us` is when the alert started, `at_us` when this was decided.
    """

    id: str
    kind: MessageKind
    about: Observation
    since_us: int
    at_us: int
