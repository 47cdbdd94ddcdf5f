"""Which of the user's training settings are meant for which network."""

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import AUTO, Settings
from tunesmith.core.space import space_of
from tunesmith.models.build import Family, find_family
from tunesmith.training.config import OF_OPTIMIZER, TUNED_RECIPES, TrainConfig

SCRATCH, PRETRAINED = "convnet", "efficientnet_lite0"  # compete if the user names no model


def has_all(family: Family, settings: Settings) -> bool:
    """Whether a network has every parameter that the user sets."""
    return settings.params.keys() <= family.space.keys()


def check_used(family: Family, settings: Settings) -> None:
    """Check that a network's optimizer uses what the user sets of those that belong to one.

    Args:
        family: Network family, of which it need not be known whether it is pretrained: a network
            of the user's has the same optimizer in both cases.
        settings: User settings, of which those of optimizers are meant for this network.

    Raises:
        SettingsError: It would ignore one of them.

    Example:
        >>> check_used(find_family("convnet"), Settings.make({"train": {"momentum": 0.9}}))

    """
    used = {"optimizer": "muon" if family.name == SCRATCH else "adamw", **settings.train}
    space = space_of(TrainConfig)
    whens = {name: space[name].when for name in space if name in OF_OPTIMIZER - {"optimizer"}}
    has = [name for name, when in whens.items() if when is None or when.holds(used)]
    for name in settings.train:
        when = whens.get(name)
        if when and name not in has:
            raise SettingsError(
                f"`train.{name}` is for {' and '.join(when.values)}, but {family.name} is trained "
                f"with {used['optimizer']}, which has {', '.join(has)}. Leave it out, or set "
                "`train.optimizer` or --model to one that uses it."
            )


def left_out_words(settings: Settings, given: Settings) -> tuple[str, ...]:
    """Say which training settings of the user's are meant for the other network alone.

    Args:
        settings: User settings.
        given: Those that are meant for a network; see `meant_for`.

    Example:
        >>> left_out_words(Settings.make({"train": {"lr": 0.1}}), Settings.make({}))[0]
        'What you set as train.lr is meant for the other network. This one has its own values.'

    """
    names = ", ".join(f"train.{name}" for name in settings.train if name not in given.train)
    told = f"What you set as {names} is meant for the other network. This one has its own values."
    return (told,) if names else ()


def meant_for(family: Family, settings: Settings) -> Settings:
    """Return the settings, with only those training settings that are meant for a network.

    If networks compete, what belongs to an optimizer is meant for the one from scratch, and what
    belongs to layers that have learned something for the pretrained one. A parameter that only the
    pretrained network has names it as well as ``--model`` does: then everything is meant for it.

    Args:
        family: Network family, of which it is known whether it is pretrained.
        settings: User settings.

    Raises:
        SettingsError: A pretrained network would be trained by an optimizer that destroys what it
            has learned.
    """
    given = dict(settings.train)
    if settings.model == AUTO and has_all(find_family(SCRATCH), settings):
        others = OF_OPTIMIZER if family.pretrained else {"frozen"}
        given = {name: value for name, value in given.items() if name not in others}
    optimizer = given.get("optimizer")
    if family.pretrained and optimizer is not None and optimizer not in TUNED_RECIPES:
        raise SettingsError(
            f"`train.optimizer` of a pretrained network is {' or '.join(TUNED_RECIPES)}, but got "
            f"{optimizer!r}, which gives all filters another scale, and so destroys what they have "
            "learned. Set another one, or leave it out."
        )
    return settings.model_copy(update={"train": given})
