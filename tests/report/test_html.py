"""Tests of `tunesmith.report.html`."""

import base64
import dataclasses
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from tunesmith.report.html import DRAWN_CLASSES, data_uri, render
from tunesmith.report.story import Story

from .conftest import MakeStory, changed, picture

NASTY = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "{{ 7 * 7 }}", "a & b")
VOID = {"meta", "img", "br"}

Attributes = Sequence[tuple[str, str | None]]


class Page(HTMLParser):
    """Collects a page's elements and text, and checks that elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.mark.parametrize("classes", [2, 3, 12, 30, 31, 200])
def test_the_page_stands_alone(make_story: MakeStory, classes: int) -> None:
    html = render(make_story(tuple(f"class {i}" for i in range(classes))))
    page = Page(html)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/"))
    assert "url(" not in html
    assert "@import" not in html
    policy = next(m for m in page.attributes("meta") if "http-equiv" in m)
    assert (policy["content"] or "").startswith("default-src 'none'")
    drawn = any(svg.get("class") == "heat" for svg in page.attributes("svg"))
    assert drawn == (classes <= DRAWN_CLASSES)


def test_everyone_can_read_it(make_story: MakeStory) -> None:
    page = Page(render(make_story()))
    assert page.attributes("html")[0]["lang"] == "en"
    assert all(image.get("alt") for image in page.attributes("img"))
    assert all(cell.get("scope") in ("col", "row") for cell in page.attributes("th"))
    for svg in page.attributes("svg"):
        assert svg.get("aria-hidden") == "true" or svg.get("aria-label")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {(a["href"] or "").removeprefix("#") for a in page.attributes("a")} == set(ids)


def test_it_tells_the_whole_story(make_story: MakeStory) -> None:
    text = Page(render(make_story())).text
    for expected in (
        "of 60 test images were classified correctly",
        "95 % confidence, measured once on 60 images",
        "linear model",
        "the PNG is damaged or cut off",
        "1 copy",
        "validation accuracy",
        "Confused most often",
        "97.0 % sure",
        "calibration error before",
        "58.5 s of 1 min 00 s",
        "in between",
        "train.lr",
        "ts.load('runs/photos/bundle')",
        "[N, H, W, 3]",
        "One image takes 0.41 ms, 32 images at once take 5.70 ms on 2 threads",
        "tunesmith fit photos --budget 60s",
    ):
        assert expected in text


def test_the_size_is_width_by_height(make_story: MakeStory) -> None:
    assert "24 x 16 pixels (width x height), gray" in Page(render(make_story())).text


def test_dots_of_a_fold_are_called_that(make_story: MakeStory) -> None:
    story = make_story()
    counts = story.summary.data.counts.model_copy(update={"validation": 0})
    folded = dataclasses.replace(story, summary=changed(story.summary, data={"counts": counts}))
    text = Page(render(folded)).text
    assert "first fold accuracy" in text
    assert "validation accuracy" not in text


@pytest.mark.parametrize("name", NASTY)
def test_names_are_shown_and_never_run(make_story: MakeStory, name: str) -> None:
    html = render(make_story((name, "b", "قطة")))
    page = Page(html)
    assert not page.attributes("script")
    assert all("onerror" not in image for image in page.attributes("img"))
    assert name in page.texts
    assert "<script" not in html


def test_a_name_that_is_no_unicode_is_shown_escaped(make_story: MakeStory) -> None:
    html = render(make_story(("a\udcff", "b")))
    html.encode("utf-8")
    assert "a\\udcff" in html


def test_a_run_with_nothing_to_show_has_a_page(make_story: MakeStory) -> None:
    story = make_story()
    data = story.summary.data.model_copy(
        update={
            "skipped": {},
            "counts": story.summary.data.counts.model_copy(update={"validation": 0}),
        }
    )
    evaluation = story.summary.evaluation.model_copy(
        update={
            "roc_auc": None,
            "recall": (1.0, 1.0, None),
            "confusion": ((20, 0, 0), (0, 20, 0), (0, 0, 0)),
        }
    )
    summary = story.summary.model_copy(
        update={"data": data, "evaluation": evaluation, "exports": (), "notes": (), "phases": {}}
    )
    bare = Story(
        title="nothing",
        summary=summary,
        curve=(),
        validation=(),
        samples={},
        mistakes=(),
        unsure=(),
    )
    text = Page(render(bare)).text
    assert "No learning curve was recorded" in text
    assert "There was no mistake" in text
    assert "No test image was confused" in text
    assert "undefined" in text
    assert "out-of-fold" in text


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (64, 3, 3), (5, 7, 4)])
def test_small_images_are_kept_to_the_pixel(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    kind, _, encoded = data_uri(image).partition(";base64,")
    assert kind == "data:image/png"
    found = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    codes = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    code = codes.get(shape[-1]) if len(shape) == 3 else None
    found = found if code is None else cv2.cvtColor(found, code)
    np.testing.assert_array_equal(found.reshape(shape), image)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_large_images_are_shrunk(channels: int) -> None:
    uri = data_uri(picture(900, 1600, channels))
    encoded = base64.b64decode(uri.partition(";base64,")[2])
    found = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    assert found.shape[:2] == (90, 160)
    assert len(uri) < 20_000


def test_a_network_of_which_only_the_last_layer_was_fitted(make_story: MakeStory) -> None:
    story = make_story(("cat", "dog"))
    untrained = story.summary.model_copy(update={"examples": 0})
    text = Page(render(dataclasses.replace(story, summary=untrained, curve=()))).text
    assert "Its last layer was fitted to features" in text
    assert "The network saw" not in text


def test_a_fine_tuning_that_did_harm(make_story: MakeStory) -> None:
    story = make_story(("cat", "dog"))
    untuned = story.summary.model_copy(update={"examples": 0})
    text = Page(render(dataclasses.replace(story, summary=untuned, seen=3000))).text
    assert "fine-tuned with 3,000 examples, but answers as before that" in text
    assert "The network saw" not in text
    assert "no time" not in text


@pytest.mark.parametrize(("temperature", "said"), [(1.3, "it was fitted on"), (1, "it stays 1")])
def test_a_temperature_that_does_not_help_is_told(
    make_story: MakeStory, temperature: float, said: str
) -> None:
    story = make_story()
    summary = changed(story.summary, evaluation={"temperature": temperature})
    text = Page(render(dataclasses.replace(story, summary=summary))).text
    assert f"divides the logits; {said}" in text


def test_what_was_left_aside_is_counted(make_story: MakeStory) -> None:
    story = dataclasses.replace(make_story(("cat", "dog")), columns={"path": "file", "label": "y"})
    text = Page(render(story)).text
    assert "Left aside: 3 hidden files." in text
    assert "Columns of the table" in text
    assert "path=file, label=y" in text
