"""Fixtures every part of the suite may use."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference data kept beside a checkout: recordings, conformance cases, price tables, OTLP bodies."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the reference data is not beside this checkout ({folder.name}/ is missing)")
    return folder
