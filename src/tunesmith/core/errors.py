"""Every error that Tunesmith raises on purpose.

```
TunesmithError
├── UserError              the user can mend it; the command line exits with status 2
│   ├── SettingsError      a setting, budget or job file is wrong
│   ├── SourceError        the data cannot be used as they are
│   ├── ModelError         the user's own network does not fit
│   ├── RunFolderError     the output folder is in use, unwritable, or belongs to another job
│   ├── LimitError         no network is within the limits, or this one is not
│   ├── BundleError        a bundle is damaged or incomplete
│   └── MissingExtraError  an optional package is not installed
└── InternalError          a fault of ours; the command line exits with status 1
    └── ExportMismatchError  the exported graph does not give the network's answers
```
A message says the rule, the value that broke it, and the way out.
"""


class TunesmithError(Exception):
    """Base of all errors that Tunesmith raises on purpose."""


class UserError(TunesmithError):
    """Something the user can mend; the message says how."""


class SettingsError(UserError, ValueError):
    """A setting, budget or job file is wrong."""


class SourceError(UserError, ValueError):
    """The data cannot be used as they are."""


class ModelError(UserError, ValueError):
    """The user's own network does not fit."""


class RunFolderError(UserError):
    """The output folder is in use, unwritable, full, or belongs to another job."""


class LimitError(UserError, ValueError):
    """No network is within the limits that the user set, or this one is not."""


class BundleError(UserError):
    """A bundle is damaged or incomplete."""


class MissingExtraError(UserError, ImportError):
    """An optional package is not installed; the message names the line that installs it."""


class InternalError(TunesmithError):
    """A fault of ours."""


class ExportMismatchError(InternalError):
    """The exported graph does not give the network's answers on real images."""
