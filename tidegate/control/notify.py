"""Delivers one message to one target, once: webhooks as Standard Webhooks 1.0.0 says, Slack's, and e-mail.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md (read November 2026);
api.slack.com/docs/message-formatting for what is escaped. Addresses are the operator's own configuration,
so private ones are allowed; redirects are followed nowhere.
"""

import base64
import binascii
import hmac
import http.client
import ssl
from collections.abc import Mapping
from typing import assert_never
from urllib.parse import SplitResult, urlsplit

import msgspec

from tidegate import __version__
from tidegate.config.alert_rules import wrong_with_url
from tidegate.config.settings import AlertTarget
from tidegate.control.delivering import TIMEOUT_S, Outcome, cut_after, reason_of, scrubbed, secret_parts
from tidegate.control.notify_email import send_email
from tidegate.control.wording import headline, moment
from tidegate.model.alert import Message
from tidegate.model.errors import ConfigError

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
READ_BYTES = 2_048


def deliver(target: AlertTarget, message: Message, env: Mapping[str, str], now_us: int) -> Outcome:
    """Try once. Never raises for what the world may do; takes `delivering.TOTAL_S` and a little at most."""
    try:
        match target.kind:
            case "webhook":
                return _webhook(target, message, env, now_us)
            case "slack":
                return _slack(target, message, env)
            case "email":
                return send_email(target, message, env)
            case _:
                assert_never(target.kind)
    except ConfigError as error:
        return Outcome(ok=False, said=error.message)


def webhook_body(message: Message) -> bytes:
    """The payload, as JSON."""
    about = message.about
    return msgspec.json.encode(
        {
            "type": f"alert.{message.kind}",
            "timestamp": moment(message.at_us).isoformat().replace("+00:00", "Z"),
            "data": {
                "event": about.event,
                "subject": about.subject,
                "team": about.team or None,
                "text": about.text,
                "since": moment(message.since_us).isoformat().replace("+00:00", "Z"),
                "facts": about.facts,
            },
        }
    )


def signature(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """The value of `webhook-signature`. Raises ConfigError, which never holds it, for an unusable secret."""
    signed = b"%s.%d.%s" % (message_id.encode(), at_s, body)
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


def slack_body(message: Message) -> bytes:
    """The payload of a Slack webhook: nothing in it is read as markup, calls anybody or unfolds a link.

    A blank of no width after each `@` is for servers that look for names in plain text, as Mattermost does.
    """
    text = f"Tidegate {headline(message)}\n{message.about.text}"
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
    plain_text = {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
    return msgspec.json.encode({"text": escaped, **plain_text})


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ConfigError(
            f"the signing secret is not {PREFIX} and the base64 of {LEAST_BYTES} to {MOST_BYTES} bytes"
        )
    return key


def _webhook(target: AlertTarget, message: Message, env: Mapping[str, str], now_us: int) -> Outcome:
    assert target.secret is not None
    secret, body, at_s = target.secret.resolve(env), webhook_body(message), now_us // 1_000_000
    headers = {
        "webhook-id": message.id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": signature(secret, message.id, at_s, body),
    }
    return _post(_url(target, env), body, headers, hidden=(secret, secret.removeprefix(PREFIX)))


def _slack(target: AlertTarget, message: Message, env: Mapping[str, str]) -> Outcome:
    return _post(_url(target, env), slack_body(message), {}, hidden=())


def _url(target: AlertTarget, env: Mapping[str, str]) -> SplitResult:
    if target.url_secret is None:
        return urlsplit(target.url)
    url = target.url_secret.resolve(env)
    if wrong := wrong_with_url(url):
        raise ConfigError(f"the address that url_secret names cannot be used: {wrong}")
    return urlsplit(url)


def _post(url: SplitResult, body: bytes, headers: Mapping[str, str], *, hidden: tuple[str, ...]) -> Outcome:
    """Post once; only a status of 2xx is success."""
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    hidden = (*hidden, url.geturl(), *(secret_parts(path) if len(path) > 1 else ()))
    common = {
        "content-type": "application/json",
        "user-agent": f"tidegate/{__version__}",
        "connection": "close",
    }
    connection = _connection(url)
    try:
        with cut_after(lambda: connection.sock):
            connection.request("POST", path, body=body, headers={**common, **headers})
            reply = connection.getresponse()
            text = reply.read(READ_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Outcome(ok=False, said=reason_of(error))
    finally:
        connection.close()
    if 300 <= reply.status < 400:
        return Outcome(ok=False, said=f"answered {reply.status}; redirects are not followed")
    said = scrubbed(f"answered {reply.status} {text}", hidden)
    wait = reply.getheader("retry-after") or ""
    return Outcome(
        ok=200 <= reply.status < 300,
        said=said,
        retry_after_s=int(wait) if wait.isdecimal() and len(wait) < 7 else 0,
    )


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    assert url.hostname is not None
    if url.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(url.hostname, url.port, timeout=TIMEOUT_S, context=context)
    return http.client.HTTPConnection(url.hostname, url.port, timeout=TIMEOUT_S)
