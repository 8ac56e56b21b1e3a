from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.money import NANO, Fx, convert, dearest, half_even, nano_of, plain, product, scaled, shown

DECIMALS = st.decimals(min_value=0, max_value=10**12, allow_nan=False, places=12).map(
    lambda d: format(d, "f")
)

EUR = Fx(base="USD", quote="EUR", rate="0.92", date=date(2026, 11, 2), source="ECB")


@pytest.mark.parametrize(
    ("text", "units", "scale"),
    [("0", 0, 0), ("0.15", 15, 2), ("1.50", 15, 1), ("007", 7, 0), ("7.5e-08", 75, 9), ("2E3", 2000, 0)],
)
def test_decimal_text_is_units_and_scale(text: str, units: int, scale: int) -> None:
    assert scaled(text) == (units, scale)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", ".5", "NaN", "inf", "1,5", "1e999", "1_0", " 1", "9" * 31, "٣"]
)
def test_what_is_no_plain_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an unsigned decimal"):
        scaled(text)


@given(DECIMALS)
def test_plain_keeps_the_value_and_has_one_spelling(text: str) -> None:
    assert Fraction(plain(text)) == Fraction(text)
    assert plain(plain(text)) == plain(text)
    assert plain(text + ("0" if "." in text else ".0")) == plain(text)


@given(DECIMALS, DECIMALS)
def test_product_is_exact(left: str, right: str) -> None:
    assert Fraction(product(left, right)) == Fraction(left) * Fraction(right)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_rounding_is_half_even(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))


def test_dearest_compares_values_not_text() -> None:
    assert dearest("9", "10", None, "9.99") == "10"
    assert dearest(None) is None


@pytest.mark.parametrize(
    ("text", "divisor", "nano"),
    [
        ("0.0000000005", 1, 0),  # a tie goes to the even side
        ("0.0000000015", 1, 2),
        ("1.23e-05", 1, 12_300),
        ("377500", 10_000_000_000, 37_750),  # a provider's ticks
    ],
)
def test_amount_of_text_is_rounded_once(text: str, divisor: int, nano: int) -> None:  # trap M12
    assert nano_of(text, divisor) == nano


@given(st.integers(-(10**18), 10**18))
def test_nine_places_show_every_nano(nano: int) -> None:
    assert Decimal(shown(nano)) * NANO == nano


def test_fewer_places_round_half_even() -> None:
    assert shown(1_250_000_000, 1) == "1.2"
    assert shown(-1_350_000_000, 1) == "-1.4"
    assert shown(2_500_000_000, 0) == "2"


def test_fx_works_both_ways_and_names_itself() -> None:
    assert EUR.id == "USD-EUR-2026-11-02-0.92"
    assert convert(1_000_000_001, currency="USD", to="EUR", fx=EUR) == 920_000_001
    assert convert(920_000_000, currency="EUR", to="USD", fx=EUR) == NANO
    assert convert(5, currency="EUR", to="EUR", fx=EUR) == 5


def test_fx_between_other_currencies_is_refused() -> None:
    with pytest.raises(ValueError, match="USD/EUR does not convert CHF to EUR"):
        convert(1, currency="CHF", to="EUR", fx=EUR)


@pytest.mark.parametrize("change", [{"rate": "0"}, {"quote": "USD"}, {"base": "usd"}, {"rate": "-1"}])
def test_fx_that_cannot_convert_is_refused(change: dict[str, str]) -> None:
    row = {"base": "USD", "quote": "EUR", "rate": "0.92", "date": "2026-11-02", "source": "ECB", **change}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(row, Fx)
