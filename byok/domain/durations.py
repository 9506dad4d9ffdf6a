"""Durations in words."""

from datetime import timedelta


def format_duration(span: timedelta, units: int = 2) -> str:
    """Return a duration in words, for example `6 days 23 hours`.

    Args:
        span: The duration.
        units: The maximum number of units, counted from the largest unit that is not zero; units with the value zero
            are omitted.
    """
    minutes = max(0, int(span.total_seconds() // 60))
    counts = ((minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute"))
    first = next((index for index, (count, _) in enumerate(counts) if count), None)
    if first is None:
        return "less than a minute"
    shown = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in counts[first : first + units] if count]
    return " ".join(shown)
