"""The plain HAProxy in front of the hand-written application, with the settings of the one in front of Rankway.

These are the lines of the ``haproxy.cfg`` that a running ``rankway serve`` has, without those that concern Ray: its
routes, its fallback proxy, its error pages and its statistics. Rankway's HAProxy logs every millionth request, and this
one logs none.
"""

from collections.abc import Sequence

_CONFIG = """\
global
    maxconn 4096
    nbthread 1
    tune.bufsize 32768
    hard-stop-after 120s
defaults
    mode http
    timeout connect 5s
    timeout client 15s
    timeout server 15s
    timeout http-keep-alive 90s
    timeout http-request 5s
    option abortonclose
    option splice-request
    option splice-response
    option redispatch 1
    retry-on conn-failure empty-response
    retries 4
    option http-no-delay
    option idle-close-on-response
    option http-ignore-probes
    balance leastconn
frontend clients
    bind 127.0.0.1:{port}
    default_backend processes
backend processes
    http-reuse always
    option httpchk GET /healthz
    http-check expect status 200
    default-server fastinter 250ms downinter 250ms fall 2 rise 2 inter 5s check
"""


def haproxy_config(port: int, backends: Sequence[int]) -> str:
    """Return HAProxy's configuration.

    Args:
        port: the port for clients.
        backends: the ports of the application's processes.
    """
    servers = [f"    server process-{backend} 127.0.0.1:{backend}\n" for backend in backends]
    return _CONFIG.format(port=port) + "".join(servers)
