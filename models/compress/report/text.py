"""The result of a recipe as rows of text: the same figures in the terminal and in the HTML report."""

from models.compress.figures import Figures, Interval
from models.compress.report.choices import Choice
from models.compress.report.pareto import Point
from models.compress.rows import Result, Row

KIB, MIB = 1 << 10, 1 << 20


def shown_bytes(size: int) -> str:
    """Return a size with its unit, such as "1.25 MiB"."""
    if size >= MIB:
        return f"{size / MIB:,.2f} MiB"
    return f"{size / KIB:,.1f} KiB" if size >= KIB else f"{size} B"


def shown_count(count: int) -> str:
    """Return a number of parameters, such as "1.20 M"."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:,.2f} {unit}"
    return str(count)


def shown_interval(interval: Interval | None) -> str:
    """Return a quality with its interval, such as "0.6123 (0.6050 to 0.6190)"."""
    return "-" if interval is None else f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def shown_change(interval: Interval | None) -> str:
    """Return a relative change with its interval, such as "-0.52% (-0.80% to -0.20%)"."""
    if interval is None:
        return "-"
    return f"{shown_share(interval.value)} ({shown_share(interval.low)} to {shown_share(interval.high)})"


def shown_share(share: float) -> str:
    """Return a share with its sign, such as "-0.52%". A share that rounds to 0 has no sign."""
    shown = f"{share:+.2%}"
    return shown[1:] if shown in {"+0.00%", "-0.00%"} else shown


def shown_loss(point: Point) -> str:
    """Return a loss with its interval, such as "0.52% (0.20% to 0.80%)"."""
    low, high = sorted((point.smallest_loss, point.largest_loss))
    return f"{plain_share(point.loss)} ({plain_share(low)} to {plain_share(high)})"


def shown_choice(choice: Choice, metric: str) -> str:
    """Return a recommended model as a sentence."""
    text = f"at most {choice.loss:.1%} loss of {metric}: "
    text += "no model" if choice.within is None else _named(choice.within)
    if choice.maybe is not None:
        text += f". Point estimate within, interval not: {_named(choice.maybe)}"
    return text


def _named(point: Point) -> str:
    return f"{point.row.label}, {point.speedup:.2f}x, loss {shown_loss(point)}"


def plain_share(share: float) -> str:
    """Return a share, such as "0.52%". One that rounds to 0 has no sign."""
    return f"{share + 0.0:.2%}".replace("-0.00%", "0.00%")


def columns(result: Result) -> list[str]:
    """Return the titles of the table."""
    deciding = result.deciding
    return [
        *("step", "parent", "state", "parameters", "on disk", "peak memory (of it the model)"),
        *(f"p50 / p99 ms (calls), {count:,} candidates" for count in result.candidates),
        f"speed-up over parent, {deciding:,} candidates",
        f"speed-up over original, {deciding:,} candidates",
        *(
            result.metric,
            f"{result.metric}: change against parent",
            f"{result.metric}: change against original",
        ),
    ]


def cells(result: Result, row: Row) -> list[str]:
    """Return a row of the table. A step without figures has dashes."""
    figures, first = row.figures, [shown_label(row), row.parent or "-", shown_state(row)]
    if figures is None:
        return first + ["-"] * (len(columns(result)) - len(first))
    sizes = figures.sizes
    return [
        *(*first, shown_count(sizes.parameters), shown_bytes(sizes.disk_bytes), shown_memory(figures)),
        *shown_times(result, figures),
        *shown_speedups(row),
        shown_interval(figures.quality),
        *shown_changes(row),
    ]


def shown_memory(figures: Figures) -> str:
    """Return the peak memory and the model's part of it, such as "151 MiB (42)"."""
    return f"{figures.peak_mib:,.0f} MiB ({figures.model_mib:,.0f})" if figures.latencies else "-"


def shown_times(result: Result, figures: Figures | None) -> list[str]:
    """Return p50, p99 and the number of measured calls for each number of candidates."""
    if figures is None or not figures.latencies:
        return ["-"] * len(result.candidates)
    return [f"{_ms(each.p50_ms)} / {_ms(each.p99_ms)} ({each.calls:,})" for each in figures.latencies]


def _ms(value: float) -> str:
    """Return a time with three digits, or without decimals if it has more."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def shown_changes(row: Row) -> list[str]:
    """Return the changes of the quality against the parent and against the original, which itself has none."""
    if row.figures is None or not row.kind:
        return ["-", "-"]
    return [shown_change(row.figures.change_of_parent), shown_change(row.figures.change_of_original)]


def shown_speedups(row: Row) -> list[str]:
    """Return the speed-ups over the parent and over the original, which itself has none."""
    figures = row.figures
    if figures is None or not figures.latencies or not row.kind:
        return ["-", "-"]
    return [f"{figures.deciding.of_parent:.2f}x", f"{figures.deciding.of_original:.2f}x"]


def shown_label(row: Row) -> str:
    """Return a row's label, with its runtime if that is not ONNX Runtime."""
    runtime = "onnx" if row.figures is None else row.figures.runtime
    return row.label if runtime == "onnx" else f"{row.label} ({runtime})"


def shown_state(row: Row) -> str:
    """Return whether the gate accepted a step. The original was not judged."""
    return row.state if row.kind else "-"
