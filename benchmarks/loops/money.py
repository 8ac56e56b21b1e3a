"""What the calls after a stop would have cost, at the price book's card for a stated model."""

from dataclasses import dataclass
from typing import Any

from benchmarks.loops.replay import Outcome
from tidegate.model.money import Fx, convert
from tidegate.model.price import PriceCard
from tidegate.model.request import RequestFacts
from tidegate.model.usage import Usage
from tidegate.policy.estimate import UNCALIBRATED, estimated, raw_tokens
from tidegate.policy.price import cost
from tidegate.services.pricebook import PriceBook, Unpriced
from tidegate.wire.measure import text_size


@dataclass(frozen=True, slots=True)
class Prices:
    """A model's card, and the rate to EUR that amounts are shown at."""

    provider: str
    model: str
    book: PriceBook
    fx: Fx
    at_us: int

    def card(self, tokens: int) -> PriceCard:
        """Return the card of a call of this size. Raises ValueError where there is none."""
        found = self.book.price(self.provider, self.model, at_us=self.at_us, input_tokens=tokens)
        if isinstance(found, Unpriced):
            raise ValueError(found.message)  # noqa: TRY004 - the user chose the model
        return found.card

    def eur_nano(self, before: int, tokens: int, output: int, *, cached: bool) -> int:
        """Return what one call costs; `cached`: its first `before` tokens come from the provider's cache."""
        card = self.card(tokens)
        read = min(before, tokens) if cached and "cache_read" in card.rates else 0
        usage = Usage(input_uncached=tokens - read, cache_read=read, output_text=output)
        found = cost(usage, card)
        amount = found.known_nano if found.amount_nano is None else found.amount_nano
        return convert(amount, currency=card.currency, to="EUR", fx=self.fx)


def saved(outcome: Outcome, prices: Prices, *, cached: bool) -> tuple[int, int]:
    """Return (nano-EUR of the calls from the stop on, nano-EUR of the whole run)."""
    stop, total, after, before = outcome.stopped_before, 0, 0, 0
    for at, facts in enumerate(outcome.requests):
        tokens = _tokens(facts)
        answer = outcome.labelled.run.messages[facts.message_count]
        amount = prices.eur_nano(before, tokens, _answer_tokens(answer), cached=cached)
        before = tokens
        total += amount
        if stop is not None and at >= stop:
            after += amount
    return after, total


def _tokens(facts: RequestFacts) -> int:
    images = facts.image_count
    return estimated(facts.parts, UNCALIBRATED, messages=facts.message_count, images=images).raw


def _answer_tokens(message: dict[str, Any]) -> int:
    texts = [message.get("content") or ""]
    texts += [call["function"]["arguments"] for call in message.get("tool_calls") or ()]
    size, ascii_size = text_size("".join(texts))
    return max(1, raw_tokens(ascii_size, size - ascii_size))
