"""What a search came to, and the network that it found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from tunesmith import plan as planning
from tunesmith.core.space import Space
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.search.finals import Finals
from tunesmith.jobs.search.shared import work
from tunesmith.jobs.search.space import applied, at_pace
from tunesmith.tuning.protocols import History
from tunesmith.tuning.repeats import Noise


@final
@dataclass(frozen=True, kw_only=True)
class Searched:
    """Result of a search.

    Attributes:
        space: Search space.
        history: Trials of the search; trial 0 has the plan's own config.
        names: Names that their networks have in the run's journal if they are trained to the end.
        finals: Comparison of the best other trials, cooled down; None if there was no time for it.
        number: Number of the best other trial: of the finals, or else by its value in the search;
            None if none has a value.
        sign: 1 if the values of the history, of which lower is better, are those of the metric; -1
            if a higher metric is better, so that they are negated.
        resumed: See `resumptions`.
        seconds: Duration in seconds.
        reason: Why it ended, in words.
        method: Sampler and scheduler.
        noise: Noise between trainings of equal configs; None if it was not measured.
    """

    space: Space
    history: History
    names: Sequence[str]
    finals: Finals | None
    number: int | None
    sign: int
    resumed: Mapping[int, Sequence[int]]
    seconds: float
    reason: str
    method: str
    noise: Noise | None

    def tuned(self, candidate: Candidate, *, budget: float) -> Candidate | None:
        """Return the candidate with the best config that was found; None if there is none.

        Args:
            candidate: Plan whose config was searched around, and its network.
            budget: Seconds of the run, in which the network that was found has to answer too.
        """
        if self.number is None:
            return None
        chosen = applied(candidate.chosen, self.history.trials[self.number].config)
        found = replace(candidate, chosen=chosen, number=self.number)
        found = _at_its_pace(found, candidate, budget)
        if candidate.family.pretrained is not None and candidate.family.source is None:
            # Of our own network, features depend on nothing that is searched: extracted once.
            vars(found)["heads"] = candidate.heads
        return found


def _at_its_pace(found: Candidate, planned: Candidate, budget: float) -> Candidate:
    """Estimate the speed of a network from that of the planned one, and leave out slow views."""
    split, data = planned.prepared.split, planned.prepared.train
    pace = work(planned.untrained(data), data) / work(found.untrained(data), data)
    asked = sum(map(len, (split.test, split.selection, split.calibration)))
    asked += 2 * min(planning.VERIFIED, len(split.train))
    return replace(found, chosen=at_pace(found.chosen, pace, asked=asked, budget=budget))
