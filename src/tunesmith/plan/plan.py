"""Decide what to run in this budget."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

from tunesmith.core.settings import Settings, checked
from tunesmith.core.words import counted, duration, megabytes
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.split import FOLDS, SMALL
from tunesmith.execution.machine import Machine
from tunesmith.plan.augmentation import brief_seconds
from tunesmith.plan.counts import (
    asked_images,
    has_folds,
    trained_images,
    tuned_examples,
)
from tunesmith.plan.folds import FOLD_SHARE
from tunesmith.plan.heads import head_seconds
from tunesmith.plan.memory import expected_bytes, fitting, memory_words
from tunesmith.plan.reading import decode_seconds, reread_seconds
from tunesmith.plan.search import SEARCH_FROM, SearchPlan
from tunesmith.plan.speeds import (
    COARSE_FROM,
    ENOUGH_EPOCHS,
    Speed,
    batch_of,
    choose_width,
    enough_seconds,
    fixed_seconds,
    interpolate,
    kept_seconds,
    least_seconds,
    pace_of,
    passes_in,
)
from tunesmith.plan.throughput import Throughput
from tunesmith.plan.words import budget_words, chosen_words, fold_words
from tunesmith.training.config import RECIPES, TUNED_RECIPES, TrainConfig

MOST_EPOCHS = 80.0  # more did not help on any data set measured
MOST_EPOCHS_SMALL = 240.0  # the same for data of fewer than `SMALL` images
PASSES_SMALL = 2  # test-time augmentation of few images: more views could not be compared


@final
class Plan(Throughput):
    """The plan of a run, with the throughput that is expected.

    Attributes:
        size: Height and width of the network's input.
        params: The network's parameters.
        train: Training config, augmentation aside (that is chosen on the decoded data).
        threads: Number of training threads: all cores, or fewer if other processes keep them busy.
        horizon: Maximum number of examples to train on.
        folds: Number of folds for out-of-fold predictions; 0 for none.
        train_s: Seconds for training, and for fitting a head to a pretrained network's features.
        passes: Maximum number of test-time augmentation passes per image.
        reread_s: Seconds to decode the test images again, in their own size.
        reserve_s: Seconds kept for calibration, test, export and report.
        finish_s: Expected end of the run, in seconds on its own clock.
        memory_bytes: Expected peak memory.
        disk_bytes: Expected size of the run's folder.
        enough_s: A budget that would be enough; None if this one is.
        reasons: Reasons for the decisions, in words.
        search: Search for a better config; None if there is none.
    """

    size: tuple[int, int]
    params: Mapping[str, Any]
    train: TrainConfig
    threads: int
    horizon: int
    folds: int
    train_s: float
    passes: int
    reread_s: float
    reserve_s: float
    finish_s: float
    memory_bytes: int
    disk_bytes: int
    enough_s: float | None
    reasons: tuple[str, ...]
    search: SearchPlan | None = None


def reserve_of(
    data: Fingerprint, budget: float, answers_per_s: float, reread_s: float, *, pretrained: bool
) -> tuple[int, float]:
    """Plan the time to keep for calibration, test, export and report.

    A fixed part is for export and report; the rest is for predictions of images not trained on.

    Returns:
        Number of test-time augmentation passes that there is time for, and the seconds.
    """
    once = asked_images(data) / max(1.0, answers_per_s)
    passes = passes_in(budget, once)
    if has_folds(data):
        passes = min(passes, PASSES_SMALL)
    return passes, most_reserved(budget, passes * once + reread_s, pretrained=pretrained)


def most_reserved(budget: float, asking_s: float, *, pretrained: bool) -> float:
    """Seconds to keep at the end, if predictions take ``asking_s``: half of the budget at most.

    Example:
        >>> most_reserved(600, 30, pretrained=False), most_reserved(60, 90, pretrained=True)
        (36.0, 30.0)

    """
    return min(0.5 * budget, kept_seconds(budget, pretrained=pretrained) + asking_s)


def most_examples(images: int) -> int:
    """Number of examples beyond which training has not been found to help."""
    return int((MOST_EPOCHS_SMALL if images < SMALL else MOST_EPOCHS) * images)


def plan(
    data: Fingerprint,
    machine: Machine,
    speeds: Sequence[Speed],
    settings: Settings,
    *,
    spent: float,
    defaults: TrainConfig,
    pretrained: bool = False,
    sharing: int = 1,
) -> Plan:
    """Choose what to train and for how long.

    Args:
        data: Fingerprint of the data.
        machine: Resources of the machine.
        speeds: Measured speeds of networks, all of one input size.
        settings: User settings that are meant for this network; they are kept.
        spent: Seconds of the budget already used.
        defaults: Default training config, before the user's settings.
        pretrained: Whether the network is pretrained, so that little training is needed.
        sharing: Number of networks that may share the time in the end; a width must suit one share.
    """
    images, small = trained_images(data), has_folds(data)
    share = 1 - FOLD_SHARE if small else 1.0
    before = spent + decode_seconds(data) + brief_seconds(settings.budget)
    coarse = defaults.early_scale if min(speeds[0].size) >= COARSE_FROM else 1.0
    pace = pace_of(settings.train.get("early_scale", coarse))
    # Twice: the time for testing depends on the network, and the network on the time left.
    reread, answers = reread_seconds(data, speeds[0].size), max(s.answers_per_s for s in speeds)
    for _ in range(2):
        passes, reserve = reserve_of(data, settings.budget, answers, reread, pretrained=pretrained)
        useful = share * max(least_seconds(settings.budget), settings.budget - before - reserve)
        best = choose_width(interpolate(speeds), images=images, seconds=useful * pace / sharing)
        rate, answers = max(1e-9, best.images_per_s * pace), best.answers_per_s
    heads = pretrained * head_seconds(images, data.classes, best, useful / share, small=small)
    examples = min(most_examples(images), int(rate * (useful - share * heads)))
    known = _measured(defaults, best, coarse)
    usual = config_for(settings, known, images=images, examples=examples, pretrained=pretrained)
    train = fitting(usual, data, best, machine, settings)
    examples = max(train.batch, examples)
    fewest = tuned_examples(data) if pretrained else ENOUGH_EPOCHS * images
    rest = before + reread + fixed_seconds(pretrained=pretrained)
    once = asked_images(data) / max(1.0, answers)
    enough = enough_seconds(settings.budget, rest + heads + fewest / rate / share, once)
    train_s, around_s = heads + examples / rate / share, rest + passes * once
    return Plan(
        size=best.size,
        params={**best.params, **settings.params},
        train=train,
        threads=best.threads,
        images_per_s=best.images_per_s,
        answers_per_s=best.answers_per_s,
        horizon=examples // train.batch * train.batch,
        folds=FOLDS if small else 0,
        train_s=train_s,
        passes=passes,
        reread_s=reread,
        reserve_s=reserve,
        finish_s=around_s + train_s,
        memory_bytes=expected_bytes(data, best, train, machine),
        disk_bytes=48 * best.parameters + 20_000_000,
        enough_s=enough,
        reasons=(
            *chosen_words(data, best, machine.cores, train.early_scale, epochs=examples / images),
            *fold_words(small=small),
            *memory_words(best, usual, train),
            *budget_words(enough, fewest / images, late_s=around_s + train_s - settings.budget),
        ),
    )


def _measured(defaults: TrainConfig, best: Speed, coarse: float) -> TrainConfig:
    """Change the default training config by what follows from measurements."""
    measured = {"channels_last": best.channels_last, "mixed_precision": best.mixed}
    return defaults.model_copy(update={**measured, "early_scale": coarse})


def config_for(
    settings: Settings,
    defaults: TrainConfig,
    *,
    images: int,
    examples: float = math.inf,
    pretrained: bool,
) -> TrainConfig:
    """Make the training config from defaults, the metric and, above all, the user.

    Args:
        settings: User settings that are meant for this network.
        defaults: Default training config, but for the batch, which follows from the images.
        images: Number of training images.
        examples: Number of examples that there is time for.
        pretrained: Whether the network is pretrained.

    Raises:
        SettingsError: The user's settings are no training config.
    """
    if settings.trials:  # a search takes most of the time
        examples /= SEARCH_FROM
    batch = batch_of(images, examples=examples, pretrained=pretrained)
    decided: dict[str, Any] = {"batch": batch}
    if settings.metric == "balanced_accuracy":
        decided["balance"] = 1.0
    # The default values are meant for the default optimizer.
    recipes, optimizer = TUNED_RECIPES if pretrained else RECIPES, settings.train.get("optimizer")
    recipe = recipes[optimizer] if optimizer else {}
    given = {**decided, "seed": settings.seed, **recipe, **settings.train}
    return checked(TrainConfig, {**defaults.model_dump(), **given})


def describe(chosen: Plan, *, former: float | None = None) -> tuple[str, ...]:
    """Describe the plan in sentences, as `--dry-run` prints it.

    Args:
        chosen: The plan.
        former: Budget that it was made for, in seconds, if the run has another by now; else None.
    """
    when = "" if former is None else f" when the budget was {duration(former)}"
    expected = (
        f"Expected{when}: finished after {duration(chosen.finish_s)}, of which training "
        f"{duration(chosen.train_s)}; memory {megabytes(chosen.memory_bytes)}; disk "
        f"{megabytes(chosen.disk_bytes)}; {counted(chosen.threads, 'thread')}, "
        f"batch {chosen.train.batch}."
    )
    return (*chosen.reasons, expected)
