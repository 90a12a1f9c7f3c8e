"""What the site's search shows under each result: the words around those that were looked for.

Sphinx would fetch the pages for it, which a page opened as a file may not do. Their texts are a script instead, which
the search's page alone loads; `docs/site/_static/excerpts.js` takes from it what it shows.
"""

import json
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from course_utils.authoring.notebooks import write_text
from course_utils.authoring.pages import mathml
from course_utils.authoring.site_extension import TAGS

SCRIPT = "search-texts.js"


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    texts: dict[str, list[tuple[str, str]]] = {}

    def read(app: Sphinx, doctree: nodes.document, page: str) -> None:
        texts[page] = passages(doctree)

    def load(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
        if page == "search":
            app.add_js_file(SCRIPT)
            app.add_js_file("excerpts.js", defer="defer")

    def write(app: Sphinx, error: Exception | None) -> None:
        content = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
        write_text(app.outdir / "_static" / SCRIPT, f"window.courseTexts = {content};\n")

    app.connect("doctree-resolved", read)
    app.connect("html-page-context", load)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def passages(doctree: nodes.document) -> list[tuple[str, str]]:
    """The text of a page in pieces, each with the mark of the place where it begins ("": the page's top).

    A piece is what stands under one heading, or what is said of one name of the package. Code, what it
    printed, and formulas that stand alone are left out.
    """
    found: list[tuple[str, list[str]]] = [("", [])]
    for node in doctree.findall():
        if isinstance(node, nodes.section | addnodes.desc_signature) and node["ids"]:
            found.append((node["ids"][0], []))
        is_block = isinstance(node, nodes.TextElement) and not isinstance(node.parent, nodes.TextElement)
        if is_block and not isinstance(node, nodes.math_block | nodes.raw | nodes.literal_block):
            found[-1][1].append(_words(node))
    joined = ((mark, " ".join(" ".join(said).split())) for mark, said in found)
    return [(mark, text) for mark, text in joined if text]


def _words(node: nodes.Node) -> str:
    """What a reader sees of a piece of text, formulas in it as letters."""
    if isinstance(node, nodes.Text):
        return str(node)
    if isinstance(node, nodes.math):
        return TAGS.sub("", mathml(node.astext(), block=False))
    return "" if isinstance(node, nodes.raw) else "".join(_words(child) for child in node.children)
