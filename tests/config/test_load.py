"""Good and bad configurations, each problem with its key's path and its line."""

from pathlib import Path

import pytest

from tidegate.config.load import config_path, load, read, read_text
from tidegate.config.problem import Problem
from tidegate.config.settings import Settings
from tidegate.model.errors import ConfigError

HERE = Path("/etc/tidegate/tidegate.toml")
ROW = '[[deployments]]\nname = "a"\nprovider = "openai"\nmodel = "gpt"\n'
PRICE = '[[prices.override]]\nprovider = "x"\nmodel = "m"\ncurrency = "EUR"\n'
FX = '[[prices.fx]]\nbase = "USD"\nquote = "EUR"\ndate = 2026-01-01\nsource = "ECB"\n'

FAKE_KEY = "sk-" + "a1b2c3d4" * 3


def problems(text: str) -> tuple[Problem, ...]:
    return read_text(text.encode(), HERE).problems


BAD = [
    # an unknown key is an error, with its line and a hint (case 49)
    ('[server]\nlistn = "127.0.0.1:1"\n', "server.listn", 2, "did you mean 'listen'?"),
    ("[serverr]\n", "serverr", 1, "did you mean 'server'?"),
    ("colour = 1\n", "colour", 1, "unknown key"),
    (ROW + "\n[[deployment]]\n", "deployment", 6, "did you mean 'deployments'?"),
    ("[cors]\nallow = '*'\n", "cors", 1, "unknown key"),
    (ROW + 'key = { envv = "X" }\n', "deployments[0].key.envv", 5, "did you mean 'env'?"),
    # secrets never stand in plain text (case 49)
    (ROW + 'key = "hunter2"\n', "deployments[0].key", 5, "plain text"),
    (ROW + f'key = "{FAKE_KEY}"\n', "deployments[0].key", 5, "plain text"),
    (ROW + f"# key = {FAKE_KEY}\n", "", 5, "looks like a key"),
    (ROW + f'headers = {{ x-token = "{FAKE_KEY}" }}\n', "", 5, "looks like a key"),
    (ROW + 'headers = { Authorization = "x" }\n', "deployments[0].headers.Authorization", 5, "into `key`"),
    (ROW + 'key = { env = "A", file = "b" }\n', "deployments[0].key", 5, "one place"),
    (ROW + "key = {}\n", "deployments[0].key", 5, "one place"),
    (ROW + 'key = { env = "MY KEY" }\n', "deployments[0].key.env", 5, "not its value"),
    (ROW + 'base_url = "https://me:pw@host/v1"\n', "deployments[0].base_url", 5, "no user name"),
    # types
    ("[server]\nmax_body_bytes = 12\n", "server.max_body_bytes", 2, "the least is 1024"),
    ("[server]\nmax_connections = 1.5\n", "server.max_connections", 2, "a whole number, found 1.5"),
    ("[server]\nmax_connections = true\n", "server.max_connections", 2, "a whole number, found true"),
    ("[server]\nidle_timeout_s = 0\n", "server.idle_timeout_s", 2, "must be above 0"),
    ("[server]\nidle_timeout_s = nan\n", "server.idle_timeout_s", 2, "a number"),
    ("[server]\nidle_timeout_s = inf\n", "server.idle_timeout_s", 2, "a number"),
    ("[server]\nlisten = 4180\n", "server.listen", 2, "text in quotes, found 4180"),
    ('[server]\nlisten = "4180"\n', "server.listen", 2, "host:port"),
    ('[server]\nlisten = "::1:4180"\n', "server.listen", 2, "brackets"),
    ('[server]\nlisten = "a:70000"\n', "server.listen", 2, "host:port"),
    ('[server]\nstate_dir = ""\n', "server.state_dir", 2, "not be empty"),
    ("server = 3\n", "server", 1, "a table, found 3"),
    ("deployments = 3\n", "deployments", 1, "a list, found 3"),
    ('[policy]\nunpriced = "refus"\n', "policy.unpriced", 2, "did you mean 'refuse'?"),
    ("[policy]\nunpriced = 1\n", "policy.unpriced", 2, "text in quotes, found 1"),
    ("[policy]\nkeep_alive_s = 100\n", "policy.keep_alive_s", 2, "the most is 60"),
    ("[report]\ncurrency = 'euro'\n", "report.currency", 2, "three capital letters"),
    ("[report]\ntime_zone = 'Mars/Olympus'\n", "report.time_zone", 2, "no such time zone"),
    ("[report]\ntime_zone = '../etc/passwd'\n", "report.time_zone", 2, "no such time zone"),
    # servers
    ('[server]\ncontrol = "0.0.0.0:4181"\n', "server.control", 2, "control_remote"),  # trap V6
    ('[server]\ncontrol = "127.0.0.1:4180"\n', "server.control", 2, "different addresses"),
    (
        '[server]\nallowed_hosts = [\n  "ok.example",\n  "a:80",\n]\n',
        "server.allowed_hosts[1]",
        4,
        "host name",
    ),
    ("[server]\ntotal_timeout_s = 5\n", "server.total_timeout_s", 2, "shorter than"),
    # deployments
    ('[[deployments]]\nname = "a"\nprovider = "openai"\n', "deployments[0]", 1, "'model' is missing"),
    (ROW + "\n" + ROW, "deployments[1].name", 7, "also the name of deployments[0]"),
    (ROW.replace('"a"', '"a/b"'), "deployments[0].name", 2, "slash"),
    (ROW.replace('"a"', '"a b"'), "deployments[0].name", 2, "without blanks"),
    (ROW.replace('"gpt"', '"gpt\u0455"'), "deployments[0].model", 4, "ASCII"),
    (ROW + 'names = [\n  "x",\n  "y z",\n]\n', "deployments[0].names[1]", 7, "without blanks"),
    (ROW + 'base_url = "host/v1"\n', "deployments[0].base_url", 5, "such as https"),
    (ROW + 'base_url = "https://h/v1?a=1"\n', "deployments[0].base_url", 5, "query"),
    (ROW + 'base_url = "https://[::1/v1"\n', "deployments[0].base_url", 5, "not a URL"),
    (ROW + 'resource = "a.b/../c"\n', "deployments[0].resource", 5, "letters, digits"),
    (ROW + "api_version = 2024-10-21\n", "deployments[0].api_version", 5, "text in quotes, found 2024-10-21"),
    (ROW + 'headers = { Host = "x" }\n', "deployments[0].headers.Host", 5, "sets this header itself"),
    (ROW + 'headers = { x = "a\\nb" }\n', "deployments[0].headers.x", 5, "printable ASCII"),  # case 14
    (ROW + 'headers = { "a b" = "x" }\n', 'deployments[0].headers."a b"', 5, "not a header's name"),
    (ROW + 'residency = "eu"\n', "deployments[0].residency", 5, "is none of"),
    # aliases
    ("[aliases]\nfast = []\n", "aliases.fast", 2, "at least one"),
    ('[aliases]\n"gpt-4.1" = ["a", 3]\n', 'aliases."gpt-4.1"[1]', 2, "found 3"),
    ('[aliases]\nfast = ["a", "a"]\n', "aliases.fast[1]", 2, "twice"),
    ('[aliases]\nfast = "a"\n', "aliases.fast", 2, "a list, found text"),
    # trap M12: prices and rates are never floats
    (PRICE + "rates = { input = 0.15 }\n", "prices.override[0].rates.input", 5, 'in quotes: "0.15"'),
    (PRICE + 'rates = { input = "-1" }\n', "prices.override[0].rates.input", 5, "not negative"),
    (PRICE + 'rates = { inpt = "1" }\n', "prices.override[0]", 1, "inpt"),
    (PRICE + "rates = {}\n", "prices.override[0]", 1, "no rate"),
    (
        PRICE + 'rates = { input = "1" }\nvalid_from = 2026-02-01\nvalid_to = 2026-01-01\n',
        "prices.override[0]",
        1,
        "after",
    ),
    (PRICE + 'rates = { input = "1" }\nvalid_from = "soon"\n', "prices.override[0].valid_from", 6, "a date"),
    (
        PRICE + 'rates = { input = "1" }\n' + PRICE + 'rates = { input = "2" }\n',
        "prices.override[1]",
        6,
        "same case",
    ),
    (PRICE + 'rates = { input = "1" }\nwindow = [3]\n', "prices.override[0].window", 6, "a list of 2"),
    (PRICE.replace("EUR", "eur") + 'rates = { input = "1" }\n', "prices.override[0]", 1, "currency"),
    (FX + "rate = 0.86\n", "prices.fx[0].rate", 6, 'in quotes: "0.86"'),
    (FX + 'rate = "0"\n', "prices.fx[0]", 1, "zero"),
    (FX + 'rate = "1"\n' + FX + 'rate = "2"\n', "prices.fx[1].date", 10, "already a rate"),
    (
        ROW + 'price = { currency = "EUR", rates = { input = 0.5 } }\n',
        "deployments[0].price.rates.input",
        5,
        'in quotes: "0.5"',
    ),
    # the file itself
    ("a = \n", "", 1, "not valid TOML"),
    ("a = 1\nb = [1\n", "", 3, "not valid TOML"),
    ("a = 1\na = 2\n", "", 2, "not valid TOML"),
    ("a = " + "[" * 5_000 + "\n", "", None, ""),
]


