"""The command line of the demo."""

import sys

import click

from tidegate.cli.demo.play import Play, Wishes
from tidegate.cli.demo.problem import DemoError, Signals, Stopped
from tidegate.cli.demo.provider import LARGE_KEY
from tidegate.cli.demo.screen import Screen


@click.command()
@click.option("--scripted", is_flag=True, help="Use the scripted provider instead of a language model.")
@click.option("--require-model", is_flag=True, help="Fail where no language model can be had.")
@click.option(
    "--large",
    metavar="URL|GGUF",
    help=f"Also a stronger model, for the product texts: a GGUF file, or a server's URL (key: {LARGE_KEY}).",
)
@click.option(
    "--dir", "folder", metavar="DIR", help="Keep configuration and state there: a new or empty one."
)
@click.option("--keep", is_flag=True, help="Do not remove the temporary directory.")
@click.option(
    "--check", is_flag=True, help="Hold the printed report against the rows; exit 1 if they differ."
)
def command(
    *, scripted: bool, require_model: bool, large: str | None, folder: str | None, keep: bool, check: bool
) -> None:
    """Run the main job on a local language model, with no API key.

    Downloads a small language model once (93 MB), serves it on this machine, starts Tidegate in front of it,
    lets three applications of two teams talk through it with the stock OpenAI and Anthropic SDKs, and prints
    what each feature cost. In a terminal the gateway then stays up until Ctrl-C. Nothing leaves this machine.
    """
    if scripted and require_model:
        raise click.UsageError("--scripted and --require-model exclude each other")
    wishes = Wishes(
        scripted=scripted, require_model=require_model, large=large, folder=folder, keep=keep, check=check
    )
    screen = Screen(terminal=sys.stdout.isatty())
    signals = Signals()
    with signals.installed():
        try:
            status = Play(wishes, screen, signals).run()
        except DemoError as error:
            raise click.ClickException(str(error)) from None
        except Stopped as stopped:
            click.echo(f"\nThe demo was {stopped}; everything it started has ended.", err=True)
            status = 128 + stopped.number
    raise SystemExit(status)
