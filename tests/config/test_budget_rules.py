"""Rows of budgets that do not fit, each with its key and line, and those that do."""

from pathlib import Path

import pytest

from tidegate.config.budget_rules import wrong_with_amount
from tidegate.config.load import Reading, read_text

HERE = Path("/etc/tidegate/tidegate.toml")
DEPLOYMENT = '[[deployments]]\nname = "a"\nprovider = "openai"\nmodel = "gpt"\n'
RATE = '[[prices.fx]]\nbase = "USD"\nquote = "EUR"\nrate = "0.9"\ndate = 2026-11-01\nsource = "me"\n'
ROW = '[[budgets]]\nname = "b"\nlimit = "10.5"\nunit = "USD"\n'
MONTH = ROW + 'window = "month"\n'
CALLS = '[[budgets]]\nname = "b"\nunit = "calls"\nwindow = "day"\n'
AT = "budgets[0]"


def read(text: str) -> Reading:
    return read_text(text.encode(), HERE)


BAD = [
    (MONTH + "colour = 1\n", f"{AT}.colour", 6, "unknown key"),
    (MONTH.replace('"10.5"', "10.5"), f"{AT}.limit", 3, "in quotes"),
    (MONTH.replace("10.5", "-1"), f"{AT}.limit", 3, "not negative"),
    (MONTH.replace("10.5", "0"), f"{AT}.limit", 3, "above 0"),
    (MONTH.replace("10.5", "1.0000000001"), f"{AT}.limit", 3, "at most 9 decimals"),
    (MONTH.replace("10.5", "1000000000.01"), f"{AT}.limit", 3, "the most is 1000000000"),
    (CALLS + 'limit = "1.5"\n', f"{AT}.limit", 5, "a whole number of calls"),
    (MONTH.replace("USD", "usd"), f"{AT}.unit", 4, '"tokens", "calls" or a currency'),
    (MONTH.replace('name = "b"', 'name = "a|b"'), f"{AT}.name", 2, "no |"),
    (MONTH.replace('name = "b"', "name = 'a\"b'"), f"{AT}.name", 2, "no quotation mark"),
    (MONTH.replace('name = "b"', "name = 'a\\b'"), f"{AT}.name", 2, "no backslash"),
    (MONTH.replace('name = "b"\n', ""), AT, 1, "'name' is missing"),
    (MONTH + MONTH, "budgets[1].name", 7, "also the name of budgets[0]"),
    (ROW, AT, 1, "needs a time"),
    (MONTH + "every_s = 60\n", f"{AT}.every_s", 6, "contradicts window"),
    (ROW + "every_s = 60\nrolling_s = 60\n", f"{AT}.rolling_s", 6, "contradicts every_s"),
    (ROW + "every_s = 0\n", f"{AT}.every_s", 5, "the least is 1"),
    (ROW + "every_s = 31_536_001\n", f"{AT}.every_s", 5, "the most is 31536000"),
    (ROW + "rolling_s = 19\n", f"{AT}.rolling_s", 5, "the least is 20"),
    (ROW + 'window = "fortnight"\n', f"{AT}.window", 5, "is none of"),
    (MONTH + 'time_zone = "Europe/Atlantis"\n', f"{AT}.time_zone", 6, "no such time zone"),
    (MONTH + 'match = { teem = "red" }\n', f"{AT}.match.teem", 6, "did you mean 'team'?"),
    (MONTH + "match = { team = [] }\n", f"{AT}.match.team", 6, "matches no call"),
    (MONTH + 'match = { team = ["x", "x"] }\n', f"{AT}.match.team", 6, "'x' stands here twice"),
    (MONTH + 'match = { team = " x" }\n', f"{AT}.match.team[0]", 6, "without blanks around it"),
    (MONTH + 'per = ["team", "team"]\n', f"{AT}.per[1]", 6, "'team' stands here twice"),
    (MONTH + 'per = ["session"]\n', f"{AT}.per[0]", 6, "is none of"),
    (MONTH + 'mode = "strict"\n', f"{AT}.mode", 6, "is none of"),
    (MONTH + 'mode = "degrade"\n', AT, 1, "needs degrade_to"),
    (MONTH + 'degrade_to = "gpt"\n', f"{AT}.degrade_to", 6, 'only for mode = "degrade"'),
    (MONTH + "degrade_at = 1.1\n", f"{AT}.degrade_at", 6, "the most is 1"),
    (
        DEPLOYMENT + MONTH + 'mode = "degrade"\ndegrade_to = "gtp"\n',
        f"{AT}.degrade_to",
        11,
        "did you mean 'gpt'?",
    ),
    (MONTH + "notify_at = [0]\n", f"{AT}.notify_at[0]", 6, "above 0"),
    (MONTH + "notify_at = [10.5]\n", f"{AT}.notify_at[0]", 6, "the most is 10"),
    ("[policy]\nbudget_wait_s = 31\n", "policy.budget_wait_s", 2, "the most is 30"),
]


@pytest.mark.parametrize(("text", "path", "line", "says"), BAD, ids=[f"{row[1]} {row[3]}" for row in BAD])
def test_what_does_not_fit_is_named_with_its_line(text: str, path: str, line: int, says: str) -> None:
    found = [(one.path, one.line) for one in read(text).problems if says in one.message]
    assert found == [(path, line)]


@pytest.mark.parametrize(
    "text",
    [
        MONTH,
        CALLS + "limit = 100\n",
        ROW + "rolling_s = 20\n",
        ROW + "every_s = 1\nnotify_at = []\n",
        MONTH + 'match = { team = "red", key = ["k1", "ci"] }\nper = ["customer", "model"]\n',
        MONTH + 'time_zone = "Europe/Berlin"\nmode = "soft"\n',
        DEPLOYMENT + MONTH + 'mode = "degrade"\ndegrade_at = 0\ndegrade_to = "gpt"\n',
        DEPLOYMENT.replace('"gpt"', '"*"') + MONTH + 'mode = "degrade"\ndegrade_to = "openai/gpt-5-nano"\n',
        RATE + MONTH.replace("USD", "EUR"),
    ],
)
def test_what_fits_is_taken(text: str) -> None:
    assert [one for one in read(text).problems if one.path] == []


def test_a_currency_without_a_rate_is_warned_of() -> None:
    (problem,) = read(DEPLOYMENT + MONTH.replace("USD", "EUR")).problems
    assert (problem.path, problem.level) == (f"{AT}.unit", "warning")
    assert "leads from USD to EUR" in problem.message


def test_one_name_alone_is_a_list_of_it() -> None:
    settings = read(MONTH + 'match = { team = "red", model = ["gpt"] }\n').settings
    assert settings is not None
    assert settings.budgets[0].match == {"team": ("red",), "model": ("gpt",)}


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        ("1", "calls", ""),
        ("1.0", "tokens", ""),
        ("1.5", "tokens", "a whole number of tokens"),
        ("1000000000000", "tokens", ""),
        ("1000000000001", "tokens", "the most is 1000000000000"),
        ("0.000000001", "EUR", ""),
        ("0.0000000001", "EUR", "at most 9 decimals"),
        ("1000000000", "EUR", ""),
        ("1000000000.000000001", "EUR", "the most is 1000000000"),
        ("0.0", "EUR", "above 0"),
    ],
)
def test_an_amount_fits_its_unit(text: str, unit: str, says: str) -> None:
    wrong = wrong_with_amount(text, unit)
    assert says in wrong
    assert bool(wrong) is bool(says)
