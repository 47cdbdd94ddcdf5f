"""Report what a search tried, and why the final model was chosen."""

import re
from typing import Literal

from tunesmith import plan as planning
from tunesmith.core.words import counted, duration
from tunesmith.evaluation.metrics import CLASSES_ALIKE
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search.finals import Finals
from tunesmith.jobs.search.searched import Searched
from tunesmith.jobs.search.slices import COOLING
from tunesmith.jobs.search.space import as_set
from tunesmith.jobs.search.tried import describe
from tunesmith.jobs.training.together import BRIEF, Choice, best_of
from tunesmith.jobs.training.train import Fitted
from tunesmith.report import summary as report
from tunesmith.report.sentences import METRICS, score_text
from tunesmith.report.story import SearchReport
from tunesmith.tuning.importance import importances
from tunesmith.tuning.parts import first_look
from tunesmith.tuning.repeats import TIMES

RARE = 0.01  # chance below which it is reported as "fewer than"


def summarize(fitted: Fitted) -> report.Search | None:
    """Summarize the search in numbers; None if there was none."""
    searched, choice = fitted.searched, fitted.choice
    if searched is None:
        return None
    trials = searched.history.trials
    return report.Search(
        trials=sum(trial.is_tried for trial in trials),
        failed=sum(trial.failed is not None for trial in trials),
        method=searched.method,
        seconds=round(searched.seconds, 3),
        found=None if searched.number is None else dict(as_set(trials[searched.number].config)),
        finalists=searched.finals.losses if searched.finals else {},
        answers=_answers(fitted),
        chance=choice.chance if choice else None,
        luck=choice.luck.gain if choice and choice.luck else None,
        luck_error=choice.luck.error if choice and choice.luck else None,
    )


def search_report(session: Session, fitted: Fitted) -> SearchReport | None:
    """Describe the search for the report; None if there was none."""
    searched = fitted.searched
    if searched is None:
        return None
    space, history = searched.space, searched.history
    return describe(
        space,
        history,
        sign=searched.sign,
        found=searched.number,
        metric=session.settings.metric,
        first="the plan's settings",
        importance=importances(space, history, at=first_look(history)),
        reasons=_reasons(session, fitted, searched),
        resumed=searched.resumed,
        as_set=as_set,
    )


def _answers(fitted: Fitted) -> Literal["plan", "found", "together"]:
    """Return which networks form the final model."""
    is_found = [member.number is not None for member in fitted.members]
    if len(is_found) > 1 and any(is_found):
        return "together"
    return "found" if is_found[0] else "plan"


def _reasons(session: Session, fitted: Fitted, searched: Searched) -> list[str]:
    trials = [trial for trial in searched.history.trials if trial.is_tried]
    if not trials:
        return [f"{searched.reason} The plan's own settings answer."]
    failed = sum(trial.failed is not None for trial in trials)
    tried = counted(len(trials), "setting was", "settings were")
    took = duration(searched.seconds)
    dropped = sum(trial.is_dropped for trial in trials)
    given_up = f", {dropped} given up to make room on the disk" if dropped else ""
    used = f"The search used {searched.method}."
    said = [f"{tried} tried in {took}; {failed} failed{given_up}. {searched.reason} {used}"]
    said.append(_noise(searched, session.settings.metric))
    if searched.finals is not None:
        said.append(_finals(searched.finals, session.settings.metric))
        if searched.number != searched.finals.best:  # see `train_found`
            said.append(
                "The run was interrupted before the network with these was trained for as long as "
                f"the one with those of trial {searched.number}, which is compared instead."
            )
    if fitted.choice is None:
        return [*said, "Nothing was found that could be compared, so the plan's own answers."]
    said.append(_why(fitted, fitted.choice, session.settings.metric))
    luck = fitted.choice.luck
    if luck is not None:
        said.append(
            "The best of many tries is partly luck: on the images that the search chose by, what "
            f"was found gained {100 * luck.gain:+.1f} points more over the plan's settings than on "
            f"{luck.unseen:,} images that the search never saw (standard error "
            f"{100 * luck.error:.1f})."
        )
    return said


def _why(fitted: Fitted, choice: Choice, metric: str) -> str:
    """Explain why the final model was chosen, without the terms of statistics."""
    if choice.chance is None or len(choice.candidates) != 2:  # noqa: PLR2004 (the plan's, and one more)
        return choice.reason
    plan, found, together = (f"{100 * share:.1f} %" for share in choice.accuracies)
    times = f"{100 * choice.chance:.0f} of 100" if choice.chance >= RARE else "fewer than 1 of 100"
    unseen = "no training has" if choice.finalists > 1 else "neither a training nor the search has"
    name = re.split("[:,]", METRICS[metric][0])[0]  # without the explanation
    unsure = BRIEF if choice.is_brief else "What was found is not surely better."
    answers = {
        "plan": f"{unsure} So the plan's settings answer.",
        "found": "That is rare enough to count, so the found settings answer.",
        "together": "Together they have better probabilities and are no worse, so both answer.",
    }
    return (
        f"On {choice.images:,} images that {unseen} seen, the plan's "
        f"settings are right on {plan}, the found ones on {found}, and both together on "
        f"{together}. By {name}, two equally good networks would differ as much as the first two "
        f"in {times} such comparisons{best_of(choice.finalists)}. {answers[_answers(fitted)]}"
    )


def _finals(finals: Finals, metric: str) -> str:
    """Say how one of the best configs was chosen."""
    seen = (
        f", {finals.unseen:,} of which the search had never seen"
        if finals.unseen
        else " that none of them was trained on"
    )
    alike = ", each class counted alike," if metric in CLASSES_ALIKE else ""
    losses = ", ".join(f"{loss:.3f} with those of trial {n}" for n, loss in finals.losses.items())
    return (
        f"{len(finals.losses)} of the best settings were trained for another "
        f"{100 * COOLING / planning.UNITS:.0f} % of a whole training, while their learning rates "
        f"fell to 0. On {finals.images:,} images{seen}, the log loss{alike} then was {losses}. So "
        f"those of trial {finals.best} were chosen."
    )


def _noise(searched: Searched, metric: str) -> str:
    """Describe the noise between equal configs, and how it was measured."""
    noise = searched.noise
    if noise is None:
        return (
            "How much the values of equal settings differ is not known: the search was too short "
            "to train some of them again."
        )
    is_share = METRICS[metric][1]
    by = f"{100 * noise.deviation:.2f} points" if is_share else f"{noise.deviation:.2g}"
    who = " and ".join(
        "the best ones" if number else "the plan's settings" for number in noise.values
    )
    said = (
        f"{who[0].upper()}{who[1:]} were trained again {TIMES} times, with other seeds, for "
        f"{100 * noise.at / planning.UNITS:.0f} % of a whole training: values of equal settings "
        f"differ by {by} (standard deviation, from {noise.trainings} trainings). Where two trials "
        "differ by less than twice that, nobody knows which one is better."
    )
    if searched.number is not None and searched.number in noise.values:
        first, *again = (
            score_text(searched.sign * value, metric, n=0)
            for value in noise.values[searched.number]
        )
        said += f" The best had {first} then, and {' and '.join(again)} when trained again."
    return said
