"""The soak: its faults, its eye for what is wrong, and a short run of all of it."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.soak import books
from benchmarks.soak.faults import HANG_UP, HANG_UP_WITHIN_S, NAMES, PLANNED, SCRIPTS, choose, plan
from benchmarks.soak.traffic import Given
from tidegate.upstream.scenario import Scenario
from tidegate.upstream.script import Script, read

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripted_provider_knows_every_fault(name: str) -> None:
    for seed in range(20):
        read(json.dumps(SCRIPTS[name](random.Random(seed))), Script)


def test_every_fault_is_drawn_and_a_seed_draws_the_same_again() -> None:
    chance = random.Random(1)
    drawn = [choose(chance) for _ in range(2_000)]
    assert Counter(fault.name for fault in drawn).keys() == set(NAMES)
    again = random.Random(1)
    assert drawn == [choose(again) for _ in range(2_000)]
    for fault in drawn:
        assert bool(fault.script) == (fault.name != HANG_UP)
        assert fault.hang_up_s is None or 0 <= fault.hang_up_s <= HANG_UP_WITHIN_S


def test_a_providers_plan_has_the_share_of_faults_that_was_asked_for() -> None:
    scenario = Scenario()
    scenario.add(plan(random.Random(1), 0.025))
    assert sum(item.script != Script() for item in scenario.queue) == PLANNED
    calls = sum(item.times for item in scenario.queue)
    assert 0.02 < PLANNED / calls < 0.03
    assert plan(random.Random(1), 0) == b"[]"


def test_error_lines_of_a_log_are_found(tmp_path: Path) -> None:
    log = tmp_path / "tidegate.log"
    log.write_text(
        "2026-11-24 12:00:00 gateway INFO ready\n2026-11-24 gateway WARNING breaker of a: opened\n"
    )
    assert books.log_alarms(log) == []
    log.write_text(
        "2026-11-24 12:00:00 gateway ERROR the application failed\nTraceback (most recent call last):\n"
    )
    assert len(books.log_alarms(log)) == 1


def test_a_call_that_breaks_off_without_a_word_is_found() -> None:
    fine = [Given(end="whole"), Given(end="unmarked"), Given(end="error event"), Given(end="hung up")]
    assert books.clients(fine) == []
    for end in ("broken", "truncated", "unanswered"):
        assert len(books.clients([*fine, Given(end=end)])) == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_short_soak_holds() -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.2", "--streams", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All of it held." in done.stdout
