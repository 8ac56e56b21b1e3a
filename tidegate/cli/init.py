"""`tidegate init`: a first configuration that is valid, commented and holds no secret."""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from tidegate.config.load import FILE_NAME

HEAD = """\
# Tidegate's configuration. `tidegate check` says what is wrong with it, by key and line.
# Every setting is explained in docs/reference/configuration.md; what is left out has its default.
# Secrets never stand here: write key = { env = "NAME" } or key = { file = "path" }.

[server]
listen = "127.0.0.1:4180"    # applications connect here: base_url = "http://127.0.0.1:4180/v1"
control = "127.0.0.1:4181"   # health of the control process and the admin API; keep it on this machine
state_dir = ".tidegate"      # journal, database and keys, beside this file; back it up

[policy]
unpriced = "refuse"          # a model without a price: "refuse" (402), or "flag" and let it through

[report]
currency = "EUR"             # what `tidegate report` shows, unless asked otherwise
time_zone = "UTC"            # such as "Europe/Berlin"

# One [[deployments]] for each way to reach a model. Clients ask for it by its name, by its model, or by
# provider/model. Several deployments of one model are tried in the order in which they stand here.
"""

OPENAI = """\
[[deployments]]
name = "gpt"
provider = "openai"
model = "gpt-5-mini"
key = { env = "OPENAI_API_KEY" }
# region = "eu"              # https://eu.api.openai.com, where your project is set up for it
"""

ANTHROPIC = """\
[[deployments]]
name = "claude"
provider = "anthropic"
model = "claude-haiku-4-5"
key = { env = "ANTHROPIC_API_KEY" }
"""

LOCAL = """\
[[deployments]]
name = "local"
provider = "ollama"          # or llamacpp, vllm, lmstudio, sglang, openai-compatible, anthropic-compatible
model = "llama3.2"
base_url = "http://127.0.0.1:11434/v1"
price = { currency = "EUR", rates = { input = "0.02", output = "0.06" }, illustration = true }
"""

TAIL = """\
# A name of your own for a list of deployments or provider/model; the first that is healthy is used.
# [aliases]
# fast = ["gpt"]

# When a provider fails, calls go on at the next deployment of their name; these are the defaults.
# [resilience]
# attempts = 4                 # of one call in all; attempts_per_deployment = 2
# patience_s = 1               # the longest wait for one deployment while another one is left
# balance = "in_order"         # or "weight" ([[deployments]] weight = 3), or "latency"

# A deployment that keeps failing is left alone for a while.
# [breaker]
# last_calls = 5
# last_failures = 5            # among these calls; 0 switches the rule off
# cooldown_s = 5

# What each application may call; "*" is each key by itself.
# [[limits]]
# scope = "key"                # or tenant, team, feature, model, provider
# name = "*"
# requests_per_minute = 600
# concurrent = 50

# A key that runs away is stopped for some minutes.
# [[spend_limits]]
# key = "*"
# amount_per_minute = "20"
# currency = "EUR"

# What is answered when every deployment of an alias has failed.
# [last_resort.fast]
# message = "The assistant is not available just now. Please try again in a few minutes."

# Prices per million tokens that win over the price book, in any currency, as text so that none is rounded.
# [[prices.override]]
# provider = "openai"
# model = "gpt-5-mini"
# currency = "USD"
# rates = { input = "0.25", cache_read = "0.025", output = "2.00" }
# valid_from = 2026-01-01

# What one unit of base is worth, so that reports can show another currency than the price's.
# [[prices.fx]]
# base = "USD"
# quote = "EUR"
# rate = "0.86"
# date = 2026-11-02
# source = "European Central Bank"
"""

_EXAMPLES = (
    ("OpenAI", "OPENAI_API_KEY", OPENAI),
    ("Anthropic", "ANTHROPIC_API_KEY", ANTHROPIC),
    ("A model on this machine", "", LOCAL),
)


def template(env: Mapping[str, str]) -> str:
    """Return the file: examples whose key is set are switched on; OpenAI's when none is."""
    on = {title for title, variable, _ in _EXAMPLES if variable and env.get(variable)} or {"OpenAI"}
    blocks = [f"# {title}\n{text if title in on else _commented(text)}" for title, _, text in _EXAMPLES]
    return "\n".join([HEAD, *blocks, TAIL])


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


@click.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace a tidegate.toml that is already there.")
def command(directory: Path, *, force: bool) -> None:
    """Write a commented tidegate.toml into DIRECTORY (default: here) and say what comes next."""
    path = directory / FILE_NAME
    text = template(os.environ)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise click.ClickException(f"{path} is already there; --force replaces it") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    click.echo(f"Wrote {path}")
    for line in _next_steps(path, os.environ):
        click.echo(line)


def _next_steps(path: Path, env: Mapping[str, str]) -> list[str]:
    option = "" if path.parent == Path() else f" --config {path}"
    active = [variable for _, variable, _ in _EXAMPLES if variable and env.get(variable)]
    if active:
        first = f"Set up for {' and '.join(active)}, found in your environment; edit the models as you like"
    else:
        first = "Set the key it names: export OPENAI_API_KEY=..., or switch another example on"
    return [
        "",
        "Next:",
        f"  1. {first}.",
        f"  2. tidegate check{option}",
        f"  3. tidegate serve{option}",
        "  4. tidegate keys create --tenant NAME    (a key for each application)",
    ]
