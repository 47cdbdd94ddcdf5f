"""The config of a training: one frozen value, each field with its range beside it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from tunesmith.core.errors import OutOfMemoryError
from tunesmith.core.space import Choice, Float, Int, When, space_of
from tunesmith.data.augmentation import Augmentation

# What goes with each optimizer, from scratch and for a pretrained network. Muon would destroy such
# a network even at rate 0: it rescales filters, whose normalizations may be folded in. So did SGD
# at a twentieth of its rate from scratch.
RECIPES: Mapping[str, Mapping[str, float]] = {
    "muon": {"lr": 0.127, "momentum": 0.8, "warmup": 0.0},
    "sgd": {"lr": 0.4, "momentum": 0.9, "weight_decay": 5e-4, "warmup": 0.15},
    "adamw": {"lr": 0.002, "weight_decay": 0.05, "warmup": 0.1},
}
TUNED_RECIPES: Mapping[str, Mapping[str, float]] = {
    "adamw": {"lr": 0.001, "weight_decay": 0.05, "warmup": 0.1, "layer_decay": 0.8},
    "sgd": {
        "lr": 0.001, "momentum": 0.9, "weight_decay": 5e-4, "warmup": 0.1, "layer_decay": 0.8
    },
}  # fmt: skip


class TrainConfig(BaseModel):
    """How a network is trained.

    Learning rates are peak values for a batch of 512. For other batch sizes they are scaled in
    proportion (Goyal et al. 2017); `lr` of Muon and AdamW, by the square root.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizer: Annotated[str, Choice("muon", "sgd", "adamw")] = "muon"
    lr: Annotated[float, Float(1e-4, 1.0, log=True)] = 0.127
    """Learning rate of filters and matrices."""
    lr_head: Annotated[float, Float(1e-3, 5.0, log=True), When("optimizer", "muon")] = 0.67
    """Learning rate of the last layer."""
    lr_bias: Annotated[float, Float(1e-2, 50.0, log=True), When("optimizer", "muon")] = 4.0
    """Learning rate of the shifts of norms without a gain; that of other vectors is a 40th."""
    momentum: Annotated[float, Float(0.0, 0.99), When("optimizer", "muon", "sgd")] = 0.8
    weight_decay: Annotated[float, Float(0.0, 0.5), When("optimizer", "sgd", "adamw")] = 0.0
    layer_decay: Annotated[float, Float(0.1, 1.0), When("optimizer", "sgd", "adamw")] = 1.0
    """Layer-wise decay: learning rate of each layer, relative to that of the next."""
    frozen: Annotated[float, Float(0.0, 0.9)] = 0.0
    """Share of the layers, from the first one on, that keep the weights that they start with.

    Batch normalization in them keeps its running statistics, and normalizes by these.
    """
    batch: Annotated[int, Int(1, 8192, log=True)] = 512
    warmup: Annotated[float, Float(0.0, 0.5)] = 0.0
    """Share of the schedule for the warmup of the learning rate."""
    label_smoothing: Annotated[float, Float(0.0, 0.5)] = 0.2
    robust: Annotated[float, Float(0.0, 1.0)] = 0.0
    """Robustness to label noise: 0 is cross-entropy, 1 the mean absolute error."""
    balance: Annotated[float, Float(0.0, 1.0)] = 0.0
    """Class balance: 0 weighs images equally, 1 as if all classes were equally frequent."""
    ema_decay: Annotated[float, Float(0.0, 0.9999)] = 0.9
    """Decay of the moving average of the weights, at every fifth step."""
    augmentation: Augmentation = Augmentation()
    early_scale: Annotated[float, Float(0.25, 1.0)] = 1.0
    """Side of the images, relative to their own, until the learning rate is at half its peak."""
    channels_last: bool = True
    mixed_precision: bool = True
    """Matrix products in bfloat16 or float16 where the device multiplies it in hardware."""
    seed: int = 0


def halved(config: TrainConfig) -> TrainConfig:
    """Halve the batch, with which memory ran out.

    Raises:
        OutOfMemoryError: It has one image.

    Example:
        >>> halved(TrainConfig(batch=25)).batch
        12

    """
    if config.batch == 1:
        raise OutOfMemoryError(
            "A network must be trained on one image at a time at least, but memory ran out with a "
            "batch of one image. Choose a smaller network or smaller images."
        )
    return config.model_copy(update={"batch": config.batch // 2})


# Fields that belong to an optimizer: they mean nothing, or another thing, with another one.
OF_OPTIMIZER = {"optimizer", "lr", "warmup"} | {
    name for name, field in space_of(TrainConfig).items() if field.when
}
