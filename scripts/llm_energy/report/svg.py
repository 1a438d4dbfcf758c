"""SVG as matplotlib writes it: without invisible parts, and as part of a page."""

import re
from collections.abc import Mapping

POINT = "point: "
"""Beginning of the identifier of a label: the name of its point follows, which the label need not
show."""

_PLACES = re.compile(r'\b(d|x|y|points|transform|viewBox|width|height)="([^"]*)"')
_LONG = re.compile(r"-?\d+\.\d{3,}")
_ID = re.compile(r' id="([^"]+)"')
_USE = re.compile(r'(?:href="#|url\(#)([^")]+)')
_STYLE = re.compile(r' style="([^"]*)"')
_NO_TURN = re.compile(r' transform="rotate\(-?0(?:\.0+)? [^"]*\)"')


def compact(svg: str) -> str:
    """The same drawing in fewer bytes: places to a hundredth of a point, no names that nothing
    refers to, no line breaks between tags."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = _NO_TURN.sub("", svg)
    svg = _PLACES.sub(lambda found: f'{found[1]}="{_rounded(found[2])}"', svg)
    used = set(_USE.findall(svg))
    svg = re.sub(rf' id="{POINT}([^"]*)"', r' data-point="\1"', svg)
    svg = _ID.sub(lambda found: found[0] if found[1] in used else "", svg)
    return re.sub(r">\s+<", "><", svg)


def _rounded(places: str) -> str:
    return " ".join(_LONG.sub(lambda number: f"{float(number[0]):.2f}", places).split())


def themed(svg: str, name: str, *, colours: Mapping[str, str]) -> str:
    """An SVG file's content as part of a page, which then rules its colours and its type.

    Identifiers and classes begin with `name`, because those of several figures share the page.

    Args:
        colours: colour -> CSS variable `--figure-…` of the page.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"'DejaVu Sans'", "var(--sans)", svg)
    for colour, variable in colours.items():
        svg = svg.replace(colour, f"var(--figure-{variable})")
    return _with_classes(svg, name)


def _with_classes(svg: str, name: str) -> str:
    """Each style once, as a class: a drawing has a few of them, a thousand times."""
    classes: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return f' class="{classes.setdefault(found[1], f"{name}-{len(classes)}")}"'

    svg = _STYLE.sub(named, svg)
    rules = "".join(f".{own}{{{style}}}" for style, own in classes.items())
    return svg.replace("</style>", f"{rules}</style>", 1)
