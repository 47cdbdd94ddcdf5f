"""A last layer in closed form, for networks whose features are good already."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from tunesmith.evaluation.calibration import fit_temperature, softmax
from tunesmith.evaluation.metrics import log_loss
from tunesmith.training.epoch import TrainData

BATCH = 64  # images at a time; features are wide, and a forward pass keeps them all
# Strengths of the penalty that are tried, as multiples of the number of images.
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@final
@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """A linear layer, and what it answers to images that it was not fitted to.

    Attributes:
        weight: ``(K, D)``.
        bias: ``(K,)``.
        z_NK: Logits of each training image by the layer fitted to all others.
    """

    weight: Tensor
    bias: Tensor
    z_NK: Tensor


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


def fit_head(f_ND: Tensor, y_N: Tensor, classes: int) -> LinearHead:
    """Fit a linear classifier by ridge regression on one-hot labels.

    The penalty is the one whose leave-one-out answers have the least log loss, and these cost
    nothing: they follow from the hat matrix (Hastie, Tibshirani and Friedman 2009, "The elements
    of statistical learning", 7.10.1). Logits are scaled so that they mean probabilities.

    Args:
        f_ND: Features.
        y_N: Classes.
        classes: Their number K.

    Example:
        >>> f_ND = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
        >>> y_N = (f_ND[:, 0] > 0).long()
        >>> head = fit_head(f_ND, y_N, 2)
        >>> float(((f_ND @ head.weight.T + head.bias).argmax(1) == y_N).float().mean()) > 0.9
        True

    """
    f_ND, y_N = f_ND.double().cpu(), y_N.cpu()
    mean_D, std_D = f_ND.mean(0), f_ND.std(0, correction=0).clamp_min(1e-6)
    a_ND = (f_ND - mean_D) / std_D
    t_NK = torch.nn.functional.one_hot(y_N, classes).double()
    mean_K = t_NK.mean(0)
    t_NK = t_NK - mean_K
    values_D, q_DD = torch.linalg.eigh(a_ND.T @ a_ND)
    values_D = values_D.clamp_min(0)
    b_ND = a_ND @ q_DD
    c_DK = b_ND.T @ t_NK
    best: tuple[float, Tensor, Tensor, float] | None = None
    for penalty in PENALTIES:
        shrunk_D = 1 / (values_D + penalty * len(f_ND))
        fitted_NK = b_ND @ (shrunk_D[:, None] * c_DK)
        hat_N = (b_ND.square() @ shrunk_D) + 1 / len(f_ND)
        z_NK = t_NK - (t_NK - fitted_NK) / (1 - hat_N).clamp_min(1e-3)[:, None]
        temperature = fit_temperature(z_NK.numpy(), y_N.numpy())
        loss = log_loss(softmax(z_NK.numpy(), temperature), y_N.numpy())
        if best is None or loss < best[0]:
            best = loss, q_DD @ (shrunk_D[:, None] * c_DK), z_NK, temperature
    assert best is not None
    _, w_DK, z_NK, temperature = best
    w_DK = w_DK / std_D[:, None] / temperature
    return LinearHead(
        weight=w_DK.T.float().contiguous(),
        bias=(mean_K / temperature - mean_D @ w_DK).float(),
        z_NK=((z_NK + mean_K) / temperature).float(),
    )
