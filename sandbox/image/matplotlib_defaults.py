"""Gives the installed matplotlib our defaults: `matplotlib_defaults.py DIRECTORY-OF-MATPLOTLIB`.

Three changes that no configuration file can make, because a fresh sandbox has an empty home and
style sheets reset what a matplotlibrc says. Each fails the build if matplotlib no longer fits.
"""

import re
import sys
from pathlib import Path

# A glyph that the chosen font lacks is taken from the first of these that has it.
FALLBACKS = [
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Sans Math",
    "Noto Sans Symbols2",
]


def replace_once(text, pattern, replacement, what):
    text, count = re.subn(pattern, lambda _: replacement, text)
    if count != 1:
        sys.exit(f"matplotlib: {what}: found {count} places instead of one")
    return text


def patch_font_manager(path):
    text = path.read_text(encoding="utf-8")
    text = replace_once(
        text,
        r"fm_path = Path\(\s*mpl\.get_cachedir\(\),[^)]*\)",
        'fm_path = Path("/opt/sandbox/matplotlib/fontlist.json")',
        "where the list of fonts is kept",
    )
    head, marker, tail = text.partition("def _find_fonts_by_props(")
    loop = "for family in prop.get_family():"
    if not marker or loop not in tail:
        sys.exit("matplotlib: fallback fonts: the function is not there")
    tail = tail.replace(loop, f"for family in [*prop.get_family(), *{FALLBACKS!r}]:", 1)
    path.write_text(head + marker + tail, encoding="utf-8")


def set_defaults(path, ours):
    """The installed file is a template: "#key: value" lines from which defaults are read."""
    text = path.read_text(encoding="utf-8")
    for line in ours.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            key, value = line.split(":", 1)
            pattern = rf"(?m)^#*{re.escape(key)}\s*:.*$"
            if key == "backend":
                # Without a value in the template; the environment names it too.
                pattern = r"(?m)^#*backend\s*:.*$"
            text = replace_once(text, pattern, f"{key}:{value}", key)
    path.write_text(text, encoding="utf-8")


mpl = Path(sys.argv[1])
patch_font_manager(mpl / "font_manager.py")
set_defaults(mpl / "mpl-data" / "matplotlibrc", Path(__file__).with_name("matplotlibrc"))
