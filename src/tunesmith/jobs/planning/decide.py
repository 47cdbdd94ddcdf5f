"""Decide which networks to train and how: from measurements, or from an earlier session's plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch

from tunesmith import plan as planning
from tunesmith.core.clock import Clock
from tunesmith.core.errors import LimitError, MissingExtraError, OutOfMemoryError, UserError
from tunesmith.core.settings import AUTO, LATENCY, Settings, checked
from tunesmith.core.space import check_values, space_of
from tunesmith.core.spread import spread
from tunesmith.data.augmentation import Augmentation
from tunesmith.data.decode import Sample
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.evaluation.early import compared_by
from tunesmith.execution.machine import Machine
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.gate.gate import depth_for
from tunesmith.jobs.planning.measure import default_config, look_at, measure_speeds
from tunesmith.jobs.planning.planned import Planned
from tunesmith.jobs.run.given import (
    PRETRAINED,
    SCRATCH,
    check_used,
    has_all,
    left_out_words,
    meant_for,
)
from tunesmith.jobs.run.limits import within
from tunesmith.jobs.run.prepare import Prepared, builder
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search.search_setup import sampler_named
from tunesmith.models.build import Family, find_family
from tunesmith.models.efficientnet_lite import weights_file
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import choose_device
from tunesmith.training.findings import Harm
from tunesmith.training.probe import VIEWS, View, transform_harm

JUDGED = 2000  # images to judge flips and rotations on


def find_families(settings: Settings) -> tuple[Family, ...]:
    """Find the network families that the settings allow, and check the settings against them.

    By default, one network is trained from scratch, and a pretrained one competes with it if its
    weights are installed. Parameters set by the user must be in the family's space.

    Raises:
        ModelError: There is no such family, file or function.
        SettingsError: A parameter is unknown, a value is out of its range or for another optimizer,
            or there is no such device.
        MissingExtraError: The sampler needs a package that is not installed.
    """
    choose_device(settings.device)
    sampler_named(settings.sampler)
    families = _left_by(settings)
    config, space = checked(TrainConfig, settings.train), space_of(TrainConfig)
    check_values(space, {k: v for k, v in settings.train.items() if k in space})
    check_values(space_of(Augmentation), config.augmentation.model_dump())
    check_used(families[0], settings)  # of two, only the first one gets those of optimizers
    for family in families:
        check_values(family.space, settings.params)
    return families


def _left_by(settings: Settings) -> tuple[Family, ...]:
    if settings.model != AUTO:
        return (find_family(settings.model),)
    scratch, pretrained = find_family(SCRATCH), find_family(PRETRAINED)
    if not has_all(scratch, settings):
        return (pretrained,) if has_all(pretrained, settings) else (scratch,)
    joins = has_all(pretrained, settings) and _is_installed()
    return (scratch, pretrained) if joins else (scratch,)


def _is_installed() -> bool:
    try:
        return weights_file().is_file()
    except MissingExtraError:
        return False


def plan_all(
    settings: Settings,
    looked: Sample,
    data: Fingerprint,
    families: Sequence[Family],
    *,
    machine: Machine,
    clock: Clock,
) -> Planned:
    """Measure and plan each network, or the first one alone if there is no time for another.

    All read images of one size, that of the pretrained one.

    Raises:
        LimitError: No network is within the limits.
        OutOfMemoryError: No network fits into memory.
        SettingsError: The user's training settings do not fit a network.
    """
    families = _considered(settings, data, families)
    plans: dict[str, planning.Plan] = {}
    size: tuple[int, int] | None = None
    refused: dict[str, LimitError | OutOfMemoryError] = {}
    shared = planning.sharing(len(families), budget=settings.budget)
    for family in sorted(families, key=lambda f: f.pretrained is None):
        given = meant_for(family, settings)
        try:
            speeds = measure_speeds(given, looked, data, family, left_s=clock.left(), size=size)
            speeds = within(settings, data, family, speeds, threads=machine.cores)
        except (LimitError, OutOfMemoryError) as error:
            refused[family.name] = error
            continue
        remarks = *filter(None, [family.remark]), *left_out_words(settings, given)
        make = partial(
            _plan, given, data, family, speeds, remarks=remarks, machine=machine, clock=clock
        )
        chosen, alone = (make(sharing=networks) for networks in (shared, 1))
        plans[family.name], size = _with_search(settings, data, machine, chosen), chosen.size
    if not plans:
        raise [*refused.values()][-1]
    left = [family for family in families if family.name in plans]
    alone = _with_search(settings, data, machine, _remarked(alone, _left_out(refused)))
    is_raced = len(left) > 1  # the others may have been over a limit, or too large for memory
    return Planned(
        data=data,
        families=left,
        plans=tuple(plans[family.name] for family in left) if is_raced else (alone,),
        depth=_depth(settings, data, plans[left[0].name].size, cores=machine.cores),
        alone=alone if is_raced and shared > 1 else None,
    )


def _considered(settings: Settings, data: Fingerprint, families: Sequence[Family]) -> list[Family]:
    """Look at the networks that there is time for: of two, perhaps the first one alone."""
    has_time = planning.may_transfer(settings.budget, small=planning.has_folds(data))
    return [look_at(f, data, settings.params) for f in (families if has_time else families[:1])]


def _plan(
    settings: Settings,
    data: Fingerprint,
    family: Family,
    speeds: Sequence[planning.Speed],
    *,
    remarks: Sequence[str],
    machine: Machine,
    clock: Clock,
    sharing: int,
) -> planning.Plan:
    chosen = planning.plan(
        data,
        machine,
        speeds,
        settings,
        spent=clock.elapsed(),
        defaults=default_config(family, data.channels),
        pretrained=family.pretrained is not None,
        sharing=sharing,
    )
    return _remarked(chosen, remarks)


def _left_out(refused: Mapping[str, UserError]) -> list[str]:
    """Say which networks are not in the plan, and why."""
    return [f"{name} is left out. {error}" for name, error in refused.items()]


def _remarked(chosen: planning.Plan, remarks: Sequence[str]) -> planning.Plan:
    """Put remarks before the reasons of a plan."""
    return chosen.model_copy(update={"reasons": (*remarks, *chosen.reasons)})


def _depth(settings: Settings, data: Fingerprint, size: tuple[int, int], *, cores: int) -> Depth:
    """Choose the depth of the data gate."""
    return depth_for(
        data.images,
        data.test_images,
        classes=data.classes,
        pixels=size[0] * size[1],
        budget=settings.budget,
        cores=cores,
    )


def _with_search(
    settings: Settings, data: Fingerprint, machine: Machine, chosen: planning.Plan
) -> planning.Plan:
    """Add a search to the plan if it is worthwhile, and the reason."""
    most = planning.most_examples(planning.trained_images(data))
    search, reason = planning.plan_search(
        settings,
        needed=int(planning.NEEDED_SHARE * most),
        horizon=chosen.horizon,
        train_s=chosen.train_s,
        left_s=max(chosen.train_s, settings.budget - chosen.finish_s + chosen.train_s),
        machine=machine,
        training_bytes=chosen.memory_bytes,
        may_widen=_may_widen(settings, chosen),
    )
    changes = {"search": search, "reasons": (*chosen.reasons, reason)}
    # Each further view of an image takes as long as the first.
    passes = {"passes": 1} if LATENCY in settings.limit else {}
    return chosen.model_copy(update=changes | passes)


def _may_widen(settings: Settings, chosen: planning.Plan) -> bool:
    """Whether more time may choose a wider network: of ours, with a width that is not given."""
    widest = planning.WIDTHS[-1]
    return "width" not in settings.params and chosen.params.get("width", widest) < widest


def judge(session: Session, prepared: Prepared, planned: Planned) -> Planned:
    """Choose flips and rotations by a short probe training, unless the user chose augmentation.

    Without time to judge them, only a race needs to know what the probe training learns.
    """
    if "augmentation" in session.settings.train:
        return planned
    plans = [*planned.plans, *filter(None, [planned.alone])]
    are_judged = any(
        planning.is_worth_judging(_epochs(chosen, prepared), chosen.train_s) for chosen in plans
    )
    if not are_judged and len(planned.plans) == 1:
        return _changing(planned, prepared, None)
    views = VIEWS if are_judged else {}
    harm = _harm(session, prepared, balance=planned.plans[0].train.balance, views=views)
    return replace(
        _changing(planned, prepared, harm if are_judged else None),
        brief=harm.plain,
        judged=harm.images,
        chance=harm.chance,
    )


def _changing(planned: Planned, prepared: Prepared, harm: Harm | None) -> Planned:
    """Add the augmentations to the plans, and the reasons for them."""

    def judged(chosen: planning.Plan) -> planning.Plan:
        augmentation, reasons = planning.choose_augmentation(harm, epochs=_epochs(chosen, prepared))
        train = chosen.train.model_copy(update={"augmentation": augmentation})
        return chosen.model_copy(update={"train": train, "reasons": (*chosen.reasons, *reasons)})

    return replace(
        planned,
        plans=tuple(map(judged, planned.plans)),
        alone=planned.alone and judged(planned.alone),
    )


def _epochs(chosen: planning.Plan, prepared: Prepared) -> float:
    return chosen.horizon / len(prepared.train)


def _harm(
    session: Session, prepared: Prepared, *, balance: float, views: Mapping[str, View]
) -> Harm:
    """Probe with a small network of our own: what mirroring does is a property of the images."""
    family, split = find_family(SCRATCH), prepared.split
    if split.folds is None:
        train = prepared.train
        x_NCHW, y_N = prepared.part(spread(split.validation, JUDGED))
    else:
        train, held = prepared.without_fold(0)
        x_NCHW, y_N = prepared.part(spread(held, JUDGED))
    settings, classes = session.settings, len(prepared.source.classes)
    batch = planning.batch_of(len(train))
    changes = {"batch": batch, "seed": settings.seed, "balance": balance}
    return transform_harm(
        builder(family, train, classes=classes, params={"width": planning.WIDTHS[0]}),
        train,
        x_NCHW,
        torch.from_numpy(y_N),
        default_config(family, train.x_NCHW.shape[1]).model_copy(update=changes),
        classes=classes,
        metric=compared_by(settings.metric),
        seconds=planning.brief_seconds(settings.budget),
        views=views,
    )
