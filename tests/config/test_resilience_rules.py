"""Settings of staying up: what fits together, and each problem with its key's path and its line."""

from pathlib import Path

import pytest

from tidegate.config.load import Reading, read_text
from tidegate.config.settings import Settings

HERE = Path("/etc/tidegate/tidegate.toml")
ROW = '[[deployments]]\nname = "a"\nprovider = "openai"\nmodel = "gpt"\n'
ANY = '[[deployments]]\nname = "all"\nprovider = "openrouter"\nmodel = "*"\n'
LIMIT = '[[limits]]\nscope = "team"\nname = "red"\n'
SPEND = '[[spend_limits]]\nkey = "*"\n'
ALIAS = '[aliases]\nfast = ["a"]\n'


def read(text: str) -> Reading:
    return read_text(text.encode(), HERE)


def settings_of(text: str) -> Settings:
    reading = read(text)
    assert reading.problems == ()
    assert reading.settings is not None
    return reading.settings


BAD = [
    # times
    ("[server]\nfirst_content_timeout_s = 0\n", "server.first_content_timeout_s", 2, "above 0"),
    ("[server]\nfirst_content_timeout_s = 1e999\n", "server.first_content_timeout_s", 2, "too large"),
    # resilience
    ("[resilience]\nattempt = 3\n", "resilience.attempt", 2, "did you mean 'attempts'?"),
    ("[resilience]\nattempts = 0\n", "resilience.attempts", 2, "the least is 1"),
    ("[resilience]\nattempts = 33\n", "resilience.attempts", 2, "the most is 32"),
    (
        "[resilience]\nattempts_per_deployment = 11\n",
        "resilience.attempts_per_deployment",
        2,
        "the most is 10",
    ),
    ("[resilience]\nbackoff_s = -1\n", "resilience.backoff_s", 2, "the least is 0"),
    ("[resilience]\nbackoff_s = 9\n", "resilience.backoff_s", 2, "more than backoff_cap_s, 8"),
    ("[resilience]\nmax_wait_s = 86_401\n", "resilience.max_wait_s", 2, "the most is 86400"),
    ('[resilience]\nbalance = "lateny"\n', "resilience.balance", 2, "did you mean 'latency'?"),
    ("[resilience]\nretry_ratio = 1.5\n", "resilience.retry_ratio", 2, "the most is 1"),
    ("[resilience]\nsticky = 1\n", "resilience.sticky", 2, "true or false"),
    # the breaker of a deployment
    ("[breaker]\nfailures = 3\n", "breaker.failures", 2, "unknown key"),
    ("[breaker]\nlast_failures = 6\n", "breaker.last_failures", 2, "never among the last 5"),
    ("[breaker]\nlast_calls = 1001\n", "breaker.last_calls", 2, "the most is 1000"),
    ("[breaker]\nwindow_s = 0.5\n", "breaker.window_s", 2, "the least is 1"),
    ("[breaker]\nfailure_share = 50\n", "breaker.failure_share", 2, "the most is 1"),
    ("[breaker]\ncooldown_s = 0\n", "breaker.cooldown_s", 2, "above 0"),
    ("[breaker]\ncooldown_s = 301\n", "breaker.cooldown_s", 2, "more than max_cooldown_s, 300"),
    ("[breaker]\nrefused_cooldown_s = 301\n", "breaker.refused_cooldown_s", 2, "more than max_cooldown_s"),
    ("[breaker]\nprobes = 0\n", "breaker.probes", 2, "the least is 1"),
    ("[breaker]\nsuccesses = 0\n", "breaker.successes", 2, "the least is 1"),
    # weights
    (ROW + "weight = -1\n", "deployments[0].weight", 5, "the least is 0"),
    (ROW + "weight = 1_001\n", "deployments[0].weight", 5, "the most is 1000"),
    (ROW + "weight = 0.5\n", "deployments[0].weight", 5, "a whole number"),
    # limits
    ("[limits]\n", "limits", 1, "a list"),
    ('[[limits]]\nscope = "team"\n', "limits[0]", 1, "'name' is missing"),
    (LIMIT, "limits[0]", 1, "limits nothing"),
    (LIMIT.replace("team", "user") + "concurrent = 1\n", "limits[0].scope", 2, "is none of feature, key"),
    (LIMIT + "requests_per_minute = 0\n", "limits[0].requests_per_minute", 4, "the least is 1"),
    (LIMIT + "tokens_per_minute = 1e3\n", "limits[0].tokens_per_minute", 4, "a whole number"),
    (LIMIT + "tokens_per_minute = 1_000_000_000_001\n", "limits[0].tokens_per_minute", 4, "the most is"),
    (LIMIT + "requests_per_hour = 1\n", "limits[0].requests_per_hour", 4, "unknown key"),
    (LIMIT.replace('"red"', '""') + "concurrent = 1\n", "limits[0].name", 3, "1 to 200"),
    (LIMIT.replace('"red"', '" red"') + "concurrent = 1\n", "limits[0].name", 3, "without blanks around"),
    (LIMIT.replace('"red"', '"a\\u001fb"') + "concurrent = 1\n", "limits[0].name", 3, "printable"),
    (LIMIT.replace("red", "u\u0308ber") + "concurrent = 1\n", "limits[0].name", 3, "composed"),
    (
        LIMIT + "concurrent = 1\n" + LIMIT + "requests_per_minute = 1\n",
        "limits[1].name",
        7,
        "limits[0] is for this team too",
    ),
    # spend limits
    ("[[spend_limits]]\ntokens_per_minute = 1\n", "spend_limits[0]", 1, "'key' is missing"),
    (SPEND, "spend_limits[0]", 1, "limits nothing"),
    (SPEND + 'amount_per_minute = "1"\n', "spend_limits[0]", 1, "needs its currency"),
    (SPEND + "times_usual = 3\n", "spend_limits[0]", 1, "needs its currency"),
    (SPEND + 'times_usual = 3\ncurrency = "eur"\n', "spend_limits[0].currency", 4, "three capital letters"),
    (SPEND + "times_usual = 0.5\n", "spend_limits[0].times_usual", 3, "the least is 1"),
    (  # trap M12
        SPEND + 'currency = "EUR"\namount_per_minute = 0.5\n',
        "spend_limits[0].amount_per_minute",
        4,
        'in quotes: "0.5"',
    ),
    (
        SPEND + 'currency = "EUR"\namount_per_minute = "0.0000000001"\n',
        "spend_limits[0].amount_per_minute",
        4,
        "above 0",
    ),
    (
        SPEND + 'currency = "EUR"\namount_per_minute = 1_000_000_001\n',
        "spend_limits[0].amount_per_minute",
        4,
        "the most is 1000000000",
    ),
    (
        SPEND + 'tokens_per_minute = 1\nfloor_amount = "-1"\n',
        "spend_limits[0].floor_amount",
        4,
        "not negative",
    ),
    (SPEND + 'tokens_per_minute = 1\nclosed_by = "me"\n', "spend_limits[0].closed_by", 4, "is none of"),
    (
        SPEND + "tokens_per_minute = 1\n" + SPEND + "tokens_per_minute = 2\n",
        "spend_limits[1].key",
        5,
        "spend_limits[0] is for this key too",
    ),
    # last resorts
    ('[last_resort]\nmessage = "Later."\n', "last_resort.message", 2, "a table, found text"),
    ('[last_resort.fast]\nmessage = "Later."\n', "last_resort.fast", 1, "no alias is called 'fast'"),
    (
        ROW + ALIAS + '[last_resort.fats]\nmessage = "Later."\n',
        "last_resort.fats",
        7,
        "did you mean 'fast'?",
    ),
    (ROW + ALIAS + "[last_resort.fast]\n", "last_resort.fast", 7, "a model, a message or both"),
    (ROW + ALIAS + '[last_resort.fast]\nmessage = ""\n', "last_resort.fast.message", 8, "not be empty"),
    (
        ROW + ALIAS + f'[last_resort.fast]\nmessage = "{"x" * 10_001}"\n',
        "last_resort.fast.message",
        8,
        "the most is 10000",
    ),
    (ROW + ALIAS + '[last_resort.fast]\nmodel = "b"\n', "last_resort.fast.model", 8, "no such alias"),
    (ROW + ALIAS + '[last_resort.fast]\nmodel = "fast"\n', "last_resort.fast.model", 8, "tried already"),
    (ROW + ALIAS + '[last_resort.fast]\nmodel = "a"\n', "last_resort.fast.model", 8, "tried already"),
]


