"""Long texts of words that must not be stopped: poems, contracts, lists, traces, labels, logs."""

import datetime as dt
from collections.abc import Iterator
from random import Random

from benchmarks.early_stop.corpus import CLAUSES, PLACES, REFRAINS, THINGS, song, stanzas, words
from benchmarks.early_stop.numerals import SPOKEN

_PAGE = {"en": "Page", "de": "Seite", "fr": "Page", "es": "Página", "it": "Pagina"}
_DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
}
_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
}


def by_language(language: str, random: Random) -> Iterator[tuple[str, str]]:
    """Named texts in one language."""
    yield f"poem, {language}", song(language, random.randint(2, 3))
    yield f"poem out of order, {language}", _shuffled_poem(language, random)
    yield f"contract, {language}", _contract(language, random, articles=random.randint(3, 12))
    top = random.randint(400, 1300)
    yield f"numbers in words, {language}", ", ".join(map(SPOKEN[language], range(1, top))) + "."
    yield f"numbers with words, {language}", _both(language, random.randint(200, 900))
    yield (
        f"pages, {language}",
        "\n".join(f"{_PAGE[language]} {n}" for n in range(1, random.randint(300, 900))),
    )
    yield f"calendar, {language}", _calendar(language, random.randint(2020, 2030))
    yield f"squares, {language}", _squares(language, random.randint(150, 500))


def _shuffled_poem(language: str, random: Random) -> str:
    parts = stanzas(language)
    random.shuffle(parts)
    refrain = REFRAINS[language]
    return f"{refrain}\n\n" + f"\n\n{refrain}\n\n".join(parts) + f"\n\n{refrain}\n"


def _contract(language: str, random: Random, articles: int) -> str:
    lines = []
    for article in range(1, articles + 1):
        chosen = random.sample(CLAUSES[language], random.randint(5, len(CLAUSES[language])))
        for number, clause in enumerate(chosen, 1):
            filled = clause.format(
                thing=random.choice(THINGS[language]),
                place=random.choice(PLACES),
                days=random.choice((5, 8, 10, 14, 15, 21, 30, 45, 60, 90)),
                sum=f"{random.randint(2, 900)}{random.choice(('.000', '.500', ' 000'))}",
            )
            lines.append(f"{article}.{number} {filled}")
        lines.append("")
    return "\n".join(lines)


def _both(language: str, top: int) -> str:
    return "\n".join(f"{number} - {SPOKEN[language](number)}" for number in range(1, top))


def _calendar(language: str, year: int) -> str:
    days, months = _DAYS[language].split(), _MONTHS[language].split()
    day, lines = dt.date(year, 1, 1), []
    while day.year == year:
        lines.append(f"{days[day.weekday()]}, {day.day} {months[day.month - 1]} {year}")
        day += dt.timedelta(days=1)
    return "\n".join(lines)


def _squares(language: str, top: int) -> str:
    word = {"en": "squared is", "de": "zum Quadrat ist", "fr": "au carré fait", "es": "al cuadrado es"}
    return "\n".join(f"{n} {word.get(language, 'al quadrato fa')} {n * n}" for n in range(1, top))


def in_english(random: Random) -> Iterator[tuple[str, str]]:
    """Named texts in English alone."""
    yield "ninety-nine bottles", "\n".join(map(_bottles, range(99, 0, -1)))
    yield "gifts of twelve days", _gifts()
    yield "towers of Hanoi", "\n".join(_hanoi(random.choice((7, 8)), "A", "B", "C"))
    yield (
        "numbered towers",
        "\n".join(
            f"{n}. Move disk {line[10]} from peg {line[17]} to peg {line[22]}."
            for n, line in enumerate(_hanoi(7, "A", "B", "C"), 1)
        ),
    )
    yield "sorting, step by step", _sorting(random)
    yield "search in a graph", _search(random)
    yield (
        "sentiments",
        "\n".join(f"{n}. {random.choice(('positive', 'negative', 'neutral'))}" for n in range(1, 500)),
    )
    yield "answer key", "\n".join(f"{n}. {random.choice('ABCD')}" for n in range(1, 600))
    yield "questions about a text", _questions(random)
    yield "dialogue", _dialogue(random)
    yield "minutes of votes", _votes(random)


