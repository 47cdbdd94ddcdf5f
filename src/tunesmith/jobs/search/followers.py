"""Configs that a search of our own networks tries first, right after the plan's own."""

from typing import Any

from tunesmith.core.space import Choice, Config, Int, Range, Space, complete

# Chosen by `benchmarks/portfolio.py`. A number whose range is logarithmic is a multiple of the
# plan's: what is a good learning rate or width depends on the plan's batch and time.
FOLLOWERS: tuple[Config, ...] = (
    {
        "params.head": "both",
        "train.augmentation.brightness": 0.112,
        "params.pooling": "stride",
        "params.activation": "silu",
        "train.augmentation.cutout": 0.08,
    },
    {"train.augmentation.shift": 0.058, "train.lr_bias": 0.27, "params.depth": 3},
    {
        "train.lr_bias": 0.81,
        "train.augmentation.brightness": 0.119,
        "train.momentum": 0.985,
        "train.augmentation.cutout": 0.427,
        "train.augmentation.shift": 0.024,
    },
    {"train.lr": 0.69, "params.dropout": 0.001},
    {"params.activation": "silu", "train.momentum": 0.641, "params.width": 1.38},
    {
        "params.width": 0.7,
        "train.augmentation.brightness": 0.084,
        "params.head": "both",
        "train.lr_head": 1.3,
        "train.augmentation.contrast": 0.305,
    },
    {"train.augmentation.brightness": 0.243, "train.label_smoothing": 0.207, "train.batch": 1.92},
)


def followers(space: Space) -> list[Config]:
    """Return the followers as configs of a search space, without what the user has fixed in it.

    What is then equal to another one, or to the plan's own config, is left out.
    """
    found: list[Config] = [absolute(space, {})]
    for config in FOLLOWERS:
        known = {name: value for name, value in config.items() if name in space}
        if (placed := absolute(space, known)) not in found:
            found.append(placed)
    return found[1:]


def absolute(space: Space, relative: Config) -> dict[str, Any]:
    """Multiply what is relative to the defaults, and fill in the defaults.

    Args:
        space: Search space, whose defaults are the plan's values.
        relative: Config; a number whose range is logarithmic is a multiple of the default.

    Example:
        >>> from tunesmith.core.space import Field, Float
        >>> lr = Field(Float(0.01, 0.64, log=True), 0.08)
        >>> momentum = Field(Float(0.0, 0.99), 0.8)
        >>> absolute({"lr": lr, "momentum": momentum}, {"lr": 0.5, "momentum": 0.9})
        {'lr': 0.04, 'momentum': 0.9}

    """
    values = {
        name: _placed(space[name].range, space[name].default, value)
        for name, value in relative.items()
    }
    return complete(space, values)


def _placed(range_: Range, default: Any, value: Any) -> Any:
    if isinstance(range_, Choice):
        return value
    placed = min(range_.high, max(range_.low, value * default if range_.log else value))
    return round(placed) if isinstance(range_, Int) else placed
