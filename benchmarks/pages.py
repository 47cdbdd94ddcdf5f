"""Write ``docs/accuracy.md`` and its plot, and the numbers of other pages, from the results.

    pip install matplotlib && python benchmarks/pages.py

The other pages are ``docs/data-gate.md`` and, where it says so, ``docs/tuning.md``. No number of
these is typed by hand: a test compares them with ``benchmarks/results``.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import beta

from tunesmith.plan.speeds import FEWEST_STEPS, batch_of

HERE = Path(__file__).parent
RESULTS, DOCS = HERE / "results", HERE.parent / "docs"
NAMES = {
    "mnist": "MNIST",
    "fashion": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar10-5000": "CIFAR-10, 5,000 images",
    "cifar10-1000": "CIFAR-10, 1,000 images",
    "cifar10-300": "CIFAR-10, 300 images",
    "mnist-300": "MNIST, 300 images",
    "digits": "digits",
}
PLOTTED = ("mnist", "fashion", "cifar10")
TARGETS = {"mnist": 0.99, "cifar10": 0.8}  # accuracies that a time is stated for
OURS, REFERENCE, BY_HAND = "tunesmith", "reference", "by_hand"
SHOWN_AS = {BY_HAND: "script by hand"}  # the other scripts are shown by their names
ALONE, WORKERS = "dataloader_", "dataloader_with_workers_"  # of whose rates those are
PLAIN, MIRRORED = "accuracy", "accuracy_mirrored"
HEAD = (
    "| data | budget | seeds | accuracy (range) | {other} | error ratio | mirrored {other} "
    "| error ratio | latest end | memory |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)
PAGE = """\
# Accuracy for a time budget

Whole processes, from the command to the report on disk, on the official test set; medians over
seeds. The reference is one plain network with one good recipe and a schedule fitted to its time: no
held-out part, no export. It was run on the same machine at the same budget, and trains on all
images; ours holds out up to 9 %, so that the model can be chosen and its probabilities calibrated
on images it has not seen. The error ratio is our median error over the reference's: under 1 we are
better.

The reference is shown twice: as it predicts each image, and with its predictions on the image and
on its mirror image averaged (MNIST, where it mirrors nothing, excepted). Our exported model
averages the predictions on mirrored and moved images where that helps, so the fair comparison is
with both.

Each of our rows in `benchmarks/results/fit*.json` names the commit that it was measured at. A
line's seeds may be of several commits; some were measured again later than the reference, on the
same machine.

{machines}

![Error against budget]({plot})

Each line is a machine. Single points are existing tools that were given the same time, one run
each, on two cores with AVX2: rough marks, not a ranking.

{parts}Again on your machine: `TUNESMITH_DATA=FOLDER python benchmarks/fit.py`, and `loader.py`
and `engine.py` beside it for the speeds; this page: `python benchmarks/pages.py`.
"""
PARTS = """\
## What each part is worth

The difference in accuracy, in points, of the same training in the same time with one thing changed:
medians over the same seeds.

"""
COMPARED = {  # what is compared with the training as it is, by the names of results
    "ablation": "Settings, by whole runs of `tunesmith fit` (`python benchmarks/ablation.py`):",
    "tricks": "Methods that are no settings, by the training alone (`benchmarks/tricks.py`):",
    "tricks-amx": "Shifted images, and more views in testing; the same on a core with AMX:",
}
AS_IT_IS = "as it is"
PORTFOLIO = """\
## The portfolio

A search for a network from scratch begins with the plan's own config and seven more, chosen from
{count} on {problems} small problems (`python benchmarks/portfolio.py`; {budget} s for each
training, on one core). The table shows what portfolios are worth on a problem that they were chosen
without: by how much the error of their best config is above that of the best of all.

{table}

"""
NOISE = """\
## Wrong labels

Of {images:,} training images, a share of the labels was replaced by random ones
(`python benchmarks/noise.py`; {budget} s each, on {cores}). `fit` as it comes turns to a loss that
forgives wrong labels where it notices them; beside it is `fit` that is kept at cross-entropy.
Accuracies are on the official test part, medians over seeds. Hardware: {cpu}, {system}.

{table}

"""
MIRRORS = """\
## Mirrored images in long trainings

Trainings of {epochs} epochs on some images of each data set, with and without mirrored ones
(`python benchmarks/mirrors.py`; width 24), tested on the official test part; medians over seeds.
"Recognized" and "exchanged" are what a brief training on unchanged images knows beforehand: how
many mirrored images are recognized, relative to unchanged ones, and the largest share of two
classes whose mirrored images pass for the other one. `fit` uses mirrored images in 30 epochs or
more if less than a fifth is exchanged. Hardware: {cpu}, {system}.

{table}

"""
MANY = 60_000  # images of which an epoch takes longer than a short training
SHORT = """\
## Batches of short trainings

