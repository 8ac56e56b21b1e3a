"""What the demo prints: sections, progress, answers, and the report as `tidegate report` prints it."""

import contextlib
import io
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from tidegate.cli import report
from tidegate.cli.demo.traffic import BLURBS, LABELS, ORDERS, Done, Step
from tidegate.cli.report_text import visible

WIDTH = 100


class Screen:
    """Writes to standard output; `terminal` tells whether somebody watches."""

    def __init__(self, *, terminal: bool) -> None:
        self.terminal = terminal

    def title(self, text: str) -> None:
        """Start a section."""
        click.echo(f"\n{click.style(text, bold=True)}\n" if self.terminal else f"\n{text}\n")

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Print names and values in two columns."""
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            click.echo(f"  {name.ljust(width)}  {value}")

    def say(self, text: str) -> None:
        """Print one line of what is going on."""
        click.echo(f"  {text}")

    def warn(self, text: str) -> None:
        """Print what differs from the usual."""
        line = f"  ! {text}"
        click.echo(click.style(line, fg="yellow") if self.terminal else line)

    def run(self, todo: Sequence[Step], calls: Iterator[Done]) -> list[Done]:
        """Make the calls under a progress bar; without a terminal a line is printed for each kind."""
        done = self._under_a_bar(todo, calls) if self.terminal else list(calls)
        for line in _summary(done):
            click.echo(line)
        return done

    def _under_a_bar(self, todo: Sequence[Step], calls: Iterator[Done]) -> list[Done]:
        from rich import progress as bars  # noqa: PLC0415 - only where a bar is drawn

        done: list[Done] = []
        columns = (
            bars.TextColumn("  {task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
        )
        with bars.Progress(*columns, transient=True) as progress:
            task = progress.add_task("", total=len(todo))
            for at, step in enumerate(todo):
                progress.update(task, description=f"{step.feature}: {step.what}".ljust(44), completed=at)
                done.append(next(calls))
        return done

    def answers(self, done: Sequence[Done]) -> None:
        """Show one answer of each feature, as it came."""
        for feature in (LABELS, ORDERS, BLURBS):
            one = next((d for d in done if d.step.feature == feature and d.outcome == "ok"), None)
            if one is not None:
                click.echo(f"  {feature}")
                click.echo(_wrapped("asked", one.step.asks))
                click.echo(_wrapped("answered", one.answer.text))

    def report(self, config: Path, by: str) -> str:
        """Print `tidegate report --by ...` and return what was printed."""
        click.echo(f"$ tidegate report --by {by}\n")
        text = printed_report(config, by)
        click.echo(text, nl=False)
        return text


def printed_report(config: Path, by: str) -> str:
    """Return what the command `tidegate report` prints. Raises click.ClickException."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        report.command.main(["--config", str(config), "--by", by], "tidegate report", standalone_mode=False)
    return out.getvalue()


def _summary(done: Sequence[Done]) -> Iterator[str]:
    """Yield a line for each feature and way of calling."""
    kinds: dict[tuple[str, str], list[Done]] = {}
    for one in done:
        kinds.setdefault((one.step.feature, one.step.what), []).append(one)
    for (feature, what), calls in kinds.items():
        seconds = sum(one.seconds for one in calls)
        output = sum(one.answer.output_tokens for one in calls)
        endings = [one for one in calls if one.outcome != "ok"]
        result = ", ".join(dict.fromkeys(_ending(one) for one in endings)) or f"{output:,} tokens out"
        count = f"{len(calls)} {'call' if len(calls) == 1 else 'calls'}"
        yield f"  {feature:<8} {what:<28} {count:<8} {seconds:5.1f} s  {result}"


def _ending(one: Done) -> str:
    match one.outcome:
        case "cancelled":
            return f"hung up after {_short(one.answer.text, 32)!r}"
        case "refused":
            return "404 model_not_found"
        case _:
            return f"{one.outcome.upper()}: {_short(one.answer.text, 100)}"


def _wrapped(name: str, text: str) -> str:
    """Return a text under its name, in as many lines as it needs."""
    first, rest = f"    {name:<10}", " " * 14
    return textwrap.fill(_short(text, 600), WIDTH, initial_indent=first, subsequent_indent=rest)


def _short(text: str, most: int = 120) -> str:
    line = visible(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def watch(screen: Screen) -> bool:
    """Whether somebody sits at a terminal, who can end the demo."""
    return screen.terminal and sys.stdin is not None and sys.stdin.isatty()


def stay(check_alive: Callable[[], None]) -> None:
    """Wait until a signal comes. Raises what `check_alive` raises."""
    while True:
        check_alive()
        time.sleep(0.5)
