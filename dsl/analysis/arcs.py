"""Pictures of which past word each word was connected to."""

import functools
import pathlib

from dsl.analysis.connections import COLORS, checked, cut, shorten
from dsl.choices import PICTURE_SUFFIXES
from dsl.system.messages import printable
from dsl.system.pictures import letters_lacking, save

# Lengths of the picture in points. A row is as wide as a page of two columns.
_ROW, _MARGIN, _GAP, _LONGEST_WORD = 504, 4, 6, 24
_WORD_SIZE, _MARK_SIZE, _LEGEND_SIZE = 8.5, 6, 8
_LOWEST_ARC, _ARC_STEP, _WORD_BELOW, _MARK_BELOW = 8, 5, 10, 17
_BETWEEN_ROWS, _BETWEEN_SENTENCES = 6, 16
_LEGEND_LINE, _LEGEND_COLUMN = 13, 80
_INK, _GRAY, _LIGHT_GRAY, _DPI = "#1a1a1a", "#8c8c8c", "#b0b0b0", 200


def require_matplotlib():
    """Imports Matplotlib, which only drawing needs.

    Returns:
        The module.

    Raises:
        ImportError: If it is not there, with the command that installs it.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "drawing needs matplotlib: pip install '.[plots]'"
        ) from error
    return matplotlib


def draw(sentences, path, num_actions):
    """Draws sentences into a file, see `figure`.

    The same sentences give the same file, byte by byte.

    Args:
        sentences: List of `Sentence`.
        path: The file; its suffix, one of
            `PICTURE_SUFFIXES`, says of which kind.
        num_actions: K, the largest distance.

    Returns:
        List of the letters that the font has no shape for.

    Raises:
        ValueError: If the suffix is another one, or as `figure`.
        ImportError: If Matplotlib is not there.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise ValueError(
            f"`path` must end in one of {PICTURE_SUFFIXES}. "
            f"Received: {str(path)!r}"
        )
    # Many publishers refuse fonts of type 3, which are the default.
    options = {"pdf.fonttype": 42, "svg.hashsalt": "dsl"}
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with letters_lacking() as lacking:
        picture = figure(sentences, num_actions)
    with require_matplotlib().rc_context(options):
        more = save(picture, path, dpi=_DPI, metadata=undated.get(suffix))
    return list(dict.fromkeys(lacking + more))


def figure(sentences, num_actions):
    """Draws sentences: an arc from each word to the one it was connected to.

    The longer the distance, the higher the arc; k = 1 is a straight line, and
    a distance beyond the start of the text has no arc. What does not fit into
    a row goes on in the next, which repeats in gray the words that its arcs
    reach back to.

    Args:
        sentences: List of `Sentence`.
        num_actions: K, the largest distance.

    Returns:
        A `matplotlib.figure.Figure` of its own, unknown to `pyplot`, whose
        one axes is measured in points. Its patches are the arcs and its lines
        the connections of k = 1, each from the word to its target.

    Raises:
        ValueError: If there is no sentence, or a distance is beyond K.
        ImportError: If Matplotlib is not there.
    """
    if not sentences:
        raise ValueError("`sentences` must hold at least one. Received: none")
    for sentence in sentences:
        checked(sentence.words, sentence.look_back, num_actions)
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(dpi=_DPI)
    measure = _ruler(FigureCanvasAgg(picture).get_renderer())
    # Of each row, the height of its line below the top of the picture.
    depth = _MARGIN + _LEGEND_LINE * -(-num_actions // (_ROW // _LEGEND_COLUMN))
    placed = []
    for sentence in sentences:
        depth += _BETWEEN_SENTENCES
        for row in _rows(sentence, measure):
            depth += _peak(row)
            placed.append((depth, row, _spans(row, measure)))
            depth += _MARK_BELOW + _BETWEEN_ROWS
    ends = [spans[-1][1] for _, _, spans in placed]
    width = _MARGIN + max([_ROW, *ends])
    picture.set_size_inches(width / 72, depth / 72)
    axes = picture.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(depth, 0))
    axes.set_axis_off()
    for line, row, spans in placed:
        _draw_row(axes, line, row, spans)
    _draw_legend(axes, num_actions)
    return picture


