"""Tests of `tunesmith.core.optional`."""

import sys
from pathlib import Path

import pytest

from tunesmith.core.errors import MissingExtraError
from tunesmith.core.optional import require


def test_a_missing_package_names_the_line_that_installs_it() -> None:
    with pytest.raises(
        MissingExtraError, match=r'`absent_package`.*clone.*pip install "\.\[train\]"'
    ):
        require("absent_package.inner", extra="train")


def test_a_fault_inside_a_package_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package.py").write_text("import something_else_absent")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_else_absent"):
        require("broken_package", extra="train")
    assert "broken_package" not in sys.modules
