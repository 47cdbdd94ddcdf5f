"""Tests of `tunesmith.bundle.card`."""

from pathlib import Path
from typing import Any

import pytest

from tunesmith.bundle.card import CARD_FILE, LISTED, card_text, write_card
from tunesmith.bundle.manifest import Manifest

MEASURES: dict[str, Any] = {
    "n": 40,
    "accuracy": 0.9,
    "low": 0.8,
    "high": 0.95,
    "balanced_accuracy": 0.88,
    "log_loss": 0.25,
    "roc_auc": 0.97,
    "macro_f1": 0.89,
    "ece": 0.02,
    "recall": (0.9, 0.75, None),
    "recall_interval": ((0.6, 0.98), (0.5, 0.9), (0.0, 1.0)),
}


def test_it_tells_score_limits_input_and_use(tmp_path: Path, manifest: Manifest) -> None:
    write_card(tmp_path, manifest, MEASURES, openings=1)
    text = (tmp_path / CARD_FILE).read_text("utf-8")
    for said in (
        "it tells 3 classes apart",
        "| Accuracy | 90.00% (95 % interval 80.00% to 95.00%) |",
        "Measured once, after the model was chosen, on 40 test images",
        "12 x 8 pixels (width x height), RGB (antialiased bilinear, stretched)",
        "5,000 examples seen in 12 s, seed 3",
        "0.50 ms for 1, 8.25 ms for 32 (images at once, 2 threads)",
        "`net.py:build` (from `net.py`), 1,234 parameters",
        "tunesmith predict path/to/this/folder image.jpg",
        "An image of none of the classes still gets one of them.",
    ):
        assert said in text


def test_classes_are_listed_from_the_weakest_on(manifest: Manifest) -> None:
    text = card_text(manifest, MEASURES, openings=1)
    assert text.index("| grün | 75.0% | 50.0% to 90.0% |") < text.index("| blau | 90.0% |")
    assert "| 紅 |" not in text


def test_a_head_on_frozen_features_saw_no_examples_and_one_thread_is_one(
    manifest: Manifest,
) -> None:
    training = manifest.training.model_copy(update={"examples": 0})
    latency = manifest.latency.model_copy(update={"threads": 1})
    text = card_text(
        manifest.model_copy(update={"training": training, "latency": latency}), MEASURES, openings=1
    )
    (row,) = [line for line in text.splitlines() if line.startswith("| Training ")]
    assert row == (
        "| Training | last layer fitted to features that a pretrained network sees in the images, "
        "seed 3 |"
    )
    assert "(images at once, 1 thread)" in text


def test_an_undefined_measure_is_said(manifest: Manifest) -> None:
    assert "undefined: a class has no test image" in card_text(
        manifest, MEASURES | {"roc_auc": None}, openings=1
    )


def test_of_many_classes_the_weakest_are_listed(manifest: Manifest) -> None:
    classes = tuple(f"class {i}" for i in range(100))
    recall = tuple(i / 100 for i in range(100))
    measures = MEASURES | {"recall": recall, "recall_interval": ((0.0, 1.0),) * 100}
    text = card_text(manifest.model_copy(update={"classes": classes}), measures, openings=1)
    assert f"Recall of the {LISTED} weakest classes" in text
    assert "| class 19 |" in text
    assert "| class 20 |" not in text


@pytest.mark.parametrize("name", ["a|b", "x\n# y", "<script>alert()</script>", "[l](http://e)"])
def test_a_class_name_stays_text(manifest: Manifest, name: str) -> None:
    text = card_text(
        manifest.model_copy(update={"classes": (name, "b", "c")}), MEASURES, openings=1
    )
    row = next(line for line in text.splitlines() if "| 90.0% |" in line)
    assert row.replace("\\|", "").count("|") == 4
    assert "<script" not in text.replace("\\<", "")
    assert "[l]" not in text


def test_numbers_that_were_measured_again_say_so(manifest: Manifest) -> None:
    text = card_text(manifest, MEASURES, openings=3)
    assert "Measured 3 times" in text
    assert "too hopeful, on 40 test images" in text
