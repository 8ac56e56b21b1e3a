"""The measurement of early stops counts what it says, on streams whose answer is known."""

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.early_stop.__main__ import main
from benchmarks.early_stop.corpus import CLAUSES, POEM_LANGUAGES, stanzas
from benchmarks.early_stop.degenerate import KINDS, MAX_PIECES, degenerate
from benchmarks.early_stop.figures import Share, quantile
from benchmarks.early_stop.genuine import MAX_CHARS, MIN_CHARS, genuine
from benchmarks.early_stop.local_model import goes_round
from benchmarks.early_stop.measure import half_of
from benchmarks.early_stop.numerals import SPOKEN
from benchmarks.early_stop.outputs import outputs
from benchmarks.early_stop.pieces import Piece, as_stream, replay, tokens
from benchmarks.early_stop.recorded import DIALECTS, recorded
from tidegate.policy.watch import WatchRules

ANSWER = "The ferry leaves at noon, and the next one in the evening; the fare is four crowns for each of us. "


SOURCES = [clause for clauses in CLAUSES.values() for clause in clauses]


def zipped(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def exchange(ident: str, body: str, *, stream: bool = False, status: int = 200) -> dict[str, Any]:
    return {"id": ident, "stream": stream, "reply": {"status": status, "headers": {}, "body_text": body}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    chat = {"choices": [{"index": 0, "message": {"content": ANSWER}, "finish_reason": "stop"}]}
    looping = {"choices": [{"index": 0, "message": {"content": "no " * 2000}, "finish_reason": "length"}]}
    zipped(
        tmp_path / "traffic" / "openai_chat.jsonl.gz",
        [
            exchange("a", json.dumps(chat)),
            exchange("b", json.dumps(looping)),
            exchange("c", "{}", status=500),
            exchange("d", json.dumps({"choices": []})),
        ],
    )
    rows = [{"id": n, "out": f"{n}. {ANSWER}{Random(n).random()}"} for n in range(40)]
    zipped(
        tmp_path / "routing" / "outputs.jsonl.gz", [*rows, {"models": {"m": {"out": ANSWER, "ok": 1}}}, {}]
    )
    return tmp_path


def test_the_command_counts_every_part(data: Path) -> None:
    arguments = ["--data", str(data), "--seeds", "2", "--own-seeds", "1", "--model-prompts", "0", "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    plain = found["false_stops"]["recorded plain replies"].values()
    assert (sum(half["hits"] for half in plain), sum(half["count"] for half in plain)) == (1, 2)
    assert [name.split(":")[1].strip() for name in found["falsely_stopped"]] == ["openai_chat b"]
    assert sum(half["count"] for half in found["false_stops"]["model outputs"].values()) == 41
    assert found["replies_without_text"] == 1
    assert found["degenerate"]["all"]["held out"]["stopped"]["count"] == 2 * len(KINDS)
    within = [half["held out"]["hits"] for half in found["stopped_within_tokens"].values()]
    assert within == sorted(within)
    assert within[-1] == found["degenerate"]["all"]["held out"]["stopped"]["hits"]
    assert found["local_model"]["skipped"] == "--model-prompts is 0"
    assert found["cost"]["ratio"] > 1


def test_the_table_names_what_was_falsely_stopped(data: Path) -> None:
    arguments = ["--data", str(data), "--seeds", "0", "--own-seeds", "0", "--model-prompts", "0"]
    done = CliRunner().invoke(main, arguments)
    assert "- stopped: recorded plain replies: openai_chat b: repeated_text at" in done.output
    assert "SKIPPED the local model: --model-prompts is 0" in done.output


STREAMS = [
    ("openai_chat", 'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}],"id":"1"}\n\ndata: [DONE]\n\n'),
    (
        "anthropic_messages",
        (
            'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
            '{"type":"text","text":""}}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta",'
            '"index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n'
        ),
    ),
    (
        "openai_responses",
        (
            'data: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
            'data: {"type":"response.output_text.done","text":"Hi"}\n\n'
        ),
    ),
    ("gemini", '[{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}]'),
    ("ollama", '{"message":{"content":"Hi"}}\n{"done":true}\n'),
    ("cohere_chat", 'data: {"type":"content-delta","delta":{"message":{"content":{"text":"Hi"}}}}\n\n'),
]


@pytest.mark.parametrize(("dialect", "body"), STREAMS)
def test_the_text_of_a_stream_is_read_once(tmp_path: Path, dialect: str, body: str) -> None:
    assert dialect in DIALECTS
    zipped(tmp_path / f"{dialect}.jsonl.gz", [exchange("a", body, stream=True)])
    (found,) = recorded(tmp_path)
    assert found.pieces == [Piece("text", "Hi")]


def test_arguments_that_are_an_object_become_a_call(tmp_path: Path) -> None:
    body = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]}}]}
    zipped(tmp_path / "gemini.jsonl.gz", [exchange("a", json.dumps(body))])
    (found,) = recorded(tmp_path)
    assert found.pieces == [Piece("call"), Piece("arguments", '{"a": 1}')]


