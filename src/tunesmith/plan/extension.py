"""Decide what a larger budget adds to the plan of a run that has ended."""

from tunesmith.core.settings import Settings
from tunesmith.core.words import duration
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.execution.machine import Machine
from tunesmith.plan.counts import asked_images, trained_images
from tunesmith.plan.plan import Plan, most_examples, most_reserved
from tunesmith.plan.reading import decode_seconds
from tunesmith.plan.search import NEEDED_SHARE, plan_search


def extend(
    chosen: Plan,
    data: Fingerprint,
    machine: Machine,
    settings: Settings,
    *,
    spent: float,
    had_s: float,
    pretrained: bool = False,
) -> Plan:
    """Decide again on a search, as a first run with the larger budget would.

    All the time for training counts, also what the network has had of it. The network stays, since
    it is trained: the search looks around it. A search that is planned already stays as well.

    Args:
        chosen: Plan of the run so far.
        data: Fingerprint of the data.
        machine: Resources of the machine.
        settings: User settings, with the larger budget.
        spent: Seconds of the budget already used.
        had_s: Seconds that the network was trained for.
        pretrained: Whether the network is pretrained.

    Returns:
        The plan with the decision, and with the reason for it.
    """
    if chosen.search is not None:
        return chosen
    most, per_s = most_examples(trained_images(data)), chosen.horizon / chosen.train_s
    asking_s = chosen.passes * asked_images(data) / max(1.0, chosen.answers_per_s)
    reserve_s = most_reserved(settings.budget, asking_s + chosen.reread_s, pretrained=pretrained)
    before_s = spent + decode_seconds(data)
    total_s = had_s + max(0.0, settings.budget - before_s - reserve_s)
    horizon = max(chosen.train.batch, min(most, int(per_s * total_s)))
    search, reason = plan_search(
        settings,
        needed=int(NEEDED_SHARE * most),
        horizon=horizon,
        train_s=horizon / per_s,
        left_s=max(horizon / per_s, total_s),
        machine=machine,
        training_bytes=chosen.memory_bytes,
        had_s=had_s,
    )
    told = f"By now, the budget is {duration(settings.budget)}. {reason}"
    return chosen.model_copy(update={"search": search, "reasons": (*chosen.reasons, told)})
