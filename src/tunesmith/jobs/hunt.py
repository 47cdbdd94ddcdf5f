"""Tell what a search tried, and why this model answers."""

import math
from typing import Literal

from tunesmith import plan as planning
from tunesmith.core.space import Config
from tunesmith.core.words import counted, duration
from tunesmith.jobs.candidate import Candidate
from tunesmith.jobs.session import Session
from tunesmith.jobs.train import Fitted
from tunesmith.jobs.trial import fold_name
from tunesmith.jobs.tuned import Searched
from tunesmith.records.history import History
from tunesmith.report import summary as report
from tunesmith.report.story import Hunt, Tried
from tunesmith.tuning.importance import at_edges, importances
from tunesmith.tuning.protocols import Trial


def summarize(session: Session, fitted: Fitted) -> report.Search | None:
    """The search in numbers; None if there was none."""
    searched, choice = fitted.searched, fitted.choice
    if searched is None:
        return None
    trials = searched.history.trials
    return report.Search(
        trials=len(trials),
        failed=sum(trial.failed is not None for trial in trials),
        seconds=round(searched.seconds, 3),
        found=None if searched.number is None else dict(trials[searched.number].config),
        answers=_answers(fitted),
        chance=choice.chance if choice else None,
        luck=_luck(session.journal.history, fitted),
    )


def tell_hunt(session: Session, fitted: Fitted) -> Hunt | None:
    """The search as the report shows it; None if there was none."""
    searched = fitted.searched
    if searched is None:
        return None
    history, space = searched.history, searched.space
    found = None if searched.number is None else history.trials[searched.number]
    order = sorted(range(len(history.trials)), key=lambda n: history.trials[n].best)
    first = min((t.curve[0].at for t in history.trials if t.curve), default=1)
    edges = {} if found is None else at_edges(space, found.config)
    return Hunt(
        trials=[_tried(number, searched) for number in order],
        found=searched.number,
        metric=session.settings.metric,
        importance=importances(space, history, at=first),
        warnings=[
            f"The best {name} that was found, {_short(found.config[name])}, lies at the {end} end "
            f"of what was tried ({space[name].range}): there may be better beyond."
            for name, end in edges.items()
            if found is not None
        ],
        reasons=_reasons(session, fitted, searched),
    )


def _tried(number: int, searched: Searched) -> Tried:
    trial, plan = searched.history.trials[number], searched.history.trials[0].config
    return Tried(
        number=number,
        values=_others(trial.config, plan),
        curve=[(o.at / planning.UNITS, searched.sign * o.value) for o in trial.curve],
        seconds=trial.seconds,
        state=_state(trial),
    )


def _others(config: Config, plan: Config) -> list[tuple[str, str]]:
    """Settings that are not the plan's."""
    return [(name, _short(value)) for name, value in config.items() if plan.get(name) != value]


def _state(trial: Trial) -> str:
    if trial.failed is not None:
        return f"failed: {trial.failed}"
    return "finished" if trial.at >= planning.UNITS else "paused"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _answers(fitted: Fitted) -> Literal["plan", "found", "together"]:
    """Whose network answers."""
    is_found = [member.number is not None for member in fitted.members]
    if len(is_found) > 1 and any(is_found):
        return "together"
    return "found" if is_found[0] else "plan"


def _reasons(session: Session, fitted: Fitted, searched: Searched) -> list[str]:
    history, trials = session.journal.history, searched.history.trials
    failed = sum(trial.failed is not None for trial in trials)
    tried = counted(len(trials), "setting was", "settings were")
    took = duration(searched.seconds)
    said = [f"{tried} tried in {took}; {failed} failed. {searched.reason}"]
    if fitted.choice is None:
        return [*said, "Nothing was found that could be compared, so the plan's own answers."]
    said.append(fitted.choice.reason)
    luck = _luck(history, fitted)
    if luck is not None:
        said.append(
            "The best of many tries is partly luck: on the images that the search chose by, what "
            f"was found gained {100 * luck:+.1f} points more over the plan's settings than on "
            f"{fitted.choice.images:,} images that the search never saw."
        )
    return said


def _luck(history: History, fitted: Fitted) -> float | None:
    """How much more the found network gained where the search looked than where it did not.

    Accuracies of whole trainings; None where one of them was not measured.
    """
    if fitted.choice is None or fitted.choice.chance is None:
        return None
    # The plan's network that was searched around comes first, what was found comes last.
    pairs = list(zip(fitted.choice.candidates, fitted.choice.accuracies, strict=False))
    (plan, plan_unseen), (found, found_unseen) = pairs[0], pairs[-1]
    gain = _validated(history, found) - _validated(history, plan)
    return None if math.isnan(gain) else gain - (found_unseen - plan_unseen)


def _validated(history: History, candidate: Candidate) -> float:
    """Accuracy of a candidate's last validation, NaN if there is none."""
    names = (candidate.name, fold_name(candidate.name, 0))
    blocks = [
        block for name in names if name in history.trials for block in history.trials[name].blocks
    ]
    return blocks[-1].metrics["accuracy"] if blocks else math.nan
