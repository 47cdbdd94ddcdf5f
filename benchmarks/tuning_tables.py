"""The tables of `tuning.py`: means over tasks, means of each task, and paired tests on these.

Every row is a line, a suite and a seed with its regrets: of each task, at each mark of the suite.

Letters: T = tasks, M = marks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

# Epochs, of images units, after which there are regrets; and at which each task is shown.
LONG, SHORT = (50, 100, 200, 350, 500, 1000), (25, 50, 75, 100, 150, 200)
MARKS = {"taskset": LONG, "lcbench": LONG, "images": SHORT}
SHOWN = {"taskset": (500, 1000), "lcbench": (500, 1000), "images": (50, 100)}
MOST = 2.0  # that a regret counts; where nothing finite was seen yet, it is infinite
OURS, OPTUNA = "ours", "Optuna"
RIVALS = ("ASHA + TPE", "ASHA + GP", "freeze-thaw + TPE")  # compared with ours at every mark
LEVEL = 0.05
# Tasks in the order of their regrets.
TASKS = {
    "taskset": (
        "patch128_LSTM128_avg_bs64",
        "patch128_LSTM128_bs64",
        "patch32_GRU128_bs128",
        "patch32_GRU64_avg_bs128",
        "patch32_IRNN64_relu_avg_bs128",
        "patch32_LSTM128_E128_bs128",
        "patch32_VRNN128_tanh_bs128",
        "patch32_VRNN64_relu_avg_bs128",
    ),
    "lcbench": ("189908", "189909", "168868", "7593", "3945", "146212", "126026", "167184"),
    "images": ("fashion", "cifar10"),
}
FEWEST = 6  # tasks; of fewer, no test can tell anything, and seeds are compared instead
SUMMARY = """\
The mean of `ours` against those of three rivals, at the {marks} marks of all suites:

{rivals}

One by one: the difference of the means, below 0 where `ours` is lower; on how many tasks it is
lower; and p, of Wilcoxon's test on the tasks' means. `images` has two tasks: there, the test is on
the seeds' means, and tells nothing about other tasks."""
EACH = """\
Each task: means over seeds after so many epochs; of Optuna's lines, the one with the lowest mean at
the end."""
Row = dict[str, Any]
Regrets = dict[str, NDArray[np.float64]]  # by line: seeds, tasks, marks


def in_tables(rows: Sequence[Row]) -> str:
    """All tables: of each suite the means, then the tests, then the means of each task."""
    measured = {row["suite"] for row in rows}
    by_suite = {suite: _regrets(rows, suite) for suite in TASKS if suite in measured}
    parts = [_means(suite, regrets) for suite, regrets in by_suite.items()]
    parts += [_summary(by_suite)]
    parts += [_tests(suite, regrets) for suite, regrets in by_suite.items()]
    parts += [EACH]
    parts += [_tasks(suite, regrets) for suite, regrets in by_suite.items()]
    return "\n\n".join(parts)


def _regrets(rows: Sequence[Row], suite: str) -> Regrets:
    """Regrets of each line of a suite, in the order in which the lines are first in the rows."""
    found: dict[str, list[list[list[float]]]] = {}
    for row in rows:
        if row["suite"] == suite:
            found.setdefault(row["line"], []).append(row["regrets"])
    return {line: np.minimum(MOST, regrets) for line, regrets in found.items()}


def _means(suite: str, regrets: Regrets) -> str:
    """Means over tasks and seeds with standard errors, and the test of each line at one mark."""
    marks, (shown, _) = MARKS[suite], SHOWN[suite]
    at = marks.index(shown)
    lines = _head([suite, "seeds", *map(str, marks), f"p at {shown}"])
    for line, regrets_STM in regrets.items():
        mean_M, count = regrets_STM.mean(axis=(0, 1)), len(regrets_STM)
        error_M = regrets_STM.mean(axis=1).std(axis=0, ddof=1) / count**0.5
        cells = [f"{mean:.3f} ± {error:.3f}" for mean, error in zip(mean_M, error_M, strict=True)]
        p = "" if line == OURS else f"{_chance(regrets, line, at):.3f}"
        lines.append(_row([line, str(count), *cells, p]))
    return "\n".join(lines)


def _chance(regrets: Regrets, line: str, at: int) -> float:
    """p-value of Wilcoxon's test of ours against a line, on the tasks' means, or the seeds'."""
    ours_ST, theirs_ST = (regrets[name][:, :, at] for name in (OURS, line))
    over = 0 if ours_ST.shape[1] >= FEWEST else 1
    gaps = (ours_ST - theirs_ST).mean(axis=over)
    return float(wilcoxon(gaps).pvalue) if gaps.any() else 1.0


def _summary(suites: Mapping[str, Regrets]) -> str:
    """At how many marks, of all suites, ours is lower and higher than its rivals."""
    lines = []
    for rival in RIVALS:
        each = [
            (float((found[OURS] - found[rival])[:, :, at].mean()), _chance(found, rival, at))
            for suite, found in suites.items()
            for at in range(len(MARKS[suite]))
        ]
        lower, higher = ([p for gap, p in each if sign * gap > 0] for sign in (-1, 1))
        lines.append(f"- {rival}: lower at {_count(lower)}, higher at {_count(higher)}")
    marks = sum(len(MARKS[suite]) for suite in suites)
    return SUMMARY.format(marks=marks, rivals="\n".join(lines))


def _count(chances: Sequence[float]) -> str:
    """How many there are, and how many of them are small."""
    if not chances:
        return "0"
    return f"{len(chances)} (p < {LEVEL} at {sum(p < LEVEL for p in chances)})"


def _tests(suite: str, regrets: Regrets) -> str:
    """Wilcoxon's test of ours against its rivals, at every mark."""
    lines = _head([f"{suite}, ours against", *map(str, MARKS[suite])])
    for rival in RIVALS:
        gap_TM = regrets[OURS].mean(axis=0) - regrets[rival].mean(axis=0)
        cells = [
            f"{gap_T.mean():+.3f}; {(gap_T < 0).sum()} of {len(gap_T)}; "
            f"{_chance(regrets, rival, at):.3f}"
            for at, gap_T in enumerate(gap_TM.T)
        ]
        lines.append(_row([rival, *cells]))
    return "\n".join(lines)


def _tasks(suite: str, regrets: Regrets) -> str:
    """Means over seeds of each task: ours, ASHA + TPE, and the line of Optuna with the lowest."""
    last = {
        line: found[:, :, -1].mean() for line, found in regrets.items() if line.startswith(OPTUNA)
    }
    shown = OURS, RIVALS[0], min(last, key=lambda line: last[line])
    head = [f"{line}, {mark}" for mark in SHOWN[suite] for line in shown]
    cells_T = np.stack(
        [
            regrets[line][:, :, MARKS[suite].index(mark)].mean(axis=0)
            for mark in SHOWN[suite]
            for line in shown
        ],
        axis=1,
    )
    rows = [
        _row([task, *(f"{mean:.3f}" for mean in means)])
        for task, means in zip(TASKS[suite], cells_T, strict=True)
    ]
    return "\n".join([*_head([f"{suite}, task", *head]), *rows])


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), "|---" * len(names) + "|"]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
