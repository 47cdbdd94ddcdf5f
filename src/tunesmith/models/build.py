"""The families of networks, and how to build a network by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, final

from torch import nn

from tunesmith.core.errors import ModelError, SettingsError
from tunesmith.core.space import Choice, Field, Int, check_values, space_of
from tunesmith.core.words import nearest
from tunesmith.models.convnet import convnet
from tunesmith.models.copies import build_once
from tunesmith.models.custom import CustomSource, Factory, call_factory, load_factory
from tunesmith.models.efficientnet_lite import efficientnet_lite0
from tunesmith.models.ensemble import Ensemble
from tunesmith.models.pretrained import Pretrained, pretrained_of
from tunesmith.models.views import ManyViews, View

ENSEMBLE = "ensemble"  # no family of its own: the name of an ensemble in a bundle's manifest
FEWEST_PIXELS = 8  # a smaller `resolution` is no side of an image, but a level or a factor
FAMILIES: dict[str, Factory] = {"convnet": convnet, "efficientnet_lite0": efficientnet_lite0}


@final
@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of networks.

    Attributes:
        name: Name as the user gave it.
        factory: Builds a network.
        space: Its parameters, with ranges and defaults.
        source: Source of a user's own network.
        pretrained: Metadata of a pretrained network; see `looked_at`.
        remark: What a user should know of it, in words; perhaps nothing.
    """

    name: str
    factory: Factory
    space: Mapping[str, Field]
    source: CustomSource | None = None
    pretrained: Pretrained | None = None
    remark: str = ""

    @property
    def has_resolution(self) -> bool:
        """Whether its parameter ``resolution`` is a side in pixels, which the plan can measure.

        One of another kind, such as a share of the side or a word, is a parameter like all others.

        Example:
            >>> find_family("efficientnet_lite0").has_resolution
            True

        """
        match self.space.get("resolution"):
            case Field(range=Int(), default=side):
                sides: tuple[Any, ...] = (side,)
            case Field(range=Choice(options=options)):
                sides = options
            case _:
                return False
        return all(type(side) is int and side >= FEWEST_PIXELS for side in sides)

    def builder(
        self, classes: int, channels: int, *, size: tuple[int, int], params: Mapping[str, Any]
    ) -> Callable[[], nn.Module]:
        """Bind all arguments of the factory; that of a user is called as rarely as possible.

        Raises:
            SettingsError: A parameter is not in the space, or outside its range.
        """
        check_values(self.space, params)

        def build() -> nn.Module:
            make = call_factory if self.source is None else build_once
            return make(self.factory, classes, channels, size=size, params=params)

        return build

    def looked_at(self, network: nn.Module, channels: int) -> Self:
        """Return the same family, with the pretrained metadata of one of its networks.

        Raises:
            ModelError: The metadata do not fit the network.
        """
        return replace(self, pretrained=pretrained_of(network, channels))


def find_family(model: str) -> Family:
    """Find a family by name, or import the user's factory.

    Raises:
        ModelError: There is no such family, file or function, or its annotations cannot be read.
        SettingsError: A parameter of the user's function does not fit its own range.

    Example:
        >>> find_family("convnet").space["width"].default
        32

    """
    if model in FAMILIES:
        factory = FAMILIES[model]
        return Family(name=model, factory=factory, space=space_of(factory))
    if ":" not in model and not model.endswith(".py"):
        raise ModelError(
            f"There is no model family {model!r}.{nearest(model, FAMILIES)} Families: "
            f"{', '.join(FAMILIES)}. A network of your own is named as file.py:function."
        )
    factory, source = load_factory(model)
    return Family(name=model, factory=factory, space=_space_of(factory, source), source=source)


def _space_of(factory: Factory, source: CustomSource) -> Mapping[str, Field]:
    """Read the space off a user's function, whose annotations may not be resolvable."""
    try:
        return space_of(factory)
    except SettingsError:
        raise
    except Exception as error:
        raise ModelError(
            f"The annotations of `{source.function}` in {source.path} are its search space, but "
            f"reading them raised {type(error).__name__}: {error}. Define it with `def`, and "
            "import what its annotations name outside of `if TYPE_CHECKING:`."
        ) from error


def rebuild(
    family: str,
    classes: int,
    channels: int,
    *,
    size: tuple[int, int],
    config: Mapping[str, Any],
    views: Sequence[str],
) -> nn.Module:
    """Build a network from its entry in a manifest; the caller loads its weights.

    Raises:
        ModelError: There is no such family, file or function.
        SettingsError: A parameter is not in its space, or outside its range.
    """
    if family != ENSEMBLE:
        network = find_family(family).builder(classes, channels, size=size, params=config)()
        return ManyViews(network, [View(view) for view in views])
    members = [
        rebuild(classes=classes, channels=channels, size=size, **member)
        for member in config["members"]
    ]
    return Ensemble(members, channels)
