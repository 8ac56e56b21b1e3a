"""`tidegate upstream`: the scripted provider."""

import contextlib

import click


@click.command("upstream")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=4199, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option(
    "--latency-ms",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Wait this long before each reply.",
)
@click.option(
    "--tokens-per-second",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Pace of a stream; 0 sends it in one piece.",
)
@click.option(
    "--output-tokens",
    default=32,
    show_default=True,
    type=click.IntRange(min=0),
    help="Length of an answer where the request sets no lower limit.",
)
def command(host: str, port: int, latency_ms: float, tokens_per_second: float, output_tokens: int) -> None:
    """Run the scripted provider.

    It speaks chat completions, responses and messages, streamed or not, with no model behind it. A request
    may script its reply with the header x-script, behind # in the model's name, or with [[script {...}]] in
    the last user message; the value is JSON, such as {"status": 429} or {"cut_after": 3}.
    """
    from tidegate.upstream import Settings, app  # noqa: PLC0415 - the server is imported when it is run
    from tidegate.upstream.server import listen, server  # noqa: PLC0415

    settings = Settings(
        host=host,
        port=port,
        latency_ms=latency_ms,
        tokens_per_second=tokens_per_second,
        output_tokens=output_tokens,
    )
    try:
        sock = listen(settings)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port"
        ) from None
    place = f"[{host}]" if ":" in host else host
    click.echo(f"The scripted provider answers at http://{place}:{sock.getsockname()[1]}/v1")
    with sock, contextlib.suppress(KeyboardInterrupt):
        server(app(settings)).run([sock])
