"""Office files that are archives, made by hand with the parts that the programs which read them insist on."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

Part = str | tuple[int, str] | list[list[str]]
"""A paragraph; a heading with its level; or a table, as rows of cells."""

XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
OOXML = "http://schemas.openxmlformats.org"
RELATIONSHIPS = f"{OOXML}/officeDocument/2006/relationships"


def archive(entries: Mapping[str, str | bytes], mimetype: str = "") -> bytes:
    """A zip file; its media type first and unpacked, where the format wants that."""
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as packed:
        if mimetype:
            packed.writestr("mimetype", mimetype, ZIP_STORED)
        for name, content in entries.items():
            packed.writestr(name, content)
    return file.getvalue()


def package(entries: Mapping[str, str], types: Mapping[str, str], links: Mapping[str, Mapping[str, str]]) -> bytes:
    """An archive as Microsoft's programs write it.

    Args:
        types: what each entry is.
        links: of each entry, or "" for the archive, which entries it refers to and as what, numbered from rId1.
    """
    overrides = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in types.items())
    defaults = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
    )
    schema = f"{OOXML}/package/2006"
    whole = {"[Content_Types].xml": f'{XML}<Types xmlns="{schema}/content-types">{defaults}{overrides}</Types>'}
    for name, targets in links.items():
        folder, _, base = name.rpartition("/")
        relations = "".join(
            f'<Relationship Id="rId{at}" Type="{RELATIONSHIPS}/{kind}" Target="/{target}"/>'
            for at, (target, kind) in enumerate(targets.items(), 1)
        )
        text = f'{XML}<Relationships xmlns="{schema}/relationships">{relations}</Relationships>'
        whole[f"{folder}/_rels/{base}.rels".lstrip("/")] = text
    return archive({**whole, **{name: XML + text for name, text in entries.items()}})


def docx(*parts: Part) -> bytes:
    """A Word document as Korean Word writes it: styles have numbers for ids and English names."""
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    space = f'xmlns:w="{OOXML}/wordprocessingml/2006/main"'

    def paragraph(text: str, level: int = 0) -> str:
        style = f'<w:pPr><w:pStyle w:val="{level}"/><w:tabs><w:tab w:val="left" w:pos="720"/></w:tabs></w:pPr>'
        runs = escape(text).replace("\t", "</w:t><w:tab/><w:t>").replace("\n", "</w:t><w:br/><w:t>")
        return f'<w:p>{style * bool(level)}<w:r><w:t xml:space="preserve">{runs}</w:t></w:r></w:p>'

    def cell(text: str) -> str:
        return f'<w:tc><w:tcPr><w:tcW w:w="4000" w:type="dxa"/></w:tcPr>{paragraph(text)}</w:tc>'

    def body(part: Part) -> str:
        if isinstance(part, str):
            return paragraph(part)
        if isinstance(part, tuple):
            return paragraph(part[1], part[0])
        rows = "".join(f"<w:tr>{''.join(map(cell, row))}</w:tr>" for row in part)
        grid = '<w:gridCol w:w="4000"/>' * len(part[0])
        return f"<w:tbl><w:tblPr/><w:tblGrid>{grid}</w:tblGrid>{rows}</w:tbl>"

    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{level}"><w:name w:val="heading {level}"/><w:basedOn w:val="a"/>'
        f'<w:pPr><w:outlineLvl w:val="{level - 1}"/></w:pPr></w:style>'
        for level in (1, 2, 3)
    )
    normal = '<w:style w:type="paragraph" w:default="1" w:styleId="a"><w:name w:val="Normal"/></w:style>'
    text = f"<w:body>{''.join(map(body, parts))}<w:sectPr/></w:body>"
    return package(
        {
            "word/document.xml": f"<w:document {space}>{text}</w:document>",
            "word/styles.xml": f"<w:styles {space}>{normal}{styles}</w:styles>",
        },
        {"word/document.xml": f"{word}.document.main+xml", "word/styles.xml": f"{word}.styles+xml"},
        {"": {"word/document.xml": "officeDocument"}, "word/document.xml": {"word/styles.xml": "styles"}},
    )


def pptx(slides: Sequence[tuple[str, Sequence[str], str]], order: Sequence[int] = ()) -> bytes:
    """A presentation.

    Args:
        slides: title, paragraphs and notes of each; without a title when that is empty.
        order: in which they are shown, as indexes of `slides`.
    """
    kind = "application/vnd.openxmlformats-officedocument.presentationml"
    spaces = (
        f'xmlns:a="{OOXML}/drawingml/2006/main" xmlns:r="{RELATIONSHIPS}" xmlns:p="{OOXML}/presentationml/2006/main"'
    )
    top = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'

    def shape(number: int, role: str, texts: Sequence[str]) -> str:
        paragraphs = "".join(f"<a:p><a:r><a:t>{escape(text)}</a:t></a:r></a:p>" for text in texts)
        name = (
            f'<p:cNvPr id="{number}" name="{role}"/><p:cNvSpPr/><p:nvPr><p:ph type="{role}" idx="{number}"/></p:nvPr>'
        )
        return f"<p:sp><p:nvSpPr>{name}</p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>{paragraphs}</p:txBody></p:sp>"

    def page(element: str, shapes: str = "", after: str = "") -> str:
        return f"<p:{element} {spaces}><p:cSld><p:spTree>{top}{shapes}</p:spTree></p:cSld>{after}</p:{element}>"

    colours = ["dk1", "lt1", "dk2", "lt2", *(f"accent{n}" for n in range(1, 7)), "hlink", "folHlink"]
    mapping = " ".join(f'{name.replace("lt", "bg").replace("dk", "tx")}="{name}"' for name in colours)
    layouts = '<p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="rId1"/></p:sldLayoutIdLst>'
    entries = {
        "ppt/theme/theme1.xml": _theme(colours),
        "ppt/slideMasters/slideMaster1.xml": page("sldMaster", "", f"<p:clrMap {mapping}/>{layouts}"),
        "ppt/slideLayouts/slideLayout1.xml": page("sldLayout"),
    }
    types = {
        "ppt/presentation.xml": f"{kind}.presentation.main+xml",
        "ppt/theme/theme1.xml": "application/vnd.openxmlformats-officedocument.theme+xml",
        "ppt/slideMasters/slideMaster1.xml": f"{kind}.slideMaster+xml",
        "ppt/slideLayouts/slideLayout1.xml": f"{kind}.slideLayout+xml",
    }
    layout = {"ppt/slideLayouts/slideLayout1.xml": "slideLayout"}
    links: dict[str, dict[str, str]] = {
        "": {"ppt/presentation.xml": "officeDocument"},
        "ppt/presentation.xml": {"ppt/slideMasters/slideMaster1.xml": "slideMaster"},
        "ppt/slideMasters/slideMaster1.xml": {**layout, "ppt/theme/theme1.xml": "theme"},
        "ppt/slideLayouts/slideLayout1.xml": {"ppt/slideMasters/slideMaster1.xml": "slideMaster"},
    }
    for number, (title, texts, notes) in enumerate(slides, 1):
        name, notes_name = f"ppt/slides/slide{number}.xml", f"ppt/notesSlides/notesSlide{number}.xml"
        number_field = '<a:p><a:fld id="{0}" type="slidenum"><a:t>99</a:t></a:fld></a:p>'
        footer = shape(4, "sldNum", []).replace("<a:bodyPr/>", f"<a:bodyPr/>{number_field}")
        heading = shape(2, "title", [title]) if title else ""
        entries[name] = page("sld", shape(3, "body", texts) + heading + footer)  # the title lies on top
        types[name] = f"{kind}.slide+xml"
        links["ppt/presentation.xml"][name] = "slide"
        links[name] = dict(layout)
        if notes:
            entries[notes_name] = page("notes", shape(2, "body", [notes]))
            types[notes_name] = f"{kind}.notesSlide+xml"
            links[name][notes_name] = "notesSlide"
    shown = "".join(f'<p:sldId id="{256 + at}" r:id="rId{at + 2}"/>' for at in order or range(len(slides)))
    entries["ppt/presentation.xml"] = (
        f'<p:presentation {spaces}><p:sldMasterIdLst><p:sldMasterId id="2147483648" r:id="rId1"/></p:sldMasterIdLst>'
        f'<p:sldIdLst>{shown}</p:sldIdLst><p:sldSz cx="9144000" cy="6858000"/><p:notesSz cx="1" cy="1"/>'
        "</p:presentation>"
    )
    return package(entries, types, links)


def xlsx(sheets: Mapping[str, Mapping[str, str | float]], hidden: Sequence[str] = ()) -> bytes:
    """A workbook.

    Args:
        sheets: by name, the cells by their place ("B3"), row by row; numbers are days where the column is D.
        hidden: names of sheets that are not shown.
    """
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    space = f'xmlns="{OOXML}/spreadsheetml/2006/main" xmlns:r="{RELATIONSHIPS}"'
    words = list(dict.fromkeys(word for cells in sheets.values() for word in cells.values() if isinstance(word, str)))

    def cell(place: str, value: str | float) -> str:
        if isinstance(value, str):
            return f'<c r="{place}" t="s"><v>{words.index(value)}</v></c>'
        return f'<c r="{place}" s="{int(place.startswith("D"))}"><v>{value}</v></c>'

    def sheet(cells: Mapping[str, str | float]) -> str:
        rows: dict[str, str] = {}
        for place, value in cells.items():
            row = place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            rows[row] = rows.get(row, "") + cell(place, value)
        data = "".join(f'<row r="{number}">{inner}</row>' for number, inner in rows.items())
        return f"<worksheet {space}><sheetData>{data}</sheetData></worksheet>"

    strings = "".join(f'<si><t xml:space="preserve">{escape(word)}</t></si>' for word in words)
    formats = '<xf numFmtId="0" applyNumberFormat="1"/><xf numFmtId="14" applyNumberFormat="1"/>'
    fill = '<fill><patternFill patternType="none"/></fill>'
    font = f"<fonts><font/></fonts><fills>{fill}</fills><borders><border/></borders>"
    entries = {f"xl/worksheets/sheet{at}.xml": sheet(cells) for at, cells in enumerate(sheets.values(), 1)}
    states = {name: "hidden" if name in hidden else "visible" for name in sheets}
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{at}" state="{state}" r:id="rId{at}"/>'
        for at, (name, state) in enumerate(states.items(), 1)
    )
    others = {
        "xl/sharedStrings.xml": (f"<sst {space}>{strings}</sst>", "sharedStrings"),
        "xl/styles.xml": (f"<styleSheet {space}>{font}<cellXfs>{formats}</cellXfs></styleSheet>", "styles"),
    }
    links = dict.fromkeys(entries, "worksheet") | {name: part for name, (_, part) in others.items()}
    types = {name: f"{kind}.{part}+xml" for name, part in links.items()}
    entries |= {name: text for name, (text, _) in others.items()}
    entries["xl/workbook.xml"] = f"<workbook {space}><sheets>{listed}</sheets></workbook>"
    types["xl/workbook.xml"] = f"{kind}.sheet.main+xml"
    return package(entries, types, {"": {"xl/workbook.xml": "officeDocument"}, "xl/workbook.xml": links})


def odt(body: str, kind: str = "text") -> bytes:
    """An OpenDocument text, or a presentation, with this XML as its body."""
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    spaces = " ".join(f'xmlns:{name}="{urn}:{name}:1.0"' for name in ("office", "text", "table", "presentation"))
    spaces += f' xmlns:draw="{urn}:drawing:1.0"'
    content = (
        f'{XML}<office:document-content {spaces} office:version="1.2"><office:body>'
        f"<office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    manifest = (
        f'{XML}<manifest:manifest xmlns:manifest="{urn}:manifest:1.0" manifest:version="1.2">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{mimetype}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return archive({"content.xml": content, "META-INF/manifest.xml": manifest}, mimetype)


def epub(chapters: Mapping[str, str], date: str = "2021-05-06") -> bytes:
    """A book with chapters, by their title in the table of contents; a chapter is the XHTML of its body."""
    dublin = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    items = "".join(
        f'<item id="c{at}" href="text/c%20{at}.xhtml" media-type="application/xhtml+xml"/>'
        for at in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{at}"/>' for at in range(len(chapters)))
    points = "".join(
        f'<navPoint id="n{at}" playOrder="{at}"><navLabel><text>{escape(title)}</text></navLabel>'
        f'<content src="text/c%20{at}.xhtml#top"/></navPoint>'
        for at, title in enumerate(chapters)
    )
    about = (
        f'<dc:identifier id="i">urn:uuid:0</dc:identifier><dc:title>책</dc:title><dc:language>ko</dc:language>'
        f'<dc:date opf:event="modification">2024-01-01</dc:date><dc:date>{date}</dc:date>'
    )
    entries = {
        "META-INF/container.xml": _container("OPS/book.opf", "application/oebps-package+xml"),
        "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="2.0" unique-identifier="i">'
        f'<metadata {dublin} xmlns:opf="http://www.idpf.org/2007/opf">{about}</metadata><manifest>{items}'
        '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>'
        f'<spine toc="ncx">{spine}</spine></package>',
        "OPS/toc.ncx": '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
        f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1"><navMap>{points}</navMap></ncx>',
    }
    for at, body in enumerate(chapters.values()):
        entries[f"OPS/text/c {at}.xhtml"] = (
            f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>책</title></head><body>{body}</body></html>'
        )
    return archive({name: XML + text for name, text in entries.items()}, "application/epub+zip")


def hwpx(*paragraphs: tuple[str, str]) -> bytes:
    """A Hancom document in its newer form; of each paragraph the name of its style, and the XML of its text."""
    space = "http://www.hancom.co.kr/hwpml/2011"
    styles = list(dict.fromkeys(["바탕글", *(style for style, _ in paragraphs)]))
    listed = "".join(f'<hh:style id="{at}" type="PARA" name="{name}" engName=""/>' for at, name in enumerate(styles))
    body = "".join(
        f'<hp:p id="0" styleIDRef="{styles.index(style)}"><hp:run charPrIDRef="0">{text}</hp:run></hp:p>'
        for style, text in paragraphs
    )
    entries = {
        "version.xml": f'<hv:HCFVersion xmlns:hv="{space}/version" tagetApplication="WORDPROCESSOR" major="5"/>',
        "Contents/header.xml": f'<hh:head xmlns:hh="{space}/head" version="1.4" secCnt="1"><hh:refList>'
        f"<hh:styles>{listed}</hh:styles></hh:refList></hh:head>",
        "Contents/section0.xml": f'<hs:sec xmlns:hs="{space}/section" xmlns:hp="{space}/paragraph">{body}</hs:sec>',
        "Contents/content.hpf": '<opf:package xmlns:opf="http://www.idpf.org/2007/opf/"><opf:manifest>'
        '<opf:item id="header" href="Contents/header.xml" media-type="application/xml"/>'
        '<opf:item id="section0" href="Contents/section0.xml" media-type="application/xml"/></opf:manifest>'
        '<opf:spine><opf:itemref idref="header"/><opf:itemref idref="section0"/></opf:spine></opf:package>',
        "META-INF/container.xml": _container("Contents/content.hpf", "application/hwpml-package+xml"),
    }
    return archive({name: XML + text for name, text in entries.items()}, "application/hwp+zip")


def _container(entry: str, mimetype: str) -> str:
    root = f'<rootfile full-path="{entry}" media-type="{mimetype}"/>'
    space = "urn:oasis:names:tc:opendocument:xmlns:container"
    return f'<container version="1.0" xmlns="{space}"><rootfiles>{root}</rootfiles></container>'


def _theme(colours: Sequence[str]) -> str:
    """What PowerPoint does not open a presentation without."""
    scheme = "".join(f'<a:{name}><a:srgbClr val="000000"/></a:{name}>' for name in colours)
    fonts = "".join(
        f'<a:{name}Font><a:latin typeface="Arial"/><a:ea typeface=""/><a:cs typeface=""/></a:{name}Font>'
        for name in ("major", "minor")
    )
    fill = '<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>' * 3
    line, effect = "<a:ln><a:noFill/></a:ln>" * 3, "<a:effectStyle><a:effectLst/></a:effectStyle>" * 3
    return (
        f'<a:theme xmlns:a="{OOXML}/drawingml/2006/main" name="t"><a:themeElements><a:clrScheme name="c">{scheme}'
        f'</a:clrScheme><a:fontScheme name="f">{fonts}</a:fontScheme><a:fmtScheme name="m"><a:fillStyleLst>{fill}'
        f"</a:fillStyleLst><a:lnStyleLst>{line}</a:lnStyleLst><a:effectStyleLst>{effect}</a:effectStyleLst>"
        f"<a:bgFillStyleLst>{fill}</a:bgFillStyleLst></a:fmtScheme></a:themeElements></a:theme>"
    )
