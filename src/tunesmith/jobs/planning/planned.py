"""The networks that a run may train, with their plans: made once, then restored."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, final

from tunesmith import plan as planning
from tunesmith.core.settings import Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.planning.measure import look_at
from tunesmith.models.build import Family, find_family


@final
@dataclass(frozen=True, kw_only=True)
class Planned:
    """Networks that may be trained, with their plans.

    Attributes:
        data: Fingerprint of the data.
        families: Network families.
        plans: One plan per family.
        depth: Depth of the data gate.
        read: Maximum number of images to read; see `tunesmith.data.subsample`.
        alone: Plan of the first family for the case that it gets all of the training time; else
            None.
        brief: Accuracy of the probe training, a few seconds from scratch, plain or balanced as the
            user's metric; None if there was none.
        judged: Number of images that it was measured on.
        chance: The same of always predicting the most frequent class.
    """

    data: Fingerprint
    families: Sequence[Family]
    plans: tuple[planning.Plan, ...]
    depth: Depth
    brief: float | None = None
    judged: int = 0
    chance: float = 0.0
    read: int | None = None
    alone: planning.Plan | None = None

    @property
    def probed(self) -> planning.Probed:
        """Result of the probe training."""
        return planning.Probed(accuracy=self.brief, images=self.judged, chance=self.chance)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width to decode images to."""
        return self.plans[0].size

    def stored(self) -> dict[str, Any]:
        """Return the plans as JSON values."""
        names = [family.name for family in self.families]
        plans = [chosen.model_dump(mode="json") for chosen in self.plans]
        return {
            "data": asdict(self.data),
            "plans": dict(zip(names, plans, strict=True)),
            "depth": self.depth,
            "read": self.read,
            "alone": self.alone and self.alone.model_dump(mode="json"),
            "brief": self.brief,
            "judged": self.judged,
            "chance": self.chance,
            "network": next((str(f.source.path) for f in self.families if f.source), None),
        }

    @classmethod
    def restored(cls, stored: Mapping[str, Any], settings: Settings) -> Self:
        """Undo `stored`: the networks stay the same, whatever would be chosen now.

        Only the number of search trials is that of the current settings.
        """
        data, plans = Fingerprint(**stored["data"]), stored["plans"]
        return cls(
            data=data,
            families=[look_at(find_family(name), data, settings.params) for name in plans],
            plans=tuple(_restored(plan, settings.trials) for plan in plans.values()),
            alone=_restored(stored["alone"], settings.trials) if stored["alone"] else None,
            depth=Depth(stored["depth"]),
            read=stored["read"],
            brief=stored["brief"],
            judged=stored.get("judged", 0),  # of an older run
            chance=stored["chance"],
        )


def _restored(plan: Mapping[str, Any], trials: int | None) -> planning.Plan:
    """Restore a plan, with the number of search trials of the current settings."""
    chosen = planning.Plan.model_validate(plan)
    if chosen.search is None or chosen.search.trials in {None, trials}:
        return chosen
    search = chosen.search.model_copy(update={"trials": trials})
    reason = f"By now, the search is to try {trials} settings in all."
    return chosen.model_copy(update={"search": search, "reasons": (*chosen.reasons, reason)})
