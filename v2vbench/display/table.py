"""Rows of values as a table."""

from html import escape

from IPython.display import HTML

DIRECTIONS = {"lower": "lower", "higher": "higher", "one": "near 1"}  # which values of a metric are better, in words


def table(rows: list[dict], caption: str) -> HTML:
    """Rows with equal keys as an HTML table; floats with 4 significant digits, None as a dash."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    lines = ["".join(f"<td>{_text(value)}</td>" for value in row.values()) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return HTML(
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _text(value) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
