"""The demo from its first line to its last."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from tidegate import __version__
from tidegate.cli.demo import gateway as gateways
from tidegate.cli.demo import provider, traffic
from tidegate.cli.demo.audit import audit
from tidegate.cli.demo.children import Children
from tidegate.cli.demo.gateway import CURRENCY, RATES, Gateway
from tidegate.cli.demo.problem import DemoError, Signals, Stopped
from tidegate.cli.demo.provider import Model
from tidegate.cli.demo.screen import Screen, stay, watch
from tidegate.cli.demo.weights import SMOLLM2
from tidegate.model.errors import TidegateError
from tidegate.model.money import shown

_SDKS = ("openai", "anthropic")
_SDK_VARIABLES = ("OPENAI_", "ANTHROPIC_")
LOCAL = "127.0.0.1,localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was asked for on the command line."""

    scripted: bool = False
    require_model: bool = False
    large: str | None = None
    folder: str | None = None
    keep: bool = False
    check: bool = False


class Play:
    """One run. Whatever happens, its processes end and its temporary directory goes."""

    def __init__(self, wishes: Wishes, screen: Screen, signals: Signals) -> None:
        self._wishes = wishes
        self._screen = screen
        self._signals = signals

    def run(self) -> int:
        """Return the exit status. Raises DemoError and Stopped."""
        _require_sdks()
        _forget_credentials()
        with ExitStack() as stack:
            with self._signals.held():
                root = self._place(stack)
            children = Children(_made(root / "logs"), self._signals)
            stack.callback(children.end_all)
            stack.callback(self._signals.ignore)
            try:
                return self._play(root, children)
            except TidegateError as error:
                raise DemoError(error.message) from None
            except OSError as error:
                raise DemoError(f"{error.strerror or error}: {error.filename or root}") from None

    def _place(self, stack: ExitStack) -> Path:
        """Return the run's own directory; a temporary one goes with it."""
        if self._wishes.folder is None:
            root = Path(tempfile.mkdtemp(prefix="tidegate-")).resolve()
            if not self._wishes.keep:
                stack.callback(shutil.rmtree, root, ignore_errors=True)
            return root
        root = Path(self._wishes.folder).resolve()
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if any(root.iterdir()):
                raise DemoError(f"{root} is not empty; choose a new directory with --dir")
        except OSError as error:
            raise DemoError(f"{root} cannot be used: {error.strerror}") from None
        return root

    def _play(self, root: Path, children: Children) -> int:
        self._screen.title(f"Tidegate {__version__}: the demo")
        models = self._models(root, children)
        keys, gateway = self._gateway(root, children, models)
        self._facts(models, gateway)
        done = self._traffic(gateway, keys, models)
        status = self._reports(gateway, done, real=models[0].real)
        if self._wishes.folder or self._wishes.keep:
            self._screen.say(f"Configuration, journal, database and logs are in {root}")
        if not status and not self._wishes.check and watch(self._screen):
            self._stay(gateway, keys[1], models[-1])
        return status

    def _models(self, root: Path, children: Children) -> list[Model]:
        models = [self._small(root, children)]
        if self._wishes.large:
            models.append(provider.start_large(children, root, self._wishes.large))
        return models

    def _small(self, root: Path, children: Children) -> Model:
        """Return the local model, or the scripted provider with the reason on the screen."""
        if self._wishes.scripted:
            return provider.start_scripted(children)
        try:
            provider.find_engine()
            path = provider.get_weights(children, self._screen.say, on_screen=self._screen.terminal)
            title = f"{SMOLLM2.title} ({SMOLLM2.size_bytes // 1_000_000} MB, 4 bits), on this machine"
            return provider.start_model(children, root, path, name="small", title=title)
        except DemoError as error:
            if self._wishes.require_model:
                raise
            self._screen.warn(f"no language model: {error}")
            self._screen.warn("the demo goes on with the scripted provider, not a language model")
            return provider.start_scripted(children)

    def _gateway(
        self, root: Path, children: Children, models: Sequence[Model]
    ) -> tuple[tuple[str, str], Gateway]:
        preferred = f"127.0.0.1:{gateways.PREFERRED_PORT}"
        listen = preferred if gateways.is_free(gateways.PREFERRED_PORT) else "127.0.0.1:0"
        config = gateways.write_config(root, models, listen)
        keys = gateways.create_keys(config)
        return keys, gateways.start(children, config)

    def _facts(self, models: Sequence[Model], gateway: Gateway) -> None:
        prices = f"for illustration, {CURRENCY} per million tokens: " + ", ".join(
            f"{name.replace('_', ' ')} {rate}" for name, rate in RATES.items()
        )
        facts = [("model", models[0].title)]
        facts += [("stronger model", model.title) for model in models[1:]]
        facts += [
            ("gateway", f"{gateway.base_url}  (tidegate serve: gateway and control process)"),
            ("keys", f"one for each team of tenant {gateways.TENANT}: support, marketing"),
            ("prices", prices),
            ("exchange rate", f"for illustration, 1 EUR = {gateways.USD_PER_EUR} USD"),
        ]
        self._screen.facts(facts)

    def _traffic(
        self, gateway: Gateway, keys: tuple[str, str], models: Sequence[Model]
    ) -> "list[traffic.Done]":
        self._screen.title("Three applications of two teams call it with the stock SDKs")
        self._screen.say("tickets and orders (team support) name their feature in a header;")
        self._screen.say("blurbs (team marketing) sends no Tidegate header at all")
        click.echo()
        support = traffic.Support(gateway.base_url, keys[0], models[0].name)
        marketing = traffic.Marketing(gateway.base_url, keys[1], models[-1].name)
        try:
            todo = traffic.steps(support, marketing)
            done = self._screen.run(todo, traffic.run(todo))
        finally:
            support.close()
            marketing.close()
        self._screen.title(
            "One answer of each" + ("" if models[0].real else " (scripted, not a language model)")
        )
        self._screen.answers(done)
        failed = sum(one.outcome == "failed" for one in done)
        if failed:
            self._screen.warn(f"{failed} calls failed; the end of the gateway's log:{gateway.child.tail()}")
        gateways.wait_until_recorded(gateway, len(done))
        return done

    def _reports(self, gateway: Gateway, done: "Sequence[traffic.Done]", *, real: bool) -> int:
        what = "" if real else "; scripted provider, not a language model"
        self._screen.title(f"What each feature cost (prices for illustration{what})")
        printed = self._screen.report(gateway.config, "feature")
        click.echo()
        self._screen.say(
            "NOT OK: the call for an unknown model (refused, no cost), and the reader who hung up:"
        )
        self._screen.say("what the provider had written by then is counted, and marked ~ as an estimate")
        auto = gateways.automatic_feature(gateway)
        self._screen.title(
            "The application that sends no header was found by its prompt; name it, also for the past"
        )
        click.echo(f"$ tidegate features name {auto} {traffic.BLURBS}\n")
        gateways.name_feature(gateway, auto, traffic.BLURBS)
        self._screen.report(gateway.config, "team,feature")
        if not self._wishes.check:
            return 0
        return self._check(gateway, done, printed, auto)

    def _check(self, gateway: Gateway, done: "Sequence[traffic.Done]", printed: str, auto: str) -> int:
        found = audit(gateway.state, done, printed, auto)
        self._screen.title("The printed report against the rows")
        if found.differences:
            for difference in found.differences:
                self._screen.warn(difference)
            return 1
        self._screen.say(
            f"{len(done)} calls sent, {found.total.calls} recorded, each ended as the client saw it"
        )
        self._screen.say(
            f"{found.attempts} attempts priced again from their tokens: {CURRENCY} "
            f"{shown(found.total.nano)}, as each row says and the report prints"
        )
        self._screen.say("tokens of every complete answer are those the SDK was told")
        return 0

    def _stay(self, gateway: Gateway, key: str, model: Model) -> None:
        self._screen.title("The gateway stays up until Ctrl-C")
        self._screen.facts(
            [
                ("OpenAI SDK", f'OpenAI(base_url="{gateway.base_url}/v1", api_key="{key}")'),
                ("Anthropic SDK", f'Anthropic(base_url="{gateway.base_url}", api_key="{key}")'),
                ("report", f"tidegate report --config {gateway.config}"),
            ]
        )
        click.echo(
            f"\ncurl {gateway.base_url}/v1/chat/completions -H 'authorization: Bearer {key}' \\\n"
            f"  -H 'content-type: application/json' -H 'tidegate-feature: my-first' \\\n"
            f'  -d \'{{"model": "{model.name}", "max_tokens": 40, '
            '"messages": [{"role": "user", "content": "Hello!"}]}\'\n'
        )
        try:
            stay(gateway.child.check_alive)
        except Stopped:
            self._signals.ignore()
            self._screen.say("stopping")


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder


def _require_sdks() -> None:
    missing = [name for name in _SDKS if importlib.util.find_spec(name) is None]
    if missing:
        raise DemoError(f"the demo needs {' and '.join(missing)}: pip install 'tidegate[demo]'")


def _forget_credentials() -> None:
    """Keep the user's own keys and addresses of providers out of it, and loopback away from any proxy."""
    for name in [name for name in os.environ if name.startswith(_SDK_VARIABLES)]:
        del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), LOCAL)))
