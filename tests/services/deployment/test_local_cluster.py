"""Ray and Serve on this machine."""

import socket

import pytest

from services.config.units import HttpConfig
from services.deployment.local_cluster import refuse_taken_port
from services.errors import ConfigError


def test_refuses_port_in_use_before_anything_starts() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(ConfigError, match=str(listener.getsockname()[1])):
            refuse_taken_port(HttpConfig(port=listener.getsockname()[1]))
