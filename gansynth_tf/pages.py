"""Web pages that show and play notes: what every page of ours is made of.

A page is one document without scripts that asks nothing of the network: sounds and pictures lie
beside it.
"""

import html
import urllib.parse
from collections.abc import Mapping, Sequence

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5a6068; --page: #f6f6f4;
  --card: #ffffff; --line: #d9dadc; --good: #14713d; --bad: #a8321b; --link: #1d4fbf; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9eaec; --soft: #a4abb4; --page: #15171a;
  --card: #1f2226; --line: #383d44; --good: #62d394; --bad: #ff9a80; --link: #8fb4ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
footer { margin-top: 2rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
a { color: var(--link); }
.soft { color: var(--soft); }
.verdict { background: var(--card); border: 1px solid var(--line);
  border-left: .4rem solid var(--bad); border-radius: .4rem; padding: .75rem 1rem; }
.verdict.good { border-left-color: var(--good); }
.verdict strong { color: var(--bad); }
.verdict.good strong { color: var(--good); }
table { border-collapse: collapse; width: 100%; max-width: 46rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem 1rem .4rem 0;
  border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; }
th { font-weight: 400; }
th small { display: block; color: var(--soft); line-height: 1.35; }
thead th { color: var(--soft); font-size: .9rem; }
.figures td { font-size: 1.25rem; font-weight: 600; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.notes { display: grid; gap: .75rem; margin: .75rem 0; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); }
.notes li { background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .75rem; min-width: 0; }
.notes .label { margin: 0 0 .4rem; font-weight: 600; }
img { display: block; width: 100%; height: auto; border-radius: .25rem; }
.notes img { aspect-ratio: 1; object-fit: fill; background: #000; margin-bottom: .5rem; }
.curves { background: #fff; padding: .5rem; border: 1px solid var(--line); }
audio { display: block; width: 100%; height: 2.5rem; }
""".strip()


def document(title: str, header: Sequence[str], body: Sequence[str], footer: str) -> str:
    """A whole page.

    Args:
      title: plain text, also the heading.
      header: HTML under the heading.
      body: HTML of the sections.
      footer: HTML of one sentence.
    """
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # An icon of its own, or a browser asks the server for one.
            '<link rel="icon" href="data:,">',
            f"<title>{text(title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            "</head>",
            "<body>",
            "<header>",
            f"<h1>{text(title)}</h1>",
            *header,
            "</header>",
            "<main>",
            *body,
            "</main>",
            f'<footer><p class="soft">{footer}</p></footer>',
            "</body>",
            "</html>",
            "",
        ]
    )


def group_html(name: str, group: Mapping) -> str:
    """A section of notes: "title", "explanation", and "items" with "label", "wav" and "png"."""
    items = []
    for item in group["items"]:
        what = f"{group['title']}, {item['label']}"
        shown = "" if item["png"] is None else picture(item["png"], f"Rainbowgram: {what}")
        items.append(
            f'<li><p class="label">{text(item["label"])}</p>{shown}'
            f'<audio controls preload="none" src="{url(item["wav"])}" '
            f'aria-label="{text(f"Play: {what}")}"></audio></li>'
        )
    return section(
        name,
        group["title"],
        f'<p>{text(group["explanation"])}</p>\n<ul class="notes">\n{lines(items)}\n</ul>',
    )


def section(name: str, heading: str, body: str) -> str:
    """A section with its heading; ``name`` is its id."""
    return (
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{text(heading)}</h2>\n'
        f"{body}\n</section>"
    )


def picture(path: str, alt: str, attributes: str = "") -> str:
    """A picture that leads to itself in full size."""
    address = url(path)
    return f'<a href="{address}"><img src="{address}" alt="{text(alt)}" loading="lazy"{attributes}></a>'


def text(plain: str) -> str:
    """Plain text as HTML."""
    return html.escape(plain, quote=True)


def url(path: str) -> str:
    """A relative path as an attribute's value."""
    return html.escape(urllib.parse.quote(path), quote=True)


def lines(parts: Sequence[str]) -> str:
    """Parts of a page, one a line."""
    return "\n".join(parts)
