"""Choose between networks by short trainings on these data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith import plan as planning
from tunesmith.evaluation.early import compared_by, counting_words
from tunesmith.evaluation.metrics import wilson
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trial
from tunesmith.jobs.training.folds import fold_trial, main_trial
from tunesmith.jobs.training.slices import run_trial
from tunesmith.jobs.training.timing import trained_seconds
from tunesmith.records.events import Chosen

Z_ONE_SIDED = 1.645  # of a bound that is exceeded with a probability of 95 %


def race(
    session: Session,
    candidates: Sequence[Candidate],
    probed: planning.Probed,
    *,
    alone: planning.Plan | None = None,
) -> tuple[Candidate, ...]:
    """Choose which candidates continue: the only one, an earlier session's, the winner, or both.

    Accuracy stands for balanced accuracy where that is the user's metric.

    A pretrained network competes only if a linear head on its frozen features beats the probe
    training from scratch, beyond doubt if that was judged on few images, and if its expected final
    accuracy is not much lower. It goes on alone if the head is much better than all that may be
    hoped for from scratch. Otherwise each candidate trains for a share of the time, under the
    schedule of its full training: its heat. The one with the better expected final accuracy on
    held-out images continues from there. If they are close and there is time, both do.

    Args:
        session: Session of this process.
        candidates: A network to train from scratch, and perhaps a pretrained one.
        probed: Result of the probe training.
        alone: Plan of the first candidate if there is no race. It does not have to share the time
            with another one, so its network is wider.
    """
    chosen = session.journal.history.chosen
    if chosen is None and len(candidates) > 1:
        chosen = _decide(session, candidates, probed)
        reason = chosen.reason + counting_words(session.settings.metric)
        chosen = replace(chosen, reason=reason)
        if not session.interrupted.is_set():  # else the next session decides
            session.record(chosen)
    if chosen is None:
        return (candidates[0],)
    session.terminal.say(chosen.reason)
    if alone is not None and not chosen.raced:
        return (replace(candidates[0], chosen=alone),)
    by_name = {candidate.name: candidate for candidate in candidates}
    return tuple(by_name[name] for name in (chosen.trial, chosen.also) if name)


def _decide(session: Session, candidates: Sequence[Candidate], probed: planning.Probed) -> Chosen:
    scratch, pretrained = candidates
    many = scratch.prepared.split.folds is None
    metric = compared_by(session.settings.metric)
    scores, without = _before(scratch, pretrained, probed, metric)
    if without is not None:
        return without
    hoped, head = _hoped(session, scratch, pretrained, scores), scores[pretrained.name]
    known = probed.accuracy is not None
    if known and planning.is_hopeless(hoped[scratch.name], head):
        return Chosen(trial=pretrained.name, reason=planning.unhoped_words(probed, head))
    if many and known and session.settings.budget < planning.RACE_FEWEST_S:
        words = planning.short_words(scratch.name, session.settings.budget)
        return Chosen(trial=scratch.name, reason=words, raced=False)
    at_end = dict(hoped)
    for candidate in candidates:
        # Before each heat, skipped if the pretrained network is expected to be clearly worse.
        if many and probed.accuracy is not None and not planning.is_worth_racing(*at_end.values()):
            told = scores if candidate is pretrained else {**scores, scratch.name: probed.accuracy}
            words = planning.unraced_words(told, at_end)
            return Chosen(trial=scratch.name, reason=words, raced=candidate is pretrained)
        if not session.interrupted.is_set():
            heat = _heat(session, candidate)
            run_trial(session, heat)
            if blocks := session.journal.history.trials[heat.name].blocks:
                name, points = candidate.name, [(b.at, b.metrics[metric]) for b in blocks]
                # A short heat of a large batch has few steps: what was reached before counts too.
                scores[name] = max(points[-1][1], scores[name])
                at_end[name] = _expected(candidate, points, scores[name], hoped[name])
    # Few images often bring a tie; then what was known before decides.
    best, other = sorted(at_end, key=lambda name: (-at_end[name], -hoped[name]))
    whole = many and not session.interrupted.is_set()
    whole = whole and not session.settings.limit  # two would take twice as much
    together = whole and planning.pays_together(*at_end.values(), budget=session.settings.budget)
    reason = planning.race_words(best, scores, at_end, together=together)
    return Chosen(trial=best, reason=reason, also=other if together else None)


def _before(
    scratch: Candidate, pretrained: Candidate, probed: planning.Probed, metric: str
) -> tuple[dict[str, float], Chosen | None]:
    """Return what is known before the heats, accuracies by name, and who wins without them."""
    brief, images = probed.accuracy, probed.images
    if brief is None:
        return {scratch.name: 0.0, pretrained.name: pretrained.heads.score(metric)}, None
    # Of few images, a network that has learned nothing may get all right by chance.
    sure = wilson(round(brief * images), images, z=Z_ONE_SIDED)[0] if images else brief
    if not planning.is_worth_trying(sure, probed.chance):
        words = planning.untried_words(brief)
        return {}, Chosen(trial=scratch.name, reason=words, raced=False)
    head = pretrained.heads.score(metric)
    if head < sure:
        words = planning.untried_words(brief, head)
        return {}, Chosen(trial=scratch.name, reason=words, raced=False)
    return {scratch.name: sure, pretrained.name: head}, None


def _expected(
    candidate: Candidate, points: Sequence[tuple[int, float]], before: float, hoped: float
) -> float:
    """Expected final accuracy.

    Args:
        candidate: The network.
        points: Numbers of examples in its heat, and accuracies after them.
        before: Best accuracy so far.
        hoped: Accuracy that was expected before the heat.
    """
    is_pretrained, most = candidate.family.pretrained is not None, candidate.chosen.horizon
    if candidate.prepared.split.folds is None:
        longer = max(1.0, most / max(1, points[-1][0]))
        return planning.expected(before, pretrained=is_pretrained, longer=longer)
    # Of few images, a heat of a pretrained network is a few steps, which say little.
    return max(before, hoped if is_pretrained else planning.continued(points, most))


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
    alone = planning.expected(heat, pretrained=False, longer=1.0)
    return {scratch.name: alone, pretrained.name: tuned}


def _times(session: Session, candidate: Candidate) -> tuple[float, float]:
    """Return when a full training would end on the clock, and how long a heat of it takes."""
    budget, now = session.settings.budget, session.clock.elapsed()
    finish_at = max(budget - candidate.chosen.reserve_s, now + planning.least_seconds(budget))
    return finish_at, planning.RACE_SHARE * (finish_at - now)


def _heat(session: Session, candidate: Candidate) -> Trial:
    """Plan a candidate's heat: the beginning of its training, or of that without the first fold.

    What an earlier session trained of it counts.
    """
    finish_at, heat_s = _times(session, candidate)
    left_s = max(0.0, heat_s - trained_seconds(session, candidate.name))
    is_whole = candidate.prepared.split.folds is None
    trial = main_trial(candidate, finish_at) if is_whole else fold_trial(candidate, 0, finish_at)
    return trial.paused(session.clock.elapsed() + left_s)
