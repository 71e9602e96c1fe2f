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

import numpy as np
import pytest
from notebook_files import NOTEBOOKS, find_notebooks, label, read, tagged
from PIL import Image
from write_address import address

ROOT = NOTEBOOKS.parent
sys.path.append(str(ROOT / "docs"))

import gather  # noqa: E402  (after the path to it)
import heads  # noqa: E402
import verified  # noqa: E402

SEEN = ["index", "notebooks/01_dataset_inspection", "api/maskdepth_utils.losses", "genindex"]


# ------------------------------------------------------------------------------------------------ what it is made from
def test_the_table_says_what_each_notebook_says_of_itself():
    table = gather.notebook_table(find_notebooks())
    for path in find_notebooks():
        facts = gather.opening(path)
        assert len(facts["learn"]) >= 3 and re.search("minute|second|hour", facts["time"])
        words = (facts["title"], facts["time"], *facts["learn"], f"notebooks/{label(path)}.ipynb")
        assert all(text in table for text in words)


def test_links_lead_to_pages_and_otherwise_to_the_repository():
    text = (
        "[card](../data/README.md#rooms) [licence](../LICENSE) [tools](tools/) [web](https://example.org) [here](#x)\n"
        "![picture](../data/results/playground.webp) [gone](nowhere.md)\n"
        "```\n[code](../LICENSE)\n```\n"
    )
    found, pictures = gather.with_links(text, ROOT / "notebooks" / "x.md", {ROOT / "data" / "README.md"})
    expected = text.replace("[licence](../LICENSE)", f"[licence]({address()}/blob/main/LICENSE)")
    assert found == expected.replace("(tools/)", f"({address()}/tree/main/notebooks/tools)")
    assert pictures == {ROOT / "data" / "results" / "playground.webp"}


def test_a_page_says_when_its_source_was_last_committed_and_what_built_it(monkeypatch):
    name = "notebooks/02_mask_net.ipynb"
    answers = {"log": f"\0002020-02-02 abc1234\n\n{name}\nREADME.md\n", "status": " M README.md", "rev-parse": "false"}
    monkeypatch.setattr(verified, "git", lambda command, *arguments: answers[command])
    verified.last_commits.cache_clear()
    foot = verified.foot("notebooks/02_mask_net")
    assert re.search(r"2020-02-02, commit abc1234\..* built with .* PyTorch \d", foot)
    assert "commit abc1234; changed since." in verified.foot("README")
    assert "not yet" in verified.foot("api/maskdepth_utils.losses")
    answers["rev-parse"] = "true"
    assert "2020-02-02 at the latest" in verified.foot("notebooks/02_mask_net")
    verified.last_commits.cache_clear()


# ------------------------------------------------------------------------------------------------------ the built site
@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built with every warning an error."""
    for name in ("sphinx", "myst_nb", "sphinx_book_theme", "latex2mathml"):
        pytest.importorskip(name, reason='the site\'s tools are not installed: pip install -e ".[site]"')
    folder = tmp_path_factory.mktemp("site")
    done = build_site(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def build_site(folder):
    command = [sys.executable, "docs/build_site.py", "--out", folder]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_folder_of_other_files_is_not_replaced_by_the_site(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    done = build_site(tmp_path)
    assert done.returncode == 2 and str(tmp_path) in done.stderr
    assert (tmp_path / "index.html").read_text() == "mine"


@pytest.mark.slow
def test_every_source_and_every_module_has_a_page_that_needs_no_network(site):
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in gather.page_sources()]
    modules = [path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "maskdepth_utils").rglob("[!_]*.py")]
    names += [f"api/{'.'.join(parts)}" for parts in modules]
    for name in names:
        shown = (site / f"{name}.html").read_text(encoding="utf8")
        assert 'class="last-verified"' in shown, name
        assert not re.search(r'<(?:script|img|link|iframe)[^>]*\s(?:src|href)="(?:https?:)?//', shown), name


@pytest.mark.slow
def test_the_landing_page_shows_the_page_that_runs_the_network_if_there_is_one(site):
    built = (site / "demo" / "index.html").exists()
    assert built or os.environ.get("MASKDEPTH_NPM") != "required"
    assert ('href="demo/index.html"' in (site / "index.html").read_text(encoding="utf8")) == built
    page = (site / "demo" / "index.html").read_text(encoding="utf8") if built else ""
    for link, fragment in re.findall(r'href="(\.\./[^"#]+)#?([^"]*)"', page):
        assert f'id="{fragment}"' in (site / "demo" / link).read_text(encoding="utf8") or not fragment, link


@pytest.mark.slow
@pytest.mark.parametrize("path", find_notebooks(), ids=label)
def test_a_notebooks_page_shows_its_times_pictures_with_alt_texts_and_formulas(site, path):
    source = (site / "notebooks" / f"{label(path)}.html").read_text(encoding="utf8")
    assert not re.search(r'<img(?![^>]*\balt="[^"])', source), "a picture without words"
    shown = html.unescape(source)
    alts = [alt for cell in read(path).cells for alt in heads.alt_texts(cell) if alt]
    assert [alt for alt in alts if f'alt="{alt}"' not in shown] == []
    assert re.search(r'<a [^>]*href="https://colab[^>]*>Open [^<]*in Colab</a>', shown)
    assert re.search(r"about \d+ minutes to read", shown)
    assert source.count('<details class="admonition hide below-input') == len(tagged(read(path), "hide-output"))
    formulas = any("$" in cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert "<math" in shown or not formulas


BROKEN_PICTURES = """async () => {
  const images = [...document.querySelectorAll(".bd-article img")];
  images.forEach((image) => { image.loading = "eager"; });
  await Promise.all(images.map((image) => image.decode().catch(() => null)));
  return images.filter((image) => !image.naturalWidth).map((image) => image.src);
}"""
FORMULA_HEIGHTS = "[...document.querySelectorAll('math')].map((one) => one.getBoundingClientRect().height)"


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_pages_read_well_without_a_network(site, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page, wanted, errors = context.new_page(), [], []
    page.set_default_timeout(120_000)  # a slow page on a busy machine is not broken
    page.on("request", lambda request: wanted.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    for name in SEEN:
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the page"
        assert page.evaluate(BROKEN_PICTURES) == []
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        assert all(8 < height < 100 for height in page.evaluate(FORMULA_HEIGHTS))
        shot = page.screenshot()
        gray = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
        assert (np.median(gray) < 60) == (scheme == "dark") and gray.std() > 15, f"{name}: not a {scheme} page of text"
    remote = [url for url in wanted if not url.startswith(("file:", "data:", "blob:"))]
    assert not remote and not errors, f"{remote} {errors}"
    page.goto((site / "search.html").as_uri() + "?q=receptive")  # it cannot fetch the results' first lines from files
    page.locator("#search-results li").first.wait_for()
    context.close()
