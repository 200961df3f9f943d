"""YAML without what makes of a text more than it shows: anchors, aliases, tags, keys given twice."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from mnist_tune.parsing import NUMBER, NotPlainError, TextLikeNumber, place


class PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, for plain data alone."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:  # also of an alias
            raise NotPlainError(
                f"anchors (&) and aliases (*) are not read; write it out{place(event.start_mark)}"
            )
        if getattr(event, "tag", None) is not None:
            raise NotPlainError(f"tags (!) are not read; remove it{place(event.start_mark)}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    where = place(key.start_mark)
                    raise NotPlainError(f"has the key '{key.value}' twice in one table; remove one{where}")
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _text(loader: PlainLoader, node: yaml.ScalarNode) -> str:
    text = loader.construct_scalar(node)
    is_plain = node.style is None
    return TextLikeNumber(text) if is_plain and NUMBER.fullmatch(text) else text


PlainLoader.add_constructor("tag:yaml.org,2002:str", _text)
