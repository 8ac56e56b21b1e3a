"""Prices on the data path: the same card for the same minute is looked up once."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from tidegate.model.price import PriceCard
from tidegate.model.provider import Deployment, Provider
from tidegate.model.usage import Usage
from tidegate.policy.price import processing_of
from tidegate.policy.settle import Priced
from tidegate.policy.tariff import Tariff, tariff_of
from tidegate.services.pricebook import PriceBook, Quote, Unpriced

MINUTE_US = 60_000_000
MAX_MEMO = 4096


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
    """A quote made ready to compute with. Where two sources differ, the dearer one is held."""

    quote: Quote
    tariff: Tariff
    second: Tariff | None

    def hold(self, input_tokens: int, output_tokens: int) -> tuple[int, int]:
        """The most that a call of this size should cost, and its input's share, in nano-units."""
        held = self.tariff.hold(input_tokens, output_tokens)
        return held if self.second is None else max(held, self.second.hold(input_tokens, output_tokens))


def ready(quote: Quote) -> Ready:
    """Make a quote ready to compute with; a second source in another currency cannot be compared."""
    second = quote.second
    comparable = second is not None and second.currency == quote.card.currency
    return Ready(quote, tariff_of(quote.card), tariff_of(second) if second and comparable else None)


class Pricing:
    """Prices calls to deployments. `currency` is the one reports use: its exchange rate is pinned."""

    def __init__(self, book: PriceBook, providers: dict[str, str], currency: str = "EUR") -> None:
        self._book = book
        self._providers = providers
        self._currency = currency
        self._minute = -1
        self._ready: dict[tuple[str, str, str, str, str, int], Ready | None] = {}
        self._thresholds: dict[tuple[str, str], tuple[int, ...]] = {}
        self._fx_ids: dict[str, str] = {}

    def hold(
        self, deployment: Deployment, at_us: int, input_tokens: int, output_tokens: int, tier: str
    ) -> Held | None:
        """What a call of this size may cost; None where no card prices it."""
        found = self._at(deployment, asked_model(deployment), at_us, input_tokens, tier)
        if found is None:
            return None
        total, of_input = found.hold(input_tokens, output_tokens)
        return Held(total, of_input, found.tariff.currency, found.quote.price_id)

    def cost(self, deployment: Deployment, usage: Usage, *, served: str, at_us: int, tier: str) -> Priced:
        """What a usage comes to, priced as served (trap M18); the asked model's card where that has none."""
        input_tokens = usage.input_total or 0
        found = self._at(deployment, served, at_us, input_tokens, tier)
        flags: tuple[str, ...] = ()
        if found is None and served != asked_model(deployment):
            found = self._at(deployment, asked_model(deployment), at_us, input_tokens, tier)
            flags = ("priced_as_asked",)
        if found is None:
            return Priced(None)
        amount = found.tariff.cost(usage)
        if amount.estimated:
            flags = (*flags, "estimated")
        return Priced(
            amount.amount_nano,
            amount.currency,
            found.quote.price_id,
            self._fx_id(amount.currency, at_us),
            (*flags, *found.quote.flags, *amount.flags),
        )

    def _at(
        self, deployment: Deployment, model: str, at_us: int, input_tokens: int, tier: str
    ) -> Ready | None:
        provider = self._providers.get(deployment.provider) or deployment.provider
        minute = at_us // MINUTE_US
        if minute != self._minute or len(self._ready) > MAX_MEMO:
            self._minute = minute
            self._ready.clear()
            self._fx_ids.clear()
        bracket = bisect_left(self._tiers(provider, model, at_us), input_tokens)
        key = (provider, model, deployment.region, deployment.price_factor, tier, bracket)
        if key not in self._ready:
            self._ready[key] = self._look_up(deployment, provider, model, at_us, input_tokens, tier)
        return self._ready[key]

    def _look_up(
        self, deployment: Deployment, provider: str, model: str, at_us: int, input_tokens: int, tier: str
    ) -> Ready | None:
        processing = processing_of(tier)
        if processing is None:
            return None
        found = self._book.price(
            provider,
            model,
            at_us=at_us,
            input_tokens=input_tokens,
            processing=processing,
            region=deployment.region,
            price_factor=deployment.price_factor,
        )
        return None if isinstance(found, Unpriced) else ready(found)

    def _tiers(self, provider: str, model: str, at_us: int) -> tuple[int, ...]:
        """The token counts at which this model's context tiers begin."""
        key = (provider, model)
        known = self._thresholds.get(key)
        if known is None:
            if len(self._thresholds) > MAX_MEMO:
                self._thresholds.clear()
            listed = self._book.cards_for(provider, model, at_us)
            overs = {card.input_over for card in listed.cards} if listed else set()
            known = self._thresholds[key] = tuple(sorted(overs))
        return known

    def _fx_id(self, currency: str, at_us: int) -> str:
        if currency == self._currency:
            return ""
        if currency not in self._fx_ids:
            rate = self._book.fx(currency, self._currency, at_us)
            self._fx_ids[currency] = rate.id if rate else ""
        return self._fx_ids[currency]
