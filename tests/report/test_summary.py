"""Tests of `tunesmith.report.summary`."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from tunesmith.core.errors import RunFolderError
from tunesmith.report.summary import Summary, read_summary, schema, to_json, write_summary


def test_what_is_written_is_read(tmp_path: Path, summary: Summary) -> None:
    path = tmp_path / "result.json"
    write_summary(path, summary)
    assert read_summary(path) == summary
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_programs_find_the_promised_fields(summary: Summary) -> None:
    found = json.loads(to_json(summary))
    assert set(found["score"]) == {"metric", "value", "low", "high", "n"}
    assert set(found["baseline"]) == {"majority", "linear"}
    assert set(found["data"]["counts"]) == {
        *("train", "validation", "selection", "calibration", "test")
    }
    assert {"status", "reason", "budget_s", "wall_s", "phases", "test_openings", "trials"} <= set(
        found
    )
    assert {"model", "exports", "evaluation", "notes", "seed", "versions"} <= set(found)
    assert found["evaluation"]["ece_before"] == 0.05
    assert found["data"]["classes"][2] == "猫"


def test_a_name_that_is_no_unicode_is_written_escaped(tmp_path: Path, summary: Summary) -> None:
    data = summary.data.model_copy(update={"classes": ("a\udcff", "b", "c")})
    write_summary(tmp_path / "r.json", summary.model_copy(update={"data": data}))
    assert read_summary(tmp_path / "r.json").data.classes[0] == "a\\udcff"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, summary: Summary) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "result.json"
    write_summary(path, summary)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # as if the disk were full
    try:
        with pytest.raises(RunFolderError, match=r"result\.json cannot be written: .*--out"):
            write_summary(path, summary.model_copy(update={"seed": 7}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_summary(path) == summary
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_it_refuses_a_folder_that_is_not_there(tmp_path: Path, summary: Summary) -> None:
    with pytest.raises(RunFolderError, match="cannot be written: No such file"):
        write_summary(tmp_path / "no" / "result.json", summary)


def test_it_says_that_there_is_no_finished_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"holds no finished run \(no result\.json\)"):
        read_summary(tmp_path / "result.json")


def test_it_says_that_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot be read: "):
        read_summary(tmp_path)


@pytest.mark.parametrize(
    ("text", "where"), [("{", "the file"), ('{"format": 2}', "format"), ("{}", "status")]
)
def test_it_says_what_is_damaged(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=rf"is damaged or of another version \({where}: "):
        read_summary(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_word_for_it(summary: Summary, value: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Summary.model_validate(summary.model_dump() | {"wall_s": value})


def test_a_summary_cannot_be_changed(summary: Summary) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        summary.seed = 1


def test_the_schema_describes_what_is_written(summary: Summary) -> None:
    published = schema()
    found = json.loads(to_json(summary))
    assert published["$schema"].endswith("2020-12/schema")
    assert set(published["properties"]) == set(found) == set(published["required"])
    for name, part in (("Score", found["score"]), ("Measures", found["evaluation"])):
        assert set(published["$defs"][name]["properties"]) == set(part)


def test_the_published_schema_is_that_of_the_code() -> None:
    published = Path(__file__).parents[2] / "docs" / "result.schema.json"
    assert json.loads(published.read_text("utf-8")) == schema(), (
        "write docs/result.schema.json again from tunesmith.report.summary.schema()"
    )
