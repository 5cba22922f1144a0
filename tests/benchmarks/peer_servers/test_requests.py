import json
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.peer_servers.requests import document_of, list_request, triton_request

DOCUMENT = b'{"request_id":"a-1","items":[{"id":"i-1","score":0.5}]}'


def test_a_document_is_found_in_a_list_and_behind_tritons_head() -> None:
    assert document_of(DOCUMENT) == DOCUMENT
    assert document_of(b"[" + DOCUMENT + b"]") == DOCUMENT
    head = b'{"model_name":"ranker","outputs":[{"name":"answer"}]}'
    assert document_of(head + struct.pack("<I", len(DOCUMENT)) + DOCUMENT) == DOCUMENT


def test_a_list_has_the_body_as_its_only_element() -> None:
    body = list_request("h", b'{"user_id":"u-1","k":3}').partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"requests": [{"user_id": "u-1", "k": 3}]}


@settings(max_examples=40)
@given(st.text(max_size=20), st.integers(0, 2**31 - 1))
def test_triton_gets_the_user_and_k_behind_a_head_of_the_announced_length(user: str, k: int) -> None:
    body = json.dumps({"user_id": user, "k": k}).encode()
    head, _, data = triton_request("h", body).partition(b"\r\n\r\n")
    fields = dict(line.split(b": ") for line in head.split(b"\r\n")[1:])
    assert int(fields[b"Content-Length"]) == len(data)
    length = int(fields[b"Inference-Header-Content-Length"])
    sizes = {i["name"]: i["parameters"]["binary_data_size"] for i in json.loads(data[:length])["inputs"]}
    name, number = data[length : length + sizes["user"]], data[length + sizes["user"] :]
    assert struct.unpack("<I", name[:4])[0] == len(name) - 4
    assert name[4:].decode() == user
    assert struct.unpack("<i", number)[0] == k
    assert len(number) == sizes["k"] == 4
