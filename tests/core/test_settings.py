"""Tests of `tunesmith.core.settings`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import (
    Settings,
    TuneSettings,
    checked,
    read_job_file,
    seconds,
    take_test,
)


@given(hours=st.integers(0, 99), minutes=st.integers(0, 59), rest=st.integers(1, 59))
def test_time_spans_add_up(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == 3600 * hours + 60 * minutes + rest


@pytest.mark.parametrize(
    "text", ["0", "0s", "-5", "ten", "5x", "", "1e3", "5 5m x", "367d", "99999999999h"]
)
def test_what_is_no_time_span(text: str) -> None:
    with pytest.raises(SettingsError, match="budget"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1h30", "1h30m or 1h30s"),
        ("2d12", "2d12h or 2d12m or 2d12s"),
        ("5m 1.5", "5m 1.5s"),
        ("1 30", None),
        ("5m5m", None),
        ("5m5min", None),
        ("30m1h", None),
    ],
)
def test_a_span_whose_units_do_not_fall_is_refused_with_the_way_out(
    text: str, meant: str | None
) -> None:
    with pytest.raises(SettingsError, match=r"in d, h, m and s, in this order, such as ") as caught:
        seconds(text)
    told = f"but got {text!r}." + (f" Write {meant}." if meant else "")
    assert str(caught.value).endswith(told)


def test_spans_may_have_spaces_and_fractions() -> None:
    assert [seconds(text) for text in (" 1H 30min ", "1.5 h", "2d12h", 90, 0.5)] == [
        5400,
        5400,
        216_000,
        90,
        0.5,
    ]


def test_wrong_values_name_their_setting() -> None:
    with pytest.raises(SettingsError, match=r"`metric`: .* \(got 'speed'\)"):
        Settings.make({"metric": "speed"})
    with pytest.raises(SettingsError, match=r"`seed`: .* \(got -1\)"):
        Settings.make({"seed": -1})
    with pytest.raises(SettingsError, match=r"`sed` is no setting\. Did you mean `seed`\?"):
        Settings.make({"sed": 1})


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ({"sampler": "hyperop"}, "hyperopt"),
        ({"scheduler": "asah"}, "asha"),
        ({"metric": "acuracy"}, "accuracy"),
        ({"device": "cdua"}, "cuda"),
        ({"device": "gpu"}, "cuda"),
        ({"device": "GPU"}, "cuda"),
        ({"device": "CPU"}, "cpu"),
        ({"on_suspects": "kep"}, "keep"),
        ({"limit": {"latency": 5}}, "latency_ms"),
    ],
)
def test_a_misspelled_choice_is_told_with_the_nearest(slip: dict[str, object], meant: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"should be .* \(got .*\)\. Did you mean `{meant}`\?$"
    ):
        Settings.make(slip)


@pytest.mark.parametrize("given", ["fast", 3, None])
def test_a_choice_that_is_like_none_is_told_alone(given: object) -> None:
    with pytest.raises(SettingsError, match=r"`sampler`: .* 'hyperopt' \(got .*\)\.$"):
        Settings.make({"sampler": given})


@pytest.mark.parametrize("given", ["many", "0", 0, -1, "1.5"])
def test_what_is_no_number_of_workers_is_told_with_what_is(given: object) -> None:
    with pytest.raises(SettingsError, match=r"`workers`: It must be `auto` or a number of proc"):
        Settings.make({"workers": given})
    assert [Settings.make({"workers": w}).workers for w in ("auto", None, "2", 3)] == [
        None,
        None,
        2,
        3,
    ]


def test_budget_and_folder_are_not_part_of_a_job_s_identity() -> None:
    short = Settings.make({"budget": "10s", "out": Path("a")})
    long = Settings.make({"budget": "1h", "out": Path("b")})
    assert short.identity() == long.identity()
    assert short.identity() != Settings.make({"seed": 1}).identity()


def test_a_place_may_begin_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    settings = Settings.make({"out": "~/run", "quarantine": Path("~/list.csv")})
    assert (settings.out, settings.quarantine) == (tmp_path / "run", tmp_path / "list.csv")
    assert checked(TuneSettings, {"out": "~/run"}).out == tmp_path / "run"
    assert Settings.make({"out": "a/~"}).out == Path("a/~")


def test_of_the_number_of_trials_only_whether_there_is_one_makes_another_job() -> None:
    number, by_time, off = (Settings.make({"trials": n}).identity() for n in (3, None, 0))
    assert number == Settings.make({"trials": 4}).identity()
    assert len({str(each) for each in (number, by_time, off)}) == 3


def test_a_job_file(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('budget = "5m"\nseed = 3\n[train]\nbatch = 64\n')
    settings = Settings.make(read_job_file(tmp_path / "job.toml"))
    assert (settings.budget, settings.seed, settings.train) == (300, 3, {"batch": 64})
    (tmp_path / "marked.toml").write_text("seed = 3\n", "utf-8-sig")  # as some editors save it
    assert read_job_file(tmp_path / "marked.toml") == {"seed": 3}


def test_a_job_file_may_name_a_test_part() -> None:
    values = {"test": "held_out/", "seed": 3}
    assert take_test(values) == "held_out/"
    assert Settings.make(values).seed == 3
    assert take_test(values) is None
    with pytest.raises(SettingsError, match=r"`test` names a source .* but got \['a', 'b'\]"):
        take_test({"test": ["a", "b"]})
