"""Times in whole ticks, for formats that count hundredths or thousandths of a second."""

from fractions import Fraction


def tick(frame: int, fps: Fraction, ticks: int) -> int:
    """The tick at which a frame starts, at `ticks` a second: rounded, so that errors never add up."""
    return round(Fraction(frame * ticks) / fps)
