"""Every error that Tunesmith raises on purpose.

```
TunesmithError
├── UserError              the user can fix it; the command line exits with status 2
│   ├── SettingsError      a setting, budget or job file is wrong
│   │   └── CodeChangedError  code was changed while it was searched with
│   ├── SourceError        the data set cannot be used as it is
│   ├── ModelError         the network cannot be used as it is
│   │   └── OutOfMemoryError  it does not fit into memory
│   ├── RunFolderError     the output folder is in use, unwritable, or belongs to another job
│   ├── LimitError         no network satisfies the limits, or this one does not
│   ├── BundleError        a bundle is damaged or incomplete
│   └── MissingExtraError  an optional package is not installed
└── InternalError          a bug in Tunesmith; the command line exits with status 1
    └── ExportMismatchError  the exported graph does not reproduce the network's outputs
```
Each message states the rule, the value that broke it, and how to fix it.
"""


class TunesmithError(Exception):
    """Base of all errors that Tunesmith raises on purpose."""


class UserError(TunesmithError):
    """An error that the user can fix; the message says how."""


class SettingsError(UserError, ValueError):
    """A setting, budget or job file is wrong."""


class CodeChangedError(SettingsError):
    """Code was changed while it was searched with."""


class SourceError(UserError, ValueError):
    """The data set cannot be used as it is."""


class ModelError(UserError, ValueError):
    """The network cannot be used as it is."""


class OutOfMemoryError(ModelError):
    """Memory runs out when the network is trained, even with one image in a batch."""


class RunFolderError(UserError):
    """The output folder is in use, unwritable, full, or belongs to another job."""


class LimitError(UserError, ValueError):
    """No network satisfies the user's limits, or this one does not."""


class BundleError(UserError):
    """A bundle is damaged or incomplete."""


class MissingExtraError(UserError, ImportError):
    """An optional package is not installed; the message has the command that installs it."""


class InternalError(TunesmithError):
    """A bug in Tunesmith."""


class ExportMismatchError(InternalError):
    """The exported graph does not reproduce the network's outputs on real images."""
