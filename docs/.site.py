"""Pages of the site that lie elsewhere in the repository, where people look for them first."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "config.md": "config/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Page of the site -> file of the repository."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page, path in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as the repository has them become links of the site."""
    for target, path in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{path}", f"]({target}")
        markdown = markdown.replace(f"]({path}", f"]({target}")
    if page.file.src_uri in ELSEWHERE:
        markdown = markdown.replace("](docs/", "](").replace("](../docs/", "](")
    return markdown
