"""Settings of alerts that do not fit, each with its key and line."""

from pathlib import Path
from typing import get_args

import pytest

from tidegate.config.load import read_text
from tidegate.model.alert import AlertEvent

HERE = Path("/etc/tidegate/tidegate.toml")
HOOK = '[[alerts.targets]]\nname = "a"\nkind = "webhook"\nsecret = { env = "S" }\n'
URL = 'url = "https://example.com/hook"\n'
SLACK = '[[alerts.targets]]\nname = "a"\nkind = "slack"\nurl_secret = { env = "U" }\n'
MAIL = (
    '[[alerts.targets]]\nname = "a"\nkind = "email"\nsmtp = "mail.example.com:587"\n'
    'sender = "tidegate@example.com"\nto = ["ops@example.com"]\n'
)
AT = "alerts.targets[0]"
BAD = [
    ("[alerts]\nevery = 1\n", "alerts.every", 2, "did you mean 'every_s'?"),
    ("[alerts]\nevery_s = 0\n", "alerts.every_s", 2, "the least is 0.1"),
    ("[alerts]\nspend_jump_ratio = 1.0\n", "alerts.spend_jump_ratio", 2, "above 1"),
    ("[alerts]\nspend_jump_min_amount = 1.5\n", "alerts.spend_jump_min_amount", 2, "in quotes"),
    ("[alerts]\nspend_jump_min_weeks = 5\n", "alerts.spend_jump_min_weeks", 2, "the most is 4"),
    ("[alerts]\ntargets = 3\n", "alerts.targets", 2, "a list, found 3"),
    (HOOK + URL + 'colour = "red"\n', f"{AT}.colour", 6, "unknown key"),
    (HOOK.replace("webhook", "pager") + URL, f"{AT}.kind", 3, "is none of email, slack, webhook"),
    (HOOK, AT, 1, "one of url and url_secret"),
    (HOOK + URL + 'url_secret = { env = "U" }\n', AT, 1, "one of url and url_secret"),
    (HOOK + 'url = "ftp://example.com/"\n', f"{AT}.url", 5, "such as https"),
    (HOOK + 'url = "https://me:pw@example.com/"\n', f"{AT}.url", 5, "no user name"),
    (HOOK + 'url = "https://[::1/"\n', f"{AT}.url", 5, "not a URL"),
    (HOOK + 'url = "https://example.com/#a"\n', f"{AT}.url", 5, "fragment"),
    (HOOK + 'url = "https://example.com/a b"\n', f"{AT}.url", 5, "without blanks"),
    (HOOK + URL + 'events = ["breaker"]\n', f"{AT}.events[0]", 6, "is none of breaker_open"),
    (HOOK + URL + 'teams = [""]\n', f"{AT}.teams[0]", 6, "1 to 200"),
    (HOOK + URL + 'to = ["a@example.com"]\n', f"{AT}.to", 6, "not of the kind 'webhook'"),
    (HOOK + URL + HOOK + URL, "alerts.targets[1].name", 7, "also the name of alerts.targets[0]"),
    (HOOK.replace('{ env = "S" }', '"hush"') + URL, f"{AT}.secret", 4, "plain text"),
    (HOOK.replace('env = "S"', 'env = "S S"') + URL, f"{AT}.secret.env", 4, "not its value"),
    (HOOK + URL + "# whsec_" + "a1" * 10 + "\n", "", 6, "looks like a key"),
    (SLACK + 'url = "https://example.com/x"\n', f"{AT}.url", 5, "the address is the secret"),
    (SLACK + "# https://hooks.slack.com/services/T0/B0/" + "a" * 20 + "\n", "", 5, "looks like a key"),
    (SLACK.replace('url_secret = { env = "U" }\n', ""), AT, 1, "'url_secret' is missing"),
    (MAIL.replace(":587", ""), f"{AT}.smtp", 4, "host:port"),
    (MAIL.replace("tidegate@", ""), f"{AT}.sender", 5, "expected an address"),
    (MAIL.replace("ops@example.com", "ops@example.com>\\n"), f"{AT}.to[0]", 6, "expected an address"),
    (MAIL.replace('"ops@example.com"', ""), AT, 1, "'to' is missing"),
    (MAIL + 'user = "me"\n', AT, 1, "go together"),
    (
        MAIL + 'user = "me"\npassword = { env = "P" }\nsecurity = "none"\n',
        f"{AT}.security",
        9,
        "only sent over TLS",
    ),
    (MAIL + 'security = "ssl"\n', f"{AT}.security", 7, "is none of"),
]


@pytest.mark.parametrize(("text", "path", "line", "says"), BAD)
def test_a_problem_has_its_path_and_line(text: str, path: str, line: int, says: str) -> None:
    reading = read_text(text.encode(), HERE)
    errors = [problem for problem in reading.problems if problem.level == "error"]
    assert reading.settings is None
    assert [(problem.path, problem.line) for problem in errors] == [(path, line)]
    assert says in errors[0].message


@pytest.mark.parametrize("page", ["guide/alerts.md", "reference/configuration.md"])
def test_every_event_is_explained(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    assert [event for event in get_args(AlertEvent) if f"`{event}`" not in text] == []


def test_targets_of_each_kind_are_read() -> None:
    mail = MAIL.replace('"a"', '"c"') + 'user = "me"\npassword = { file = "p" }\nevents = ["spend_jump"]\n'
    text = HOOK + URL + SLACK.replace('"a"', '"b"') + mail + 'teams = ["web"]\n'
    settings = read_text(text.encode(), HERE).settings
    assert settings is not None
    hook, chat, post = settings.alerts.targets
    assert (hook.kind, chat.kind, post.kind) == ("webhook", "slack", "email")
    assert post.password is not None
    assert post.password.file == "/etc/tidegate/p"
    assert (post.events, post.teams) == (("spend_jump",), ("web",))
