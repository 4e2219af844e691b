"""Tables for LaTeX papers, with the rules of the package booktabs."""

import re
from collections.abc import Sequence

# What LaTeX reads as something else, and letters that its usual fonts lack.
_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "·": r"$\cdot$",
    "°": r"$^\circ$",
    "²": "$^2$",
    "³": "$^3$",
    "½": r"$\frac{1}{2}$",
    "σ": r"$\sigma$",
    "χ": r"$\chi$",
    "μ": r"$\mu$",
    "θ": r"$\theta$",
    "ω": r"$\omega$",
    "…": r"\ldots{}",
}


def escape(text: str) -> str:
    """Text as LaTeX shows it. A minus before a number becomes a minus sign."""
    text = re.sub(r"(?<![\w.)\]])-(?=\d)", "−", text)
    return "".join(_SPECIAL.get(c, c) for c in text)


def booktabs(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """A table environment; the first column is left-aligned, the others right. Needs ``\\usepackage{booktabs}``."""
    body = [" & ".join(map(escape, row)) + r" \\" for row in (head, *rows)]
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{{label}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        r"    \toprule",
        f"    {body[0]}",
        r"    \midrule",
        *(f"    {line}" for line in body[1:]),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
