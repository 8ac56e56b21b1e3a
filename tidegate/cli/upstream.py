"""`tidegate upstream`: the scripted provider."""

import contextlib
from pathlib import Path

import click

VOCABULARY = """\
Fields of a script; the guide's page "the scripted provider" says what each does:

\b
instead   status  fault  words  error  body  redirect  form  gzip_bomb_bytes
head      headers  retry_after  retry_after_date_s  retry_after_ms  retry_info
          limit_reset_s  limit_remaining  informational  extra_headers
          extra_header_bytes
time      latency_ms  first_event_ms  event_ms  drip_ms  tokens_per_second
          jitter  seed
answer    output_tokens  text  model  tool_call  reasoning_tokens  finish
          delta_chars  empty_choices
takes     no_prefill  refuse_fields  context_window
usage     usage  usage_start  usage_as  no_usage  usage_always  usage_twice
          usage_in_empty_delta  cost  price  disconnect
cache     cache  cache_min_tokens  cache_block_tokens  cache_ttl_s
stream    empty_choices_first  comment  crlf  bom  split  no_done
          malformed_after  error_event_after  response_failed
          long_line_bytes  long_line_after
breaks    cut_after  reset_after  hang_after  end_after  stall_ms  stall_after

\b
fault     rate  overload  server  timeout  money_429  money_402  money_400
          money_403  money_200  money_in_flight  context  filter  key
          forbidden  model  bad  too_large  prefill  html  empty
words     openai  azure  anthropic  google  openrouter  mistral  vllm  llamacpp
places    0 before the head, "head" behind it, 3 behind three events, 2.5 in
          the third, "utf8" in a character, "tool" in a call's arguments,
          "reading" (cut, reset) before the body is read

\b
GET /__stats     calls, what is open, what was billed, by path and model
GET /__requests  the last requests (--keep-requests)
/__scripts       GET shows, PUT replaces, POST adds to, DELETE empties what waits
POST /__reset    forgets scripts, counts and the prompt cache
"""


@click.command("upstream", epilog=VOCABULARY)
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
    type=click.IntRange(0, 200_000),
    help="Length of an answer where the request sets no lower limit.",
)
@click.option(
    "--scripts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Scripts that wait for the calls to come: JSON, as PUT /__scripts takes it.",
)
@click.option(
    "--keep-requests",
    default=0,
    show_default=True,
    type=click.IntRange(0, 100_000),
    help="Show so many of the last requests at /__requests.",
)
def command(
    host: str,
    port: int,
    latency_ms: float,
    tokens_per_second: float,
    output_tokens: int,
    scripts: Path | None,
    keep_requests: int,
) -> None:
    """Run the scripted provider.

    It speaks chat completions, responses and messages, streamed or not, with no model behind it. A request
    may script its reply with the header x-script, with script= in the query, behind # in the model's name, or
    with [[script {...}]] in the last user message; the value is JSON, such as {"status": 429} or
    {"cut_after": 3}. Calls that bring no script take the next one of a queue, then one of their model's, then
    the default.
    """
    from tidegate.upstream import Settings, app  # noqa: PLC0415 - the server is imported when it is run
    from tidegate.upstream.script import ScriptError  # noqa: PLC0415
    from tidegate.upstream.server import listen, server  # noqa: PLC0415

    settings = Settings(
        host=host,
        port=port,
        latency_ms=latency_ms,
        tokens_per_second=tokens_per_second,
        output_tokens=output_tokens,
        scripts=scripts.read_bytes() if scripts is not None else b"",
        keep_requests=keep_requests,
    )
    try:
        provider = app(settings)
    except ScriptError as error:
        raise click.ClickException(f"{scripts}: {error}") from None
    try:
        sock = listen(settings)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port"
        ) from None
    place = f"[{host}]" if ":" in host else host
    click.echo(f"The scripted provider answers at http://{place}:{sock.getsockname()[1]}/v1")
    with sock, contextlib.suppress(KeyboardInterrupt):
        server(provider).run([sock])
