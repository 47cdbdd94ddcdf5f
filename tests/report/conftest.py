"""Stories to tell: small, complete, and of any number of classes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.bundle.manifest import Score
from tunesmith.core.ending import EndReason
from tunesmith.evaluation.metrics import evaluate
from tunesmith.report.findings import Finding, Item
from tunesmith.report.story import (
    Answer,
    CurvePoint,
    Story,
    ValidationPoint,
    how_to_use,
    reliability,
)
from tunesmith.report.summary import (
    Baseline,
    Counts,
    Data,
    Exported,
    Measures,
    Model,
    Summary,
)

MakeStory = Callable[..., Story]
LEARNED = Finding(
    kind="label",
    weight="doubtful",
    title="2 training labels look wrong",
    meaning="",
    items=[Item(file="a.png", label="cat"), Item(file="b.png", label="dog")],
)


def changed(summary: Summary, **parts: Any) -> Summary:
    """Return a summary with some parts' fields changed: ``score={"n": 5}``, ``seed=1``."""
    update = {
        name: getattr(summary, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in parts.items()
    }
    return summary.model_copy(update=update)


def picture(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """Draw a gradient ``[H, W, C]``."""
    steps = np.linspace(0, 255, height * width * channels)
    return steps.astype(np.uint8).reshape(height, width, channels)


def findings(label: str) -> tuple[Finding, ...]:
    """Return a finding with pairs of pictures, and one with a table."""
    image = picture(8, 8, 4)
    twin = Item(file="test/b.png", label=label, image=image)
    leak = Item(file="train/a.png", label=label, note="nearly the same", image=image, twin=twin)
    bad = Item(file=f"{label}/bad.png", label=label, note="the PNG is damaged or cut off")
    return (
        Finding(kind="leak", weight="serious", title="1 copy", meaning="Left out.", items=[leak]),
        Finding(kind="unreadable", weight="doubtful", title="1 file", meaning=".", items=[bad]),
    )


def predictions(classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities ``[N, K]`` that are mostly right, and the truth ``[N]``."""
    y_N = np.arange(20 * classes, dtype=np.int64) % classes
    z_NK = np.random.default_rng(0).normal(size=(len(y_N), classes))
    z_NK[np.arange(len(y_N)), y_N] += 1.5
    p_NK = np.exp(z_NK)
    return p_NK / p_NK.sum(1, keepdims=True), y_N


def summarize(names: tuple[str, ...]) -> Summary:
    """Return the numbers of a run on ``names``."""
    found = evaluate(*predictions(len(names)))
    return Summary(
        status="finished",
        reason=EndReason.TIME,
        budget_s=60,
        wall_s=58.5,
        phases={"decode": 1.5, "train": 50.0, "export": 4.0, "report": 0.5},
        score=Score(
            metric="accuracy", value=found.accuracy, low=found.low, high=found.high, n=found.n
        ),
        test_openings=1,
        baseline=Baseline(majority=1 / len(names), linear=0.5),
        trials=6,
        model=Model(family="convnet", parameters=286_410, config={"width": 32}),
        data=Data(
            counts=Counts(train=9000, validation=450, selection=180, calibration=180, test=found.n),
            classes=names,
            size=(16, 24),
            channels=1,
            quarantined=2,
            skipped={"hidden file": 3},
            leaks=1,
            conflicts=0,
            copies=1,
            suspects=0,
        ),
        exports=(
            Exported(
                format="onnx",
                path="bundle/model.onnx",
                max_abs_difference=4.8e-7,
                agreement=1.0,
                images=360,
                latency_ms={"1": 0.41, "32": 5.7},
                threads=2,
            ),
        ),
        evaluation=Measures.of(found, ece_before=0.05, temperature=1.3),
        notes=("Memory ran out: the batch is now 256 images.",),
        seed=0,
        examples=90_000,
        images_per_s=9000.0,
        memory_peak_bytes=612_000_000,
        versions={"tunesmith": "0.1.0"},
    )


@pytest.fixture
def summary() -> Summary:
    """Return the numbers of a run on three classes."""
    return summarize(("cat", "dog", "猫"))


@pytest.fixture
def make_story() -> MakeStory:
    """Return a maker of stories about classes of the given names."""

    def make(names: tuple[str, ...] = ("cat", "dog", "猫")) -> Story:
        p_NK, y_N = predictions(len(names))
        answer = Answer(
            name=f"{names[0]}/1.png",
            image=picture(8, 8, 1),
            true=names[0],
            predicted=names[1],
            probability=0.97,
        )
        return Story(
            title=f"photos of {names[0]}",
            summary=summarize(names),
            curve=[
                CurvePoint(examples=n, seconds=n / 9000, loss=9 / n**0.5, rate=1 - n / 90_000)
                for n in range(9000, 99_000, 9000)
            ],
            validation=[
                ValidationPoint(examples=n, accuracy=1 - 30 / n**0.5 / 10, log_loss=9 / n**0.5)
                for n in (9000, 45_000, 90_000)
            ],
            samples={name: [picture(80, 100, 3)] for name in names[:12]},
            mistakes=[answer],
            unsure=[answer],
            findings=findings(names[0]),
            fine=["Copies with different labels: none."],
            plan=["A width of 32 fits the time."],
            before=reliability(p_NK, y_N),
            after=reliability(p_NK, y_N),
            config=[("train.lr", "0.127")],
            usage=how_to_use("runs/photos/bundle", channels=3, classes=len(names)),
            command="tunesmith fit photos --budget 60s",
        )

    return make
