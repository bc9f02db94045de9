"""The documented set-ups: read by the programs that read them in earnest, and true to what `serve` serves."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from tests.invocation import COMMAND, PYTHON

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


def test_work_pool_file_states_what_serve_states() -> None:
    done = subprocess.run(
        [PYTHON, "-c", SERVED], env=dict(os.environ), capture_output=True, text=True, timeout=120, check=True
    )
    stated = [
        {
            "name": one["name"],
            "entrypoint": one["entrypoint"],
            "parameters": one.get("parameters", {"parameters": {}}),
            "tags": one["tags"],
            "cron": [schedule["cron"] for schedule in one.get("schedules", [])],
            "limit": one["concurrency_limit"]["limit"],
        }
        for one in PREFECT["deployments"]
    ]
    assert stated == yaml.safe_load(done.stdout)
