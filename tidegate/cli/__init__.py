"""The `tidegate` command: one file per job, each imported only when it is called."""

from importlib import import_module

import click

from tidegate import __version__

JOBS = {
    "init": "Write a commented tidegate.toml.",
    "check": "Validate the configuration and say what is wrong, by key and line.",
    "serve": "Run the gateway and the control process.",
    "reload": "Bring a changed configuration into force now.",
    "upgrade": "Replace the running processes by what is installed now; no call is dropped.",
    "keys": "Create, list, revoke and rotate virtual keys.",
    "features": "List features and name the automatic ones.",
    "budgets": "Show how budgets stand, give one more, and see what was given.",
    "report": "Show what was spent, by feature, team, customer, model, provider, key or day.",
    "reconcile": "Compare the record with a provider's export of usage or cost.",
    "export": "Write what was spent as other tools read it.",
    "prices": "List, show and import prices.",
    "fx": "Import and list exchange rates.",
    "alerts": "Show what is firing, and send a test message.",
    "rebuild": "Make every table again from the journals.",
    "upstream": "Run the scripted provider.",
    "demo": "Run the main job on a local language model, with no API key.",
}


class _Jobs(click.Group):
    """Looks a job up by name and imports its module then."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(JOBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in JOBS:
            return None
        command: click.Command = import_module(f"tidegate.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the jobs without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(JOBS.items()))


@click.group(cls=_Jobs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tidegate")
def main() -> None:
    """Tidegate: a self-hosted LLM gateway. Every call metered, priced and recorded."""
