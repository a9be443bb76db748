"""Prepares the documents for their site: build/docs has them as the repository does, with what they link to.

Usage: `make docs`, `make docs-serve`. The relative links of a page stay as they are, so that they
lead to the same place on the site and in the repository. Pictures in Mermaid become SVG here, since a page of the site
loads nothing from elsewhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import mermaidx

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "build" / "docs"

_LINK = re.compile(r"(?P<before>\]\()(?P<path>[^)\s:#]+)(?P<anchor>#[^)\s]*)?\)")
_PICTURE = re.compile(r"^```mermaid\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def listed() -> list[str]:
    """Returns the tracked Markdown files, and those about to be."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    return [name for name in names if (ROOT / name).exists() and not Path(name).name.startswith("+")]


def without_pictures(page: Path, text: str) -> str:
    """Returns the text with each Mermaid block replaced by a link to the SVG drawn from it, beside the page."""
    drawn = 0

    def draw(block: re.Match[str]) -> str:
        nonlocal drawn
        drawn += 1
        name = f"{page.stem}-{drawn}.svg"
        page.with_name(name).write_text(mermaidx.render(block[1]).svg(), encoding="utf-8")
        return f"[![{page.stem}]({name})]({name})\n"

    return _PICTURE.sub(draw, text)


def folder_page(folder: Path) -> str:
    """Returns a page that lists a folder without a README, which a site has no other way to show."""
    links = [f"- [{path.stem if path.suffix == '.md' else path.name}]({path.name})" for path in contents(folder)]
    return "\n".join((f"# {folder.relative_to(ROOT)}", "", *links, ""))


def contents(folder: Path) -> list[Path]:
    """Returns the files and folders in a folder that are not hidden."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(("_", ".")))


def bring(path: Path) -> None:
    """Copies a file that a page links to; of a folder its files, with a page that lists them."""
    target = TARGET / path.relative_to(ROOT)
    if path.is_file():
        if path.suffix != ".md":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    elif not (path / "README.md").exists():
        for inside in contents(path):
            bring(inside)
        target.mkdir(parents=True, exist_ok=True)
        (target / "README.md").write_text(folder_page(path), encoding="utf-8")


def write(name: str) -> None:
    """Writes one page, and brings what it links to."""
    source, target = ROOT / name, TARGET / name
    target.parent.mkdir(parents=True, exist_ok=True)

    def follow(link: re.Match[str]) -> str:
        led = (source.parent / link["path"]).resolve()
        if not led.exists():
            return link[0]  # the build names it
        bring(led)
        return f"{link['before']}{link['path'].rstrip('/')}/README.md)" if led.is_dir() else link[0]

    text = _LINK.sub(follow, source.read_text(encoding="utf-8"))
    target.write_text(without_pictures(target, text), encoding="utf-8")


def main() -> None:
    """Writes build/docs anew."""
    shutil.rmtree(TARGET, ignore_errors=True)
    for name in listed():
        write(name)


if __name__ == "__main__":
    main()
