import pytest

from autoscale.registries.errors import Untrusted
from autoscale.registries.trust import refuse_untrusted, trusting


@pytest.mark.parametrize("target", ["acme:X", "acme.ranking:X", "acme.ranking.deep:X.Y"])
def test_a_trusted_package_includes_those_inside_it(target: str) -> None:
    with trusting(["other", "acme"]):
        refuse_untrusted(target)


@pytest.mark.parametrize("target", ["acm:X", "acmes:X", "acme_ranking:X", "x.acme:X", "os:system"])
def test_a_package_of_a_similar_name_is_another(target: str) -> None:
    with trusting(["acme"]), pytest.raises(Untrusted, match="does not trust its code"):
        refuse_untrusted(target)


def test_a_package_inside_another_does_not_include_that() -> None:
    with trusting(["acme.ranking"]):
        refuse_untrusted("acme.ranking.deep:X")
        with pytest.raises(Untrusted):
            refuse_untrusted("acme.other:X")


@pytest.mark.parametrize("packages", [None, "acme", 7, {"acme": 1}, [7, "", "acme ", ".", "acme:X"]])
def test_what_is_no_list_of_names_trusts_nothing(packages: object) -> None:
    with trusting(packages), pytest.raises(Untrusted):
        refuse_untrusted("acme:X")


def test_trust_ends_with_its_block_and_does_not_add_up() -> None:
    with trusting(["acme"]):
        with trusting(["other"]), pytest.raises(Untrusted):
            refuse_untrusted("acme:X")
        refuse_untrusted("acme:X")
    with pytest.raises(Untrusted):
        refuse_untrusted("acme:X")
