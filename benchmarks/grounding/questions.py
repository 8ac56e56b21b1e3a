"""Questions with a true answer of one kind, out of XQuAD (SQuAD's layout) and Natural Questions."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.policy.facts_dates import MONTHS
from tidegate.policy.facts_numbers import numbers

SMALL_WORDS = re.compile(
    r"(?:the|a|an|of|de|la|le|and|in|on|at|to|for|von|van|der|du|del|el|los|las|der|die|das|dem|den|des|und|im|y|e)\Z"
)
_ASKS = (
    (
        "number",
        re.compile(r"\bhow (?:many|much|old|long|far|tall|large|big|high)\b|what (?:percent|number|score)"),
    ),
    (
        "date",
        re.compile(r"\b(?:when|what (?:year|date|day|month)|(?:in|on) (?:what|which) (?:year|date|day))\b"),
    ),
    (
        "name",
        re.compile(r"\b(?:who|whom|whose|where|(?:which|what) (?:person|man|woman|city|country|company))\b"),
    ),
)
"""What an English question asks for, by how it is put."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with a true answer of one kind and the passage that holds it."""

    set: str
    language: str
    id: str
    kind: str
    answer: str
    passage: str


def questions(folder: Path) -> Iterator[Question]:
    """Every question of the folder whose answer is a number, a date or a name and stands in its passage."""
    english = (
        {row["id"]: row for row in _squad(folder / "xquad_en.json.gz")} if _english(folder).exists() else {}
    )
    for path in sorted(folder.glob("xquad_*.json.gz")):
        language = path.name.removeprefix("xquad_").removesuffix(".json.gz")
        for row in _squad(path):
            yield from _question(path.name.partition(".")[0], language, row, english.get(row["id"], row))
    for path in sorted(folder.glob("nq-*.jsonl.gz")):
        for row in _natural(path):
            yield from _question(path.name.partition(".")[0], "en", row, row)


def _english(folder: Path) -> Path:
    return folder / "xquad_en.json.gz"


def _squad(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as opened:
        content: Any = json.load(opened)
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answer = asked["answers"][0]["text"].strip(" .,;")
                yield {
                    "id": asked["id"],
                    "asks": asked["question"],
                    "answer": answer,
                    "passage": paragraph["context"],
                }


def _natural(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as opened:
        for number, line in enumerate(opened):
            row: Any = json.loads(line)
            passage = "\n".join(
                f"{one['title']}\n{one['text']}" for one in row["ctxs"] if one.get("isgold", True)
            )
            answer = next((one for one in row["answers"] if one in passage), "")
            yield {"id": f"nq-{number}", "asks": row["question"], "answer": answer, "passage": passage}


def asked(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Set, id, passage and a text that people wrote about it: a question with its answer."""
    for path in sorted(folder.glob("xquad_*.json.gz")):
        for row in _squad(path):
            yield path.name.partition(".")[0], row["id"], row["passage"], f"{row['asks']} {row['answer']}."


def _question(set_: str, language: str, row: dict[str, str], twin: dict[str, str]) -> Iterator[Question]:
    kind = _kind(twin)
    if kind and row["answer"] and row["answer"] in row["passage"] and _fits(kind, row["answer"], language):
        yield Question(set_, language, row["id"], kind, row["answer"], row["passage"])


def _kind(row: dict[str, str]) -> str:
    """The kind of an English answer, by its question and its look."""
    answer = row["answer"]
    asked = next((kind for kind, shape in _ASKS if shape.search(row["asks"].lower())), "")
    return asked if _fits(asked, answer, "en") else ""


def _fits(kind: str, answer: str, language: str) -> bool:
    lowered = answer.lower()
    digits = any(char.isdigit() for char in answer)
    match kind:
        case "number":
            return digits or any(one.word and one.values != {"1"} for one in numbers(lowered, (language,)))
        case "date":
            return digits or any(word in MONTHS for word in re.findall(r"[^\W\d_]+", lowered))
        case "name":
            words = re.findall(r"[^\W\d_]+", answer)
            return (
                not digits
                and 0 < len(words) <= 6
                and all(word[0].isupper() or SMALL_WORDS.match(word) for word in words)
            )
        case _:
            return False
