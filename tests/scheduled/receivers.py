"""Those who receive alerts, on loopback: a webhook, Slack behind a proxy of our own, a mail server."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.scheduled.serving import free_port

SLACK = "hooks.slack.com"
SLACK_URL = f"https://{SLACK}/services/T0TEST000/B0TEST000/slackSecretToken0000test"
WEBHOOK_PATH = "/hook/webhookSecretToken"


@dataclass
class Received:
    """What came in, by channel, in the order it came."""

    webhook: list[tuple[str, bytes]] = field(default_factory=list)
    slack: list[tuple[str, bytes]] = field(default_factory=list)
    mail: list[tuple[str, str]] = field(default_factory=list)
    """Subject and text."""
    environment: dict[str, str] = field(default_factory=dict)
    """Settings that make `serve` send here."""


def _web_handler(received: Received, certificate: Path) -> type[BaseHTTPRequestHandler]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_slack = self.headers["Host"] == SLACK
            (received.slack if is_slack else received.webhook).append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def do_CONNECT(self) -> None:
            """Speak TLS in the name of Slack, as a proxy that opens connections does."""
            if self.path != f"{SLACK}:443":
                self.send_error(403)
                return
            self.send_response(200)
            self.end_headers()
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.setup()
            self.close_connection = False
            self.handle_one_request()

        def setup(self) -> None:
            self.request = getattr(self, "connection", self.request)
            super().setup()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class _Mailbox:
    def __init__(self, received: Received) -> None:
        self.received = received

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        message = message_from_bytes(envelope.content or b"", policy=default)  # type: ignore[arg-type]
        body = message.get_body(("plain", "html"))
        self.received.mail.append((str(message["Subject"]), "" if body is None else str(body.get_content())))
        return "250 OK"


def _certificate(folder: Path) -> Path:
    """A key and a certificate of our own for Slack's name, in one file that also serves as the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SLACK)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SLACK)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "slack.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def listening(folder: Path) -> Iterator[Received]:
    """All three receivers, until the end of the block."""
    received = Received()
    certificate = _certificate(folder)
    web = ThreadingHTTPServer(("127.0.0.1", 0), _web_handler(received, certificate))
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    mail = Controller(_Mailbox(received), hostname="127.0.0.1", port=free_port())
    mail.start()
    proxy = f"http://127.0.0.1:{web.server_port}"
    received.environment = {
        "HASHPIVOT_ALERT_WEBHOOK_URL": f"{proxy}{WEBHOOK_PATH}",
        "HASHPIVOT_ALERT_SLACK_URL": SLACK_URL,
        "HASHPIVOT_ALERT_MAIL_URL": f"mailto://127.0.0.1:{mail.port}?from=miner@example.org&to=desk@example.org",
        "HTTPS_PROXY": proxy,
        "REQUESTS_CA_BUNDLE": str(certificate),
    }
    try:
        yield received
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
        mail.stop()
