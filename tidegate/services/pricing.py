"""Prices on the data path: the same card for the same minute is looked up once."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from tidegate.model.money import Fx
from tidegate.model.price import PriceCard
from tidegate.model.provider import Deployment, Provider
from tidegate.model.usage import Usage
from tidegate.policy.price import processing_of
from tidegate.policy.settle import Priced
from tidegate.policy.tariff import Tariff, tariff_of
from tidegate.services.pricebook import PriceBook, Quote, Unpriced

MINUTE_US = 60_000_000
MAX_MEMO = 4096

Case = tuple[int, str, str, str, str, str]
"""What decides a call's card besides its size: minute, provider, region, price factor, model, service tier.
Every condition of a card holds for whole minutes."""


class Held(msgspec.Struct, frozen=True):
    """What to hold for one attempt, in nano-units of its card's currency."""

    total_nano: int
    input_nano: int
    currency: str
    price_id: str


def asked_model(deployment: Deployment) -> str:
    """The model a deployment stands for, where `model` is only an Azure deployment's name."""
    return deployment.price_model or deployment.model


def cards_in_use(
    book: PriceBook, deployments: Iterable[Deployment], catalog: Mapping[str, Provider], at_us: int
) -> Iterator[tuple[str, PriceCard]]:
    """Every card, with its id, that calls to these deployments may be priced by now: all tiers, all ways."""
    for deployment in deployments:
        provider = catalog[deployment.provider].prices or deployment.provider
        model = asked_model(deployment)
        listed = book.cards_for(provider, model, at_us)
        for processing, over in sorted(
            {(card.processing, card.input_over) for card in listed.cards} if listed else ()
        ):
            found = book.price(
                provider,
                model,
                at_us=at_us,
                input_tokens=over + 1,
                processing=processing,
                region=deployment.region,
                price_factor=deployment.price_factor,
            )
            if not isinstance(found, Unpriced):
                yield found.price_id, found.card


@dataclass(frozen=True, slots=True)
class Ready:
    """A quote made ready to compute with.

    `hold` gives the most that a call of (input tokens, output tokens) should cost, and its input's share, in
    nano-units. `fx_id` names the exchange rate into the currency of reports, empty where there is none.
    """

    quote: Quote
    tariff: Tariff
    hold: Callable[[int, int], tuple[int, int]]
    fx_id: str = ""


def ready(quote: Quote, fx_id: str = "") -> Ready:
    """Make a quote ready to compute with. Where two sources differ, the dearer one is held.

    A second source in another currency cannot be compared.
    """
    tariff, second = tariff_of(quote.card), quote.second
    if second is None or second.currency != quote.card.currency:
        return Ready(quote, tariff, tariff.hold, fx_id)
    other = tariff_of(second)

    def dearer(input_tokens: int, output_tokens: int) -> tuple[int, int]:
        return max(tariff.hold(input_tokens, output_tokens), other.hold(input_tokens, output_tokens))

    return Ready(quote, tariff, dearer, fx_id)


