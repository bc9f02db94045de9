"""A hosted source of nobody's, to try the way out itself: keys in two places, conditional answers, odd errors."""

from collections.abc import Mapping

from flows.sources.web.site import InHeader, InParameter, Key, Limit, Site
from tests.replay import Asked, ReplaySite, Said, json_said
from tests.replay import Limit as ReplayLimit

SECRET = "correct+horse/battery staple".replace(" ", "=")
IN_PARAMETER = Key(place=InParameter("api_key"), needed=True, remedy="ask the shop for one")
IN_HEADER = Key(place=InHeader("Authorization", "Bearer {}"), needed=True, remedy="ask the shop for one")


def site(**facts: object) -> Site:
    given = {"name": "shop", "title": "Shop", "address": "http://127.0.0.1:9/v1", "limits": (Limit(10, 1),)} | facts
    return Site(**given)  # type: ignore[arg-type]


class ShopReplay(ReplaySite):
    """Answers every path with the number of the request; `/echo` says all it was told."""

    name = "shop"
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

    def answer(self, asked: Asked, base: str) -> Said | None:
        self.count += 1
        if asked.path == "/echo":
            body = f"{asked.target} {dict(asked.headers)}".encode()
            return Said(int(asked.query.get("status", "200")), body, "text/plain")
        if asked.path == "/large":
            return Said(200, b"[" + b" " * int(asked.query["bytes"]) + b"]")
        if asked.path == "/round":
            return Said(302, b"", "text/html", {"Location": asked.target})
        if asked.path == "/moved":
            return Said(302, b"", "text/html", {"Location": f"/shop/v1/{asked.query['to']}"})
        if asked.path == "/kept":
            if asked.headers.get("if-none-match") == self.etag:
                return Said(304)
            return json_said({"n": self.count}, ETag=self.etag)
        return json_said({"n": self.count, "price": 0.1}) if asked.path == "/number" else None