What trainings of seconds learn with batches of several sizes (`python benchmarks/short.py`; the
narrowest network, one core, images unchanged), tested on the official test part; medians of
{seeds} seeds. Large batches are computed faster, small ones make more steps. `fit` takes the last
column, by the examples that a batch of {largest} has time for: {steps} steps at least, or 32
images. Hardware: {cpu}, {system}.

{table}

"""
# Endings of the names of results, and what they were measured on.
MACHINES = (
    ("", "Two cores with AVX-512, which train in bfloat16"),
    ("-zen4", "The same, an older and slower model"),
    ("-zen5", "The same, a newer model, but on one core; the other one was busy too"),
    ("-avx2", "Two cores with AVX2; MNIST and digits at earlier revisions"),
    (
        "-avx2-core",
        "Others with AVX2; accuracies on one core each, at the same time, speeds on both",
    ),
    ("-avx2-short", "Two cores with AVX2 in half a minute"),
    ("-amx", "Two cores with AMX, which train in bfloat16; earlier revisions"),
    ("-amx-core", "The same, on one core each for ours and the reference, at the same time"),
)
MACHINE = """\
## {title}

Hardware: {cpu}, {counted}, {system}, no GPU, shared with other work; torch {torch}.

{table}{searches}{times}"""
TIMES = """

**Time to an accuracy**, the shortest budget in the table whose median reaches it: {times}."""
LOADER = """

**Speed.** Images trained on in a second, against a DataLoader that transforms them one by one and
the same network, medians of {repeats} turns. Both do the same arithmetic: where that takes most of
the time, the ratio is low.

{loaders}"""
SPEED = """

MNIST's PNG files are decoded at {decoded:,} images a second, {pillow} times as fast as by a loop
over Pillow. Augmentation lengthens a training step at width {width}, compared with one on ready
tensors, by {photographs} % for photographs and by {digits} % for digits.{power}{compiling}"""
MEASURED = "## Measured\n"  # what follows it in docs/data-gate.md is written by this script
GATE = """\

Again on your machine: `TUNESMITH_DATA=FOLDER python benchmarks/screening.py` and
`python benchmarks/backdoors.py --train`; this part: `python benchmarks/pages.py`.

**Near copies.** A copy each of 4,000 images was added, and looked for among all images. What is
called a copy but was not planted is an upper bound of false alarms: real copies are among them.

{copies}

{several}Of the pairs that were not planted, so many bear one label, as a tenth of pairs by chance
would: {labels}.
If false pairs did so as rarely, at most so many images were false alarms (95 % bound): {bounds}.
Barz and Denzler (2020, arXiv:1902.00423) found a near copy in the training part for 3.3 % of
CIFAR-10's test images, by eye and among looser candidates: what is the same scene, but no copy as
stated above, is not called one here.

**Mirrored copies.** Of 1,000 images the mirror image was added, re-encoded. Of photographs,
other pairs that bear one label speak for real ones, since chance pairs would do so once in ten
times; of digits they do not, since what looks alike bears one label anyway.

{mirrored}

{cropped}**Wrong labels**, injected, and found by leave-one-out answers on a pretrained network's
features: area under the ROC curve of the ranking. On probabilities and verdicts that others
published (Northcutt and others 2021): {verdicts}.

{noise}

**Backdoors** in 10,000 images: poisoned images that `check --deep` lists, and others that it lists
(`benchmarks/backdoors.py` tells how each attack is made: square5 is a white square of 5 x 5 pixels,
colors5 and checks5 a random colored and a checkered one, wandering a stamp at another place in each
image, and warped images are bent).
Apart: how far apart the two groups of a class stand for the pretrained network, of the class that
the attack stands for and at most of the others; from 2.5 on it is a finding.
{missed}

{backdoors}

{cleansed}{neighbors}**Time** of the whole of `tunesmith check`, without `--deep`, on two shared
cores: {time}.

**Damaged and hostile files**: {mutations}
"""
BEGIN, END = "<!-- benchmarks/pages.py writes this -->", "<!-- to here -->"  # in docs/tuning.md
BESIDE = """\
Hardware: {cpu}, {cores} cores, {system}, no GPU, shared with other work; torch {torch}, Optuna
{optuna}. Accuracies are on the test part, medians over seeds. The error ratio is our median error
over the script's: under 1 we are better. Mirrored, the script averages its predictions on an image
and on its mirror image, as our exported model does where that helps; of digits it mirrors none.
Latest end and memory are ours.

{table}

Configs that the script tried: {tried}. At the latest, it ended after {late} of its budget.
"""
OVERTUNED = """
## A search against the plan's own settings