@pytest.mark.parametrize(("text", "path", "line", "says"), BAD)
def test_a_problem_has_its_path_and_line(text: str, path: str, line: int | None, says: str) -> None:
    reading = read_text(text.encode(), HERE)
    errors = [problem for problem in reading.problems if problem.level == "error"]
    assert reading.settings is None
    assert [(problem.path, problem.line) for problem in errors] == [(path, line or errors[0].line)]
    assert says in errors[0].message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = "[server]\nlistn = 1\nmax_body_bytes = 1\n[policy]\nunpriced = 3\n" + ROW + 'key = "x"\n'
    assert [problem.line for problem in problems(text)] == [2, 3, 5, 10]
    with pytest.raises(ConfigError) as caught:
        load(_written(text, tmp_path))
    assert caught.value.param == "server.listn"
    assert caught.value.facts["line"] == 2
    assert caught.value.facts["problems"] == 4
    assert str(caught.value).count("\n") == 3


def _written(text: str, directory: Path) -> Path:
    path = directory / "tidegate.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        ROW + f'key = "{FAKE_KEY}"\n',
        ROW + f"# {FAKE_KEY}\n",
        ROW + f'region = "{FAKE_KEY}"\n',
        ROW + f'"{FAKE_KEY}" = 1\n',
        f'[aliases]\n"{FAKE_KEY}" = []\n',
        f'[policy]\nunpriced = "{FAKE_KEY}"\n',
        f'[report]\ncurrency = "{FAKE_KEY}"\n',
        f'[server]\nlisten = "{FAKE_KEY}"\n',
        f'{ROW}key = {{ env = "{FAKE_KEY}" }}\n',
        f'x = "{FAKE_KEY}\n',
        ROW.replace('"a"', f'"{FAKE_KEY}"') + ROW.replace('"a"', f'"{FAKE_KEY}"'),
        PRICE.replace('"m"', f'"{FAKE_KEY}"') + "rates = {}\n",
    ],
)
def test_no_message_shows_what_looks_like_a_key(text: str) -> None:  # trap V5
    found = problems(text)
    assert found
    assert not any(FAKE_KEY in problem.located("tidegate.toml") for problem in found)


