"""HTTP requests for servers with another interface than Rankway's, and the JSON document in their answers."""

import json
import struct

from benchmarks.harness.connections import http_request

_TRITON_PATH = "/v2/models/ranker/infer"


def list_request(host: str, body: bytes) -> bytes:
    """Return BentoML's request: a list with one element, because it batches lists."""
    return http_request(host, "/v1/rank", b'{"requests":[' + body + b"]}")


def triton_request(host: str, body: bytes) -> bytes:
    """Return Triton's request: a JSON head, and the user's id and k as binary tensors."""
    fields = json.loads(body)
    user = fields["user_id"].encode()
    tensors = struct.pack("<I", len(user)) + user + struct.pack("<i", fields["k"])
    head = json.dumps(
        {
            "inputs": [
                _tensor("user", "BYTES", 4 + len(user)),
                _tensor("k", "INT32", 4),
            ],
            "outputs": [{"name": "answer", "parameters": {"binary_data": True}}],
        },
        separators=(",", ":"),
    ).encode()
    request = http_request(host, _TRITON_PATH, head + tensors, "application/octet-stream")
    length = f"Inference-Header-Content-Length: {len(head)}\r\n".encode()
    return request.replace(b"Content-Type:", length + b"Content-Type:", 1)


def _tensor(name: str, datatype: str, size: int) -> dict[str, object]:
    return {"name": name, "shape": [1, 1], "datatype": datatype, "parameters": {"binary_data_size": size}}


def document_of(body: bytes) -> bytes:
    """Return the JSON document in an answer that also has a list's brackets or Triton's head."""
    start = max(body.find(b'{"request_id"'), 0)
    return body[start : body.rfind(b"}") + 1]