In {runs} short runs of `fit` that were told to search (`benchmarks/overtuning.py`: {problems}
problems of {least} to {most} images, {budget} s each on one core), the network that was handed
over was significantly worse than that of the plan's own settings in {worse}, and better in {better}
(McNemar's test, p < 0.05, on up to 2,000 test images). The mean difference is {gain} points.
The plan's network answered alone in {plan}, the found one in {found}, and both together in
{together}. Hardware: {cpu}. Measured at {revision}.
"""
OPENED = """
A search that the budget opened by itself, in whole runs of `fit` (`benchmarks/tuned_fit.py`, on
{cores}): test accuracy of the same network, of which everything was searched, everything but its
own parameters, or nothing. "Trials" are those of the first. `small_network.py` is a network as
users write their own, with common values for defaults.

{table}
"""
# What was compared in tuned_fit.json: the network, and its variants: all searched, its parameters
# fixed, and no search.
SEARCHED = (
    ("the plan's", ("as it decides", "", "no search")),
    ("convnet", ("structure searched", "structure fixed", "")),
    (
        "small_network.py",
        ("own network, searched", "own network, its parameters fixed", "own network, no search"),
    ),
)
PAIRED = "not_planted_but_paired"
SURE = 0.05  # significance level
PLOT, MARKERS = "accuracy.svg", "^vDs*"
Row = Mapping[str, Any]


def read(name: str) -> dict[str, Any]:
    """Results of a benchmark."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return found


def by_cell(rows: Sequence[Row], who: str) -> dict[tuple[str, int], list[Row]]:
    """Rows of one contestant for each data set and budget, in the order of `NAMES`."""
    cells: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        if row["who"] == who:
            cells.setdefault((row["data"], int(row["budget_s"])), []).append(row)
    order = list(NAMES)
    return dict(sorted(cells.items(), key=lambda cell: (order.index(cell[0][0]), cell[0][1])))


def accuracies(rows: Sequence[Row], kind: str = PLAIN) -> list[float]:
    """Accuracy of each row that has this kind of it, lowest first."""
    return sorted(row[kind] for row in rows if kind in row)


def beside(middle: float, theirs: Sequence[float]) -> str:
    """Two cells: the median of other accuracies, and our error over theirs; empty without any."""
    if not theirs:
        return " | "
    other = statistics.median(theirs)
    ratio = f"{(1 - middle) / (1 - other):.2f}" if other < 1 else ""
    return f"{100 * other:.2f} | {ratio}"


def table(rows: Sequence[Row], other: str = REFERENCE) -> str:
    """One line for each data set and budget: ours, and what another script does there."""
    others = by_cell(rows, other)
    lines = [HEAD.format(other=SHOWN_AS.get(other, other))]
    for (data, budget), ours in by_cell(rows, OURS).items():
        found, theirs = accuracies(ours), others.get((data, budget), [])
        middle = statistics.median(found)
        spread = f" ({100 * found[0]:.2f} to {100 * found[-1]:.2f})" if len(found) > 1 else ""
        lines.append(
            f"| {NAMES[data]} | {budget} s | {len(ours)} | {100 * middle:.2f}{spread} "
            f"| {beside(middle, accuracies(theirs))} "
            f"| {beside(middle, accuracies(theirs, MIRRORED))} "
            f"| {max(row['wall_s'] for row in ours):.1f} s "
            f"| {max(row['memory_peak_mb'] for row in ours) / 1000:.1f} GB |"
        )
    return "\n".join(lines)


def searches(rows: Sequence[Row]) -> str:
    """Say that there was no search, if so."""
    if any("search" in row.get("phases", {}) for row in rows if row["who"] == OURS):
        return ""
    return "\n\nNone of these budgets opened a hyperparameter search."


def first_to(rows: Sequence[Row], who: str, data: str) -> str:
    """The shortest budget with which a contestant reaches the target of a data set."""
    budgets = [
        budget
        for (name, budget), found in by_cell(rows, who).items()
        if name == data and statistics.median(accuracies(found)) >= TARGETS[data]
    ]
    return f"{who} {f'{min(budgets)} s' if budgets else 'in none'}"


def times(rows: Sequence[Row]) -> str:
    """How long ours and the reference take to the targets; nothing for data without rows."""
    told = "; ".join(
        f"{NAMES[data]}, {percent(target)}: "
        f"{first_to(rows, OURS, data)}, {first_to(rows, REFERENCE, data)}"
        for data, target in TARGETS.items()
        if any(row["data"] == data for row in rows)
    )
    return told and TIMES.format(times=told)


def loaders(cases: Sequence[Row]) -> str:
    """Speed of training against a DataLoader."""
    head = ["data", "width", "ours", "DataLoader", "ratio", "with workers", "ratio"]
    cells = []
    for row in cases:
        ours = row["images_per_s"]
        others = [row[f"{name}images_per_s"] for name in (ALONE, WORKERS)]
        beside = [text for other in others for text in (f"{other:,}", f"{ours / other:.2f}")]
        cells.append([NAMES[row["data"]], str(row["width"]), f"{ours:,}", *beside])
    return rows_of(head, cells)


def compiling(found: Mapping[str, Row]) -> str:
    """What `torch.compile` does to a training step; nothing where it was not measured."""
    if not found:
        return ""
    times = ", ".join(f"{each['time_ratio']:.2f}" for each in found.values())
    first = ", ".join(f"{each['first_s']:.0f}" for each in found.values())
    return (
        f" Compiled by `torch.compile`,\nthe step takes {times} times as long "
        f"({', '.join(found)}), after {first} s\nof compiling."
    )


def fine_tuning(found: Mapping[str, Any], graphs: Mapping[str, Row]) -> str:
    """How fast a pretrained network is fine-tuned, and answers; nothing where that is unknown."""
    by_side = {name: each for name, each in found.items() if name.endswith("pixels")}
    if not by_side:
        return ""
    rates = ", ".join(f"{each['images_per_s']:.0f}" for each in by_side.values())
    faster = ", ".join(f"{each['faster']:.2f}" for each in by_side.values())
    precision = "bfloat16" if found["mixed_precision"] else "float32"
    return (
        f"\n\nEfficientNet-Lite0 is fine-tuned on {rates} images a second ({', '.join(by_side)}; "
        f"{precision}),\n{faster} times as many as with PyTorch's own gradients of depthwise "
        f"convolutions.{answering(graphs)}"
    )


def answering(graphs: Mapping[str, Row]) -> str:
    """How fast its exported graph answers."""
    rates = ", ".join(f"{each['images_per_s']:,}" for each in graphs.values())
    faster = ", ".join(f"{each['faster']:.2f}" for each in graphs.values())
    return (
        f"\nIts graph answers {rates} images a second (one view of each), {faster} times as many "
        "as with the\nbounds of its activations as the exporter casts them."
    )


def machine(ending: str, title: str) -> str:
    """What was measured on one machine."""
    found = read(f"fit{ending}")
    told = MACHINE.format(
        **found["hardware"],
        counted=cores(found["hardware"]["cores"]),
        title=title,
        torch=found["versions"]["torch"],
        table=table(found["rows"]),
        searches=searches(found["rows"]),
        times=times(found["rows"]),
    )
    return told + speed(ending) if (RESULTS / f"engine{ending}.json").exists() else told


def speed(ending: str) -> str:
    """How fast one machine decodes, augments and trains."""
    engine, told = read(f"engine{ending}"), ""
    if (RESULTS / f"loader{ending}.json").exists():
        loader = read(f"loader{ending}")
        told = LOADER.format(repeats=loader["repeats"], loaders=loaders(loader["cases"]))
    training = engine["training"]
    return told + SPEED.format(
        decoded=engine["decoding"]["images_per_s"],
        pillow=engine["decoding"]["ratio"],
        width=training["width"],
        power=power(engine.get("power", {})),
        compiling=compiling(engine.get("compiling", {}))
        + fine_tuning(engine.get("fine_tuning", {}), engine.get("graphs", {})),
        **{name: training[name]["slower_by_percent"] for name in ("photographs", "digits")},
    )


def power(found: Mapping[str, Any]) -> str:
    """What share of the machine's power a step uses, in each precision."""
    if not found:
        return ""
    widths = ", ".join(next(iter(found.values())))
    told = "; ".join(
        f"in {name}, {', '.join(str(each['share_percent']) for each in by_width.values())} %"
        for name, by_width in found.items()
    )
    shares = [each["share_percent"] for by_width in found.values() for each in by_width.values()]
    more = " More than all: there\nthe library for matrix products is not at its best."
    return (
        f" Of the operations a second of a large matrix\nproduct, a step on ready tensors reaches "
        f"({widths}): {told}.{more if max(shares) > 100 else ''}"
    )


def cores(count: int) -> str:
    """A number of cores."""
    return "one core" if count == 1 else f"{count} cores"


def gains(rows: Sequence[Row]) -> str:
    """A line for each variant: what it brings on each data set, by the seeds that both have."""
    cells = list(dict.fromkeys((row["data"], row["budget_s"]) for row in rows))
    found = {
        (row["variant"], row["data"], row["budget_s"], row["seed"]): row["accuracy"] for row in rows
    }

    def gain(variant: str, data: str, budget: float) -> str:
        pairs = [
            (accuracy, found[AS_IT_IS, *cell])
            for (name, *cell), accuracy in found.items()
            if name == variant and cell[:2] == [data, budget] and (AS_IT_IS, *cell) in found
        ]
        if not pairs:
            return ""
        if variant == AS_IT_IS:
            return f"{100 * statistics.median(own for own, _ in pairs):.2f} %"
        return f"{100 * statistics.median(own - other for own, other in pairs):+.2f} ({len(pairs)})"

    variants = dict.fromkeys([AS_IT_IS, *(row["variant"] for row in rows)])
    head = ["", *(f"{NAMES[data]}, {budget:.0f} s (seeds)" for data, budget in cells)]
    return rows_of(head, [[name, *(gain(name, *cell) for cell in cells)] for name in variants])


def parts() -> str:
    """What each part of the training is worth; nothing before it was measured."""
    tables = [
        f"{words}\n\n{gains(read(name)['rows'])}\n\n"
        for name, words in COMPARED.items()
        if (RESULTS / f"{name}.json").exists()
    ]
    return f"{PARTS}{''.join(tables)}" if tables else ""


def portfolio() -> str:
    """What the portfolio is worth; nothing before it was measured."""
    if not (RESULTS / "portfolio.json").exists():
        return ""
    from portfolio import left_out  # which imports this module

    found = read("portfolio")
    regrets = left_out(found["rows"])
    sizes = list(next(iter(regrets.values())))
    cells = [[name, *(percent(value) for value in each.values())] for name, each in regrets.items()]
    means = [statistics.mean(each[size] for each in regrets.values()) for size in sizes]
    head = ["problem", "the plan's own", *(f"{size} configs" for size in sizes[1:])]
    return PORTFOLIO.format(
        count=len(found["configs"]),
        problems=len(regrets),
        budget=found["rows"][0]["budget_s"],
        table=rows_of(head, [*cells, ["mean", *map(percent, means)]]),
    )


def noise_table(rows: Sequence[Row]) -> str:
    """Accuracies with each loss where labels are wrong, and how often that was noticed."""
    cells: dict[tuple[str, float], dict[str, list[Row]]] = {}
    for row in rows:
        cell = cells.setdefault((row["data"], row["wrong"]), {})
        cell.setdefault(row["loss"], []).append(row)
    losses = list(dict.fromkeys(row["loss"] for row in rows))
    lines = []
    for (data, wrong), by_loss in cells.items():
        tuned = by_loss.get(losses[0], [])
        lines.append(
            [
                *(NAMES[data], percent(wrong, 0)),
                f"{sum(row['noticed'] for row in tuned)} of {len(tuned)}",
                *(
                    percent(statistics.median(accuracies(by_loss[loss])), 2)
                    if loss in by_loss
                    else ""
                    for loss in losses
                ),
            ]
        )
    return rows_of(["data", "random labels", "noticed", *losses], lines)


def noise() -> str:
    """What a loss that forgives wrong labels buys; nothing before it was measured."""
    if not (RESULTS / "noise.json").exists():
        return ""
    found = read("noise")
    (first, *_) = found["rows"]
    hardware = found["hardware"]
    return NOISE.format(
        cpu=hardware["cpu"],
        cores=cores(hardware["cores"]),
        system=hardware["system"],
        images=first["images"],
        budget=first["budget_s"],
        table=noise_table(found["rows"]),
    )


def mirrors_table(rows: Sequence[Row]) -> str:
    """Accuracies with and without mirrored images, and what was known beforehand."""
    cells: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["data"], row["images"]), []).append(row)

    def median(some: Sequence[Row], key: str) -> float:
        return float(statistics.median(row[key] for row in some))

    lines = []
    for (data, images), some in cells.items():
        by = [[row for row in some if row["mirrored"] == mirrored] for mirrored in (False, True)]
        used = {row["mirrored"] for row in some if row["planned"]}
        lines.append(
            [
                *(NAMES[data], f"{images:,}", str(len(by[0]))),
                *(percent(median(some, "recognized"), 0), percent(median(some, "swapped"), 0)),
                *(percent(median(each, "accuracy"), 2) for each in by),
                "in part" if len(used) > 1 else "yes" if used == {True} else "no",
            ]
        )
    head = ["data", "images", "seeds", "recognized", "exchanged", "without", "with", "used"]
    return rows_of(head, lines)


