"""Notice wrong labels in a training, and forgive them from then on."""

from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import SUREST_CONTRADICTED, Trial, network_of
from tunesmith.training.config import TrainConfig
from tunesmith.training.noise import CLUELESS, FEWEST_EPOCHS, LEARNED, NOISY, forgiving

FORGIVES = "from here on its loss forgives labels that look wrong"


def forgive(session: Session, trial: Trial, config: TrainConfig, end: int) -> TrainConfig:
    """Switch to a loss that is robust to label noise, once the network has revealed some.

    Not with a given number of trials: validations follow the clock, on which nothing may depend.

    Args:
        session: Session of this process; its journal has the validations so far.
        trial: The training.
        config: Its config by now.
        end: Number of examples at its expected end.
    """
    past = session.journal.history.trials.get(trial.name)
    if network_of(trial.name) != trial.name:  # folds train like the full data
        return config
    # A balanced network contradicts labels of frequent classes by design.
    is_set = config.robust or config.balance or "robust" in session.settings.train
    is_brief = end < FEWEST_EPOCHS * len(trial.data)
    if is_set or session.settings.is_timeless or is_brief or not past or not past.blocks:
        return config
    # Twice in a row, since mistakes of an early network soon disappear.
    shares = [block.metrics.get(SUREST_CONTRADICTED, 0.0) for block in past.blocks[-2:]]
    agree = len(shares) > 1 and all(NOISY <= share < CLUELESS for share in shares)
    if past.blocks[-1].at < LEARNED * end or not agree:
        return config
    session.note(
        f"Of the held-out images that {trial.name} is surest of, {100 * min(shares):.0f} % or more "
        f"bear another label: {FORGIVES}."
    )
    return forgiving(config)
