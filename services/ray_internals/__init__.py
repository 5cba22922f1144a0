"""Every private name of Ray and Ray Serve that Rankway uses, as of Ray 2.60.

Two tests hold this. One touches each name, so that an upgrade of Ray fails there and says which name is gone. The other
refuses private names of Ray anywhere else. Ray is imported inside the functions.

The one other library whose inside is used is uvicorn: ``services.ingress.asgi`` replaces the transport of its request
cycle for the length of an answer.
"""
