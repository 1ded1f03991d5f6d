"""Readable PDFs for the sandbox's documents; the same text always gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def letter(heading: str, title: str, written_at: datetime, lines: Sequence[str]) -> bytes:
    """Return a one-page PDF.

    Args:
        heading: who writes, such as the establishment.
        title: what the document is.
        written_at: printed, and kept as the PDF's creation date.
        lines: paragraphs, in the Latin-1 characters that the built-in fonts have.
    """
    from fpdf import FPDF  # slow to load, and most commands write no letter
    from fpdf.enums import XPos, YPos

    pdf = FPDF(format="A4")
    pdf.set_creation_date(written_at)
    pdf.set_title(title)
    pdf.set_margin(22)
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    pdf.cell(text=heading, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.cell(text=written_at.strftime("%d/%m/%Y"), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(8)
    pdf.set_font("Helvetica", style="B", size=15)
    pdf.multi_cell(w=0, text=title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)
    pdf.set_font("Helvetica", size=11)
    for line in lines:
        pdf.multi_cell(w=0, h=6, text=line, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.ln(2)
    return bytes(pdf.output())