def test_a_folder_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert (list(recorded(tmp_path)), list(outputs(tmp_path))) == ([], [])


@pytest.mark.parametrize("text", ["", ANSWER, "a\n\n\tb  c", "Straße, 1234567 €", "日本語"])
def test_tokens_are_the_text_in_small_pieces(text: str) -> None:
    assert "".join(tokens(text)) == text
    assert all(len(token) <= 17 for token in tokens(text))


def test_degenerate_streams_know_where_they_begin_to_loop() -> None:
    for stream in degenerate(SOURCES, range(6)):
        assert stream.loop_at < stream.known_at <= len(stream.pieces) == stream.loop_at + MAX_PIECES
        assert replay(stream.pieces[: stream.loop_at], WatchRules()).stop is None


def test_a_unit_to_the_letter_stands_twice_before_it_is_known() -> None:
    for stream in degenerate(SOURCES, range(8)):
        if stream.kind == "loop":
            twice = "".join(piece.text for piece in stream.pieces[stream.loop_at : stream.known_at])
            assert twice[: len(twice) // 2] == twice[len(twice) // 2 :]


def test_our_own_texts_are_many_long_and_made_the_same_again() -> None:
    first, again = list(genuine(range(1))), list(genuine(range(1)))
    assert first == again
    assert len({text.name for text in first}) == len(first) >= 120
    assert all(MIN_CHARS <= text.chars <= MAX_CHARS for text in first)


@pytest.mark.parametrize(
    ("language", "number", "said"),
    [
        ("en", 342, "three hundred forty-two"),
        ("en", 1005, "one thousand five"),
        ("de", 121, "einhunderteinundzwanzig"),
        ("fr", 91, "quatre-vingt-onze"),
        ("fr", 71, "soixante et onze"),
        ("es", 31, "treinta y uno"),
        ("es", 116, "ciento dieciséis"),
        ("it", 28, "ventotto"),
        ("it", 1101, "millecentouno"),
    ],
)
def test_numbers_are_said_as_people_say_them(language: str, number: int, said: str) -> None:
    assert SPOKEN[language](number) == said


@pytest.mark.parametrize("language", SPOKEN)
def test_poems_and_contracts_are_in_all_five_languages(language: str) -> None:
    assert language in POEM_LANGUAGES
    assert len(stanzas(language)) >= 7
    assert len(CLAUSES[language]) == 12


@pytest.mark.parametrize(("text", "round_"), [("A gentle soul,\n" * 300, True), (ANSWER * 2, False)])
def test_the_judge_sees_what_goes_round(text: str, round_: bool) -> None:
    assert goes_round(text) is round_


def test_shares_have_the_interval_of_wilson() -> None:
    below, above = Share(0, 100).interval
    assert (below, round(above, 4)) == (0.0, 0.0370)
    below, above = Share(96, 100).interval
    assert (round(below, 4), round(above, 4)) == (0.9016, 0.9843)
    assert Share(0, 0).interval == (0.0, 1.0)


def test_quantiles_are_values_with_values_around_them() -> None:
    found = quantile(list(range(1000)), 0.5)
    assert found is not None
    assert (found.value, found.below, found.above) == (500, 469, 530)
    assert quantile([], 0.5) is None


def test_halves_are_of_about_one_size_and_stay() -> None:
    halves = [half_of(str(n)) for n in range(1000)]
    assert 400 < halves.count("development") < 600
    assert half_of("a") == half_of("a")


def test_pieces_of_a_call_go_to_its_arguments() -> None:
    pieces = [Piece("call"), *as_stream('{"a": "' + "no " * 2000, "arguments")]
    stop = replay(pieces, WatchRules()).stop
    assert stop is not None
    assert stop.channel == "arguments"
