"""Sphinx's settings for the course's site; docs/build_site.py gathers the sources and runs it."""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "notebooks" / "tools")]

import verified  # noqa: E402  (after the path to it)
from docutils import nodes  # noqa: E402
from latex2mathml.converter import convert  # noqa: E402
from write_address import address  # noqa: E402

import maskdepth_utils  # noqa: E402

project = "maskdepth"
author = "maskdepth course authors"
release = maskdepth_utils.__version__
language = "en"
smartquotes = False  # a quotation mark may belong to code
extensions = [
    "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode"
]  # fmt: skip
default_role = "code"  # `name` in a docstring
templates_path = [str(DOCS / "_templates")]

# Notebooks come executed; their widgets are stored as pictures, so no page needs a loader for widgets.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
nb_code_prompt_show = "Show the {type}"  # of cells tagged hide-output, for one
nb_code_prompt_hide = "Hide the {type}"
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
# Browsers draw MathML by themselves. The stock renderers need LaTeX, node, or 24 MB of scripts beside the pages.
html_math_renderer = "mathml"
FUNCTIONS = re.compile("<mi>(arctan|cos|exp|ln|log|sin|tan)</mi>")

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


def mathml(latex, display):
    """Return a formula as MathML; latex2mathml sets no space between the name of a function and its argument."""
    found = FUNCTIONS.sub(r'<mo lspace="0.167em" rspace="0.167em">\1</mo>', convert(latex, display=display))
    unknown = re.search(r">(\\\w+)<", found)
    if unknown:
        raise ValueError(f"the formula {latex!r} has the command {unknown[1]}, which latex2mathml does not know")
    return found


def write_inline(writer, node):
    """Write a formula within a line."""
    writer.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def write_block(writer, node):
    """Write a formula on a line of its own, which scrolls where it is wider than the page."""
    writer.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def skip_member(app, what, name, thing, skip, options):
    """Skip the fields of a named tuple: they have no docstrings of their own, the tuple's describes them."""
    return True if (thing.__doc__ or "").startswith("Alias for field number") else None


def describe_pictures(app, doctree):
    """Give pictures without an alt text one: screen readers would read out the names of their files."""
    for image in doctree.findall(nodes.image):
        image.setdefault("alt", "Picture drawn by the code above")


def add_foot(app, page, template, context, doctree):
    context["last_verified"] = verified.foot(page)


def setup(app):
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    app.connect("autodoc-skip-member", skip_member)
    app.connect("doctree-read", describe_pictures)
    app.connect("html-page-context", add_foot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
