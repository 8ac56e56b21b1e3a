"""What the check says of true and of swapped answers, counted by set, kind and half."""

import random
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from benchmarks.grounding.questions import Question, asked, questions
from benchmarks.grounding.swaps import answer_of, swapped
from benchmarks.wilson import wilson as interval
from tidegate.policy.grounding import Given, given, ungrounded

KEY = b"benchmark"
PARTS = ("seen", "held out")


@dataclass(slots=True)
class Tally:
    """What came of the answers of one kind: true ones with false alarms, swapped ones that were found."""

    true: int = 0
    alarms: int = 0
    absent: int = 0
    found: int = 0
    near: int = 0
    near_found: int = 0

    def add(self, other: "Tally") -> None:
        """Count another's answers too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def wilson(hits: int, of: int) -> tuple[float, float] | None:
    """The 95% interval of a share (Wilson 1927)."""
    return interval(hits, of) if of else None


def held_out(id_: str) -> bool:
    """Half of all questions, for ever the same."""
    return blake2b(id_.encode(), digest_size=1).digest()[0] % 2 == 1


def tally(question: Question, others: list[Question], misses: list[str]) -> Tally:
    """What the check says of the true answer and of two swapped ones, one of them near where there is one."""
    known = given(question.passage)
    result = Tally()
    for draw in range(2):
        seed = int.from_bytes(
            blake2b(f"{question.set}/{question.id}/{draw}".encode(), digest_size=4).digest(), "big"
        )
        chance = random.Random(seed)
        held = held_out(question.id)
        answer, _ = answer_of(question.answer, question.language, seed, held=held)
        alarms = ungrounded(answer, known, digest_key=KEY)
        result.true += 1
        result.alarms += bool(alarms)
        if alarms:
            misses.append(
                f"alarm\t{question.set}\t{answer}\t{[answer[one.start : one.end] for one in alarms]}"
            )
        value = swapped(question, others, chance, near=True) if draw else None
        near = value is not None
        value = value or swapped(question, others, chance, near=False)
        if value is None:
            continue
        answer, at = answer_of(value, question.language, seed, held=held)
        hit = _finds(answer, at, len(value), known)
        if near:
            result.near, result.near_found = result.near + 1, result.near_found + hit
        else:
            result.absent, result.found = result.absent + 1, result.found + hit
            if not hit:
                misses.append(f"missed\t{question.set}\t{answer}\t{question.answer}")
    return result


def _finds(answer: str, at: int, size: int, known: Given) -> bool:
    return any(one.start < at + size and at < one.end for one in ungrounded(answer, known, digest_key=KEY))


def row(name: tuple[str, str, str], one: Tally) -> dict[str, Any]:
    """A line of the result."""
    flagged = one.found + one.alarms * (one.absent / one.true if one.true else 0)
    precise = round(one.found), round(flagged)
    return {
        "set": name[0],
        "kind": name[1],
        "part": name[2],
        "true": one.true,
        "alarms": one.alarms,
        "absent": one.absent,
        "recall": one.found / one.absent if one.absent else None,
        "recall_95": wilson(one.found, one.absent),
        "precision": one.found / flagged if flagged else None,
        "precision_95": wilson(*precise),
        "same_passage": one.near,
        "same_passage_found": one.near_found,
    }


def people(folder: Path) -> list[dict[str, Any]]:
    """How many sentences that people wrote about a passage are found to say what it does not."""
    counts: dict[tuple[str, str], list[int]] = {}
    for set_, id_, passage, text in asked(folder):
        count = counts.setdefault((set_, PARTS[held_out(id_)]), [0, 0])
        count[0] += 1
        count[1] += bool(ungrounded(text, passage, digest_key=KEY))
    return [
        {"set": set_, "part": part, "sentences": of, "found": found, "share_95": wilson(found, of)}
        for (set_, part), (of, found) in sorted(counts.items())
    ]


def evaluate(folder: Path, misses: list[str]) -> list[dict[str, Any]]:
    """All figures, by set, kind and part."""
    groups: dict[tuple[str, str], list[Question]] = {}
    for question in questions(folder):
        groups.setdefault((question.set, question.kind), []).append(question)
    rows = []
    for (set_, kind), group in sorted(groups.items()):
        sums = {part: Tally() for part in PARTS}
        for question in group:
            part = PARTS[held_out(question.id)]
            found: list[str] = []
            sums[part].add(tally(question, group, found))
            misses += [f"{part}\t{line}" for line in found]
        rows += [row((set_, kind, part), sums[part]) for part in PARTS]
    return rows


def _share(share: float | None, interval: tuple[float, float] | None) -> str:
    return "-" if share is None or interval is None else f"{share:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
