"""Put the patterns that were found on images without them, and measure how models respond."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.cores import cores
from tunesmith.core.pixels import squeeze
from tunesmith.data.originals import originals
from tunesmith.jobs.deep.trained import Trained
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding, Tried
from tunesmith.screening.triggers import read_trigger

Images = NDArray[np.uint8]
Places = NDArray[np.int64]
Size = tuple[int, int]
Answer = Callable[[Images], NDArray[np.int64]]

READ = 2000  # images to read a trigger from, and to put it on, at most
MOST_PIXELS = READ * 64**2  # of them; of larger images, there are fewer
FEWEST = 50


@final
@dataclass(frozen=True, kw_only=True)
class Backdoor:
    """A pattern that may be the trigger of a backdoor, ready to be tried on a model.

    Attributes:
        finding: Its report entry.
        places: Indices of all images with the pattern, the most certain first.
        others: Indices of images without it, one array for each way to choose them.
        wanted: Class that it indicates; None if its images are of many classes.
        free: Indices of images without it and not of that class; test images if there are any.
        data: All images; backdoors share them.
    """

    finding: Finding
    places: Places
    others: Sequence[Places]
    wanted: int | None
    free: Places
    data: Data

    def success(self, answers: Sequence[Answer], size: Size) -> tuple[int, list[float]]:
        """Put the pattern on images, and return their number and attack success rates.

        That is the share of images that move to the pattern's class. If the pattern indicates no
        class: the share of images whose prediction it changes.

        Args:
            answers: What models predict.
            size: Height and width of the images that the models read.
        """
        if not is_coarse(self.data, size):
            size = self.data.loaded.pixels.shape[1:3]
        most = min(READ, max(FEWEST, MOST_PIXELS // (size[0] * size[1])))
        x_NHWC = at_size(self.data, self.free[:most], size)
        if not len(x_NHWC):
            return 0, [0.0 for _ in answers]
        others = [at_size(self.data, each[:most], size) for each in self.others]
        trigger = read_trigger(at_size(self.data, self.places[:most], size), others)
        put_NHWC = trigger.put_on(x_NHWC)
        return len(x_NHWC), [self._share(answer, x_NHWC, put_NHWC) for answer in answers]

    def _share(self, answer: Answer, x_NHWC: Images, put_NHWC: Images) -> float:
        if self.wanted is None:
            return float((answer(put_NHWC) != answer(x_NHWC)).mean())
        return float((answer(put_NHWC) == self.wanted).mean())


def try_backdoors(
    backdoors: Sequence[Backdoor], models: Sequence[Trained], classes: Sequence[str]
) -> tuple[Tried, ...]:
    """Add each pattern to images without it, and measure how models respond."""
    if not models:
        return ()
    # All models are tried on the same images: as large as the one reads that reads the largest.
    size = max(model.size[0] for model in models), max(model.size[1] for model in models)
    tried = []
    for backdoor in backdoors:
        images, shares = backdoor.success([model.answer for model in models], size)
        success = {m.name: round(share, 4) for m, share in zip(models, shares, strict=True)}
        wanted = None if backdoor.wanted is None else classes[backdoor.wanted]
        title = backdoor.finding.title
        tried.append(Tried(title=title, wanted=wanted, images=images, success=success))
    return tuple(tried)


def is_coarse(data: Data, size: Size) -> bool:
    """Whether the thumbnails show less than a model reads, and the images have more to show."""
    height, width = data.loaded.pixels.shape[1:3]
    return data.loaded.resized and (size[0] > height or size[1] > width)


def at_size(data: Data, places: Places, size: Size) -> Images:
    """Return images as thumbnails, or read again at a size if these are too coarse for it.

    Images that can no longer be read are enlarged thumbnails.
    """
    pixels = data.loaded.pixels[places]
    if not is_coarse(data, size):
        return pixels
    found = np.stack([squeeze(x_HWC, size) for x_HWC in pixels]) if len(pixels) else pixels
    indices, channels = data.loaded.kept[places], pixels.shape[3]
    rows = dict(zip(indices.tolist(), range(len(places)), strict=True))
    for some, x_NHWC in originals(data.source, indices, channels=channels, threads=cores()):
        for index, x_HWC in zip(some.tolist(), x_NHWC, strict=True):
            found[rows[index]] = squeeze(x_HWC, size)
    return found
