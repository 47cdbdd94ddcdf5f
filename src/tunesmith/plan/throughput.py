"""How many images a network trains on, and predicts, in a second."""

from pydantic import BaseModel, ConfigDict


class Throughput(BaseModel):
    """Abstract: what a measured speed and a plan both state.

    Attributes:
        images_per_s: Training throughput.
        answers_per_s: Inference throughput on the CPU, in images per second.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images_per_s: float
    answers_per_s: float

    @property
    def device_answers_per_s(self) -> float:
        """Inference throughput where it is trained: what trains answers as fast, at least."""
        return max(self.answers_per_s, self.images_per_s)
