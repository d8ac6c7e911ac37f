"""Environments of their own, for what does not live beside the newest SDKs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from tests.conftest import REPOSITORY


def environment_with(folder: Path, *packages: str) -> str:
    """The Python of a new environment with those packages and Outlay. Skips where it cannot be made, as without a
    network."""
    uv = which("uv") or str(Path(sys.executable).with_name("uv"))
    found = f"{folder}/bin/python"
    install = [uv, "pip", "install", "-q", "--python", found, *packages, "-e", str(REPOSITORY / "instrumentation")]
    for command in ([uv, "venv", "-q", "--python", sys.executable, str(folder)], install):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"no environment for {', '.join(packages)}: {getattr(error, 'stderr', None) or error}")
    return found