def mirrors() -> str:
    """What mirrored images bring; nothing before it was measured."""
    if not (RESULTS / "mirrors.json").exists():
        return ""
    found = read("mirrors")
    (first, *_), hardware = found["rows"], found["hardware"]
    return MIRRORS.format(
        cpu=hardware["cpu"],
        system=hardware["system"],
        epochs=first["epochs"],
        table=mirrors_table(found["rows"]),
    )


def short_table(rows: Sequence[Row], largest: int) -> str:
    """Accuracies by batch, and what batch is chosen."""
    batches = sorted({row["batch"] for row in rows})
    lines = []
    for data, seconds in dict.fromkeys((row["data"], row["budget_s"]) for row in rows):
        here = [row for row in rows if (row["data"], row["budget_s"]) == (data, seconds)]
        by = {batch: [row for row in here if row["batch"] == batch] for batch in batches}
        middle = statistics.median(row["examples"] for row in by[largest])
        shares = (statistics.median(accuracies(by[batch])) for batch in batches)
        chosen = batch_of(MANY, examples=middle)
        cells = [f"{middle:,.0f}", *(percent(share) for share in shares), str(chosen)]
        lines.append([NAMES[data], f"{seconds:g} s", *cells])
    head = ["data", "time", f"examples, {largest} a batch", *map(str, batches), "`fit`"]
    return rows_of(head, lines)


