"""Writes the report of a run: one HTML page that needs nothing but itself, neither a network nor a script."""

from __future__ import annotations

from functools import cache

import jinja2
from markupsafe import Markup

from bireal_hw import __version__
from bireal_hw.report.page import Command, Page
from bireal_hw.synth.resources import NAMES, number


def render(page: Page) -> str:
    """Write the page as HTML; every text of the run is escaped, the same page gives the same bytes."""
    drawn = Markup(page.picture.body)  # the one text that is markup already, its own names escaped
    return _template().render(page=page, drawn=drawn, NAMES=NAMES, version=__version__)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bireal_hw.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"amount": number, "percent": percent, "short": short}
    environment.tests["command"] = lambda value: isinstance(value, Command)
    return environment.get_template("page.html.j2")


def short(name: str, length: int = 48) -> str:
    """Leave out the middle of a name that is too long for a table.

    >>> short("layer1_0_merge"), short("layer1_0_merge", 9)
    ('layer1_0_merge', 'laye…erge')
    """
    kept = (length - 1) // 2
    return name if len(name) <= length else f"{name[:kept]}…{name[-kept:]}"


def percent(share: float) -> str:
    """Write a share.

    >>> percent(1.0), percent(0.0347), percent(0.0001), percent(0), percent(1.316), percent(float("inf"))
    ('100 %', '3.5 %', '< 0.1 %', '0 %', '131.6 %', 'none there')
    """
    if share == float("inf"):
        return "none there"
    return f"{number(100 * share)} %" if share >= 0.001 or not share else "< 0.1 %"