def _bottles(number: int) -> str:
    return (
        f"{number} bottles of beer on the wall, {number} bottles of beer.\n"
        f"Take one down and pass it around, {number - 1} bottles of beer on the wall.\n"
    )


def _gifts() -> str:
    days = words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
    gifts = [
        "a wren in a hazel hedge",
        "two muddy boots",
        "three loaves of rye",
        "four singing kettles",
        "five copper spoons",
        "six geese on a pond",
        "seven borrowed books",
        "eight maids with ladders",
        "nine tailors dancing",
        "ten clerks complaining",
        "eleven fiddlers fiddling",
        "twelve roofers drumming",
    ]
    verses = []
    for number, day in enumerate(days):
        given = [gifts[at] for at in range(number, -1, -1)]
        verses.append(
            f"On the {day} day of winter my neighbour brought to me\n"
            + ",\n".join([*given[:-1], ("and " if number else "") + given[-1]])
            + "."
        )
    return "\n\n".join(verses)


def _hanoi(disks: int, source: str, spare: str, target: str) -> list[str]:
    if not disks:
        return []
    return [
        *_hanoi(disks - 1, source, target, spare),
        f"Move disk {disks} from {source} to {target}",
        *_hanoi(disks - 1, spare, source, target),
    ]


def _sorting(random: Random) -> str:
    values, lines = [random.randint(1, 99) for _ in range(14)], []
    for end in range(len(values) - 1, 0, -1):
        for at in range(end):
            left, right = values[at], values[at + 1]
            if left > right:
                values[at], values[at + 1] = right, left
                lines.append(f"Compare {left} and {right}: swap. The list is now {values}.")
            else:
                lines.append(f"Compare {left} and {right}: they stay where they are.")
    return "\n".join(lines)


def _search(random: Random) -> str:
    nodes = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lines, seen, queue = [], {"A"}, ["A"]
    while queue:
        node = queue.pop(0)
        near = sorted(random.sample(nodes, random.randint(2, 6)))
        lines.append(f"Take {node} from the queue. Its neighbours are {', '.join(near)}.")
        for other in near:
            if other in seen:
                lines.append(f"{other} was visited before, so it is skipped.")
            else:
                lines.append(f"{other} is new: mark it as visited and put it into the queue.")
                seen.add(other)
                queue.append(other)
        lines.append(f"The queue is now {', '.join(queue) or 'empty'}.")
    return "\n".join(lines)


def _questions(random: Random) -> str:
    subjects = [
        "lighthouse",
        "ferry",
        "orchard",
        "printing press",
        "glacier",
        "violin",
        "harvest",
        "tunnel",
        "observatory",
        "salt road",
        "windmill",
        "canal lock",
        "beehive",
        "tide table",
        "archive",
        "locomotive",
        "quarry",
        "vineyard",
        "barometer",
        "loom",
    ]
    asks = (
        "What did the {} in {} cost in {}?",
        "Who built the {} near {} before {}?",
        "Why was the {} of {} closed in {}?",
        "How many people worked at the {} in {} in {}?",
    )
    answers, lines = ("The text does not say.", "See section", "About"), []
    for n in range(1, 120):
        ask = random.choice(asks)
        lines += [
            f"Q{n}: {ask.format(random.choice(subjects), random.choice(PLACES), random.randint(1700, 1990))}",
            f"A{n}: {random.choice(answers)} {random.randint(2, 900)}",
        ]
    return "\n".join(lines)


def _dialogue(random: Random) -> str:
    parts = [clause for clauses in CLAUSES.values() for clause in clauses]
    lines = []
    for _ in range(60):
        said = random.choice(parts).format(
            thing="it", place=random.choice(PLACES), days=random.randint(2, 40), sum=9
        )
        lines.append(f"ANNA: {said}\nBERT: Yes.\nANNA: Are you sure?\nBERT: Yes.")
    return "\n".join(lines)


def _votes(random: Random) -> str:
    return "\n".join(
        f"Motion {n} ({random.choice(THINGS['en'])}, {random.choice(PLACES)}): "
        f"{random.randint(20, 60)} in favour, {random.randint(0, 30)} against, "
        f"{random.randint(0, 9)} abstentions. Carried."
        for n in range(1, 160)
    )
