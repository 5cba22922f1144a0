import pytest

from autoscale.registries.errors import Untrusted
from autoscale.registries.trust import refuse_untrusted, trusting


@pytest.mark.parametrize("target", ["acme:X", "acme.ranking:X", "acme.ranking.deep:X.Y"])
def test_trust_includes_packages_inside_the_trusted_one(target: str) -> None:
    with trusting(["other", "acme"]):
        refuse_untrusted(target)


@pytest.mark.parametrize("target", ["acm:X", "acmes:X", "acme_ranking:X", "x.acme:X", "os:system"])
def test_trust_does_not_include_packages_with_a_similar_name(target: str) -> None:
    with trusting(["acme"]), pytest.raises(Untrusted, match="does not trust the package"):
        refuse_untrusted(target)


def test_trust_does_not_include_the_enclosing_package() -> None:
    with trusting(["acme.ranking"]):
        refuse_untrusted("acme.ranking.deep:X")
        with pytest.raises(Untrusted):
            refuse_untrusted("acme.other:X")


@pytest.mark.parametrize("packages", [None, "acme", 7, {"acme": 1}, [7, "", "acme ", ".", "acme:X"]])
def test_invalid_list_trusts_nothing(packages: object) -> None:
    with trusting(packages), pytest.raises(Untrusted):
        refuse_untrusted("acme:X")


def test_trust_ends_with_its_block_and_inner_blocks_replace_it() -> None:
    with trusting(["acme"]):
        with trusting(["other"]), pytest.raises(Untrusted):
            refuse_untrusted("acme:X")
        refuse_untrusted("acme:X")
    with pytest.raises(Untrusted):
        refuse_untrusted("acme:X")
