"""Draw the drawings of the notebooks, and write each into the Markdown cells that show it.

    python notebooks/drawings/draw.py    # half a minute

A cell shows a drawing as ``![alt text][skip]``, and ends with the line ``[skip]: data:image/png;base64,...``, which
this tool fills in. Run it again when a drawing, or the network that it shows, has changed. What is written on a drawing
is computed from the course's own networks and data.
"""

import base64
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))

from geometry_drawings import pinhole, z_buffer  # noqa: E402  (after the path to notebook_files)
from loss_drawings import sobel_edge, ssim_window  # noqa: E402
from network_drawings import encoder_decoder, receptive_field, skip  # noqa: E402
from notebook_files import find_notebooks, read, tool_parser, write  # noqa: E402

from maskdepth_utils.plots import to_png  # noqa: E402

FUNCTIONS = (pinhole, z_buffer, sobel_edge, ssim_window, encoder_decoder, receptive_field, skip)
DRAWINGS = {draw.__name__: draw for draw in FUNCTIONS}
PLACE = re.compile(rf"^\[({'|'.join(DRAWINGS)})\]: data:image/png;base64,(.*)$", re.MULTILINE)


def stored_drawings() -> Iterator[tuple[str, bytes]]:
    """Yield each drawing in the notebooks: its name and its PNG file."""
    for path in find_notebooks():
        for cell in read(path).cells:
            yield from ((name, base64.b64decode(text)) for name, text in PLACE.findall(cell.source))


def main() -> None:
    tool_parser(__doc__).parse_args()
    lines = {}
    for name, draw in DRAWINGS.items():
        picture = base64.b64encode(to_png(draw(), dpi=100)).decode()
        lines[name] = f"[{name}]: data:image/png;base64,{picture}"
    for path in find_notebooks():
        nb = read(path)
        for cell in nb.cells:
            cell.source = PLACE.sub(lambda place: lines[place[1]], cell.source)
        write(nb, path)


if __name__ == "__main__":
    main()