def test_the_smallest_configuration_is_the_empty_one() -> None:
    reading = read_text(b"", HERE)
    assert reading.settings is not None
    assert [problem.level for problem in reading.problems] == ["warning"]
    assert reading.settings.server.state_dir == "/etc/tidegate/.tidegate"


GOOD = """
[server]
listen = "[::1]:0"
control = "localhost:0"
state_dir = "state"
allowed_hosts = ["gateway.example.com", "*.example.com", "10.0.0.1"]
idle_timeout_s = 0.5
total_timeout_s = 7_200

[[deployments]]
name = "big"
provider = "anthropic"
model = "claude-opus-5"
names = ["opus", "claude-opus-5"]
key = { file = "keys/anthropic" }
headers = { x-team = "ml" }

[[deployments]]
name = "near"
provider = "vllm"
model = "meta-llama/Llama-3.3-70B"
base_url = "http://127.0.0.1:8000/v1"
region = "eu"
residency = "contractual"
[deployments.price]
currency = "EUR"
rates = { input = "0.10", output = 1 }

[aliases]
"gpt-4.1" = ["big", "vllm/meta-llama/Llama-3.3-70B"]

[[prices.override]]
provider = "anthropic"
model = "claude-*"
currency = "USD"
rates = { input = "0.000001", output_text = "75" }
valid_from = 2026-01-01
valid_to = "2026-02-01"
window = [0, 720]
input_over = 200_000

[[prices.fx]]
base = "USD"
quote = "EUR"
rate = "0.86"
date = 2026-11-02
source = "ECB"

[[prices.alias]]
provider = "mistral"
model = "mistral-large-latest"
is = "mistral-large-3"

[report]
time_zone = "Europe/Berlin"
"""


def good() -> Settings:
    reading = read_text(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), HERE)
    assert reading.problems == ()
    assert reading.settings is not None
    return reading.settings


def test_a_good_configuration_is_read_with_its_types() -> None:
    settings = good()
    assert settings.server.idle_timeout_s == 0.5
    assert settings.deployments[0].names == ("opus", "claude-opus-5")
    assert settings.aliases == {"gpt-4.1": ("big", "vllm/meta-llama/Llama-3.3-70B")}
    assert settings.deployments[1].price is not None
    assert settings.deployments[1].price.rates == {"input": "0.10", "output": "1"}
    assert settings.prices.override[0].window == (0, 720)
    assert settings.prices.alias[0].is_ == "mistral-large-3"


def test_relative_paths_are_beside_the_file() -> None:
    settings = good()
    assert settings.server.state_dir == "/etc/tidegate/state"
    assert settings.deployments[0].key is not None
    assert settings.deployments[0].key.file == "/etc/tidegate/keys/anthropic"


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tidegate init"):
        read(tmp_path / "tidegate.toml")


def test_a_directory_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)


def test_bytes_that_are_no_text_are_told_with_their_line() -> None:
    problem = read_text(b"# ok\n# \xff\n", HERE).problems[0]
    assert (problem.line, "UTF-8" in problem.message) == (2, True)


def test_a_huge_file_is_not_read() -> None:
    assert "larger" in read_text(b"#" * 4_194_305, HERE).problems[0].message


@pytest.mark.parametrize(
    ("option", "env", "expected"),
    [
        (None, {}, "tidegate.toml"),
        (None, {"TIDEGATE_CONFIG": "/x.toml"}, "/x.toml"),
        ("y.toml", {"TIDEGATE_CONFIG": "/x.toml"}, "y.toml"),
    ],
)
def test_the_option_goes_before_the_environment(
    option: str | None, env: dict[str, str], expected: str
) -> None:
    assert config_path(option, env) == Path(expected)
