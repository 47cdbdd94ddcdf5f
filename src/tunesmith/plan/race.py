"""When networks are raced against each other, and what is said of it."""

from collections.abc import Mapping

RACE_SHARE = 0.1  # of the training time, for each candidate's heat
WELL = 0.9  # accuracy of a brief training from scratch that leaves nothing to borrow
TRANSFER_FEWEST_S = 20.0  # a shorter budget is better spent on one network


def is_worth_trying(brief: float) -> bool:
    """Whether a pretrained network may help, where a brief training from scratch got this far."""
    return brief < WELL


def untried_words(brief: float, head: float | None = None) -> str:
    """Why a pretrained network was not raced."""
    start = f"Trained from scratch: a few seconds of that gave {100 * brief:.1f} % right"
    if head is None:
        return f"{start}, so features learned from photographs were not tried."
    return f"{start}, and a head on features learned from photographs only {100 * head:.1f} %."


def race_words(best: str, scores: Mapping[str, float]) -> str:
    """Who won a race, and by how much.

    Example:
        >>> race_words("b", {"a": 0.5, "b": 0.75})
        'After a short training each, on held-out images: a 50.0 % right, b 75.0 %. b goes on.'

    """
    (first, value), *others = scores.items()
    rest = "".join(f", {name} {100 * other:.1f} %" for name, other in others)
    return (
        f"After a short training each, on held-out images: {first} {100 * value:.1f} % right"
        f"{rest}. {best} goes on."
    )
