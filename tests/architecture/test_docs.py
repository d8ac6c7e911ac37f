"""The documents say what the code does: reference pages are current, links lead somewhere, README's blocks run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from outlay_collector.cli import COMMANDS
from outlay_collector.settings import read_settings

REPOSITORY = Path(__file__).parents[2]
PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
README = (REPOSITORY / "README.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_the_reference_pages_are_what_the_code_says() -> None:
    checked = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "build_docs.py", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_the_folders_of_the_architecture_page_are_the_folders_there_are() -> None:
    listed = re.findall(r"^\| `(\w+)", (REPOSITORY / "docs" / "architecture.md").read_text(), re.MULTILINE)
    kept = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True).stdout.splitlines()
    if not kept:
        pytest.skip("not a git checkout: there may be more folders than the repository has")
    folders = {path.split("/")[0] for path in kept if "/" in path}
    assert sorted(listed) == sorted(folder for folder in folders if not folder.startswith("."))


def test_every_make_target_readme_names_is_there() -> None:
    targets = set(re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make (\w+)", README + (REPOSITORY / "CONTRIBUTING.md").read_text()))
    assert {"demo", "test"} <= named <= targets


def test_every_command_readme_names_is_there() -> None:
    named = set(re.findall(r"`(?:[^`]*/)?outlay (\w+)", README))
    assert {"up", "spend", "export"} <= named <= set(COMMANDS)


def test_the_first_command_and_the_first_dollars_are_on_the_first_screen() -> None:
    lines = README.splitlines()
    assert next(number for number, line in enumerate(lines, 1) if "make demo" in line) <= 15
    assert next(number for number, line in enumerate(lines, 1) if re.search(r"\$\d+\.\d\d", line)) <= 30


def test_the_python_of_readme_names_what_outlay_has() -> None:
    import outlay

    (block,) = blocks(README, "python")
    used = {
        node.attr
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "outlay"
    }
    assert used == {"instrument", "context"}
    assert used <= set(outlay.__all__)


def test_the_configuration_in_readme_can_be_read(tmp_path: Path) -> None:
    (block,) = blocks(README, "toml")
    tomllib.loads(block)
    file = tmp_path / "outlay.toml"
    file.write_text(block)
    settings = read_settings(file, {"ONCALL_URL": "json://127.0.0.1:9/alerts"})
    assert [budget.name for budget in settings.budgets] == ["chat-daily"]
    assert [rule.name for rule in settings.rules] == ["provider-errors"]
