"""What every piece of middleware around the scheduler's server does: add headers to a response, or give one itself."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]


def with_headers(send: Send, *headers: Header) -> Send:
    """`send` for an application whose response gets these headers as well."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return send_with_headers


async def respond(send: Send, status: int, text: str, headers: Sequence[Header] = ()) -> None:
    """Send a whole response of plain text."""
    body = text.encode()
    stated = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": stated})
    await send({"type": "http.response.body", "body": body})