@pytest.mark.parametrize(("text", "path", "line", "says"), BAD)
def test_a_problem_has_its_path_and_line(text: str, path: str, line: int, says: str) -> None:
    reading = read(text)
    errors = [problem for problem in reading.problems if problem.level == "error"]
    assert reading.settings is None
    assert [(problem.path, problem.line) for problem in errors] == [(path, line)]
    assert says in errors[0].message


@pytest.mark.parametrize(
    ("limit", "hint"),
    [
        ('scope = "provider"\nname = "opnai"', "did you mean 'openai'?"),
        ('scope = "model"\nname = "fast"', "no deployment has this model"),
    ],
)
def test_a_limit_that_nothing_comes_under_is_noticed(limit: str, hint: str) -> None:
    reading = read(f"{ROW}[[limits]]\n{limit}\nconcurrent = 1\n")
    assert reading.settings is not None
    assert [(one.level, one.path, one.line) for one in reading.problems] == [("warning", "limits[0].name", 7)]
    assert hint in reading.problems[0].message


@pytest.mark.parametrize("scope", ["tenant", "key", "team", "feature", "model", "provider"])
def test_a_limit_may_be_for_each_one(scope: str) -> None:
    text = f'{ROW}[[limits]]\nscope = "{scope}"\nname = "*"\nconcurrent = 1\n'
    assert settings_of(text).limits[0].concurrent == 1


