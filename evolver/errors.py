"""What can go wrong on our side. A candidate's fault is a `Failed` value, never one of these."""


class EvolverError(Exception):
    """A fault that the user can read in one line: what, which, what next."""

    exit_code = 1


class UsageError(EvolverError):
    """The command line, a configuration file or the user's data cannot be used as given."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, contradictory or out of range."""


class DataError(UsageError):
    """The data cannot be read or cannot be split as asked."""


class LeakAlarm(DataError):  # noqa: N818 - the word the canaries use
    """A canary says that results on this data, split so, would mean nothing."""


class ProposerError(EvolverError):
    """No proposals can be had: endpoint dead, key refused, model unknown, reply limit reached."""


class BudgetSpent(ProposerError):  # noqa: N818 - an ending, not an error
    """The next request could pass a cap on dollars, tokens or time. A normal end of a run."""

    exit_code = 0


class NothingPays(BudgetSpent):
    """Neither refining an agent nor recomposing the pipeline brings anything more."""


class AwaitingAnswer(BudgetSpent):
    """Nothing more can be done before somebody answers a request in the mailbox."""


class SandboxUnavailable(EvolverError):  # noqa: N818 - the word the design uses
    """The chosen sandbox cannot run here. No candidate is to blame."""


class ArchiveError(EvolverError):
    """The archive is missing, locked by another process, or written by another version."""
