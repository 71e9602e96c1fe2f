"""The course's web site: what it is gathered from, and that it reads well without a network.

Building it needs the extra `site` (pip install -e ".[site]") and looking at it needs Chromium (README). Without them
those tests are skipped; without Chromium they fail where MASKDEPTH_BROWSER=required says that there is one.
"""

import html
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from notebook_files import find_notebooks, read
from PIL import Image
from write_address import address

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "docs"))

import docstrings  # noqa: E402  (after the path to it)
import gather  # noqa: E402
import heads  # noqa: E402
import links  # noqa: E402
import verified  # noqa: E402

SHOTS = os.environ.get("MASKDEPTH_SCREENSHOTS")  # a folder to keep pictures of the pages in
SEEN = [
    "index",
    "notebooks/01_dataset_inspection",
    "notebooks/05_evaluation",
    "api/maskdepth_utils.losses",
    "data/README",
]


# ------------------------------------------------------------------------------------------------ what it is made from
def test_the_contents_name_every_notebook_card_and_the_guide():
    contents = gather.toctrees()
    for path in gather.page_sources():
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        assert re.search(rf"(^|<){re.escape(name)}>?$", contents, re.MULTILINE), f"{name} is not in the contents"


def test_the_api_page_names_every_module():
    text = gather.fill((ROOT / "docs" / "api.md").read_text(encoding="utf8"))
    for path in (ROOT / "maskdepth_utils").glob("[!_]*.py"):
        assert len(re.findall(rf"^   maskdepth_utils\.{path.stem}$", text, re.MULTILINE)) == 1, path.stem


def test_the_table_says_what_each_notebook_says_of_itself():
    table = gather.notebook_table()
    for path in find_notebooks():
        facts = gather.opening(path)
        assert len(facts["learn"]) >= 3 and re.search("minute|second|hour", facts["time"])
        assert all(text in table for text in (facts["title"], facts["time"], *facts["learn"], f"notebooks/{path.name}"))


