"""Address, key and contact for one site, checked before the first request."""

import re
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

from flows.sources.web.secrets import keep_secret
from flows.sources.web.site import Key, Site
from schemas.errors import SettingsError

SHORTEST_SECRET_CHARACTERS: Final = 8
"""A shorter one would be found in every other word and could not be kept out of them."""
_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Settings of one source as they were given; None where they were not."""

    url: str | None = None
    key: str | None = None
    contact: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The same, checked: `origin` is scheme, host and port, `base` the path in front of every path."""

    origin: str
    base: str
    login: tuple[str, str] | None
    key: str | None
    user_agent: str
    on_loopback: bool


def endpoint(site: Site, access: Access) -> Endpoint:
    """Check what was given for `site`. Raises `SettingsError` naming the setting."""
    origin, base, login, on_loopback = _split(site, access.url)
    return Endpoint(
        origin=origin,
        base=base,
        login=login,
        key=_key(site, site.key, access.key),
        user_agent=_user_agent(site, access.contact),
        on_loopback=on_loopback,
    )


def _split(site: Site, url: str | None) -> tuple[str, str, tuple[str, str] | None, bool]:
    setting = site.setting("url")
    try:
        parts = urlsplit((url or site.address).strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(setting, "an address that is none", f"one such as {site.address}", "correct it") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        found = f"scheme {parts.scheme!r}, host {host!r}{', a query' if parts.query or parts.fragment else ''}"
        raise SettingsError(setting, found, f"an address such as {site.address}", "correct it")
    login = None
    if parts.username is not None:
        login = unquote(parts.username), unquote(parts.password or "")
        if len(login[1]) >= SHORTEST_SECRET_CHARACTERS:
            keep_secret(login[1])
    bracketed = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{bracketed}" + (f":{port}" if port is not None else "")
    return origin, parts.path.rstrip("/"), login, _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(site: Site, rule: Key | None, given: str | None) -> str | None:
    if rule is None:
        return None
    setting, key = site.setting("key"), (given or "").strip()
    if not key:
        if rule.needed:
            raise SettingsError(setting, None, f"a key of {site.title}", rule.remedy)
        return None
    if len(key) < SHORTEST_SECRET_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            setting,
            f"{len(key)} characters that are no key",
            f"at least {SHORTEST_SECRET_CHARACTERS} letters, digits and signs",
            "copy the key again",
        )
    keep_secret(key)
    return key


def _user_agent(site: Site, contact: str | None) -> str:
    ours = f"hashpivot/{version('hashpivot')}"
    if not site.contact_needed:
        return ours
    contact = (contact or "").strip()
    if not _MAIL.search(contact) or "://" in contact or not contact.isascii() or not contact.isprintable():
        raise SettingsError(
            site.setting("contact"),
            contact or None,
            f"your name and mail address such as 'Jane Doe jane@example.org', as {site.title} demands",
            "set it",
        )
    return contact