def short() -> str:
    """What batches of short trainings bring."""
    found = read("short")
    rows, hardware = found["rows"], found["hardware"]
    largest = max(row["batch"] for row in rows)
    return SHORT.format(
        seeds=len({row["seed"] for row in rows}),
        largest=largest,
        steps=FEWEST_STEPS,
        cpu=hardware["cpu"],
        system=hardware["system"],
        table=short_table(rows, largest),
    )


def page() -> str:
    """The page as it should be committed."""
    machines = "\n\n".join(machine(*each) for each in MACHINES)
    rest = portfolio() + short() + mirrors() + noise()
    return PAGE.format(machines=machines, plot=PLOT, parts=parts() + rest)


def rows_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent; nothing where there is none."""
    return "" if share is None else f"{100 * share:.{digits}f} %"


def spread(shares: Sequence[float]) -> str:
    """The range of some shares in percent; nothing where there are none."""
    if not shares:
        return ""
    low, high = 100 * min(shares), 100 * max(shares)
    return f"{low:.1f} to {high:.1f} %" if f"{low:.1f}" != f"{high:.1f}" else f"{low:.1f} %"


def attack_of(row: Row) -> list[str]:
    """What was done to which data, in three cells."""
    return [NAMES[row["data"]], row["attack"] if row["share"] else "none", percent(row["share"])]


def missed(rows: Sequence[Row]) -> str:
    """The attacks of which less than half is found, in a sentence."""
    names = [
        f"{row['attack']} on {NAMES[row['data']]} ({percent(row['share'])})"
        for row in rows
        if row["share"] and row["found"] < 0.5
    ]
    found = f"Not found: {', '.join(names)}." if names else "All of those below are found."
    return f"{found} What is not in the table was not measured with these checks."


def backdoors(rows: Sequence[Row]) -> str:
    """What the deep check finds."""
    cells = []
    for row in rows:
        apart = row.get("apart", {}).get("pretrained network")
        scores = [f"{apart[who]:.1f}" for who in ("target", "others")] if apart else ["", ""]
        found = [percent(row["found"]), percent(row["false_alarms"], 2)]
        cells.append([*attack_of(row), *found, *scores])
    head = ["data", "attack", "share", "found", "false alarms", "apart", "others"]
    return rows_of(head, cells)


def cleansed(rows: Sequence[Row], clean: Mapping[str, Sequence[Row]]) -> str:
    """What is left after cleaning; nothing where it was not measured."""
    if not rows:
        return ""
    cells = [
        [
            *attack_of(row),
            percent(row["found"]),
            *(percent(row.get(f"success_{when}")) for when in ("before", "after")),
            spread([each["success"][row["attack"]] for each in clean.get(row["data"], ())]),
            *(percent(row.get(f"accuracy_{when}"), 2) for when in ("before", "after")),
        ]
        for row in rows
    ]
    head = ["data", "attack", "share", "found", "works before", "works after", "never attacked"]
    return (
        "What `tunesmith cleanse` leaves of them, with a minute for each training: the share of "
        "4,000 test images with\nthe trigger that are answered as the attacker wants, and the "
        "accuracy without it. Networks that were never\nattacked (five; least and most) were "
        "trained on the images before they were poisoned: what they answer is\nno backdoor. A "
        "picture that shows through the whole image leads a network to some class by itself, one\n"
        "network to another one than the next; where all poisoned images were found, none was "
        "trained on."
        "\n\n"
        f"{rows_of([*head, 'accuracy before', 'accuracy after'], cells)}\n\n"
    )


def neighbors(rows: Sequence[Row]) -> str:
    """What the labels of the nearest images would find, which is why they are not asked."""
    if not rows:
        return ""
    found = "; ".join(
        f"{', '.join(attack_of(row))}: {percent(row['found']) or 'nothing to find'}"
        f" found, {percent(row['false_alarms'], 2)} false alarms"
        for row in rows
    )
    return (
        "Tried and left out, since it finds less than the looks above: images whose ten nearest "
        f"ones, by the\npretrained network, all bear one other label. {found}.\n\n"
    )


def paired(rows: Mapping[str, Row]) -> str:
    """Copies of some kinds that were planted and found, and other pairs that were."""
    kinds = list(next(iter(rows.values()))["found"])
    return rows_of(
        ["data", *kinds, "others", "of one label", "images", "test images with one in training"],
        [
            [
                NAMES[name],
                *(percent(share) for share in row["found"].values()),
                f"{row['pairs_not_planted']:,} pairs",
                f"{row['of_these_of_one_label']:,}",
                percent(row[PAIRED], 2),
                f"{row['test_images_with_a_copy_in_training']:,} of {row['of_test_images']:,}",
            ]
            for name, row in rows.items()
        ],
    )


def cropped(rows: Mapping[str, Row]) -> str:
    """Cropped copies that were planted and found; nothing where it was not measured."""
    if not rows:
        return ""
    return (
        "**Cropped copies**, found by `check --deep`. Of 2,000 images a crop was added, back at "
        "the size of the\nwhole: 3 to 15 % of each side cut off, or the middle 70 to 90 %. Others "
        "are pairs that were not planted.\n\n"
        f"{paired(rows)}\n\n"
    )


def several(rows: Mapping[str, Row]) -> str:
    """Copies of images that have many; nothing where it was not measured."""
    if not rows:
        return ""
    shares = ", ".join(
        f"{NAMES[name]} {percent(row['found_of_all'])}" for name, row in rows.items()
    )
    return (
        "With eight copies each of 500 images, so many were in one group with their original: "
        f"{shares}.\n"
    )


def labels(rows: Mapping[str, Row]) -> str:
    """How many of the pairs that were not planted bear one label."""
    return ", ".join(
        f"{row['of_these_of_one_label']:,} of {row['pairs_not_planted']:,} ({NAMES[name]})"
        for name, row in rows.items()
    )


def false_alarms(row: Row) -> float:
    """Share of images in false pairs, at most: a tenth of those would bear one label by chance.

    The bound is Clopper and Pearson's, one-sided, for the share of pairs with two labels.
    """
    count, alike = row["pairs_not_planted"], row["of_these_of_one_label"]
    differing = float(beta.ppf(1 - SURE, count - alike + 1, alike)) if alike else 1.0
    return float(row[PAIRED]) * min(1.0, differing / 0.9)


def mutated() -> str:
    """What became of damaged files, in a sentence."""
    found = read("mutations")
    kinds = len({row["kind"] for row in found["rows"]})
    return (
        f"of {found['files']:,} mutated files of {kinds} kinds (`python benchmarks/mutations.py`) "
        f"{found['crashes']} crashed the check,\n{found['accepted_silently']} were accepted "
        f"silently, and {found['over_2_s']} took more than 2 s (the slowest took "
        f"{found['slowest_s']} s)."
    )


def flagged(row: Row) -> int:
    """How many confirmed errors confident learning flags."""
    return round(float(row["recall_of_suspected"]) * int(row["wrong_labels"]))


def gate_numbers() -> str:
    """What was measured of the data gate, in words and tables."""
    found, attacks = read("screening"), read("backdoors")
    copies = [
        [
            NAMES[name],
            f"{row['images']:,}",
            *(percent(share) for share in row["found"].values()),
            percent(row["found_of_all"]),
            percent(row[PAIRED], 2),
            f"{row['test_images_with_a_copy_in_training']:,} of {row['of_test_images']:,}",
        ]
        for name, row in found["copies"].items()
    ]
    kinds = list(next(iter(found["copies"].values()))["found"])
    shares = [key for key in next(iter(found["noise"].values())) if key.endswith("%")]
    return GATE.format(
        copies=rows_of(
            ["data", "images", *kinds, "all", "not planted", "test images with a copy in training"],
            copies,
        ),
        several=several(found.get("several", {})),
        labels=labels(found["copies"]),
        bounds=", ".join(
            f"{percent(false_alarms(row), 3)} ({NAMES[name]})"
            for name, row in found["copies"].items()
        ),
        mutations=mutated(),
        mirrored=paired(found["mirrored"]),
        cropped=cropped(found.get("cropped", {})),
        verdicts="; ".join(
            f"{NAMES[name]}, {flagged(row)} of {row['wrong_labels']} confirmed errors flagged and "
            f"{row['wrong_in_first_100']} among the 100 most doubtful"
            for name, row in found["verdicts"].items()
        ),
        noise=rows_of(
            ["data", "images", *(f"{share} wrong" for share in shares)],
            [
                [
                    NAMES[name],
                    f"{row['images']:,}",
                    *(
                        f"{row[s]['auroc']:.3f} ({row[s]['low']:.3f} to {row[s]['high']:.3f})"
                        for s in shares
                    ),
                ]
                for name, row in found["noise"].items()
            ],
        ),
        missed=missed(attacks["rows"]),
        backdoors=backdoors(attacks["rows"]),
        cleansed=cleansed(attacks.get("trained", []), attacks.get("clean", {})),
        neighbors=neighbors(attacks.get("neighbors", [])),
        time="; ".join(
            f"{NAMES[name]}, {row['images']:,} images, {row['wall_s']:.1f} s"
            for name, row in found["time"].items()
        ),
    )


def gate_page() -> str:
    """docs/data-gate.md with its numbers as they should be."""
    written = (DOCS / "data-gate.md").read_text("utf-8")
    return f"{written.partition(MEASURED)[0].rstrip()}\n\n{MEASURED}{gate_numbers()}"


def tried(rows: Sequence[Row]) -> str:
    """How many configs the script by hand tried, for each data set and budget."""
    texts = []
    for (data, budget), theirs in by_cell(rows, BY_HAND).items():
        counts = sorted({row["trials"] for row in theirs})
        span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
        texts.append(f"{NAMES[data]} in {budget} s, {span}")
    return "; ".join(texts)


def beside_by_hand() -> str:
    """What was measured of `fit` against the script by hand; nothing before it was."""
    if not (RESULTS / f"{BY_HAND}.json").exists():
        return ""
    found = read(BY_HAND)
    late = [row["wall_s"] / row["budget_s"] for row in found["rows"] if row["who"] == BY_HAND]
    if not late:
        return ""
    return BESIDE.format(
        **found["hardware"],
        torch=found["versions"]["torch"],
        optuna=found["versions"]["optuna"],
        table=table(found["rows"], BY_HAND),
        tried=tried(found["rows"]),
        late=percent(max(late)),
    )


def overtuned() -> str:
    """How often a search handed over something worse than the plan's own; nothing before it was."""
    if not (RESULTS / "overtuning.json").exists():
        return ""
    found = read("overtuning")
    rows = found["rows"]
    sure = [row for row in rows if row["chance"] < SURE]
    worse = sum(row["handed"] < row["plan"] for row in sure)
    answers = [row["answers"] for row in rows]
    return OVERTUNED.format(
        **found["hardware"],
        runs=len(rows),
        problems=len({row["problem"] for row in rows}),
        budget=" or ".join(sorted({f"{row['budget_s']:.0f}" for row in rows})),
        least=min(row["images"] for row in rows),
        most=f"{max(row['images'] for row in rows):,}",
        revision=" and ".join(sorted({row["revision"] for row in rows})),
        worse=worse,
        better=len(sure) - worse,
        gain=f"{100 * statistics.mean(row['handed'] - row['plan'] for row in rows):+.2f}",
        **{kind: answers.count(kind) for kind in ("plan", "found", "together")},
    )


