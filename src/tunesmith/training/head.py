"""Features of a network: the input of its last layer.

Shape letters: N images of H x W pixels with C channels, D features.
"""

import torch
from torch import Tensor, nn

from tunesmith.models.layout import arrange, arranged
from tunesmith.training.epoch import TrainData

BATCH = 64  # images at a time; features are wide, and a forward pass keeps them all


@torch.no_grad()
def features(
    network: nn.Module, classifier: str, data: TrainData, *, channels_last: bool
) -> Tensor:
    """Extract the input ``(N, D)`` of a network's last layer, for all training images.

    Args:
        network: Any network.
        classifier: Name of the last layer.
        data: Training images; they are not augmented.
        channels_last: Memory layout to compute in.
    """
    found: list[Tensor] = []
    layer = network.get_submodule(classifier)
    handle = layer.register_forward_pre_hook(lambda _layer, inputs: found.append(inputs[0]))
    network = arrange(network.eval().to(data.compute.device), channels_last=channels_last)
    try:
        for some in torch.split(data.rows, BATCH):
            x_NCHW = data.normalize(data.compute.send(data.x_NCHW[some]))
            network(arranged(x_NCHW, channels_last=channels_last))
    finally:
        handle.remove()
    return torch.cat(found).cpu()


@torch.no_grad()
def seen(network: nn.Module, x_NHWC: Tensor, classes: int) -> Tensor:
    """Extract the input of a deployed model's last layer; that of an ensemble, concatenated.

    Args:
        network: Deployed model: uint8 images of any size to probabilities.
        x_NHWC: Images.
        classes: Number of classes.

    Returns:
        Features ``(N, D)``; D is 0 for a network whose last layer is no `nn.Linear`.
    """
    layers = [
        m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == classes
    ]
    if not layers:
        return torch.zeros(len(x_NHWC), 0)
    read: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        read[layer] = inputs[0]

    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    found = []
    try:
        for x_BHWC in torch.split(x_NHWC, BATCH):
            network(x_BHWC)
            # Of the views of an image, the first.
            read_BD = [read[layer][: len(x_BHWC)] for layer in layers]
            found.append(torch.cat(read_BD, dim=1))
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(found)
