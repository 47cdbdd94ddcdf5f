"""What the last layer of a network reads: of one whose features are good already, or a trained one.

Shape letters: N images of H x W pixels with C channels, D features.
"""

import torch
from torch import Tensor, nn

from tunesmith.training.epoch import TrainData

BATCH = 64  # images at a time; features are wide, and a forward pass keeps them all


@torch.no_grad()
def features(network: nn.Module, classifier: str, data: TrainData) -> Tensor:
    """What a network's last layer reads, ``(N, D)``, for all training images.

    Args:
        network: Any network.
        classifier: Name of that layer.
        data: Images; they are not augmented.
    """
    found: list[Tensor] = []
    layer = network.get_submodule(classifier)
    handle = layer.register_forward_pre_hook(lambda _layer, inputs: found.append(inputs[0]))
    network = network.eval().to(data.compute.device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        for some in torch.split(data.rows, BATCH):
            x_NCHW = data.normalize(data.compute.send(data.x_NCHW[some]))
            network(x_NCHW.contiguous(memory_format=torch.channels_last))
    finally:
        handle.remove()
    return torch.cat(found).cpu()


@torch.no_grad()
def seen(network: nn.Module, x_NHWC: Tensor, classes: int) -> Tensor:
    """What a deployed network's last layers read, side by side where several answer together.

    Args:
        network: From uint8 images of any size to probabilities.
        x_NHWC: Images.
        classes: That it knows.

    Returns:
        Features ``(N, D)``; D is 0 for a network that ends otherwise than in an `nn.Linear`.
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
            # Of an image and its copies in other views, the first.
            read_BD = [read[layer][: len(x_BHWC)] for layer in layers]
            found.append(torch.cat(read_BD, dim=1))
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(found)