def _rows(sentence, measure):
    """Cuts a sentence into pieces that fit into one row of the picture."""
    words = sentence.context + sentence.words
    look_back = (0,) * len(sentence.context) + sentence.look_back
    start, rows = len(sentence.context), []
    while start < len(words):
        for stop in range(start + 1, len(words) + 1):
            longer = cut(words, look_back, start, stop)
            if stop > start + 1 and _spans(longer, measure)[-1][1] > _ROW:
                break
            row = longer
        rows.append(row)
        start += len(row.words)
    return rows


def _spans(row, measure):
    """Left and right end of each word in a row, its context first."""
    spans, left = [], _MARGIN
    for word in row.context + row.words:
        spans.append((left, left + measure(_label(word))))
        left = spans[-1][1] + _GAP
    return spans


def _label(word):
    return shorten(printable(word), _LONGEST_WORD)


def _ruler(renderer):
    """A function from a word to its width in points."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(size=_WORD_SIZE)

    @functools.cache
    def measure(word):
        size = renderer.get_text_width_height_descent(word, font, ismath=False)
        return size[0] * 72 / _DPI

    return measure


def _peak(row):
    """How far the arcs of a row rise above its line."""
    return max(map(_rise, row.look_back))


def _rise(distance):
    return 0 if distance < 2 else _LOWEST_ARC + _ARC_STEP * (distance - 2)


def _draw_row(axes, line, row, spans):
    """Draws one row: states on a line, their words below, arcs above."""
    centers = [(left + right) / 2 for left, right in spans]
    start = len(row.context)

    def write(index, below, text, size, color):
        axes.text(
            centers[index],
            line + below,
            text,
            size=size,
            color=color,
            ha="center",
            va="baseline",
            parse_math=False,
            usetex=False,
        )

    for index, word in enumerate(row.context + row.words):
        color = _INK if index >= start else _GRAY
        write(index, _WORD_BELOW, _label(word), _WORD_SIZE, color)
    for index, distance in enumerate(row.look_back, start):
        if distance != 1:
            mark, color = str(distance or "?"), _line_color(distance)
            write(index, _MARK_BELOW, mark, _MARK_SIZE, color)
        if distance and distance <= index:
            ends = (centers[index], centers[index - distance])
            _draw_connection(axes, line, ends, distance)
    dots = [_GRAY] * start + [_INK] * len(row.words)
    axes.scatter(centers, [line] * len(centers), s=4, c=dots, lw=0, zorder=3)


def _draw_connection(axes, line, ends, distance):
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    color = _line_color(distance)
    if distance == 1:
        axes.plot(ends, (line, line), lw=1, color=color)
        return
    # A cubic curve rises to three quarters of its inner points.
    top = line - _rise(distance) / 0.75
    corners = [
        (ends[0], line),
        (ends[0], top),
        (ends[1], top),
        (ends[1], line),
    ]
    arc = Path(corners, [Path.MOVETO, *[Path.CURVE4] * 3])
    axes.add_patch(PathPatch(arc, fill=False, lw=1.1, edgecolor=color))


def _draw_legend(axes, num_actions):
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=_line_color(distance),
            label=f"{distance} words back" if distance > 1 else "previous word",
        )
        for distance in range(1, num_actions + 1)
    ]
    axes.legend(
        handles=handles,
        ncols=_ROW // _LEGEND_COLUMN,
        loc="upper left",
        bbox_to_anchor=(_MARGIN, _MARGIN),
        bbox_transform=axes.transData,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=1.5,
        fontsize=_LEGEND_SIZE,
    )


def _line_color(distance):
    if distance < 2:
        return _LIGHT_GRAY
    return COLORS[(distance - 2) % len(COLORS)][0]
