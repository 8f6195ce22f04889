"""Words of messages that depend on numbers."""


def counted(number: int, noun: str) -> str:
    """ "1 note", "1,200 notes"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
