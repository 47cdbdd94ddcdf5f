"""Render a `Story` as one self-contained HTML file."""

from tunesmith.report.story import Story


def render(story: Story) -> str:
    return f"<html>{story.title}</html>"
