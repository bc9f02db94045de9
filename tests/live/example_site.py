"""An invented hosted source, to test the web client itself: keys in two places, conditional responses, odd errors."""

from collections.abc import Mapping

from flows.sources.web.site import InHeader, InParameter, Key, Limit, Site
from tests.replay import Limit as ReplayLimit
from tests.replay import ReplayRequest, ReplayResponse, ReplaySite, json_response

SECRET = "correct+horse/battery staple".replace(" ", "=")
IN_PARAMETER = Key(place=InParameter("api_key"), needed=True, remedy="request one from the example source")
IN_HEADER = Key(place=InHeader("Authorization", "Bearer {}"), needed=True, remedy="request one from the example source")


def site(**facts: object) -> Site:
    given = {
        "name": "example",
        "title": "Example",
        "address": "http://127.0.0.1:9/v1",
        "limits": (Limit(10, 1),),
    } | facts
    return Site(**given)  # type: ignore[arg-type]


class ExampleReplay(ReplaySite):
    """Responds to every path with the number of the request; `/echo` repeats the whole request."""

    name = "example"
    prefix = "/v1"
    limits = (ReplayLimit(10, 1),)
    settings: Mapping[str, str] = {}
    secret = SECRET
    secret_parameter = "api_key"
    secret_header = "Authorization"

    def __init__(self, **facts: object) -> None:
        super().__init__()
        self.count = 0
        self.etag = '"one"'
        vars(self).update(facts)

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        self.count += 1
        if request.path == "/echo":
            body = f"{request.target} {dict(request.headers)}".encode()
            return ReplayResponse(int(request.query.get("status", "200")), body, "text/plain")
        if request.path == "/large":
            return ReplayResponse(200, b"[" + b" " * int(request.query["bytes"]) + b"]")
        if request.path == "/round":
            return ReplayResponse(302, b"", "text/html", {"Location": request.target})
        if request.path == "/moved":
            return ReplayResponse(302, b"", "text/html", {"Location": f"/example/v1/{request.query['to']}"})
        if request.path == "/kept":
            if request.headers.get("if-none-match") == self.etag:
                return ReplayResponse(304)
            return json_response({"n": self.count}, ETag=self.etag)
        return json_response({"n": self.count, "price": 0.1}) if request.path == "/number" else None
