"""A document as the text of a YAML file that `reader` reads back to the same document."""

from __future__ import annotations

from typing import Any

import yaml

WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would take for something else than text."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # PyYAML's
        super().increase_indent(flow, indentless=False)


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if _is_number(text) or "*" in text else None
    ),
)


def yaml_text(document: Any) -> str:
    """Keys keep their order; what holds no other mapping stands in one line."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=WIDTH
    )
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
