"""Our side of a reconciliation: attempts by day, model and key, in the export's currency and kinds."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction

import msgspec

from tidegate.control.drift import Class, Ours
from tidegate.control.exports.export import KINDS, Kind, folded
from tidegate.control.figures import Rates
from tidegate.model.money import scaled
from tidegate.model.price import PriceCard
from tidegate.stores.sqlite import queries
from tidegate.stores.sqlite.reconcile_queries import Recorded
from tidegate.stores.sqlite.store import Store

_DATED = re.compile(r"(?:[-@](?:20\d\d-?(?:0[1-9]|1[0-2])-?[0-3]\d|latest))$", re.ASCII)
_RATE: dict[Kind, tuple[str, ...]] = {
    "input": ("input_uncached",),
    "input_audio": ("input_audio", "input_uncached"),
    "cache_read": ("cache_read", "input_uncached"),
    "cache_write_5m": ("cache_write_5m", "input_uncached"),
    "cache_write_1h": ("cache_write_1h", "cache_write_5m", "input_uncached"),
    "output": ("output_text",),
    "output_audio": ("output_audio", "output_text"),
}
_NANO_PER_TOKEN = 1000
"""A rate of 1 per million tokens is so many nano-units for one."""


def plain_model(name: str) -> str:
    """Return a model's name without its provider, date or `-latest`, in lower case.

    Stricter than `policy.settle.drifted`, for which `gpt-5` and `gpt-5-mini` are spellings of one model.
    """
    return _DATED.sub("", name.lower().rsplit("/", 1)[-1])


class Books:
    """Adds up what the queries give; `closed` returns the cells."""

    def __init__(self, store: Store, currency: str, kinds: frozenset[Kind]) -> None:
        self._rates = Rates(queries.rates(store), currency)
        self._cards = queries.card_texts(store)
        self._currency = currency
        self._kinds = kinds or frozenset(KINDS)
        self._added: list[tuple[date, str, Recorded]] = []
        self._served: dict[str, set[str]] = {}
        self._running = 0
        self._unconverted: set[str] = set()

    def add(self, day: date, key: str, one: Recorded) -> None:
        """Add one row of the queries."""
        self._added.append((day, key, one))
        self._running += one.calls * one.running
        if one.model_served:
            self._served.setdefault(one.model, set()).add(plain_model(one.model_served))

    def closed(self, *, by_model: bool) -> dict[tuple[date, str, str], Ours]:
        """Return the sums. Raises nothing: what cannot be converted counts as unpriced."""
        found: dict[tuple[date, str, str], Ours] = {}
        used: dict[tuple[date, str, str] | str, Counter[str]] = {}
        for day, key, one in self._added:
            model = self._model(one) if by_model else ""
            spot = (day, model, key)
            self._book(found.setdefault(spot, Ours()), day, one)
            if one.price_id:
                for where in (spot, model):
                    used.setdefault(where, Counter())[one.price_id] += one.calls
        for spot, ours in found.items():
            cards = used.get(spot) or used.get(spot[1])
            if cards and (by_model or len(cards) == 1):
                ours.rates = self._rates_of(cards.most_common(1)[0][0])
        return found

    def notes(self) -> Iterator[str]:
        """Yield what a reader of our side must know."""
        if self._running:
            yield f"still running, so without a cost: {self._running} of our attempts"
        for currency in sorted(self._unconverted):
            yield f"our amounts in {currency} count as unpriced: there is no rate to {self._currency}"

    def _model(self, one: Recorded) -> str:
        """Return the model as served; where an answer never said, as the others of that name were."""
        if one.model_served:
            return plain_model(one.model_served)
        served = self._served.get(one.model, set())
        return next(iter(served)) if len(served) == 1 else plain_model(one.model)

    def _book(self, ours: Ours, day: date, one: Recorded) -> None:
        cls: Class = msgspec.convert(one.cls, Class)
        nano = self._rates.converted(one.nano, one.currency, one.fx_id, day)
        if nano is None:
            self._unconverted.add(one.currency)
            cls, nano = "unpriced", 0
        share = getattr(ours, cls)
        share.calls += one.calls
        share.nano += nano
        share.room_nano += self._rates.converted(one.room_nano, one.currency, one.fx_id, day) or 0
        share.room_tokens += one.room_tokens
        for kind, count in folded(_tokens(one), self._kinds).items():
            share.tokens[kind] = share.tokens.get(kind, 0) + count

    def _rates_of(self, price_id: str) -> Mapping[Kind, Fraction] | None:
        """Return a card's rates by kind; None where it is not known, or lacks one of the two sides."""
        try:
            card = msgspec.json.decode(self._cards.get(price_id, ""), type=PriceCard)
        except msgspec.MsgspecError:
            return None
        if card.currency != self._currency:
            return None
        rates: dict[Kind, Fraction] = {}
        for kind, names in _RATE.items():
            listed = next((card.rates[name] for name in names if name in card.rates), None)
            if listed is None and kind in ("input", "output"):
                return None
            units, scale = scaled(listed or "0")
            rates[kind] = Fraction(units * _NANO_PER_TOKEN, 10**scale)
        return rates


def _tokens(one: Recorded) -> dict[Kind, int]:
    return {
        "input": one.input_uncached + one.input_image,
        "input_audio": one.input_audio,
        "cache_read": one.cache_read,
        "cache_write_5m": one.cache_write_5m,
        "cache_write_1h": one.cache_write_1h,
        "output": one.output_text + one.reasoning,
        "output_audio": one.output_audio,
    }
