"""The model card: what a bundle's model is, how good it is and how to use it.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.bundle.manifest import Manifest
from tunesmith.core.files import replace_file
from tunesmith.core.words import counted, sides

CARD_FILE = "model-card.md"
LISTED = 20  # classes listed, at most


def write_card(
    folder: Path, manifest: Manifest, measures: Mapping[str, Any], *, openings: int
) -> None:
    """Write a bundle's model card; see `card_text`."""
    text = card_text(manifest, measures, openings=openings)
    replace_file(folder / CARD_FILE, text.encode())


def card_text(manifest: Manifest, measures: Mapping[str, Any], *, openings: int) -> str:
    """Write a model card in Markdown.

    Args:
        manifest: Manifest of the bundle.
        measures: Metrics on the test set: ``n``, ``accuracy``, ``low``, ``high``,
            ``balanced_accuracy``, ``log_loss``, ``roc_auc`` (or None), ``macro_f1``, ``ece``, and
            by class ``recall`` (None for a class without images) and ``recall_interval``.
        openings: Number of evaluations on the test set.
    """
    parts = [
        _what(manifest),
        _worth(manifest, measures, openings),
        _weak_spots(manifest.classes, measures),
    ]
    return "\n".join([*parts, _use(manifest), _care(measures["n"])])


def _what(manifest: Manifest) -> str:
    model, shape, training = manifest.model, manifest.input, manifest.training
    kind = {1: "gray", 3: "RGB", 4: "RGB and alpha"}[shape.channels]
    side = f"{sides(shape.height, shape.width)}, {kind} ({shape.resize})"
    taught = "last layer fitted to features that a pretrained network sees in the images"
    if training.examples:
        taught = f"{counted(training.examples, 'example')} seen in {training.seconds:,.0f} s"
    source = f" (from `{model.source.path}`)" if model.source else ""
    return f"""\
# Model card

An image classifier: it tells {len(manifest.classes)} classes apart.

| | |
|---|---|
| Network | `{model.family}`{source}, {model.parameters:,} parameters |
| Input | images of any size; seen as {side} |
| Training | {taught}, seed {training.seed} |
| Made | {manifest.created} by Tunesmith {manifest.tunesmith_version} |
| Speed | {_speed(manifest)} |
"""


def _speed(manifest: Manifest) -> str:
    times = [f"{ms:.2f} ms for {batch}" for batch, ms in manifest.latency.ms.items()]
    return f"{', '.join(times)} (images at once, {counted(manifest.latency.threads, 'thread')})"


def _worth(manifest: Manifest, measures: Mapping[str, Any], openings: int) -> str:
    auc = measures["roc_auc"]
    area = "undefined: a class has no test image" if auc is None else f"{auc:.4f}"
    interval = f"95 % interval {measures['low']:.2%} to {measures['high']:.2%}"
    return f"""\
## What it is worth

{_measured(openings)} on {measures["n"]:,} test images, by the exported graph.

| Measure | Value |
|---|---|
| Accuracy | {measures["accuracy"]:.2%} ({interval}) |
| Balanced accuracy | {measures["balanced_accuracy"]:.2%} |
| F1, mean over classes | {measures["macro_f1"]:.4f} |
| ROC-AUC, mean over classes | {area} |
| Log loss | {measures["log_loss"]:.4f} |
| Expected calibration error | {measures["ece"]:.4f} (temperature {manifest.temperature:.3f}) |
"""


def _measured(openings: int) -> str:
    if openings <= 1:
        return "Measured once, after the model was chosen,"
    return (
        f"Measured {openings} times, as training went on, each of which makes the numbers a little "
        "too hopeful,"
    )


def _weak_spots(classes: Sequence[str], measures: Mapping[str, Any]) -> str:
    known = [
        (recall, name, interval)
        for recall, name, interval in zip(
            measures["recall"], classes, measures["recall_interval"], strict=True
        )
        if recall is not None
    ]
    worst = sorted(known, key=lambda row: row[0])[:LISTED]
    rows = [
        f"| {_cell(name)} | {recall:.1%} | {low:.1%} to {high:.1%} |"
        for recall, name, (low, high) in worst
    ]
    which = "classes" if len(worst) == len(classes) else f"{len(worst)} weakest classes"
    head = f"Recall of the {which}, lowest first:\n"
    return "\n".join([head, "| Class | Recall | 95 % interval |", "|---|---|---|", *rows, ""])


def _cell(text: str) -> str:
    """Escape a class name, which may be any text, for a cell of a Markdown table."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|`*_[]<>#" else c for c in flat)


def _use(manifest: Manifest) -> str:
    return f"""\
## How to use it

```
pip install .  # in a clone of Tunesmith
tunesmith predict path/to/this/folder image.jpg
```
```python
import tunesmith as ts
model = ts.load("path/to/this/folder")
print(model.predict(["image.jpg"]))
```
`model.onnx` needs nothing else: it maps `images`, uint8
`[N, H, W, {manifest.input.channels}]` of any N, H and W, to `probabilities`, float32
`[N, {len(manifest.classes)}]`. `manifest.json` lists the classes in that order, and the SHA-256 of
each file.
"""


def _care(n: int) -> str:
    return f"""\
## What to keep in mind

- The numbers hold for images like the {n:,} test images: same source, same way of taking them.
- An image of none of the classes still gets one of them.
- Where a wrong answer harms someone, let a person look at answers of low probability.
"""