def test_a_notebook_that_does_not_say_its_time_is_named(tmp_path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 9 · X\n\n**You will learn**\n- a;\n- b.")])
    nbformat.write(nb, tmp_path / "09_x.ipynb")
    with pytest.raises(ValueError, match="09_x.ipynb: found no time"):
        gather.opening(tmp_path / "09_x.ipynb")


def test_the_address_comes_from_pyproject_only():
    for path in (ROOT / "docs").rglob("*"):
        if path.is_file() and path.suffix in {".py", ".md", ".css", ".html", ".rst"}:
            assert "github.com" not in path.read_text(encoding="utf8"), path.name
    assert f"git clone {address()} " in gather.fill((ROOT / "docs" / "index.md").read_text(encoding="utf8"))


def test_links_lead_to_pages_and_otherwise_to_the_repository():
    text = (
        "[card](../data/README.md#rooms) [licence](../LICENSE) [tools](tools/) [web](https://example.org) [here](#x)\n"
        "![picture](../data/results/readme.png) [gone](nowhere.md)\n"
        "```\n[code](../LICENSE)\n```\n"
    )
    found, pictures = gather.with_links(text, ROOT / "notebooks" / "x.md", {ROOT / "data" / "README.md"})
    repository = f"{address()}/blob/main/LICENSE", f"{address()}/tree/main/notebooks/tools"
    expected = text.replace("[licence](../LICENSE)", f"[licence]({repository[0]})")
    assert found == expected.replace("(tools/)", f"({repository[1]})")
    assert pictures == {ROOT / "data" / "results" / "readme.png"}


def test_a_badge_becomes_words_and_alt_texts_go_where_the_site_looks():
    badge = nbformat.v4.new_markdown_cell("[![Open in Colab](http://a.org/b.svg)](https://a.org/x) ![A room](room.png)")
    gather.for_the_site(badge)
    assert badge.source == "[Open in Colab](https://a.org/x) ![A room](room.png)" and not badge.metadata
    told, untold = nbformat.v4.new_code_cell(), nbformat.v4.new_code_cell()
    for cell, about in ((told, {"image/png": {"alt": "A room"}}), (untold, {})):
        cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": "iVBO"}, metadata=about)]
        gather.for_the_site(cell)
    assert told.metadata == {"mystnb": {"image": {"alt": "A room"}}} and untold.metadata == {}


def test_docstrings_become_paragraphs_definitions_and_code():
    rst = docstrings.as_rst(
        [
            "Mean of `x` * 2.",
            "",
            "size     of a picture",
            "         in pixels",
            "gap      its level",
            "",
            "    f(x)  # one",
        ]
    )
    assert rst == [
        *["Mean of \\ ``x``\\  \\* 2.", ""],
        *["``size``", "    of a picture in pixels", "``gap``", "    its level", ""],
        *["::", "", "        f(x)  # one", ""],
    ]


def test_formulas_are_drawn_without_a_script():
    pytest.importorskip("latex2mathml", reason='the site\'s tools are not installed: pip install -e ".[site]"')
    pytest.importorskip("docutils")
    import formulas

    drawn = formulas.mathml(r"y \log p + \log (1 - p)")
    assert drawn.startswith("<math") and re.search(r"</mi><mspace[^>]*/><mi>log</mi><mspace[^>]*/><mi>p", drawn)
    assert re.search(r"<mi>log</mi><mo[^>]*>&#x00028;", drawn)  # and no gap before a bracket
    with pytest.raises(ValueError, match="nosuch"):
        formulas.mathml(r"\nosuch{x}")


def test_a_page_says_when_its_source_was_last_committed_and_with_what_it_ran(monkeypatch):
    commits = {"notebooks/02_mask_net.ipynb": ("2020-02-02", "abc1234"), "README.md": ("2020-03-03", "def5678")}
    monkeypatch.setattr(verified, "installed_versions", lambda: "Sphinx 0")
    monkeypatch.setattr(verified, "git", lambda *arguments: "2020-04-04 9999999")
    monkeypatch.setattr(verified, "is_shallow", lambda: False)
    monkeypatch.setattr(verified, "last_commits", lambda: commits)
    monkeypatch.setattr(verified, "changed_since", lambda: {"README.md"})
    foot = verified.foot("notebooks/02_mask_net")
    assert re.search(
        r"2020-02-02, when .*02_mask_net.ipynb.* \(abc1234\)\. Its .* PyTorch \d.*built with Sphinx 0", foot
    )
    assert "(def5678); it has changed since." in verified.foot("README")
    assert "losses.py</code> is in no commit" in verified.foot("api/maskdepth_utils.losses")
    assert "2020-04-04, the date of the last commit (9999999)." in verified.foot("genindex")
    monkeypatch.setattr(verified, "is_shallow", lambda: True)
    assert "2020-02-02 at the latest" in verified.foot("notebooks/02_mask_net")
    commits.clear()
    assert "unknown" in verified.foot("README")


def test_git_knows_when_files_were_committed():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    date, number = verified.last_commits()["pyproject.toml"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", date) and re.fullmatch("[0-9a-f]{7,}", number)


def test_broken_and_remote_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">x</a> <a href="b.html#gone">x</a> <a href="c.html">x</a> <a href="https://example.org/z">x</a>'
        '<img src="data:,"> <script src="//example.org/x.js"></script> <style>@import "https://example.org/x.css"</style>'
        '<p style="background: url(http://example.org/x.png)" id="here">'
    )
    (tmp_path / "b.html").write_text('<h1 id="here">x</h1> <a href="#here">x</a> <a href="a.html">x</a>')
    (tmp_path / "s.css").write_text("@font-face { src: url('https://example.org/x.woff2') } p { src: url(x.png) }")
    site = links.read_site(tmp_path)
    assert links.broken(site) == ["a.html: b.html#gone (no such anchor)", "a.html: c.html (no such file)"]
    remote = "\n".join(links.remote(site, tmp_path))
    assert all(f"example.org/{name}" in remote for name in ("x.js", "x.css", "x.png", "x.woff2"))
    assert len(remote.splitlines()) == 4
    assert links.external(site) == ["https://example.org/z"]


# ------------------------------------------------------------------------------------------------------ the built site
@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built with every warning and every broken link an error."""
    for name in ("sphinx", "myst_nb", "sphinx_book_theme", "latex2mathml"):
        pytest.importorskip(name, reason='the site\'s tools are not installed: pip install -e ".[site]"')
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        ROOT / "docs" / "build_site.py",
        "--sources",
        folder / "sources",
        "--out",
        folder / "site",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.mark.slow
def test_every_page_is_there_and_needs_no_network(site):
    pages = links.read_site(site)
    assert links.broken(pages) == [] and links.remote(pages, site) == []
    for path in gather.page_sources():
        assert (site / path.relative_to(ROOT)).with_suffix(".html") in pages
    for path in pages:
        assert 'class="last-verified"' in path.read_text(encoding="utf8"), path.name
    shown = (site / "notebooks" / "01_dataset_inspection.html").read_text(encoding="utf8")
    assert "<math" in shown and shown.count("<img") > 10 and "NumPy" in shown
    assert not re.search(r'<img(?![^>]*\balt="[^"])', shown), "a picture without words"
    for path in find_notebooks():
        shown = html.unescape((site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf8"))
        alts = [alt for cell in read(path).cells for alt in heads.alt_texts(cell) if alt]
        assert [alt for alt in alts if f'alt="{alt}"' not in shown] == [], path.stem
        assert re.search(r'<a [^>]*href="https://colab[^>]*>Open [^<]*in Colab</a>', shown), path.stem


BROKEN_PICTURES = """async () => {
  const images = [...document.querySelectorAll(".bd-article img")];
  images.forEach((image) => { image.loading = "eager"; });
  await Promise.all(images.map((image) => image.decode().catch(() => null)));
  return images.filter((image) => !image.naturalWidth).map((image) => image.src);
}"""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_read_well_without_a_network(site, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page, wanted, errors = context.new_page(), [], []
    page.set_default_timeout(120_000)  # a busy machine is no broken page
    page.on("request", lambda request: wanted.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    names = SEEN if scheme == "dark" or width > 390 else [*SEEN, *others(site)]
    for name in names:
        page.goto((site / f"{name}.html").as_uri(), wait_until="load" if name in SEEN else "domcontentloaded")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the page"
        if name in SEEN:
            assert page.evaluate(BROKEN_PICTURES) == []
            assert page.evaluate("document.documentElement.dataset.theme") == scheme
            heights = page.evaluate(
                "[...document.querySelectorAll('math')].map((one) => one.getBoundingClientRect().height)"
            )
            assert all(8 < height < 100 for height in heights) and (heights or "01_" not in name)
            shot = page.screenshot(path=f"{SHOTS}/{name.replace('/', '-')}-{width}-{scheme}.png" if SHOTS else None)
            gray = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
            assert (np.median(gray) < 60) == (scheme == "dark") and gray.std() > 15, (
                f"{name}: not a {scheme} page of text"
            )
    remote = [url for url in wanted if not url.startswith(("file:", "data:", "blob:"))]
    assert not remote and not errors, f"{remote} {errors}"
    context.close()


def others(site):
    """Every other page but the modules' sources, of which one is enough."""
    names = [path.relative_to(site).with_suffix("").as_posix() for path in links.read_site(site)]
    sources = [name for name in names if name.startswith("_modules/maskdepth_utils/")]
    return [name for name in names if name not in SEEN and not name.startswith("_modules/")] + sources[:1]