def test_one_name_may_be_limited_in_several_scopes() -> None:
    text = ROW + LIMIT + "concurrent = 1\n" + LIMIT.replace("team", "feature") + "concurrent = 1\n"
    assert len(settings_of(text).limits) == 2


def test_a_model_of_a_provider_that_serves_any_may_be_limited() -> None:
    text = ANY + '[[limits]]\nscope = "model"\nname = "x-ai/grok"\nconcurrent = 1\n'
    assert settings_of(text).limits[0].name == "x-ai/grok"


def test_names_may_hold_what_people_write() -> None:
    text = ROW + LIMIT.replace("red", "K\u00e4ufer & Co") + "concurrent = 1\n"
    assert settings_of(text).limits[0].name == "K\u00e4ufer & Co"


def test_an_amount_is_kept_as_text() -> None:
    text = ROW + SPEND + 'currency = "EUR"\namount_per_minute = 20\nfloor_amount = "0.50"\n'
    row = settings_of(text).spend_limits[0]
    assert (row.amount_per_minute, row.floor_amount) == ("20", "0.50")


@pytest.mark.parametrize("model", ["b", "other", "gpt-5", "openai/gpt-5", "all/qwen3", "openrouter/qwen3"])
def test_a_last_resort_is_anything_that_clients_may_ask_for(model: str) -> None:
    more = ROW.replace('"a"', '"b"').replace('"gpt"', '"gpt-5"')
    aliases = ALIAS + 'other = ["b"]\n'
    text = f'{ROW}{more}{ANY}{aliases}[last_resort.fast]\nmodel = "{model}"\n'
    assert settings_of(text).last_resort["fast"].model == model


def test_rules_can_be_switched_off() -> None:
    breaker = "[breaker]\nlast_failures = 0\nfailure_share = 0\nslow_s = 0\nslow_share = 0\n"
    waits = "[resilience]\nbackoff_s = 0\nbackoff_cap_s = 0\npatience_s = 0\nmax_wait_s = 0\ndown_s = 0\n"
    settings = settings_of(ROW + breaker + waits)
    assert (settings.breaker.last_failures, settings.resilience.max_wait_s) == (0, 0)
