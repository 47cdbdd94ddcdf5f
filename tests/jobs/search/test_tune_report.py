"""Tests of `tunesmith.jobs.search.tune_report`."""

from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.core.functions import load_function
from tunesmith.jobs.report import look
from tunesmith.jobs.search.tune_result import Tuned

TRAININGS = Path(__file__).parents[2] / "tuning" / "trainings.py"


def tune(out: Path) -> Tuned:
    function = load_function(f"{TRAININGS}:rises")
    given = {"trials": 14, "horizon": 5, "maximize": True, "progress": False}
    return ts.tune(function, out=out, **given)  # type: ignore[arg-type]


def test_a_search_leaves_a_page_to_look_at(tmp_path: Path) -> None:
    found = tune(tmp_path / "run")
    assert found.report == tmp_path / "run" / "report.html"
    page = found.report.read_text("utf-8")
    assert f"<strong>{found.value:.4g}</strong>" in page
    assert f"It is trial {found.number} of 14. {found.reason}" in page
    assert "The search used sampler gp (auto), scheduler freeze-thaw (auto)." in page
    assert "by      sampler gp (auto), scheduler freeze-thaw (auto)\n" in look(found.folder)
    assert page.count('<svg class="chart"') == 3  # the best curves, lr, and all of them
    assert 'aria-label="value of 14 trials against lr"' in page
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    assert f"report  {moved / 'report.html'}\n" in look(moved)


def test_without_what_renders_pages_there_is_a_result_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.jobs.search.tune_report.find_spec", lambda _: None)
    found = tune(tmp_path)
    assert found.report is None
    assert "report  " not in found.words()
    assert "report  " not in look(tmp_path)
    assert not (tmp_path / "report.html").exists()
