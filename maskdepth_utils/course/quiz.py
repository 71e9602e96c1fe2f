"""The quizzes at the end of the notebooks: `quiz.show("03")` shows the questions of notebooks/quizzes/03.json.

A quiz is plain HTML without a script: each choice is a line to unfold, and the text below it says whether the choice
is right, and why. So it works with mouse and keyboard wherever HTML is shown: in JupyterLab, Notebook 7 and Colab, on
an exported page, and in a notebook that is not trusted.
"""

import json
from pathlib import Path

from IPython.display import display

from ..files import AssetError, data_dir, to_asset_error
from ..plots import BLUE, VERMILION

STYLE = f"""<style>
.md-quiz {{ max-width: 700px; line-height: 1.45; }}
.md-quiz > ol > li {{ margin: 0 0 1.5em; padding-left: 0.3em; }}
.md-quiz details {{ margin: 0.3em 0; padding: 0.2em 0.8em; border-left: 4px solid #8A8F98; }}
.md-quiz details[open].right {{ border-color: {BLUE}; }}
.md-quiz details[open].wrong {{ border-color: {VERMILION}; }}
.md-quiz summary {{ cursor: pointer; }}
.md-quiz pre {{ white-space: pre-wrap; }}
.md-quiz p {{ margin: 0.4em 0; }}
</style>"""
HINTS = {
    "multiple_choice": "One choice is right; unfold a choice to see.",
    "many_choice": "Several choices are right; unfold a choice to see.",
    "numeric": "The answer is a number; work it out before you unfold.",
}
# Without the attribute, JupyterLab takes keys such as "a" for its own commands while a choice has the focus.
SUMMARY = '<summary data-lm-suppress-shortcuts="true">'


def show(name: str) -> None:
    """Show the quiz of a notebook, such as ``"03"``, under the cell.

    Raises:
        AssetError: The quiz is missing or damaged.
    """
    display(to_output(name), raw=True)


def to_output(name: str) -> dict[str, str]:
    """Write what a notebook stores of a quiz: by MIME type, a page and a line of text."""
    questions = load(name)
    page = f'{STYLE}<div class="md-quiz">{to_html(questions)}</div>'
    return {"text/html": page, "text/plain": f"Quiz {name}: {len(questions)} questions, to be read in a browser"}


def load(name: str) -> list[dict]:
    """Read the questions of a quiz from the clone that holds this package, or that MASKDEPTH_DATA points into."""
    folders = [clone / "notebooks" / "quizzes" for clone in (Path(__file__).resolve().parents[2], data_dir().parent)]
    files = {path.stem: path for folder in reversed(folders) for path in sorted(folder.glob("*.json"))}
    if not files:
        raise AssetError(f"No quizzes at {folders[0]}: clone the course's whole repository, with its notebooks")
    if name not in files:
        raise AssetError(f"No quiz called {name!r}: expected one of {', '.join(sorted(files))}")
    path = files[name]
    try:
        questions = json.loads(path.read_text(encoding="utf8"))
        to_html(questions)  # a missing field fails here
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise to_asset_error(path, f"is damaged ({error!r})") from error
    return questions


def to_html(questions: list[dict]) -> str:
    """Write the questions as an ordered list."""
    return "<ol>" + "".join(f"<li>{question_to_html(question)}</li>" for question in questions) + "</ol>"


def question_to_html(question: dict) -> str:
    """Write a question and its choices; the answers to a numeric question are folded together."""
    if question["type"] not in HINTS:
        raise ValueError(f"type: expected one of {', '.join(HINTS)}; found {question['type']!r}")
    code = f"<pre><code>{question['code']}</code></pre>" if "code" in question else ""
    head = f"<p>{question['question']}</p>{code}<p><small>{HINTS[question['type']]}</small></p>"
    explained = [f"<p><b>{verdict(answer)}</b> {answer['feedback']}</p>" for answer in question["answers"]]
    if question["type"] == "numeric":
        return f"{head}<details>{SUMMARY}Answer</summary>{''.join(explained)}</details>"
    for letter, answer, words in zip("ABCDEFGH", question["answers"], explained):
        kind = "right" if answer["correct"] else "wrong"
        head += f'<details class="{kind}">{SUMMARY}{letter}. {answer["answer"]}</summary>{words}</details>'
    return head


def verdict(answer: dict) -> str:
    """Say whether an answer is right or wrong, and, for a number, which one."""
    word = "right" if answer.get("correct") else "wrong"
    if answer.get("type") == "default":
        return "Any other number:"
    if "value" in answer:
        return f"{answer['value']:g}: {word}."
    if "range" in answer:
        return f"{answer['range'][0]:g} to {answer['range'][1]:g}: {word}."
    return f"{word.title()}."
