"""Labeled images and a time budget in; a trained, tested and exported model out.

```
import tunesmith as ts

result = ts.fit("photos/", budget="30m")
model = ts.load("runs/photos/bundle")
```
Each name is imported on first access (PEP 562), so that `import tunesmith` is fast, and machines
that only predict do not need torch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.bundle.predictor import load
    from tunesmith.core.space import Choice, Field, Float, Int, When
    from tunesmith.jobs.check import check
    from tunesmith.jobs.cleanse import cleanse
    from tunesmith.jobs.fit import fit
    from tunesmith.jobs.tune import tune

    __version__: str

__all__ = [
    "Choice",
    "Field",
    "Float",
    "Int",
    "When",
    "__version__",
    "check",
    "cleanse",
    "fit",
    "load",
    "tune",
]

_HOMES = {
    "Choice": "tunesmith.core.space",
    "Field": "tunesmith.core.space",
    "Float": "tunesmith.core.space",
    "Int": "tunesmith.core.space",
    "When": "tunesmith.core.space",
    "check": "tunesmith.jobs.check",
    "cleanse": "tunesmith.jobs.cleanse",
    "fit": "tunesmith.jobs.fit",
    "load": "tunesmith.bundle.predictor",
    "tune": "tunesmith.jobs.tune",
}

# Hidden from type checkers, which would otherwise accept any attribute.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        import importlib

        if name == "__version__":
            from importlib.metadata import version

            value = version("tunesmith")
        elif name in _HOMES:
            value = getattr(importlib.import_module(_HOMES[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # later accesses no longer come here
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
