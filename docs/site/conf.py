"""Settings of the site; `make site` copies this folder and what it makes itself, and runs Sphinx on both."""

import re

from course_utils.authoring.notebooks import repository_address

project = "Image generation, hands on"
html_title = project
copyright = "the course's authors, MIT licence"
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.githubpages",
    "course_utils.authoring.site_extension",
    "course_utils.authoring.site_search",
]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}  # explorers have a front end of their own
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
default_role = "code"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True  # a default may be a path of this machine
autodoc_typehints = "signature"
suppress_warnings = ["ref.python"]  # a name that two modules have
html_math_renderer = "mathml"

html_theme = "furo"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would be fetched, which a page opened as a file may not do: site_search
html_show_sphinx = False
html_use_index = True
html_domain_indices = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

found = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+)", repository_address())
assert found, "GitHub Pages needs a repository on GitHub"
owner, name = found.groups()
html_baseurl = f"https://{owner}.github.io/{name}/"


def setup(app):
    told = "A hands-on course in notebooks, from autoencoders to latent diffusion. A laptop is enough."
    app.add_config_value("course_description", told, "html")
    card = "Rows of pictures in which noise becomes a 3 and an 8, and scenes of coloured shapes with their sentences"
    app.add_config_value("course_card", card, "html")
