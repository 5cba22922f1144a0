"""The result of a recipe as rows of text: the same figures in the terminal and in the HTML report."""

from models.compress.figures import Figures, Interval
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


def columns(result: Result) -> list[str]:
    """Return the titles of the table."""
    deciding = result.deciding
    return [
        *("step", "state", "parameters", "on disk", "peak memory"),
        *(f"p50 / p99 ms, {count:,}" for count in result.candidates),
        *(f"speed-up of parent, {deciding:,}", f"of original, {deciding:,}"),
        *(result.metric, "change of parent", "change of original"),
    ]


def cells(result: Result, row: Row) -> list[str]:
    """Return a row of the table. A step without figures has dashes."""
    figures = row.figures
    if figures is None:
        return [row.label, _state(row), *["-"] * (len(columns(result)) - 2)]
    sizes = figures.sizes
    return [
        *(row.label, _state(row), shown_count(sizes.parameters), shown_bytes(sizes.disk_bytes)),
        *(f"{figures.peak_mib:,.0f} MiB" if figures.latencies else "-", *_times(result, figures)),
        *(shown_interval(figures.quality), shown_change(figures.change_of_parent)),
        shown_change(figures.change_of_original),
    ]


def _times(result: Result, figures: Figures) -> list[str]:
    if not figures.latencies:
        return ["-"] * (len(result.candidates) + 2)
    times = [f"{latency.p50_ms:.3g} / {latency.p99_ms:.3g}" for latency in figures.latencies]
    return [*times, f"{figures.deciding.of_parent:.2f}", f"{figures.deciding.of_original:.2f}"]


def short_columns(result: Result) -> list[str]:
    """Return the titles of the table for a terminal."""
    return ["step", "state", "on disk", f"p50 ms, {result.deciding:,}", "speed-up", result.metric, "change"]


def short_cells(row: Row) -> list[str]:
    """Return a row of the table for a terminal. Speed-up and change are those of the original."""
    figures = row.figures
    if figures is None or not figures.latencies or figures.quality is None:
        return [row.label, _state(row), "-" if figures is None else shown_bytes(figures.sizes.disk_bytes)] + [
            "-"
        ] * 4
    speed, change = figures.deciding, figures.change_of_original
    return [
        *(row.label, _state(row), shown_bytes(figures.sizes.disk_bytes), f"{speed.p50_ms:.3g}"),
        *(f"{speed.of_original:.2f}", f"{figures.quality.value:.4f}"),
        "-" if change is None else shown_share(change.value),
    ]


def _state(row: Row) -> str:
    return row.state if row.kind else "-"
