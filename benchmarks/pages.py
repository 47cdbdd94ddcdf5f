"""Write ``docs/accuracy.md``, its plot and the numbers of ``docs/data-gate.md`` from the results.

    pip install matplotlib && python benchmarks/pages.py

No number of the page is typed by hand: a test compares it with ``benchmarks/results``.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS, DOCS = HERE / "results", HERE.parent / "docs"
NAMES = {
    "mnist": "MNIST",
    "fashion": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar10-1000": "CIFAR-10, 1,000 images",
    "digits": "digits",
}
PLOTTED = ("mnist", "fashion", "cifar10")
LEVELS = {"mnist": 0.99, "cifar10": 0.8}  # accuracies that one asks the time to
OURS, REFERENCE = "tunesmith", "reference"
HEAD = (
    "| data | budget | seeds | accuracy (range) | reference | error ratio | latest end | memory |\n"
    "|---|---|---|---|---|---|---|---|"
)
PAGE = """\
# Accuracy for a time budget

Whole processes, from the command to the report on disk, on the official test part; medians over
seeds. The reference is one plain network with one good recipe and a schedule fitted to its time: no
held-out part, no export, run right after ours at the same budget. The error ratio is our median
error over its median error: under 1 we are better. It trains on all images; ours keeps 9 % back, so
that the model can be chosen and its probabilities calibrated on images it has not seen.

Each row of `benchmarks/results/fit*.json` names the revision it was measured at; a line's seeds may
be of several.

{machines}

![Error against budget]({plot})

Single points are existing tools that were given the same time, one run each, on a machine of the
same kind: rough marks, not a ranking.

Again on your machine: `TUNESMITH_DATA=FOLDER python benchmarks/fit.py`; this page:
`python benchmarks/pages.py`.
"""
# Results, and what they were measured on; the first ones are plotted.
MACHINES = (
    ("fit", "Two cores with AVX2"),
    ("fit-amx", "Two cores with AMX, which train in bfloat16; earlier revisions"),
)
MACHINE = """\
## {title}

Hardware: {cpu}, {cores} cores, {system}, no GPU, shared with other work; torch {torch}.

{table}

{times}"""
MEASURED = "## Measured\n"  # what follows it in docs/data-gate.md is written by this script
GATE = """\

Again on your machine: `TUNESMITH_DATA=FOLDER python benchmarks/screening.py` and
`python benchmarks/backdoors.py --train`; this part: `python benchmarks/pages.py`.

**Near copies.** A copy each of 4,000 images was added, and looked for among all images. What is
called a copy but was not planted is an upper bound of false alarms: real copies are among them.

{copies}

**Mirrored copies.** Of 1,000 images the mirror image was added, re-encoded. Of photographs,
other pairs that bear one label speak for real ones, since chance pairs would do so once in ten
times; of digits they do not, since what looks alike bears one label anyway.

{mirrored}

{cropped}**Wrong labels**, injected, and found by leave-one-out answers on a pretrained network's
features: area under the ROC curve of the ranking. On probabilities and verdicts that others
published (Northcutt and others 2021): {verdicts}.

{noise}

**Backdoors** in 10,000 images: poisoned images that `check --deep` lists, and others that it lists.
Apart: how far apart the two groups of a class stand for the pretrained network, of the class that
the attack stands for and at most of the others; from 2.5 on it is a finding.
{missed}

{backdoors}

