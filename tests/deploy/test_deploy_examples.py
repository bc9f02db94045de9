"""The documented set-ups: read by the programs that read them in earnest, and true to what `serve` serves."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from flows.scheduled.server import admits_pages_of_others, is_open, template
from tests.invocation import COMMAND, PYTHON, clean_environment, eventually
from tests.postgres_server import PASSWORDS, PUBLISHER, SET_UP, postgres_server
from tests.scheduled.serving import free_port

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
PREFECT = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))
COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")

SERVED = """
import json
from flows.scheduled.deployments import deployments
from flows.settings import Settings
print(json.dumps([
    {
        "name": one.name, "entrypoint": one.entrypoint, "parameters": one.parameters, "tags": one.tags,
        "cron": [schedule.schedule.cron for schedule in one.schedules], "limit": one.concurrency_limit,
    }
    for one in deployments(Settings())
]))
"""


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("no systemd-analyze here")
    unit = tmp_path / "hashpivot.service"
    text = (DEPLOY / "hashpivot.service").read_text(encoding="utf-8")
    assert "ExecStart=/opt/hashpivot/.venv/bin/hashpivot serve" in text
    unit.write_text(text.replace("/opt/hashpivot/.venv/bin/hashpivot", COMMAND), encoding="utf-8")
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_compose_file_keeps_to_the_specification_and_to_loopback() -> None:
    PyCompose.from_yaml(COMPOSE)
    with pytest.raises(ValueError, match=r"kommand|restart"):
        PyCompose.from_yaml(COMPOSE.replace("command:", "kommand: [x]\n    restart: 5\n    command:", 1))
    services: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
    assert [port for service in services.values() for port in service.get("ports", [])] == ["127.0.0.1:4200:4200"]
    assert "PREFECT_SERVER_API_AUTH_STRING" in services["server"]["environment"]
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if any(word in name for word in ("PASSWORD", "AUTH", "CONNECTION")):
                assert "${" in value, f"{name} is written down"


def test_compose_file_of_a_target_makes_what_tests_make_and_knows_when_it_is_ready() -> None:
    text = (DEPLOY / "postgresql.yaml").read_text(encoding="utf-8")
    PyCompose.from_yaml(text)
    service = yaml.safe_load(text)["services"]["tables"]
    assert service["ports"] == ["127.0.0.1:5432:5432"]
    assert all("${" in value for value in service["environment"].values())
    assert f"./{SET_UP.name}:/docker-entrypoint-initdb.d/{SET_UP.name}:ro" in service["volumes"]
    # It cannot be started here; what it looks at is looked at on a server that was made by the same statements.
    _, check = service["healthcheck"]["test"]
    with postgres_server() as server:
        there = dict(os.environ) | {"PGPORT": str(server.port), "PGPASSWORD": PASSWORDS[PUBLISHER]}

        def is_healthy() -> bool:
            return subprocess.run(check, shell=True, env=there, capture_output=True, timeout=60).returncode == 0

        assert is_healthy()
        server.stop()
        assert not is_healthy()


def test_work_pool_file_states_what_serve_states() -> None:
    done = subprocess.run(
        [PYTHON, "-c", SERVED], env=dict(os.environ), capture_output=True, text=True, timeout=120, check=True
    )
    stated = [
        {
            "name": one["name"],
            "entrypoint": one["entrypoint"],
            "parameters": one.get("parameters", {}),
            "tags": one["tags"],
            "cron": [schedule["cron"] for schedule in one.get("schedules", [])],
            "limit": one["concurrency_limit"]["limit"],
        }
        for one in PREFECT["deployments"]
    ]
    assert stated == yaml.safe_load(done.stdout)


def test_server_of_the_compose_file_requires_the_login_and_responds_to_no_pages_of_others(tmp_path: Path) -> None:
    service = yaml.safe_load(COMPOSE)["services"]["server"]
    port, (program, *arguments) = free_port(), service["command"]
    stated = {name: str(value).replace("4200", str(port)) for name, value in service["environment"].items()}
    ours = {
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{tmp_path}/prefect.db",
        "PREFECT_SERVER_API_AUTH_STRING": "desk:password",
        "PREFECT_HOME": str(tmp_path),
    }
    if template().exists():
        shutil.copy(template(), tmp_path / "prefect.db")
    server = subprocess.Popen(
        [PYTHON, "-m", program, *(argument.replace("4200", str(port)) for argument in arguments)],
        cwd=tmp_path,
        env=clean_environment(HOME=str(tmp_path)) | stated | ours,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/api"
    try:
        eventually(lambda: is_open(address) is not None or server.poll() is not None, "its response")
        assert is_open(address) is False
        assert not admits_pages_of_others(address)
    finally:
        server.terminate()
        server.wait(60)
