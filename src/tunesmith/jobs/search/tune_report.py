"""The report of `tune`: a page to look at, beside the result in words."""

import math
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tunesmith import __version__
from tunesmith.core.space import Choice
from tunesmith.core.words import short
from tunesmith.jobs.search.tried import describe
from tunesmith.jobs.search.tune_result import Tuned
from tunesmith.records.folder import write_atomic
from tunesmith.records.history import History as Past
from tunesmith.tuning.parts import first_look
from tunesmith.tuning.protocols import History
from tunesmith.tuning.recorded import recall, resumptions
from tunesmith.tuning.search import Search

if TYPE_CHECKING:
    from tunesmith.report.tune_page import Cloud

CLOUDS = 3  # most important settings by which trials are drawn
REPORT = "report.html"  # in the run's folder


def with_report(found: Tuned, search: Search, past: Past) -> Tuned:
    """Write the report of a search, if the package that renders pages is installed.

    Args:
        found: Result of the search.
        search: Definition of the search.
        past: History in the journal of the search.

    Returns:
        The result, with the path of the report.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    if find_spec("jinja2") is None:  # in the extra `train`, without which functions are tuned too
        return found
    from tunesmith.report.tune_page import TunePage, render

    history = recall(past, horizon=search.horizon, sign=search.sign, is_timed=True)
    hunt = describe(
        search.space,
        history,
        sign=search.sign,
        found=found.number,
        metric="value",
        first="the defaults",
        importance=found.importance,
        reasons=[],
        resumed=resumptions(past),
    )
    page = TunePage(
        title=search.function.rpartition(":")[2],
        value=found.value,
        trained=found.trained(),
        said=[
            f"It was chosen because {found.why()}.",
            f"It is trial {found.count()}. {found.reason} The search used {found.method}.",
            *(warning for warning in found.warnings if warning not in hunt.warnings),
        ],
        config=[
            (field, short(value), short(history.trials[0].config.get(field, "none")))
            for field, value in found.config.items()
        ],
        checkpoint=str(found.checkpoint),
        version=__version__,
        hunt=hunt,
        clouds=_clouds(search, history, list(hunt.stretches)[:CLOUDS]),
    )
    path = found.folder / REPORT
    write_atomic(path, render(page))
    return replace(found, report=path)


def _clouds(search: Search, history: History, names: Iterable[str]) -> "list[Cloud]":
    """Return what trials had by each of some settings, as far as these are numbers."""
    from tunesmith.report.tune_page import Cloud

    at = first_look(history)
    values = {n: search.sign * trial.best_until(at) for n, trial in enumerate(history.trials)}
    return [
        Cloud(
            name=name,
            points={
                n: (trial.config[name], values[n])
                for n, trial in enumerate(history.trials)
                if name in trial.config and math.isfinite(values[n])
            },
            log=range_.log,
        )
        for name in names
        if not isinstance(range_ := search.space[name].range, Choice)
    ]
