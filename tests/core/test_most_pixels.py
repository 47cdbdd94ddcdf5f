"""Tests of `tunesmith.core.most_pixels`."""

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.most_pixels import USUAL, VARIABLE, most_pixels


def test_it_is_what_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert most_pixels() == USUAL
    monkeypatch.setenv(VARIABLE, "1000")
    assert most_pixels() == 1000


@pytest.mark.parametrize("text", ["40M", "0", "1e6", ""])
def test_what_is_no_number_of_pixels_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(SettingsError, match="Write all its digits, or unset it"):
        most_pixels()
