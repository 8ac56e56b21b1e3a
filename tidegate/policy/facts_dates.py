"""Dates as people write them in English, German, Spanish and French, and in digits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.policy.facts_words import listed

_MONTHS = {
    1: "january jan januar jänner enero ene janvier janv",
    2: "february feb februar febr febrero febrer février févr fevrier",
    3: "march mar märz mär marzo mars",
    4: "april apr abril abr avril avr",
    5: "may mai mayo",
    6: "june jun juni junio juin",
    7: "july jul juli julio juillet juil",
    8: "august aug agosto ago août aout",
    9: "september sep sept septiembre setiembre septembre",
    10: "october oct oktober okt octubre octobre",
    11: "november nov noviembre novembre",
    12: "december dec dezember dez diciembre dic décembre déc decembre",
}
MONTHS = {name: month for month, names in _MONTHS.items() for name in names.split()}
_DAYS = """
    monday tuesday wednesday thursday friday saturday sunday
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag
    lunes martes miércoles jueves viernes sábado domingo lundi mardi mercredi jeudi vendredi samedi dimanche
    """
WEEKDAYS = frozenset(listed(_DAYS))
_ALSO_WORDS = frozenset(listed("may mar march mai jun jan ago dec dic mars august abr ene set oct"))
"""Names of months that are words too, or short: alone they are none."""

_MONTH = "(?P<month>" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")(?![^\W\d_])"
_YEAR = r"(?P<year>\d{4})(?![\d.,]\d|\d)"
_OF = r"(?:(?:de|del|of|d')\s)?"
_FORMS = (
    re.compile(
        rf"(?<![\d.,])(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|\u00ba|\.)?\s?{_OF}(?<![^\W\d_]){_MONTH}"
        rf"(?:\.?,?\s{_OF}{_YEAR})?"
    ),
    re.compile(
        rf"(?<!\w){_MONTH}\.?\s(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d|[.,:]\d)"
        rf"(?:(?:,|\sof)?\s{_YEAR})?"
    ),
    re.compile(rf"(?<!\w){_MONTH}\.?,?\s{_OF}{_YEAR}"),
    re.compile(r"(?<![\d.-])(?P<year>\d{4})-(?P<number>\d\d)-(?P<day>\d\d)(?!\d)"),
    re.compile(
        r"(?<![\d.,/-])(?P<one>\d{1,2})(?P<by>[./-])(?P<other>\d{1,2})(?P=by)(?P<year>\d{4}|\d\d)"
        r"(?![\d./-]\d|\d)"
    ),
)
_ALONE = re.compile(rf"(?<!\w){_MONTH}")


@dataclass(frozen=True, slots=True)
class Date:
    """A date at `text[start:end]`, as far as it is given; `swapped` is another way to read it."""

    start: int
    end: int
    year: int | None
    month: int
    day: int | None
    swapped: tuple[int, int] | None = None

    def readings(self) -> tuple[tuple[int | None, int, int | None], ...]:
        """Year, month and day in each way to read it."""
        first = (self.year, self.month, self.day)
        return (first,) if self.swapped is None else (first, (self.year, *self.swapped))


def dates(text: str) -> list[Date]:
    """All dates of a text that name a month, none within another."""
    lowered = text.lower()
    found: list[Date] = []
    taken = bytearray(len(lowered))
    for form in _FORMS:
        for match in form.finditer(lowered):
            if not any(taken[match.start() : match.end()]) and (date := _date(match)):
                found.append(date)
                taken[date.start : date.end] = b"1" * (date.end - date.start)
    found += [one for one in _months_alone(text, lowered) if not taken[one.start]]
    return sorted(found, key=lambda one: one.start)


def _date(match: re.Match[str]) -> Date | None:
    parts = match.groupdict()
    year = int(parts["year"]) if parts.get("year") else None
    if parts.get("one"):
        day, month = int(parts["one"]), int(parts["other"])
        if year is not None and year < 100:
            year += 2000 if year < 50 else 1900
        if month > 12:
            day, month = month, day
        swapped = (day, month) if day <= 12 and day != month else None
        return Date(*match.span(), year, month, day, swapped) if 1 <= month <= 12 and 1 <= day <= 31 else None
    month = int(parts["number"]) if parts.get("number") else MONTHS[parts["month"]]
    day_given = int(parts["day"]) if parts.get("day") else None
    if not 1 <= month <= 12 or not 1 <= (day_given or 1) <= 31:
        return None
    return Date(*match.span(), year, month, day_given)


def _months_alone(text: str, lowered: str) -> Iterator[Date]:
    for match in _ALONE.finditer(lowered):
        named = match["month"] not in _ALSO_WORDS or (
            match["month"] == "may" and _in_a_sentence(text, match.start())
        )
        if named and len(match["month"]) > 2:
            yield Date(*match.span(), None, MONTHS[match["month"]], None)


def _in_a_sentence(text: str, at: int) -> bool:
    return text[at].isupper() and text[max(0, at - 2) : at].strip().isalpha()
