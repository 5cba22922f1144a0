"""Every private name in Ray and Ray Serve that Rankway uses, as of Ray 2.60.

Two tests enforce this. One test uses each name, so it fails if a Ray upgrade removes a name. The other test refuses
Ray's private names in all other modules. The functions import Ray when they are called.

Rankway uses the internals of one other library, uvicorn: ``services.ingress.asgi`` replaces the transport in
uvicorn's request cycle while an answer is written.
"""
