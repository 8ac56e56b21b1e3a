"""`tidegate alerts` shows what is firing; `tidegate alerts test` says what came back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.receivers import SECRET, Receiver, receiver
from tidegate.cli import main
from tidegate.model.alert import Message, Observation
from tidegate.policy.alerting import Standing
from tidegate.stores.sqlite.alert_book import AlertBook

AT_US = 1_794_052_800_000_000
TARGETS = """
[[alerts.targets]]
name = "pager"
kind = "webhook"
url = "{url}"
secret = {{ env = "HOOK" }}

[[alerts.targets]]
name = "chat"
kind = "slack"
url_secret = {{ env = "CHAT" }}
"""


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


def run(directory: Path, *arguments: str, url: str = "http://127.0.0.1:9/", **env: str) -> Result:
    path = directory / "tidegate.toml"
    path.write_text(f'[server]\nstate_dir = "{directory}"\n' + TARGETS.format(url=url))
    runner = CliRunner(env={"HOOK": SECRET, "CHAT": url, **env})
    return runner.invoke(main, ["alerts", *arguments, "--config", str(path)])


def standing(subject: str, phase: Any = "firing", since_us: int = AT_US) -> Standing:
    about = Observation(event="breaker_open", subject=subject, text=f"The breaker of {subject} is open.")
    return Standing(about=about, phase=phase, since_us=since_us, turned_us=since_us, told_us=since_us)


def keep(directory: Path, *standings: Standing, tries: int = 0) -> None:
    with AlertBook.open(directory) as book:
        about = standings[0].about if standings else Observation(event="spend_jump", subject="x", text="x")
        message = Message(id="msg_1", kind="started", about=about, since_us=AT_US, at_us=AT_US)
        book.keep({}, {one.about.key: one for one in standings}, [("pager", message)] if tries else [])
        for _ in range(tries):
            book.again(1, AT_US, "answered 503")


def test_what_is_firing_is_shown_oldest_first(tmp_path: Path) -> None:
    keep(
        tmp_path,
        standing("eu", since_us=AT_US + 60_000_000),
        standing("us"),
        standing("fr", "clearing", AT_US + 120_000_000),
        standing("old", "resolved"),
        tries=2,
    )
    done = run(tmp_path)
    assert (done.exit_code, done.output.splitlines()) == (
        0,
        [
            "2026-11-07 12:00:00  breaker_open  The breaker of us is open.",
            "2026-11-07 12:01:00  breaker_open  The breaker of eu is open.",
            "2026-11-07 12:02:00  breaker_open  The breaker of fr is open. (over, if it stays so)",
            "waiting for pager: started, breaker_open, eu; 2 tries failed: answered 503",
        ],
    )


def test_json_holds_all_of_it(tmp_path: Path) -> None:
    keep(tmp_path, standing("eu"), tries=1)
    told = json.loads(run(tmp_path, "--json").output)
    assert told["firing"][0] == {
        "event": "breaker_open",
        "subject": "eu",
        "text": "The breaker of eu is open.",
        "facts": {},
        "team": "",
        "since_us": AT_US,
        "told_us": AT_US,
        "clearing": False,
    }
    assert (told["waiting"][0]["target"], told["waiting"][0]["tries"]) == ("pager", 1)


def test_nothing_firing_is_said(tmp_path: Path) -> None:
    keep(tmp_path)
    assert run(tmp_path).output == "Nothing is firing.\n"


def test_before_the_first_start_there_is_nothing_to_show(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.exit_code == 1
    assert "start `tidegate serve`" in done.output


def test_a_test_message_goes_to_every_target(tmp_path: Path, hook: Receiver) -> None:
    done = run(tmp_path, "test", url=hook.url)
    assert (done.exit_code, done.output) == (0, "pager: ok: answered 204\nchat: ok: answered 204\n")
    slack, signed = sorted(hook.posted, key=lambda one: "webhook-id" in one.headers)
    assert signed.is_signed()
    assert "test message" in slack.told["text"]


def test_a_test_of_one_target_that_fails_ends_with_1(tmp_path: Path, hook: Receiver) -> None:
    hook.answers.append((500, "", f"no {SECRET}"))
    done = run(tmp_path, "test", "pager", url=hook.url)
    assert (done.exit_code, done.output) == (1, "pager: failed: answered 500 no [secret]\n")
    assert len(hook.posted) == 1


def test_a_target_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "test", "pagr")
    assert done.exit_code == 1
    assert "No target is called 'pagr'; there is pager, chat" in done.output


def test_a_secret_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, "test", "pager", HOOK="")
    assert (done.exit_code, done.output) == (1, "pager: failed: the environment variable HOOK is empty\n")
