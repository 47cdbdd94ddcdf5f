"""A user's own network: ``file.py:function``, a factory whose signature is its search space."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from tunesmith.core.errors import ModelError
from tunesmith.core.functions import import_file
from tunesmith.models.layout import arrange, arranged

Factory = Callable[..., nn.Module]


@final
@dataclass(frozen=True, kw_only=True)
class CustomSource:
    """Where a user's network comes from, so that it can be built again.

    Attributes:
        path: Path of the file.
        function: Name of the factory in it.
        sha256: SHA-256 of the file's bytes.
        text: Content of the file; a bundle keeps it beside the weights.
    """

    path: Path
    function: str
    sha256: str
    text: str


def load_factory(spec: str) -> tuple[Factory, CustomSource]:
    """Import a factory from ``file.py:function``; an unchanged file is not executed again.

    Raises:
        ModelError: The file or function is missing, or the file cannot be read or imported.
    """
    file, _, function = spec.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not function.isidentifier():
        is_notebook = path.suffix == ".ipynb"
        way_out = " In a notebook, begin its cell with `%%writefile net.py`." if is_notebook else ""
        raise ModelError(
            f"A network of your own is named as file.py:function, but got model={spec!r}.{way_out}"
        )
    text = _read(path, spec)
    data = text.encode()
    try:
        module = import_file(path, bytes(path.resolve()) + data)
    except (Exception, SystemExit) as error:
        raise ModelError(_why_not(path, error)) from error
    factory = getattr(module, function, None)
    if not callable(factory):
        found = [n for n, v in vars(module).items() if inspect.isfunction(v) or inspect.isclass(v)]
        raise ModelError(
            f"{path} has no function `{function}`. It defines: {', '.join(found) or 'nothing'}."
        )
    source = CustomSource(
        path=path.resolve(),
        function=function,
        sha256=hashlib.sha256(data).hexdigest(),
        text=text,
    )
    return factory, source


def _read(path: Path, spec: str) -> str:
    """Read a user's file, unchanged: a bundle keeps it as UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ModelError(
            f"There is no file {path} (from model={spec!r}). Check the path."
        ) from None
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}. Check the path and its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise ModelError(
            "A network of your own must be a file in UTF-8, since a bundle keeps it so, but byte "
            f"{error.start:,} of {path} is 0x{error.object[error.start]:02x}. Save it as UTF-8, "
            "without a line that names another coding."
        ) from error


def _why_not(path: Path, error: BaseException) -> str:
    """Explain why a file cannot be imported, such as because it imports one beside it."""
    if isinstance(error, SystemExit):
        return (
            f"{path} ended the process when imported (SystemExit: {error}). Put what it does as a "
            'script, such as parsing arguments, under `if __name__ == "__main__":`.'
        )
    name = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    top = name.partition(".")[0]
    if top and ((path.parent / top).is_dir() or (path.parent / f"{top}.py").is_file()):
        return (
            "A network of your own must be one file, since a bundle keeps no other, but "
            f"{path} imports `{name}`, which lies beside it. Move what it needs of that into "
            f"{path.name}, or install it as a package."
        )
    return f"{path} raised {type(error).__name__} when imported: {error}"


def call_factory(
    factory: Factory,
    classes: int,
    channels: int,
    *,
    size: tuple[int, int],
    params: Mapping[str, Any],
) -> nn.Module:
    """Call a factory; it gets ``size`` only if its signature names it.

    Raises:
        ModelError: The factory raises, or returns no `nn.Module`.
    """
    accepted = inspect.signature(factory).parameters
    extra = {"size": size} if "size" in accepted else {}
    label = getattr(factory, "__name__", str(factory))
    try:
        network = factory(classes, channels, **extra, **params)
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"Your network factory `{label}` raised {type(error).__name__} when called with "
            f"classes={classes}, channels={channels}, {extra | dict(params)}: {error}"
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"Your network factory `{label}` must return a torch.nn.Module, but returned "
            f"{type(network).__name__}."
        )
    return network


def with_sizes(network: nn.Module, channels: int, size: tuple[int, int]) -> nn.Module:
    """Initialize a network's lazy layers, which learn their sizes from a blank image.

    Raises:
        ModelError: The network raises.
    """
    if any(map(nn.parameter.is_lazy, (*network.parameters(), *network.buffers()))):
        answer(network.eval(), torch.zeros((2, channels, *size)))
        network.train()
    return network


def answer(network: nn.Module, x_NCHW: Tensor) -> Any:
    """Call a network without gradients; it may return anything."""
    try:
        with torch.no_grad():
            return network(x_NCHW)
    except Exception as error:
        told = str(error).rstrip(".")
        raise ModelError(
            f"Your network raised {type(error).__name__} on images of shape "
            f"{tuple(x_NCHW.shape)}: {told}. If it computes images of another "
            "size alone, let it resize these itself, such as to a `resolution` that its factory "
            "takes, or make it for the `size` (height, width) that a factory may take."
        ) from error


def is_channels_last(network: nn.Module, x_NCHW: Tensor) -> bool:
    """Whether a network computes images with channels last in memory, too; it is changed."""
    try:
        answer(arrange(network.eval(), channels_last=True), arranged(x_NCHW, channels_last=True))
    except ModelError:
        return False
    return True


def check_network(network: nn.Module, x_NCHW: Tensor, classes: int) -> None:
    """Try a network on a few normalized images, before time is spent on it.

    Raises:
        ModelError: The network raises, has no trainable parameter or one that is not finite, or
            returns another shape than ``(N, classes)``, values that are not finite, or different
            values each time.
    """
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if not trained:
        raise ModelError("Your network has no trainable parameter, so there is nothing to train.")
    for name, p in trained.items():
        if not p.isfinite().all():
            raise ModelError(
                f"Parameters to train must be finite, but `{name}` has NaN or infinite values. "
                "Check its initialization; if it is a mask, make it a buffer by `register_buffer`."
            )
    z_NK = answer(network.eval(), x_NCHW)
    shape = tuple(z_NK.shape) if isinstance(z_NK, Tensor) else type(z_NK).__name__
    expected = (len(x_NCHW), classes)
    if shape != expected:
        raise ModelError(
            f"Your network must return logits of shape (images, classes) = {expected}, but "
            f"returned {shape}."
        )
    if not torch.isfinite(z_NK).all():
        raise ModelError(
            "Your network gives NaN or infinite logits before any training. Check its "
            "initialization and divisions."
        )
    if not torch.allclose(z_NK.double(), answer(network, x_NCHW).double(), rtol=1e-3, atol=1e-5):
        raise ModelError(
            "Your network gives different answers to the same images in eval mode. Pass "
            "training=self.training to F.dropout, or use nn.Dropout; whatever else is random must "
            "be so only if `self.training`."
        )
