"""Numbers below a million in words, in five languages: lists of them are long, even and wanted."""

from collections.abc import Callable

from benchmarks.early_stop.corpus import words

_EN = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_EN_TENS = words(". . twenty thirty forty fifty sixty seventy eighty ninety")
_DE = words(
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn"
)
_DE_TENS = words(". . zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
_FR = words(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf"
)
_FR_TENS = words(". . vingt trente quarante cinquante soixante soixante quatre-vingt quatre-vingt")
_ES = words(
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco "
    "veintiséis veintisiete veintiocho veintinueve"
)
_ES_TENS = words(". . . treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_ES_HUNDREDS = words(
    ". ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
)
_IT = words(
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici "
    "sedici diciassette diciotto diciannove"
)
_IT_TENS = words(". . venti trenta quaranta cinquanta sessanta settanta ottanta novanta")


def english(number: int) -> str:
    """Say a number in English."""
    if number < 20:
        return _EN[number]
    if number < 100:
        return _EN_TENS[number // 10] + (f"-{_EN[number % 10]}" if number % 10 else "")
    if number < 1000:
        return f"{_EN[number // 100]} hundred" + (f" {english(number % 100)}" if number % 100 else "")
    return f"{english(number // 1000)} thousand" + (f" {english(number % 1000)}" if number % 1000 else "")


def german(number: int) -> str:
    """Say a number in German."""
    if number < 20:
        return _DE[number]
    if number < 100:
        unit = "ein" if number % 10 == 1 else _DE[number % 10]
        return (f"{unit}und" if number % 10 else "") + _DE_TENS[number // 10]
    if number < 1000:
        head = "ein" if number < 200 else _DE[number // 100]
        return f"{head}hundert" + (german(number % 100) if number % 100 else "")
    head = "ein" if number < 2000 else german(number // 1000)
    return f"{head}tausend" + (german(number % 1000) if number % 1000 else "")


def french(number: int) -> str:
    """Say a number in French."""
    if number < 20:
        return _FR[number]
    if number < 100:
        tens, unit = divmod(number, 10)
        if tens in (7, 9):
            unit += 10
        if not unit:
            return "quatre-vingts" if tens == 8 else _FR_TENS[tens]
        joint = " et " if unit in (1, 11) and tens < 8 else "-"
        return f"{_FR_TENS[tens]}{joint}{_FR[unit]}"
    if number < 1000:
        head = "" if number < 200 else f"{_FR[number // 100]} "
        return f"{head}cent" + (f" {french(number % 100)}" if number % 100 else "")
    head = "" if number < 2000 else f"{french(number // 1000)} "
    return f"{head}mille" + (f" {french(number % 1000)}" if number % 1000 else "")


def spanish(number: int) -> str:
    """Say a number in Spanish."""
    if number < 30:
        return _ES[number]
    if number < 100:
        return _ES_TENS[number // 10] + (f" y {_ES[number % 10]}" if number % 10 else "")
    if number == 100:
        return "cien"
    if number < 1000:
        return _ES_HUNDREDS[number // 100] + (f" {spanish(number % 100)}" if number % 100 else "")
    head = "" if number < 2000 else f"{spanish(number // 1000)} "
    return f"{head}mil" + (f" {spanish(number % 1000)}" if number % 1000 else "")


def italian(number: int) -> str:
    """Say a number in Italian."""
    if number < 20:
        return _IT[number]
    if number < 100:
        tens, unit = _IT_TENS[number // 10], number % 10
        return (tens[:-1] if unit in (1, 8) else tens) + (_IT[unit] if unit else "")
    if number < 1000:
        head = "" if number < 200 else _IT[number // 100]
        return f"{head}cento" + (italian(number % 100) if number % 100 else "")
    head = "mille" if number < 2000 else f"{italian(number // 1000)}mila"
    return head + (italian(number % 1000) if number % 1000 else "")


SPOKEN: dict[str, Callable[[int], str]] = {
    "en": english,
    "de": german,
    "fr": french,
    "es": spanish,
    "it": italian,
}