class Pricing:
    """Prices calls to deployments. `currency` is the one reports use: its exchange rate is pinned."""

    def __init__(self, book: PriceBook, providers: dict[str, str], currency: str = "EUR") -> None:
        self._book = book
        self._providers = providers
        self._currency = currency
        self._ready: dict[tuple[int | str, ...], Ready | None] = {}
        self._cards: dict[str, PriceCard] = {}
        self._rates: dict[tuple[int, str, str], Fx | None] = {}
        self._tiers: dict[tuple[int, str, str], tuple[int, ...]] = {}

    def hold(
        self, deployment: Deployment, at_us: int, input_tokens: int, output_tokens: int, tier: str
    ) -> Held | None:
        """What a call of this size may cost; None where no card prices it."""
        one, asked = deployment, deployment.price_model or deployment.model
        case = (at_us // MINUTE_US, one.provider, one.region, one.price_factor, asked, tier)
        found = self._ready[case] if case in self._ready else self._find(case, input_tokens)
        if found is None:
            return None
        total, of_input = found.hold(input_tokens, output_tokens)
        return Held(total, of_input, found.tariff.currency, found.quote.price_id)

    def cost(self, deployment: Deployment, usage: Usage, *, served: str, at_us: int, tier: str) -> Priced:
        """What a usage comes to, priced as served (trap M18); the asked model's card where that has none."""
        one = deployment
        case = (at_us // MINUTE_US, one.provider, one.region, one.price_factor, served, tier)
        known = self._ready
        found = known[case] if case in known else self._find(case, usage.input_total or 0)
        flags: tuple[str, ...] = ()
        if found is None and served != (asked := one.price_model or one.model):
            case = (*case[:4], asked, tier)
            found = known[case] if case in known else self._find(case, usage.input_total or 0)
            flags = ("priced_as_asked",)
        if found is None:
            return Priced(None)
        quote, amount = found.quote, found.tariff.cost(usage)
        if amount.estimated:
            flags = (*flags, "estimated")
        flags = (*flags, *quote.flags, *amount.flags)
        return Priced(amount.amount_nano, amount.currency, quote.price_id, found.fx_id, flags)

    def omits(self, deployment: Deployment, at_us: int, unit: str) -> bool:
        """Whether the source of a deployment's card prices a unit that the card does not (`output_image`)."""
        one = deployment
        minute = at_us // MINUTE_US
        found = self._find((minute, one.provider, one.region, one.price_factor, asked_model(one), ""), 0)
        return found is not None and any(name.startswith(unit) for name in found.quote.card.omits)

    def card(self, price_id: str) -> PriceCard | None:
        """The card of an amount that was worked out here; None for one that was not, or is forgotten."""
        return self._cards.get(price_id)

    def rate(self, base: str, quote: str, at_us: int) -> Fx | None:
        """The exchange rate from one currency into another; None where none is known."""
        case = (at_us // MINUTE_US, base, quote)
        if case not in self._rates:
            if len(self._rates) >= MAX_MEMO:
                self._rates.clear()
            self._rates[case] = self._book.fx(base, quote, at_us)
        return self._rates[case]

    def _find(self, case: Case, input_tokens: int) -> Ready | None:
        """The quote of a call. A model with context tiers has one for each, under a key of its own."""
        tiers = self._tiers_of(case)
        key = (*case, bisect_left(tiers, input_tokens)) if tiers else case
        if key not in self._ready:
            if len(self._ready) >= MAX_MEMO:
                self._ready.clear()
            self._ready[key] = self._look_up(case, input_tokens)
        return self._ready[key]

    def _look_up(self, case: Case, input_tokens: int) -> Ready | None:
        minute, provider, region, price_factor, model, tier = case
        processing = processing_of(tier)
        if processing is None:
            return None
        at_us = minute * MINUTE_US
        found = self._book.price(
            self._providers.get(provider) or provider,
            model,
            at_us=at_us,
            input_tokens=input_tokens,
            processing=processing,
            region=region,
            price_factor=price_factor,
        )
        if isinstance(found, Unpriced):
            return None
        if len(self._cards) >= MAX_MEMO:
            self._cards.clear()
        self._cards[found.price_id] = found.card
        own = found.card.currency
        rate = None if own == self._currency else self.rate(own, self._currency, at_us)
        return ready(found, rate.id if rate else "")

    def _tiers_of(self, case: Case) -> tuple[int, ...]:
        """The token counts beyond which this model's higher context tiers begin; mostly none."""
        minute, provider, _, _, model, _ = case
        key = (minute, provider, model)
        known = self._tiers.get(key)
        if known is None:
            if len(self._tiers) >= MAX_MEMO:
                self._tiers.clear()
            place = self._providers.get(provider) or provider
            listed = self._book.cards_for(place, model, minute * MINUTE_US)
            overs = {card.input_over for card in listed.cards if card.input_over} if listed else ()
            known = self._tiers[key] = tuple(sorted(overs))
        return known
