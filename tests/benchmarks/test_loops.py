"""The benchmark of loops: its counting, its reading of data, and a short run of all of it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.loops.dialects import SURFACES, requests
from benchmarks.loops.made import LOOPS, MOVING, REPEATS, loop, moving
from benchmarks.loops.recorded import read
from benchmarks.loops.replay import bodies, replay
from benchmarks.loops.shares import Share
from benchmarks.loops.trials import loops_found, others_tripped
from tidegate.policy.loop_rules import LoopRules
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 292, 0.0, 0.01298), (55, 55, 0.93472, 1.0), (50, 100, 0.40383, 0.59617), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert Share(hits, of).interval == pytest.approx((low, high), abs=2e-5)


def run(name: str, results: list[str]) -> Json:
    messages: list[Json] = [{"role": "user", "content": f"Task {name}"}]
    for number, result in enumerate(results):
        function = {"name": "run", "arguments": '{"command": "make"}'}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": result})
    messages.append({"role": "assistant", "content": "That is all."})
    return {
        "id": name,
        "model": "gpt-4o",
        "dialect": "openai_chat",
        "messages": messages,
        "n_tool_calls": len(results),
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    runs = [
        run("a-loop", ["one", *["make: no rule"] * 9]),
        run("a-clean", [f"built {n} files" for n in range(6)]),
        run("a-unclear", ["make: no rule"] * 3),
    ]
    with gzip.open(folder / "some.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(one) + "\n" for one in runs)
    (folder / "LOOPS.tsv").write_text("run\tfrom_call\tkind\tevidence\na-loop\t1\tsame_call_same_result\tx\n")
    (folder / "BORDERLINE.tsv").write_text(
        "run\tfrom_call\tkind\tevidence\na-unclear\t0\tsame_call_same_result\tx\n"
    )
    return tmp_path


def test_runs_are_read_with_their_labels(data: Path) -> None:
    assert {one.run.id: (one.label, one.from_call) for one in read(data)} == {
        "a-loop": ("loop", 1),
        "a-clean": ("clean", 0),
        "a-unclear": ("borderline", 0),
    }
    assert len(read(data / "agents")) == 3


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no runs"):
        read(tmp_path)


def test_a_run_is_seen_request_by_request(data: Path) -> None:
    loop_run = next(one for one in read(data) if one.label == "loop")
    sizes = [(len(body["messages"]), is_shown) for body, is_shown in bodies(loop_run.run.messages)]
    assert sizes == [(2 * n + 1, True) for n in range(11)]
    outcome = replay(loop_run, LoopRules())
    assert outcome.enforce is not None
    assert outcome.enforce.call == 4
    assert outcome.stopped_before == 5


@pytest.mark.parametrize("surface", SURFACES)
def test_made_runs_are_requests_of_their_dialect(surface: Any) -> None:
    for kind in LOOPS:
        made = loop(kind, Random(kind))
        *_, (body, _) = requests(made.acts, surface)
        facts = CODECS[surface].read_request(Body.parse(json.dumps(body).encode()))
        assert facts.message_count >= len(made.acts)


def test_made_loops_differ_between_their_repeats() -> None:
    made = loop("same call, same result", Random(4))
    rounds = made.acts[made.first :]
    assert len(rounds) == REPEATS + 1
    assert len({act.arguments for act in rounds}) > 1
    assert len({act.words for act in rounds}) > 1


def test_runs_of_every_kind_are_made_anew_by_each_seed() -> None:
    for kind in MOVING:
        assert moving(kind, Random(1)) == moving(kind, Random(1))
        assert moving(kind, Random(1)) != moving(kind, Random(2))


@pytest.mark.slow
def test_few_made_loops_are_missed_and_few_others_are_taken_for_one() -> None:
    found = loops_found(LoopRules(), 6, 7)
    assert sum(one.notice.hits for one in found) >= 0.95 * sum(one.notice.of for one in found)
    others = others_tripped(LoopRules(), 6, 7)
    assert sum(one.notice.hits for one in others) <= 0.02 * sum(one.notice.of for one in others)


def command(data: Path, *options: str) -> str:
    line = [
        sys.executable,
        "-m",
        "benchmarks.loops",
        "--data",
        str(data),
        "--made",
        "1",
        "--rounds",
        "1",
        *options,
    ]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.slow
def test_the_command_prints_every_figure_as_json_and_as_text(data: Path) -> None:
    found = json.loads(command(data, "--json"))
    figures = found["recorded"]["all"]
    assert figures["loops_stopped"]["hits"] == 1
    assert figures["loops_stopped"]["low"] == pytest.approx(0.2065, abs=1e-3)
    assert figures["clean_noticed"]["hits"] == 0
    assert figures["median_calls_after_first_of_loop"] == 3
    assert 0 < figures["money"]["prefix_from_cache"]["saved_eur"] <= figures["money"]["uncached"]["saved_eur"]
    assert {row["kind"] for row in found["made_loops"]} == {*LOOPS, "all"}
    assert {row["kind"] for row in found["made_others"]} == {*MOVING, "all"}
    assert all(row["next_us"] > 0 for row in found["cost"])
    text = command(data)
    assert "loops stopped when enforcing" in text
    assert "1 of 1 (100.0%, 95% 20.7 to 100.0%)" in text
