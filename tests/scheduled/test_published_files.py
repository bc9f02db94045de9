"""Publications on the scheduler's server: read by whoever has its login, and by nobody else."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from flows.scheduled.published_files import PublishedFiles

LOGIN = ("hashpivot", "a-password")


@pytest.fixture
def client(published_demo: Path) -> TestClient:
    application = FastAPI()

    @application.get("/api/health")
    def health() -> bool:
        return True

    return TestClient(PublishedFiles(application, published_demo, ":".join(LOGIN)), follow_redirects=False)


def test_whoever_has_the_login_reads_report_dictionary_and_tables(client: TestClient, published_demo: Path) -> None:
    for name in ("report/index.html", "report/dictionary.html", "manifest.json", "parquet/claim.parquet"):
        found = client.get(f"/published/{name}", auth=LOGIN)
        assert (found.status_code, found.content) == (200, (published_demo / name).read_bytes()), name
        assert found.headers["cache-control"] == "no-cache"
    assert client.get("/published/report/", auth=LOGIN).content == (published_demo / "report/index.html").read_bytes()


def test_a_reader_may_take_a_part_of_a_file(client: TestClient, published_demo: Path) -> None:
    found = client.get("/published/hashpivot.duckdb", auth=LOGIN, headers={"Range": "bytes=8-15"})
    assert (found.status_code, found.content) == (206, (published_demo / "hashpivot.duckdb").read_bytes()[8:16])


@pytest.mark.parametrize("login", [None, ("hashpivot", "guessed"), ("", "")])
def test_without_the_login_nothing_is_read(client: TestClient, login: tuple[str, str] | None) -> None:
    for path in ("/published", "/published/", "/published/report/index.html", "/published/nothing"):
        found = client.get(path, auth=login)
        assert (found.status_code, found.headers["www-authenticate"]) == (401, 'Basic realm="hashpivot"')


def test_what_lies_outside_of_the_folder_is_not_served(client: TestClient) -> None:
    for path in (
        "/published/../warehouse/working.duckdb",
        "/published/%2e%2e/warehouse/working.duckdb",
        "/published/x",
    ):
        assert client.get(path, auth=LOGIN).status_code == 404
    assert client.post("/published/report/index.html", auth=LOGIN).status_code == 405


def test_the_rest_of_the_server_is_passed_on(client: TestClient) -> None:
    assert client.get("/api/health").json() is True
    assert client.get("/publishedx").status_code == 404
