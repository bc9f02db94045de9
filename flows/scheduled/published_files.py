"""The folder of publications as a website on the scheduler's server, for whoever has the login of that server.

Links of runs lead here: a browser opens no `file:` address from a page of a server.
"""

from base64 import b64encode
from pathlib import Path
from secrets import compare_digest
from typing import Final

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from flows.scheduled.asgi import Application, Receive, Scope, Send, respond, with_headers

PATH: Final = "/published"
HEADERS: Final = ((b"cache-control", b"no-cache"), (b"x-content-type-options", b"nosniff"))
"""The same name leads to another version after each run."""
SIGN_IN: Final = "Sign in with the login of the scheduler's page.\n"


class PublishedFiles:
    """ASGI middleware: what is below `PATH` comes from `folder`, read only, everything else from `application`.

    Without `login` (`user:password`) the response is 401, for which a browser shows a form: a home is closed to other
    users of the machine, and its publications are no less so here.
    """

    def __init__(self, application: Application, folder: Path, login: str) -> None:
        self._application = application
        self._files = FastAPI(openapi_url=None)
        self._files.mount(PATH, StaticFiles(directory=folder, html=True, check_dir=False, follow_symlink=True))
        self._expected = b"Basic " + b64encode(login.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, respond with a file, or refuse."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not f"{path}/".startswith(f"{PATH}/"):
            await self._application(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1 or not compare_digest(given[0], self._expected):
            await respond(send, 401, SIGN_IN, [(b"www-authenticate", b'Basic realm="hashpivot"')])
            return
        await self._files(scope, receive, with_headers(send, *HEADERS))
