"""What the last layer of a network reads, for networks whose features are good already."""

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
