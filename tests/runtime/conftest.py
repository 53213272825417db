"""The end of a process, as an exception: every test of this package runs under it."""

import os

import pytest

from tests.runtime.fakes import Ended


@pytest.fixture(autouse=True)
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes that were asked for."""
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", end)
    return codes
