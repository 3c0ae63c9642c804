"""Spreadsheets: XLSX, XLS and ODS → the visible sheets as tables."""

from datetime import date, datetime
from io import BytesIO

from persona_cli.extraction.archives import open_archive
from persona_cli.extraction.blocks import Block, Extract, Unreadable


def read_sheets(data: bytes) -> Extract:
    """The sheets of an Office Open XML or OpenDocument workbook."""
    open_archive(data).close()
    return read_xls(data)


def read_xls(data: bytes) -> Extract:
    """The sheets of a workbook in any form."""
    import python_calamine as calamine

    try:
        book = calamine.CalamineWorkbook.from_filelike(BytesIO(data))
    except calamine.PasswordError as error:
        raise Unreadable("protected") from error
    visible = (sheet.name for sheet in book.sheets_metadata if sheet.visible == calamine.SheetVisibleEnum.Visible)
    blocks = []
    for name in visible:
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        blocks.append(Block("table", name, rows=[[_spell(cell) for cell in row] for row in rows]))
    return Extract(blocks)


def _spell(cell: object) -> str:
    """A cell as people would write it: no point after a whole number, no time after a day."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime) and not (cell.hour or cell.minute or cell.second):
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date) else str(cell)