def opened() -> str:
    """What a search brought that the budget opened; nothing where it was not measured."""
    if not (RESULTS / "tuned_fit.json").exists():
        return ""
    found = read("tuned_fit")
    by = {(row["data"], row["budget_s"], row["seed"], row["variant"]): row for row in found["rows"]}
    runs = list(dict.fromkeys(key[:3] for key in by))
    cells = [
        [
            *(NAMES[data], f"{budget} s", str(seed), network),
            str(by[data, budget, seed, variants[0]]["trials"]),
            *(
                percent(by[data, budget, seed, name]["accuracy"], 2)
                if (data, budget, seed, name) in by
                else ""
                for name in variants
            ),
        ]
        for network, variants in SEARCHED
        for data, budget, seed in runs
        if sum((data, budget, seed, name) in by for name in variants) > 1
    ]
    head = [
        "data",
        "budget",
        "seed",
        "network",
        "trials",
        "searched",
        "parameters fixed",
        "no search",
    ]
    return OPENED.format(cores=cores(found["hardware"]["cores"]), table=rows_of(head, cells))


def tuning_page() -> str:
    """docs/tuning.md with what was measured of `fit` as it should be."""
    before, _, rest = (DOCS / "tuning.md").read_text("utf-8").partition(BEGIN)
    return (
        f"{before}{BEGIN}\n{beside_by_hand()}{overtuned()}{opened()}{END}{rest.partition(END)[2]}"
    )


