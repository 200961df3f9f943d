"""YAML without its hidden features: anchors, aliases, tags, repeated keys, numbers in other bases."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from mnist_tune.spec.plain_data import NUMBER, NotPlainError, TextLikeNumber, place


class PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, restricted to plain data."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:  # an alias has an anchor too
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


def _whole_number(loader: PlainLoader, node: yaml.ScalarNode) -> int:
    if re.fullmatch(r"[-+]?0[\d_]+", node.value):
        remedy = "write it without the 0, or in quotes if it is text"
        raise NotPlainError(
            f"a number that begins with 0 is in base 8 in YAML; {remedy}{place(node.start_mark)}"
        )
    _refuse_base_60(node)
    return loader.construct_yaml_int(node)


def _number(loader: PlainLoader, node: yaml.ScalarNode) -> float:
    _refuse_base_60(node)
    return loader.construct_yaml_float(node)


def _refuse_base_60(node: yaml.ScalarNode) -> None:
    if ":" in node.value:
        remedy = "write the number itself, or quotes if it is text"
        raise NotPlainError(f"a number with ':' is in base 60 in YAML; {remedy}{place(node.start_mark)}")


PlainLoader.add_constructor("tag:yaml.org,2002:str", _text)
PlainLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)
PlainLoader.add_constructor("tag:yaml.org,2002:float", _number)
