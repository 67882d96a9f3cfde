"""The server's log on stderr: one line a message, whatever clients have written into it."""

from __future__ import annotations

import logging


class OneLine(logging.Formatter):
    """Escapes what is no printable character in messages; tracebacks below them stay as they are.

    Clients choose their names, and errors quote what they sent: a newline would forge a line of the
    log, an ANSI sequence rule the terminal that shows it.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)


def printable(text: str) -> str:
    """The text with escapes for control, format and separator characters other than a space."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def log_to_stderr(level: int) -> None:
    """All loggers of the process, from this level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
