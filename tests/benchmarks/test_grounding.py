"""The benchmarks of the guards: their counting, their swaps, and a short run of each."""

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.grounding.figures import Tally, evaluate, held_out, row, wilson
from benchmarks.grounding.questions import questions
from benchmarks.grounding.swaps import HELD_OUT_SENTENCES, SENTENCES, answer_of, is_absent, swapped

ROOT = Path(__file__).parents[2]

PASSAGES = {
    f"In {1800 + at} {name} sold {300 + at} ships in {city}.": (name, str(1800 + at), str(300 + at))
    for at, (name, city) in enumerate(
        [("Ada Lovelace", "Turin"), ("Karl Weber", "Genua"), ("Otto Hahn", "Lyon"), ("Rosa Parks", "Bern")]
        * 3
    )
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Data of the same layout as TIDEGATE_DATA, made of sentences of ours."""
    paragraphs = []
    for at, (passage, (name, year, count)) in enumerate(PASSAGES.items()):
        asked = [("Who sold ships?", name), ("In what year was it?", year), ("How many ships?", count)]
        questions_ = [
            {"id": f"{at}-{number}", "question": question, "answers": [{"text": answer}]}
            for number, (question, answer) in enumerate(asked)
        ]
        paragraphs.append({"context": passage, "qas": questions_})
    for folder in ("context", "traffic"):
        (tmp_path / folder).mkdir()
    squad = json.dumps({"data": [{"paragraphs": paragraphs}]})
    for language in ("en", "el"):
        (tmp_path / f"context/xquad_{language}.json.gz").write_bytes(gzip.compress(squad.encode()))
    natural = {
        "question": "who is it",
        "answers": ["nobody", "Ada L"],
        "ctxs": [{"title": "Ada L", "text": "She is."}],
    }
    (tmp_path / "context/nq-some.jsonl.gz").write_bytes(gzip.compress(json.dumps(natural).encode()))
    body = {"messages": [{"content": "Please write to anna@firma.de. Thank you for all of it, and be well."}]}
    exchange = {"request": {"body": body}, "reply": {"body_text": "data: nothing at all"}}
    (tmp_path / "traffic/some.jsonl.gz").write_bytes(gzip.compress(json.dumps(exchange).encode()))
    return tmp_path


def run(name: str, data: Path) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--data", str(data), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 292, 0.0, 0.01298), (55, 55, 0.93472, 1.0), (50, 100, 0.40383, 0.59617)],
)
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=2e-5)


def test_nothing_has_no_interval() -> None:
    assert wilson(0, 0) is None


def test_other_data_of_the_layout_is_read(data: Path) -> None:
    read = list(questions(data / "context"))
    assert {(one.set, one.kind) for one in read} == {
        *((f"xquad_{language}", kind) for language in ("en", "el") for kind in ("name", "date", "number")),
        ("nq-some", "name"),
    }
    assert all(one.answer in one.passage for one in read)


@pytest.mark.parametrize(
    ("kind", "value", "absent"),
    [
        ("number", "12,500", False),
        ("number", "12.500", False),
        ("number", "four", False),
        ("number", "5", True),
        ("number", "five", True),
        ("date", "18 May 1756", False),
        ("date", "May 1757", True),
        ("name", "Thomas Davis", False),
        ("name", "thomas Smith", False),
        ("name", "Karl Marx", True),
    ],
)
def test_absent_is_what_stands_nowhere(kind: str, value: str, absent: bool) -> None:
    passage = "On 18 May 1756 Thomas Davis lost 12,500 men and four ships."
    assert is_absent(kind, value, passage, "en") is absent


def test_a_swap_is_of_the_same_passage_or_absent_from_it(data: Path) -> None:
    group = [one for one in questions(data / "context") if (one.set, one.kind) == ("xquad_en", "name")]
    chance = random.Random(1)
    assert swapped(group[0], group, chance, near=True) is None
    value = swapped(group[0], group, chance, near=False)
    assert value is not None
    assert value not in group[0].passage


def test_every_sentence_holds_its_value() -> None:
    for language in (*SENTENCES, "el"):
        for pick in range(12):
            answer, at = answer_of("VALUE", language, pick, held=True)
            assert answer[at : at + 5] == "VALUE"


def test_what_is_held_out_has_sentences_that_were_not_looked_at() -> None:
    seen = {answer_of("X", "de", pick, held=False)[0] for pick in range(40)}
    held = {answer_of("X", "de", pick, held=True)[0] for pick in range(40)}
    assert len(held - seen) == len(HELD_OUT_SENTENCES["de"])
    assert {held_out(str(number)) for number in range(40)} == {True, False}


def test_a_row_says_what_was_counted() -> None:
    made = row(("s", "name", "seen"), Tally(true=20, alarms=1, absent=10, found=9, near=4, near_found=1))
    assert made["recall"] == 0.9
    assert made["precision"] == pytest.approx(9 / 9.5)
    assert (made["same_passage"], made["same_passage_found"]) == (4, 1)


def test_the_check_finds_every_swap_in_plain_sentences(data: Path) -> None:
    misses: list[str] = []
    rows = evaluate(data / "context", misses)
    assert [line for line in misses if "missed" in line] == []
    assert sum(one["alarms"] for one in rows) == 0
    assert sum(one["absent"] for one in rows) > 60


def test_the_benchmark_of_grounding_runs(data: Path) -> None:
    status, result = run("grounding", data)
    assert status == 0
    assert {one["set"] for one in result["rows"]} == {"xquad_en", "xquad_el", "nq-some"}
    assert sum(one["sentences"] for one in result["people"]) == 2 * 3 * len(PASSAGES)
    assert sum(one["found"] for one in result["people"]) == 0


def test_the_benchmark_of_guards_runs(data: Path) -> None:
    status, result = run("guards", data)
    assert status == 0
    assert result["findings"] == {"email": {"all": 1, "different": 1}}
    assert min(result["us_per_1000_characters"].values()) >= 0
