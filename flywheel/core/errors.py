"""One error tree; whether to try again is in the type.

FlywheelError                 one line: what is wrong; one line: how to mend it
|-- MisuseError               the person asked for something that cannot be (exit code 2)
|   `-- SettingsError         a settings or policy file says something impossible
|-- PermanentError            trying again without a change will fail again
|   |-- CorruptError          bytes are not what their hash or shape promised
|   `-- ConflictError         somebody else holds what we need (a second daemon, a lost lease)
`-- TemporaryError            worth another try after `delay` seconds
    |-- UnavailableError      a server, file or database is away for now
    `-- ResourceError         disk, memory or a lock ran out for now
"""


class FlywheelError(Exception):
    """Says in one line what is wrong and in another how to mend it."""

    exit_code = 1

    def __init__(self, message: str, mend: str = "") -> None:
        """Keep both lines; `str()` joins them for people."""
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        """Return the one line a person reads."""
        return f"{self.message} — {self.mend}" if self.mend else self.message


class MisuseError(FlywheelError):
    """The request itself cannot be satisfied as asked."""

    exit_code = 2


class SettingsError(MisuseError):
    """A settings or policy file is missing, malformed or contradicts itself."""


class PermanentError(FlywheelError):
    """Trying again without a change will fail in the same way."""


class CorruptError(PermanentError):
    """Bytes on disk are not what their hash, shape or format promised."""


class ConflictError(PermanentError):
    """Somebody else holds what is needed."""


class TemporaryError(FlywheelError):
    """Worth another try after `delay` seconds."""

    def __init__(self, message: str, mend: str = "", delay: float = 5.0) -> None:
        """Keep how long to wait before the next try."""
        super().__init__(message, mend)
        self.delay = delay


class UnavailableError(TemporaryError):
    """A server, file or database is away for now."""


class ResourceError(TemporaryError):
    """Disk, memory or a lock ran out for now."""
