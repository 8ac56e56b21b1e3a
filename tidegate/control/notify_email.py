"""Alerts as e-mail: one message to all recipients, over TLS unless the configuration says otherwise."""

import base64
import contextlib
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime

from tidegate.config.settings import AlertTarget, host_port
from tidegate.control.delivering import TIMEOUT_S, TOTAL_S, Outcome, cut_after, reason_of, scrubbed
from tidegate.control.wording import details, headline, moment, plain
from tidegate.model.alert import Message

MOST_SUBJECT = 150
GREETING = 220


def send_email(
    target: AlertTarget, message: Message, env: Mapping[str, str], *, total_s: float = TOTAL_S
) -> Outcome:
    """Hand the message to the mail server, once. Raises ConfigError for a password that cannot be read."""
    password = target.password.resolve(env) if target.password is not None else ""
    try:
        refused = _send(target, password, _mail(target, message), total_s)
    except smtplib.SMTPRecipientsRefused as error:
        return Outcome(ok=False, said=f"refused for {', '.join(sorted(error.recipients))}")
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
        said = scrubbed(f"the mail server says {error.smtp_code} {text}", _spellings(target.user, password))
        return Outcome(ok=False, said=said)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return Outcome(ok=False, said=reason_of(error))
    if refused:
        said = f"taken by the mail server, but not for {', '.join(sorted(refused))}"
        return Outcome(ok=True, said=said, partly=True)
    return Outcome(ok=True, said="taken by the mail server")


def _send(
    target: AlertTarget, password: str, mail: EmailMessage, total_s: float
) -> dict[str, tuple[int, bytes]]:
    """Give the recipients that the server refused, of those that it did not refuse all."""
    host, port = host_port(target.smtp or "")
    with contextlib.closing(_client(target, host)) as smtp, cut_after(lambda: smtp.sock, total_s):
        code, said = smtp.connect(host, port)
        if code != GREETING:
            raise smtplib.SMTPConnectError(code, said)
        if target.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if target.user:
            smtp.login(target.user, password)
        refused = smtp.send_message(mail)
        with contextlib.suppress(OSError):  # it is taken, whatever the server says to a farewell
            smtp.quit()
        return refused


def _client(target: AlertTarget, host: str) -> smtplib.SMTP:
    """A client that is not connected yet; `host` is whose certificate it asks for."""
    here = target.sender.rpartition("@")[2]
    if target.security == "tls":
        context = ssl.create_default_context()
        made: smtplib.SMTP = smtplib.SMTP_SSL(local_hostname=here, timeout=TIMEOUT_S, context=context)
    else:
        made = smtplib.SMTP(local_hostname=here, timeout=TIMEOUT_S)
    setattr(made, "_host", host)  # noqa: B010 - smtplib sets it only where it connects by itself
    return made


def _spellings(user: str, password: str) -> tuple[str, ...]:
    """A password as it is, and as the ways to log in put it on the wire."""
    forms = (password, f"\0{user}\0{password}")
    return (password, *(base64.b64encode(form.encode()).decode() for form in forms if password))


def _mail(target: AlertTarget, message: Message) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = f"[Tidegate] {plain(headline(message), MOST_SUBJECT)}"
    mail["From"] = target.sender
    mail["To"] = ", ".join(target.to)
    mail["Date"] = format_datetime(moment(message.at_us))
    mail["Message-ID"] = f"<{message.id}@{target.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join([message.about.text, "", *details(message)]) + "\n")
    return mail
