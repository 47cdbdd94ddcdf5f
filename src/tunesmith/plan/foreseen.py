"""The planned run, before it starts: for people and for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from tunesmith.core.words import tally
from tunesmith.plan.plan import Plan, describe
from tunesmith.plan.words import read_words


@final
@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """The planned run, as `--dry-run` prints it.

    Attributes:
        plans: Plan of each network that competes, by the name of its family.
        alone: Plan of the first one if there is no race; None if it is the same.
        images: Number of images.
        read: Number of images that there is time to read.
        read_per_s: Images read per second.
        spent: Seconds of the budget used before images are read.
        skipped: Files, folders and rows that are left aside, counted by kind.
    """

    plans: Mapping[str, Plan]
    alone: Plan | None
    images: int
    read: int
    read_per_s: float
    spent: float
    skipped: Mapping[str, int]

    def words(self) -> str:
        """Describe the plans in sentences."""
        lines = [f"Left aside: {tally(self.skipped)}."] if self.skipped else []
        lines += read_words(self.read, self.images, self.read_per_s, spent=self.spent, kept=False)
        for number, (name, chosen) in enumerate(self.plans.items(), start=1):
            head = f"Candidate {number} of {len(self.plans)}" if len(self.plans) > 1 else "Network"
            lines += [f"{head}: {name}", *describe(chosen)]
        if self.alone is not None:
            lines += [f"If there is no race: {next(iter(self.plans))} alone", *describe(self.alone)]
        return "\n".join(lines)

    def as_json(self) -> str:
        """Return a JSON list of plans, one per network; the first holds the one without a race."""
        about: dict[str, Any] = {"images": self.images, "read": self.read}
        about |= {"skipped": dict(self.skipped), "alone": None}
        plans: list[dict[str, Any]] = [
            {"family": name, **about, **chosen.model_dump(mode="json")}
            for name, chosen in self.plans.items()
        ]
        if self.alone is not None:
            plans[0]["alone"] = self.alone.model_dump(mode="json")
        return json.dumps(plans)