{cleansed}{neighbors}**Time** of the whole of `tunesmith check`, without `--deep`, on two shared
cores: {time}.
"""
PAIRED = "not_planted_but_paired"
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


def accuracies(rows: Sequence[Row]) -> list[float]:
    """Accuracy of each row, lowest first."""
    return sorted(row["accuracy"] for row in rows)


def table(rows: Sequence[Row]) -> str:
    """One line for each data set and budget."""
    reference = by_cell(rows, REFERENCE)
    lines = [HEAD]
    for (data, budget), ours in by_cell(rows, OURS).items():
        found, theirs = accuracies(ours), accuracies(reference.get((data, budget), []))
        middle = statistics.median(found)
        beside, ratio = "", ""
        if theirs:
            beside = f"{100 * statistics.median(theirs):.2f}"
            ratio = f"{(1 - middle) / (1 - statistics.median(theirs)):.2f}"
        spread = f" ({100 * found[0]:.2f} to {100 * found[-1]:.2f})" if len(found) > 1 else ""
        lines.append(
            f"| {NAMES[data]} | {budget} s | {len(ours)} | {100 * middle:.2f}{spread} | {beside} "
            f"| {ratio} | {max(row['wall_s'] for row in ours):.1f} s "
            f"| {max(row['memory_peak_mb'] for row in ours) / 1000:.1f} GB |"
        )
    return "\n".join(lines)


def time_to(rows: Sequence[Row], data: str, level: float, who: str) -> str:
    """The shortest budget that was enough for an accuracy, in the median."""
    cells = {b: accuracies(r) for (name, b), r in by_cell(rows, who).items() if name == data}
    enough = [budget for budget, found in cells.items() if statistics.median(found) >= level]
    return f"{min(enough)} s" if enough else "no budget measured"


def times(rows: Sequence[Row]) -> str:
    """How long each contestant needs for some accuracies, in sentences."""
    return " ".join(
        f"Shortest budget of those measured that gives {100 * level:.0f} % on {NAMES[data]}: "
        f"{time_to(rows, data, level, OURS)}, the reference: "
        f"{time_to(rows, data, level, REFERENCE)}."
        for data, level in LEVELS.items()
    )


def machine(name: str, title: str) -> str:
    """What was measured on one machine."""
    found = read(name)
    hardware, torch = found["hardware"], found["versions"]["torch"]
    return MACHINE.format(
        **hardware,
        title=title,
        torch=torch,
        table=table(found["rows"]),
        times=times(found["rows"]),
    )


def page() -> str:
    """The page as it should be committed."""
    return PAGE.format(machines="\n\n".join(machine(*each) for each in MACHINES), plot=PLOT)


def rows_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent; nothing where there is none."""
    return "" if share is None else f"{100 * share:.{digits}f} %"


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
    return f"Not found: {', '.join(names)}." if names else "All of them are found."


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


def cleansed(rows: Sequence[Row]) -> str:
    """What is left after cleaning; nothing where it was not measured."""
    if not rows:
        return ""
    cells = [
        [
            *attack_of(row),
            percent(row["found"]),
            *(percent(row.get(f"success_{when}")) for when in ("before", "after")),
            *(percent(row.get(f"accuracy_{when}"), 2) for when in ("before", "after")),
        ]
        for row in rows
    ]
    head = ["data", "attack", "share", "found", "works before", "works after"]
    return (
        "What `tunesmith cleanse` leaves of them, with a minute for each training: the share of "
        "4,000 test images with\nthe trigger that are answered as the attacker wants, and the "
        "accuracy without it.\n\n"
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
        mirrored=paired(found["mirrored"]),
        cropped=cropped(found.get("cropped", {})),
        verdicts="; ".join(
            f"{NAMES[name]}, {row['recall_of_suspected']:.3f} of {row['wrong_labels']} confirmed "
            f"errors suspected, {row['wrong_in_first_100']} in the first 100"
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
        cleansed=cleansed(attacks.get("trained", [])),
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


def draw(path: Path) -> None:
    """Plot errors against budgets, both on logarithmic axes."""
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    rows, peers = read("fit")["rows"], read("peers")["rows"]
    names = sorted({row["who"] for row in peers})
    plt.rcParams.update({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "tunesmith"})
    figure, axes = plt.subplots(1, len(PLOTTED), figsize=(11, 3.4), layout="constrained")
    for axis, data in zip(axes, PLOTTED, strict=True):
        for who, style, color in ((OURS, "o-", "#0b5c9e"), (REFERENCE, "s--", "#8a8d91")):
            cells = {b: r for (name, b), r in by_cell(rows, who).items() if name == data}
            errors = [100 * (1 - statistics.median(accuracies(r))) for r in cells.values()]
            axis.plot(list(cells), errors, style, color=color, label=who)
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
        axis.legend(fontsize=8)
    axes[0].set_ylabel("test error, %")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Write the page and the plot."""
    (DOCS / "accuracy.md").write_text(page(), "utf-8")
    (DOCS / "data-gate.md").write_text(gate_page(), "utf-8")
    draw(DOCS / PLOT)


if __name__ == "__main__":
    main()
