"""The bits of layers: they fall to the target, and more slowly in layers with a large eigenvalue."""

from models.compress.steps.quantization.moq.schedule import bits_at, periods_of


def test_sensitive_layers_have_longer_periods() -> None:
    assert periods_of([8.0, 4.0, 1.0, 0.0], 10) == [50, 30, 10, 10]
    assert periods_of([0.0, 0.0], 7) == [7, 7]


def test_a_bit_is_lost_after_each_period_until_the_target() -> None:
    assert [bits_at(step, 16, 8, 10) for step in (0, 9, 10, 79, 80, 1000)] == [16, 16, 15, 9, 8, 8]
