"""The files that deploy Outlay agree with the specification they claim and with each other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml
from compose_spec import PyCompose

REPOSITORY = Path(__file__).parents[2]


def test_the_compose_file_is_valid_by_the_compose_specification() -> None:
    compose = PyCompose.from_yaml((REPOSITORY / "docker-compose.yml").read_text())
    compose.validate()
    assert set(compose.service_names()) == {"collector", "dashboard", "postgres"}


def test_postgres_starts_only_where_its_profile_is_asked_for() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    assert services["postgres"]["profiles"] == ["postgres"]
    assert all("profiles" not in services[name] for name in ("collector", "dashboard"))


def test_every_port_is_published_on_loopback_alone() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_image_and_the_makefile_pin_one_version_of_uv() -> None:
    in_image = re.search(r"uv==([\d.]+)", (REPOSITORY / "Dockerfile").read_text())
    in_makefile = re.search(r"UV_VERSION := ([\d.]+)", (REPOSITORY / "Makefile").read_text())
    assert in_image is not None
    assert in_makefile is not None
    assert in_image.group(1) == in_makefile.group(1)


def test_continuous_integration_runs_what_a_contributor_runs() -> None:
    commands = [line for line in (REPOSITORY / ".ci" / "run").read_text().splitlines() if not line.startswith("#")]
    assert [shlex.split(each)[-2:] for each in commands[-2:]] == [["make", "test"], ["make", "test-oldest"]]
