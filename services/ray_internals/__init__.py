"""Every private name of Ray and Ray Serve that Rankway uses, as of Ray 2.60.

Two tests enforce this. One uses each name, so an upgrade of Ray that removes a name fails there. The other
refuses private names of Ray in all other modules. The functions import Ray when they are called.

Rankway uses the internals of one other library, uvicorn: ``services.ingress.asgi`` replaces the transport of
its request cycle while an answer is written.
"""
