"""Export a notebook as one HTML page whose formulas and explorers work without a network and without a kernel."""

import html
import json
import re
from pathlib import Path
from typing import Annotated, Any

import nbformat
import typer
from jinja2 import pass_context
from math_core import LatexError, LatexToMathML
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from course_utils import explorers
from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import STATE, VIEW, write_text

PAGE = """{%- extends "index.html.j2" -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_css -%}{{ super() }}<style>
math { font-family: "Cambria Math", "STIX Two Math", "Latin Modern Math", "DejaVu Math TeX Gyre", math; }
.course-formula { white-space: nowrap; }
details { margin-bottom: 1em; }
</style>{%- endblock -%}
"""

# Runs an anywidget's own front end over the states that the notebook stored, `page`: the kernel is not needed.
WIDGET_SCRIPT = """
for (const css of page.styles) {
  document.head.appendChild(Object.assign(document.createElement("style"), { textContent: css }));
}
const modules = page.modules.map((code) => {
  return import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
});

class Model {
  constructor(state) {
    this.state = state;
    this.listeners = {};
  }
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    const changes = typeof name === "object" ? name : { [name]: value };
    const changed = Object.keys(changes).filter((key) => this.state[key] !== changes[key]);
    for (const key of changed) this.state[key] = changes[key];
    for (const key of changed) this.emit(`change:${key}`, this, this.state[key]);
    if (changed.length > 0) this.emit("change", this);
  }
  on(events, callback) {
    for (const event of events.split(" ")) (this.listeners[event] ??= []).push(callback);
  }
  off(events, callback) {
    for (const event of events ? events.split(" ") : Object.keys(this.listeners)) {
      this.listeners[event] = (this.listeners[event] ?? []).filter((other) => callback && other !== callback);
    }
  }
  emit(event, ...details) {
    for (const callback of [...(this.listeners[event] ?? [])]) callback(...details);
  }
  save_changes() {}
  send() {}
}

const started = {};
async function start(id) {
  const { state, module } = page.models[id];
  const model = new Model(state);
  const front = await modules[module];
  const widget = typeof front.default === "function" ? await front.default() : (front.default ?? front);
  await widget.initialize?.({ model, signal: new AbortController().signal });
  return { model, widget };
}
for (const place of document.querySelectorAll("[data-widget-model]")) {
  const id = place.dataset.widgetModel;
  (started[id] ??= start(id))
    .then(async ({ model, widget }) => {
      const el = document.createElement("div");
      place.append(el);
      await widget.render?.({ model, el, signal: new AbortController().signal });
      for (const still of [...place.children]) if (still !== el) still.remove();
    })
    .catch((error) => console.error("a widget did not start; its picture stays", error));
}
"""


def to_html(ipynb: Path | str) -> str:
    """One page from a notebook's stored outputs; formulas, pictures, widgets need no network and no kernel.

    Raises:
        NotebookError: a formula uses something that cannot be converted to MathML.
    """
    ipynb = Path(ipynb)
    nb = nbformat.read(ipynb, as_version=4)
    models = nb.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    widgets = {name: state_of(model) for name, model in models.items() if "_esm" in model["state"]}
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if VIEW in output.get("data", {}):
                model = output.data.pop(VIEW)["model_id"]
                if model in widgets:
                    output.data["text/html"] = _widget_place(model, output.data)
            if "text/latex" in output.get("data", {}) and "text/html" not in output.data:
                output.data["text/html"] = formulas(html.escape(output.data["text/latex"]))
    exporter = _Exporter(raw_template=PAGE, embed_images=True)
    page, _ = exporter.from_notebook_node(
        nb, resources={"metadata": {"name": ipynb.stem, "path": str(ipynb.parent)}}
    )
    page = REMOTE_IMAGE.sub(_alternative_text, page)
    if not widgets:
        return page
    body, end, rest = page.rpartition("</body>")
    content = json.dumps(front_ends(widgets)).replace("<", "\\u003c")
    return (
        f'{body}<script type="application/json" id="course-widgets">{content}</script>\n'
        '<script type="module">const page = JSON.parse(document.getElementById("course-widgets").textContent);'
        f"{WIDGET_SCRIPT}</script>\n{end}{rest}"
    )


def state_of(model: NotebookNode) -> dict[str, Any]:
    """A widget's stored state; what are bytes in it, which lie beside it, in base64.

    Its front end, too, if it is not one of the course's explorers: these have today's.
    """
    state = {**model["state"], **{buffer["path"][0]: buffer["data"] for buffer in model.get("buffers", [])}}
    module, _, name = state.get("_anywidget_id", "").rpartition(".")
    kind = getattr(explorers, name, None) if module == explorers.__name__ else None
    return state if kind is None else {**state, "_esm": str(kind._esm)}


