"""Sphinx's settings for the course's site; docs/build_site.py gathers the sources and runs it."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "notebooks" / "tools")]

import docstrings  # noqa: E402  (after the path to it)
import formulas  # noqa: E402
import verified  # noqa: E402
from docutils import nodes  # noqa: E402
from write_address import address  # noqa: E402

import maskdepth_utils  # noqa: E402

project = "maskdepth"
author = "maskdepth course authors"
release = maskdepth_utils.__version__
language = "en"
smartquotes = False  # a quotation mark may belong to code
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode"]
templates_path = [str(DOCS / "_templates")]

# Notebooks come executed; their widgets are stored as pictures, so no page needs a loader for widgets.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
html_math_renderer = "mathml"  # formulas.py: the browser draws them, without a script

autosummary_generate = True
# Each name once, in the module that defines it.
autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False

nitpicky = True
# Classes of other libraries. Their own pages are on the network, where a build here does not look.
nitpick_ignore_regex = [(r"py:.*", r"(?!maskdepth_utils).*")]

highlight_language = "none"  # of blocks that name no language: commands and their output

html_theme = "sphinx_book_theme"
html_title = "maskdepth"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "repository_url": address(),
    "use_repository_button": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],
    "show_navbar_depth": 1,
    "collapse_navbar": True,
    "footer_content_items": ["last-verified"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def read_docstring(app, what, name, thing, options, lines):
    lines[:] = docstrings.as_rst(lines)


def skip_member(app, what, name, thing, skip, options):
    """A named tuple's fields say of themselves only that they are fields; its docstring tells what is in them."""
    return True if (thing.__doc__ or "").startswith("Alias for field number") else None


def describe_pictures(app, doctree):
    """Pictures that a cell drew have no words of their own, and would be read out by their files' names."""
    for image in doctree.findall(nodes.image):
        image.setdefault("alt", "Picture drawn by the code above")


def add_foot(app, page, template, context, doctree):
    context["last_verified"] = verified.foot(page)


def setup(app):
    app.add_html_math_renderer("mathml", (formulas.write_inline, None), (formulas.write_block, None))
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("doctree-read", describe_pictures)
    app.connect("html-page-context", add_foot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