def draw(path: Path) -> None:
    """Plot errors against budgets, both on logarithmic axes."""
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    machines = [read(f"fit{ending}")["rows"] for ending, _ in MACHINES]
    peers = read("peers")["rows"]
    names = sorted({row["who"] for row in peers})
    plt.rcParams.update({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "tunesmith"})
    figure, axes = plt.subplots(1, len(PLOTTED), figsize=(11, 3.4), layout="constrained")
    for axis, data in zip(axes, PLOTTED, strict=True):
        for who, style, color in ((OURS, "o-", "#0b5c9e"), (REFERENCE, "s--", "#8a8d91")):
            for rows in machines:
                cells = {b: r for (name, b), r in by_cell(rows, who).items() if name == data}
                errors = [100 * (1 - statistics.median(accuracies(r))) for r in cells.values()]
                axis.plot(list(cells), errors, style, color=color, label=who, markersize=4)
        for row in (r for r in peers if r["data"] == data):
            marker, error = MARKERS[names.index(row["who"])], 100 * (1 - row["accuracy"])
            axis.plot(row["budget_s"], error, marker, color="#b4500a", label=row["who"])
        axis.set(title=NAMES[data], xlabel="budget, s", xscale="log", yscale="log")
        axis.set_xticks([60, 300, 600, 1800])
        axis.xaxis.set_minor_formatter(NullFormatter())
        for each in (axis.xaxis, axis.yaxis):
            each.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.grid(visible=True, which="both", color="#dcdcd5", linewidth=0.5)
    axes[0].set_ylabel("test error, %")
    shown = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    figure.legend(handles=list(shown.values()), loc="outside lower center", ncols=len(shown))
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Write the pages and the plot."""
    (DOCS / "accuracy.md").write_text(page(), "utf-8")
    (DOCS / "data-gate.md").write_text(gate_page(), "utf-8")
    (DOCS / "tuning.md").write_text(tuning_page(), "utf-8")
    draw(DOCS / PLOT)


if __name__ == "__main__":
    main()