def _widget_place(model: str, data: NotebookNode) -> str:
    """Where a widget appears, holding its picture or text for a page without scripts."""
    text = html.escape(data.get("text/plain", "widget"))
    if "image/png" in data:
        picture = f'<img alt="{text}" src="data:image/png;base64,{"".join(data["image/png"].split())}">'
    else:
        picture = f"<pre>{text}</pre>"
    return f'<div class="course-widget" data-widget-model="{model}">{picture}</div>'


def front_ends(widgets: dict[str, Any]) -> dict[str, Any]:
    """What `WIDGET_SCRIPT` needs as `page`: the stored states; a front end that widgets share stands there once."""
    modules: list[str] = []
    styles: list[str] = []
    models: dict[str, Any] = {}
    for name, stored in widgets.items():
        state = dict(stored)
        module, style = state.pop("_esm"), state.pop("_css", "")
        if module not in modules:
            modules.append(module)
        if style and style not in styles:
            styles.append(style)
        models[name] = {"state": state, "module": modules.index(module)}
    return {"modules": modules, "styles": styles, "models": models}


REMOTE_IMAGE = re.compile(r"<img\b[^>]*\bsrc=\"https?://[^>]*>")
MATH = re.compile(
    r"(?<!\\)\$\$(?P<block>.+?)\$\$|(?<![\\$])\$(?!\s)(?P<inline>[^$]+?)(?<![\s\\])\$(?!\d)", re.DOTALL
)
WITH_STOP = re.compile(
    r"(<math>(?:(?!</math>).)*</math>[.,;:?!)]+)", re.DOTALL
)  # no line begins with a full stop
TO_MATHML = LatexToMathML(fancy_error=False, allow_unreliable_rendering=True)


def _alternative_text(image: re.Match[str]) -> str:
    alt = re.search(r'\balt="([^"]*)"', image[0])
    return alt[1] if alt else ""


def mathml(formula: str, *, block: bool) -> str:
    """A formula in LaTeX as MathML.

    Raises:
        NotebookError: it uses something that cannot be converted.
    """
    try:
        return TO_MATHML.convert_with_local_state(formula.strip(), displaystyle=block)
    except LatexError as error:
        raise NotebookError(f"the formula ${formula}$ cannot be shown without a network: {error}") from None


def formulas(text: str) -> str:
    """Convert the formulas in a piece of HTML, outside its tags."""

    def convert(match: re.Match[str]) -> str:
        block = match["block"] is not None
        return mathml(html.unescape(match["block"] if block else match["inline"]), block=block)

    parts = re.split(r"(<[^>]*>)", text)
    return "".join(part if part.startswith("<") else MATH.sub(convert, part) for part in parts)


class _Renderer(IPythonRenderer):
    """Markdown to HTML with formulas as MathML, which browsers draw by themselves."""

    def block_math(self, body: str) -> str:
        return mathml(body, block=True)

    def inline_math(self, body: str) -> str:
        return mathml(body, block=False)

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)

    def block_html(self, html: str) -> str:
        # nbconvert embeds images by a parser that closes what is open, such as a <details> around an answer.
        return formulas(super().block_html(html) if "<img" in html else html)


def markdown_to_html(source: str) -> str:
    """Markdown of the course's own, HTML in it included, as HTML with formulas as MathML.

    Raises:
        NotebookError: a formula uses something that cannot be converted to MathML.
    """
    renderer = _Renderer(escape=False, exclude_anchor_links=True)
    return with_stops(str(MarkdownWithMath(renderer=renderer).render(source)))


def with_stops(page: str) -> str:
    """Keep what ends a sentence on the line of the formula before it."""
    return WITH_STOP.sub(r'<span class="course-formula">\1</span>', page)


class _Exporter(HTMLExporter):
    """nbconvert's exporter with `_Renderer`."""

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        renderer = _Renderer(
            escape=False,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=True,
            path=context.get("resources", {}).get("metadata", {}).get("path", ""),
            anchor_link_text=self.anchor_link_text,
        )
        return with_stops(str(MarkdownWithMath(renderer=renderer).render(source)))


# --- Command line: python -m course_utils.authoring.pages FILES ----------------------------------------------

app = typer.Typer(add_completion=False)


@app.command()
def export(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="The notebooks, .ipynb.")],
    out: Annotated[Path | None, typer.Option(help="A folder; default: the notebook's.")] = None,
) -> None:
    """Export each notebook as one HTML page that works offline."""
    for file in files:
        page = (out or file.parent) / f"{file.stem}.html"
        try:
            write_text(page, to_html(file.with_suffix(".ipynb")))
        except NotebookError as error:
            typer.echo(f"{file}: {error}", err=True)
            raise typer.Exit(1) from None
        typer.echo(str(page))


if __name__ == "__main__":
    app()
