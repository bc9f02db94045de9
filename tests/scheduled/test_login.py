"""The login of a server of our own, and the addresses it serves."""

import stat
from pathlib import Path

import pytest

from flows.scheduled.login import LOGIN_NAME, keep_login, kept_login
from flows.scheduled.own_server import origins_of, read_origins
from schemas.errors import SettingsError


def test_login_is_made_once_and_belongs_to_its_user_alone(tmp_path: Path) -> None:
    assert kept_login(tmp_path) is None
    login, is_new = keep_login(tmp_path)
    assert is_new
    assert keep_login(tmp_path) == (login, False)
    assert kept_login(tmp_path) == login
    assert len(login) > 32
    assert [(f.name, stat.S_IMODE(f.stat().st_mode)) for f in tmp_path.iterdir()] == [(LOGIN_NAME, 0o600)]


@pytest.mark.parametrize(("mode", "text"), [(0o640, "desk:password\n"), (0o602, "desk:password\n"), (0o600, "")])
def test_login_that_others_could_see_or_set_and_half_of_one_are_replaced(tmp_path: Path, mode: int, text: str) -> None:
    file = tmp_path / LOGIN_NAME
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    assert kept_login(tmp_path) is None
    login, is_new = keep_login(tmp_path)
    assert (is_new, login != text.strip(), stat.S_IMODE(file.stat().st_mode)) == (True, True, 0o600)


@pytest.mark.parametrize(
    ("host", "origins"),
    [
        ("127.0.0.1", ["http://127.0.0.1:4200", "http://localhost:4200"]),
        ("::1", ["http://[::1]:4200", "http://127.0.0.1:4200", "http://localhost:4200"]),
        ("192.0.2.7", ["http://192.0.2.7:4200"]),
    ],
)
def test_server_is_served_under_the_host_it_listens_on_and_what_the_user_names(host: str, origins: list[str]) -> None:
    assert origins_of(host, 4200, {}) == origins
    named = {"PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "https://Mine.example.org/ ,http://10.0.0.2:4200"}
    assert origins_of(host, 4200, named) == [*origins, "https://mine.example.org", "http://10.0.0.2:4200"]


@pytest.mark.parametrize("named", ["*", "example.org", "https://", "ftp://example.org", "https://example.org/path"])
def test_what_is_no_origin_is_refused_by_name(named: str) -> None:
    with pytest.raises(SettingsError, match="PREFECT_SERVER_CORS_ALLOWED_ORIGINS") as refused:
        read_origins({"PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"https://mine.example.org,{named}"})
    assert "expected addresses like https://" in str(refused.value)
