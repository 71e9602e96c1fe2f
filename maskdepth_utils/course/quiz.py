"""Quizzes at the end of the notebooks: `quiz.show("03")` shows the questions of notebooks/quizzes/03.json.

The questions are in the format of the library jupyterquiz, which asks them wherever a browser runs scripts: in
JupyterLab, Colab, VS Code, an exported page. Where none run (on GitHub, in a notebook that is not trusted) the same
output shows them as plain HTML, with answers to unfold.
"""

import importlib.metadata
import json
import os
import random
from pathlib import Path

from IPython import get_ipython
from IPython.display import display
from IPython.utils.capture import capture_output

from ..files import AssetError
from ..plots import BLUE

TYPES = ("multiple_choice", "many_choice", "numeric")
WIDTH = 700  # pixels, most
COLORS = {f"--jq-{kind}-bg": "#3D4450" for kind in ("multiple-choice", "many-choice", "numeric")} | {
    "--jq-correct-color": BLUE,
    "--jq-incorrect-color": "#A84300",  # the course's vermilion, darker: white text on it can be read
    "--jq-text-color": "#FFFFFF", "--jq-mc-button-bg": "#FFFFFF", "--jq-mc-button-border": "#8A8F98",
    "--jq-numeric-input-bg": "#FFFFFF",
}  # fmt: skip

# One column, in the page's text size; white cards that fit any theme; right and wrong are told by a sign, too.
STYLE = """<style>
.md-quiz { max-width: 700px; line-height: 1.45; counter-reset: question; }
.md-quiz code { font-size: 0.92em; }
.md-static > ol > li { margin: 0 0 1.2em; padding-left: 0.3em; }
.md-static p, .md-static ol ol, .md-static pre { margin: 0.4em 0; }
.md-static ol ol { list-style: upper-alpha; padding-left: 2em; }
.md-static details { border-left: 3px solid #8A8F98; padding: 0.1em 0 0.1em 0.8em; }
.md-static summary { cursor: pointer; }
.md-quiz .Quiz { font-size: 1em; line-height: 1.45; margin: 0 0 1.4em; border-radius: 6px; }
.md-quiz .Quiz > div:first-child { padding: 10px 14px; }
.md-quiz .Quiz > div:first-child > div:first-child::before {
  counter-increment: question; content: counter(question) ". "; }
.md-quiz .QuizCode { font-size: 0.95em; margin: 8px 0 0; }
.md-quiz .QuizCode pre { background: none; color: inherit; padding: 0; margin: 0; white-space: pre-wrap; }
.md-quiz .Quiz code { background: none !important; color: inherit !important; padding: 0 !important; }
.md-quiz .Answer { grid-template-columns: 1fr; grid-gap: 6px; margin: 6px 0; }
.md-quiz .MCButton { justify-content: flex-start; text-align: left; font-size: 1em; padding: 7px 14px; margin: 0; }
.md-quiz .MCButton, .md-quiz .Input-text { color: #1A1A1A; }
.md-quiz .correctButton, .md-quiz .incorrectButton { color: #FFFFFF; }
.md-quiz .correctButton > span::before, .md-quiz .Feedback.correct::before { content: "\\2713\\00A0 "; }
.md-quiz .incorrectButton > span::before, .md-quiz .Feedback.incorrect::before { content: "\\2717\\00A0 "; }
.md-quiz .MCButton:focus-within, .md-quiz .Input-text:focus { outline: 3px solid #E69F00; outline-offset: -2px; }
.md-quiz .sr-only { position: absolute; opacity: 0; width: 1px; height: 1px; }
.md-quiz .InpLabel { float: none; display: block; margin: 0; font-size: 1em; line-height: 1.45; color: inherit; }
.md-quiz .Input-text { margin: 4px 0; font-size: 1em; border: 1px solid #8A8F98; border-radius: 6px; }
.md-quiz .Feedback:not(:empty) { font-size: 1em; text-align: left; background: #FFFFFF; color: #1A1A1A;
  padding: 7px 14px; border-left: 5px solid; border-radius: 6px; }
.md-quiz .Feedback.correct { border-color: var(--jq-correct-color); }
.md-quiz .Feedback.incorrect { border-color: var(--jq-incorrect-color); }
</style>"""

# When jupyterquiz has drawn its questions, hide the plain ones; let Tab reach every choice, not one of a group (where
# an arrow key would answer), and keep JupyterLab's command keys off ("a" would insert a cell); say when a number is
# read; and let screen readers hear what is what.
READY = """
(function ready(tries) {
  var boxes = Array.from(document.querySelectorAll(".md-quiz"));
  boxes.filter((box) => box.querySelector(".Quiz")).forEach((box) => {
    box.querySelector(".md-static").hidden = true;
    box.querySelectorAll("input[type=radio]").forEach((input) => {
      input.removeAttribute("name");
      input.setAttribute("data-lm-suppress-shortcuts", "true");
    });
    box.querySelectorAll(".InpLabel").forEach((label) => {
      label.htmlFor = label.nextElementSibling.id;
      label.textContent = "Your answer, a number, then Enter:";
    });
    box.querySelectorAll(".Feedback").forEach((text) => text.setAttribute("role", "status"));
    box.querySelectorAll(".Answer").forEach((group) => {
      group.setAttribute("role", "group");
      group.setAttribute("aria-labelledby", group.previousElementSibling.firstElementChild.id);
    });
  });
  if (tries && boxes.some((box) => !box.querySelector(".Quiz"))) setTimeout(ready, 200, tries - 1);
})(50);"""

