"""What the course adds to Sphinx: formulas as MathML, code that folds, and pages for every reader and every screen."""

import re
from collections.abc import Sequence
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from course_utils.authoring.pages import mathml, with_stops

EMPTY_HEAD = re.compile(r'<th class="head([^"]*)">(?:<p></p>)?</th>')
FORMULA_HEAD = re.compile(r'(<th class="head[^"]*"><p>)(<math>(?:(?!</math>).)*</math>)</p></th>', re.DOTALL)
KOREAN = re.compile(r"[\uac00-\ud7a3]+(?:[\s·,()/-]+[\uac00-\ud7a3]+)*")
PLAIN = re.compile(r"(`+[^`]*`+)")
PARTS = ("Args:", "Raises:", "Returns:", "Yields:")
TAGS = re.compile(r"(<[^>]*>)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    app.connect("autodoc-process-docstring", _plain, priority=400)  # before napoleon
    app.connect("doctree-resolved", _fold_code)
    app.connect("html-page-context", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(writer: HTML5Translator, node: nodes.Element) -> None:
    writer.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def _block(writer: HTML5Translator, node: nodes.Element) -> None:
    writer.body.append(f'<div class="course-math" tabindex="0">{mathml(node.astext(), block=True)}</div>')
    raise nodes.SkipNode


def _plain(app: Sphinx, kind: str, name: str, what: Any, options: Any, lines: list[str]) -> None:
    lines[:] = plain(lines)


def plain(lines: Sequence[str]) -> list[str]:
    """A docstring, plain text but for backticks, as Sphinx reads it; what stands indented is shown as it is."""
    result: list[str] = []
    in_part = as_it_is = False
    for line in lines:
        indented = line.startswith("    ")
        if not indented and line:
            result += [""] if as_it_is else []
            in_part = line in PARTS
            as_it_is = False
        elif indented and not in_part and not as_it_is:
            result += ["", "::", ""]
            as_it_is = True
        result.append(line if as_it_is else escaped(line))
    return result


def escaped(line: str) -> str:
    """A line in which nothing but backticks has a meaning of its own."""
    pieces = PLAIN.split(line)
    return "".join(p if p.startswith("`") else re.sub(r"([\\*|]|_\b|_$)", r"\\\1", p) for p in pieces)


def _fold_code(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Each code cell stands in a <details>, open but where its explorer comes first, or where it only installs."""
    for cell in list(doctree.findall(nodes.container)):
        if "cell_input" in cell.get("classes", []):
            closed = any('id="explorer-' in raw.astext() for raw in cell.parent.findall(nodes.raw))
            closed = closed or "tag_install" in cell.parent.get("classes", [])
            opening = f'<details class="course-code"{"" if closed else " open"}><summary>Code</summary>'
            cell.children = [
                nodes.raw("", opening, format="html"),
                *cell.children,
                nodes.raw("", "</details>", format="html"),
            ]


def _finish(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """What is better done in the finished text, and the picture that others show of a link."""
    body = context.get("body")
    if body:
        body = EMPTY_HEAD.sub(r"<td></td>", body)
        body = FORMULA_HEAD.sub(_named, body)
        body = body.replace("<pre>", '<pre tabindex="0">')
        body = body.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')
        context["body"] = in_korean(with_stops(body))
    context["metatags"] = context.get("metatags", "") + _open_graph(app, page, context)


# What the theme leaves out for those who do not see the page.
MENDED = (
    ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="Contents of the course">'),
    ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
    ('<div id="search-results"></div>', '<h1>Search</h1><div id="search-results"></div>'),
)


OPENER = re.compile(r'<label class="((?:nav|toc)-overlay-icon[^"]*)" for="(__\w+)">(.*?)</label>', re.DOTALL)
OPENS = {"__navigation": "Contents of the course", "__toc": "On this page"}


def mended(page: str) -> str:
    """A finished page with what the theme leaves out; its drawers are opened by buttons, for the keyboard."""
    for old, new in MENDED:
        page = page.replace(old, new)

    def button(found: re.Match[str]) -> str:
        classes, drawer, inside = found.groups()
        attributes = f'aria-label="{OPENS[drawer]}" data-opens="{drawer}" class="{classes}"'
        return f'<button type="button" {attributes}>{inside}</button>'

    return OPENER.sub(button, page)


def in_korean(page: str) -> str:
    """Tell screen readers which words are Korean."""
    parts = TAGS.split(page)
    return "".join(
        part if part.startswith("<") else KOREAN.sub(r'<span lang="ko">\g<0></span>', part) for part in parts
    )


def _named(head: re.Match[str]) -> str:
    """A column's head that is a formula alone, also as text: some readers see no text in a formula."""
    name = " ".join(TAGS.sub(" ", head[2]).split())
    return f'{head[1]}<span class="course-unseen">{name}</span><span aria-hidden="true">{head[2]}</span></p></th>'


def _open_graph(app: Sphinx, page: str, context: dict[str, Any]) -> str:
    address = app.config.html_baseurl
    title = re.sub(r"<[^>]*>", "", context.get("title", "")) or app.config.html_title
    told = {
        "og:type": "website",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": app.config.course_description,
        "og:url": f"{address}{page}.html",
        "og:image": f"{address}_static/card.png",
        "og:image:alt": app.config.course_card,
    }
    tags = [f'<meta property="{name}" content="{_quoted(text)}">' for name, text in told.items()]
    tags.append(f'<meta name="description" content="{_quoted(app.config.course_description)}">')
    tags.append('<meta name="twitter:card" content="summary_large_image">')
    return "\n".join(tags) + "\n"


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
