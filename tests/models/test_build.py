"""Tests of `tunesmith.models.build`."""

import pytest

from tunesmith.core.errors import ModelError, SettingsError
from tunesmith.models.build import FAMILIES, find_family


@pytest.mark.parametrize("name", list(FAMILIES))
def test_families_are_found_by_name(name: str) -> None:
    family = find_family(name)
    assert family.source is None
    build = family.builder(3, 1, size=(8, 8), params={})
    assert build() is not build()


def test_parameters_are_checked_before_anything_is_built() -> None:
    with pytest.raises(SettingsError, match=r"`width` must lie in .* but got 4000"):
        find_family("convnet").builder(3, 1, size=(8, 8), params={"width": 4000})


def test_unknown_families_name_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no model family 'convet'\. Did you mean `convnet`\?"):
        find_family("convet")