MISSING = "<p><small>With <code>pip install jupyterquiz</code> you can answer these by clicking.</small></p>"


def show(name: str) -> None:
    """Show the quiz of a notebook, such as "03", under the cell. Raises AssetError if it is missing or damaged."""
    questions = load(name)
    live, script = live_html(questions, f"quiz {name}") or (MISSING, "")
    static = f'<div class="md-static">{static_html(questions)}</div>'
    page = f'<div class="md-quiz">{STYLE}{live}{static}{script}</div>'
    words = f"Quiz {name}: {len(questions)} questions, to be read in a browser"
    display({"text/html": page, "text/plain": words}, raw=True)


def load(name: str) -> list[dict]:
    """The questions of a quiz, a list in jupyterquiz's format. Raises AssetError as `show` does."""
    path = find(name)
    try:
        questions = json.loads(path.read_text(encoding="utf8"))
        static_html(questions)  # whatever is missing is missed here
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AssetError(f"{path} is damaged ({error!r}). Restore it, for instance: git checkout {path}") from error
    return questions


def find(name: str) -> Path:
    """The quiz's file: beside the notebooks of the clone that holds this package, or the data (MASKDEPTH_DATA)."""
    clones = [Path(__file__).resolve().parents[2]]
    if os.environ.get("MASKDEPTH_DATA"):
        clones.append(Path(os.environ["MASKDEPTH_DATA"]).resolve().parent)
    folders = [clone / "notebooks" / "quizzes" for clone in clones]
    for folder in folders:
        if (folder / f"{name}.json").is_file():
            return folder / f"{name}.json"
    there = sorted({path.stem for folder in folders for path in folder.glob("*.json")})
    if there:
        raise AssetError(f"No quiz called {name!r}: expected one of {', '.join(there)}")
    raise AssetError(f"No quizzes at {folders[0]}: clone the course's whole repository, with its notebooks")


# ---------------------------------------------------------------- plain HTML
def static_html(questions: list[dict]) -> str:
    """The questions as an ordered list, each with its choices and a folded answer that explains every one."""
    return "<ol>" + "".join(f"<li>{_static_question(question)}</li>" for question in questions) + "</ol>"


def _static_question(question: dict) -> str:
    if question["type"] not in TYPES:
        raise ValueError(f"a question of type {question['type']!r}, expected one of {', '.join(TYPES)}")
    code = f"<pre><code>{question['code']}</code></pre>" if "code" in question else ""
    rows = [f"<b>{_verdict(answer)}</b> {answer['feedback']}" for answer in question["answers"]]
    if question["type"] == "numeric":
        choices, explained = "", "".join(f"<p>{row}</p>" for row in rows)
    else:
        choices = _lettered(answer["answer"] for answer in question["answers"])
        explained = _lettered(rows)
    details = f'<details style="margin-bottom: 1em"><summary>Answer</summary>{explained}</details>'
    return f"<p>{question['question']}</p>{code}{choices}{details}"


def _lettered(items) -> str:
    return '<ol type="A">' + "".join(f"<li>{item}</li>" for item in items) + "</ol>"


def _verdict(answer: dict) -> str:
    """What stands before a feedback: right or wrong, and of numbers which."""
    verdict = "right" if answer.get("correct") else "wrong"
    if answer.get("type") == "default":
        return "Any other number:"
    if "value" in answer:
        return f"{answer['value']:g}: {verdict}."
    if "range" in answer:
        return f"{answer['range'][0]:g} to {answer['range'][1]:g}: {verdict}."
    return f"{verdict.title()}."


# ---------------------------------------------------------------- jupyterquiz
def live_html(questions: list[dict], seed: str) -> tuple[str, str] | None:
    """jupyterquiz's box and the script that fills it, as HTML; None without jupyterquiz, or outside IPython.

    seed: for the random names that jupyterquiz gives its elements: the same quiz makes the same output.
    """
    try:
        from jupyterquiz import display_quiz
    except ImportError:
        return None
    if get_ipython() is None:  # nothing could be captured below
        return None
    state = random.getstate()
    try:
        random.seed(seed)
        with capture_output() as shown:
            display_quiz(questions, shuffle_answers=False, max_width=WIDTH, border_radius=6, colors=dict(COLORS))
    finally:
        random.setstate(state)
    pieces = {kind: text for output in shown.outputs for kind, text in output.data.items()}
    box, script = pieces["text/html"], _script(pieces["application/javascript"])
    left_open = "</div>" * (box.count("<div") - box.count("</div"))
    return box + left_open, f"<script>{script}</script>"


def _script(script: str) -> str:
    """jupyterquiz's script without its indentation and comment lines, which are a third of it.

    It would load MathJax from the internet where the page has one of its own; our questions need none, so inside
    this function there is none.
    """
    lines = (line.strip() for line in script.splitlines())
    short = "\n".join(line for line in lines if line and not line.startswith("//"))
    version = importlib.metadata.version("jupyterquiz")
    notice = f"/* jupyterquiz {version}, by John M. Shea, MIT license: https://github.com/jmshea/jupyterquiz */"
    return f"{notice}\n(function () {{\nvar MathJax;\n{short}\n{READY}\n}})();"
