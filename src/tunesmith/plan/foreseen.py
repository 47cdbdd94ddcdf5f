"""What would run, before it does: for people and for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from tunesmith.plan.plan import Plan, describe
from tunesmith.plan.words import read_words


@final
@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What would run, as `--dry-run` prints it.

    Attributes:
        plans: Of each network that would be raced, by its family's name.
        alone: Of the first, for the case that there is no race; None if that is no other.
        images: That there are.
        read: That there is time to read.
        decode_per_s: Images decoded in a second.
    """

    plans: Mapping[str, Plan]
    alone: Plan | None
    images: int
    read: int
    decode_per_s: float

    def words(self) -> str:
        """The plans in sentences."""
        lines = [*read_words(self.read, self.images, self.decode_per_s)]
        for number, (name, chosen) in enumerate(self.plans.items(), start=1):
            head = f"Candidate {number} of {len(self.plans)}" if len(self.plans) > 1 else "Network"
            lines += [f"{head}: {name}", *describe(chosen)]
        if self.alone is not None:
            lines += [f"If there is no race: {next(iter(self.plans))} alone", *describe(self.alone)]
        return "\n".join(lines)

    def as_json(self) -> str:
        """A list of plans, one for each network; the first one holds the one without a race."""
        about: dict[str, Any] = {"images": self.images, "read": self.read, "alone": None}
        plans: list[dict[str, Any]] = [
            {"family": name, **about, **chosen.model_dump(mode="json")}
            for name, chosen in self.plans.items()
        ]
        if self.alone is not None:
            plans[0]["alone"] = self.alone.model_dump(mode="json")
        return json.dumps(plans)
