"""Choose between networks by short trainings on these data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith import plan as planning
from tunesmith.jobs.run.candidate import BALANCED, Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trial
from tunesmith.jobs.training.slices import run_trial
from tunesmith.jobs.training.train import fold_trial, main_trial
from tunesmith.records.events import Chosen


def race(
    session: Session,
    candidates: Sequence[Candidate],
    *,
    brief: float | None,
    chance: float = 0.0,
    alone: planning.Plan | None = None,
) -> tuple[Candidate, ...]:
    """Choose which candidates continue: the only one, an earlier session's, the winner, or both.

    A pretrained network competes only if a linear head on its frozen features beats the probe
    training from scratch, and if its expected final accuracy is not much lower. Then each candidate
    trains for a share of the time, under the schedule of its full training: its heat. The one with
    the better expected final accuracy on held-out images continues from there. If they are close
    and there is time, both do.

    Args:
        session: Session of this process.
        candidates: A network to train from scratch, and perhaps a pretrained one.
        brief: Accuracy of the probe training, a few seconds from scratch; None if there was none.
        chance: Accuracy of always predicting the most frequent class.
        alone: Plan of the first candidate if there is no race. It does not have to share the time
            with another one, so its network is wider.
    """
    chosen = session.journal.history.chosen
    if chosen is None and len(candidates) > 1:
        chosen = _decide(session, candidates, brief, chance)
        if not session.interrupted.is_set():  # else the next session decides
            session.record(chosen)
    if chosen is None:
        return (candidates[0],)
    session.terminal.say(chosen.reason)
    if alone is not None and not chosen.raced:
        return (replace(candidates[0], chosen=alone),)
    by_name = {candidate.name: candidate for candidate in candidates}
    return tuple(by_name[name] for name in (chosen.trial, chosen.also) if name)


def _decide(
    session: Session, candidates: Sequence[Candidate], brief: float | None, chance: float
) -> Chosen:
    scratch, pretrained = candidates
    many, head = scratch.prepared.split.folds is None, None
    ranked_by = BALANCED if session.settings.metric == BALANCED else "accuracy"
    if ranked_by == BALANCED:
        brief = None  # it is plain accuracy, which the most frequent class alone may explain
    if brief is not None:
        if not planning.is_worth_trying(brief, chance):
            return Chosen(trial=scratch.name, reason=planning.untried_words(brief), raced=False)
        head = pretrained.head_accuracy()
        if head < brief:
            words = planning.untried_words(brief, head)
            return Chosen(trial=scratch.name, reason=words, raced=False)
    scores = {scratch.name: brief or 0.0, pretrained.name: head or 0.0}
    at_end = _hoped(session, scratch, pretrained, scores)
    for candidate in candidates:
        # Before each heat, skipped if the pretrained network is expected to be clearly worse.
        if many and head is not None and not planning.is_worth_racing(*at_end.values()):
            words = planning.unraced_words(scores, at_end)
            return Chosen(trial=scratch.name, reason=words, raced=candidate is pretrained)
        if not session.interrupted.is_set():
            heat = _heat(session, candidate)
            run_trial(session, heat)
            blocks = session.journal.history.trials[heat.name].blocks
            # A short heat of a large batch has few steps: an accuracy reached before counts too.
            reached = blocks[-1].metrics[ranked_by] if blocks else 0.0
            scores[candidate.name] = max(reached, scores[candidate.name])
        at_end[candidate.name] = _expected(candidate, scores[candidate.name])
    # The first wins ties: it is smaller.
    best, other = sorted(at_end, key=lambda name: -at_end[name])
    whole = many and not session.interrupted.is_set()
    whole = whole and not session.settings.limit  # two would take twice as much
    pays = planning.pays_together(*at_end.values(), budget=session.settings.budget)
    together = whole and pays
    reason = planning.race_words(best, scores, at_end, together=together)
    return Chosen(trial=best, reason=reason, also=other if together else None)


def _expected(candidate: Candidate, score: float) -> float:
    """Expected final accuracy; with many images, it is extrapolated from that of the heat."""
    if candidate.prepared.split.folds is not None:
        return score
    return planning.expected(
        score,
        pretrained=candidate.family.pretrained is not None,
        examples=candidate.chosen.horizon,
    )


def _hoped(
    session: Session, scratch: Candidate, pretrained: Candidate, scores: Mapping[str, float]
) -> dict[str, float]:
    """Expected final accuracies before the heats.

    Args:
        session: Session of this process.
        scratch: Network to train from scratch.
        pretrained: Pretrained network.
        scores: Accuracies by name: of the probe training, and of a head on frozen features.
    """
    _, heat_s = _times(session, scratch)
    brief_s = planning.brief_seconds(session.settings.budget)
    heat = planning.after_heat(scores[scratch.name], heat_s=heat_s, brief_s=brief_s)
    tuned = planning.after_tuning(scores[pretrained.name], pretrained.chosen.horizon)
    return {scratch.name: _expected(scratch, heat), pretrained.name: tuned}


def _times(session: Session, candidate: Candidate) -> tuple[float, float]:
    """Return when a full training would end on the clock, and how long a heat of it takes."""
    finish_at = session.settings.budget - candidate.chosen.reserve_s
    return finish_at, planning.RACE_SHARE * max(0.0, finish_at - session.clock.elapsed())


def _heat(session: Session, candidate: Candidate) -> Trial:
    """Plan a candidate's heat: the beginning of its training, or its first fold."""
    finish_at, heat_s = _times(session, candidate)
    pause_at = session.clock.elapsed() + heat_s
    if candidate.prepared.split.folds is None:
        return main_trial(candidate, finish_at).paused(pause_at)
    return fold_trial(candidate, 0, pause_at)
