"""The outline of a TypeScript, JavaScript, Rust, Ruby or Swift file, by tree-sitter. Pure."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from flywheel.bootstrap.outlines import Kind, Language, Outline, Symbol

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_LONGEST_HEAD = 200
_SCRIPT: Mapping[str, Kind] = {
    "function_declaration": "function", "generator_function_declaration": "function", "class_declaration": "class",
    "abstract_class_declaration": "class", "method_definition": "method", "method_signature": "method",
    "interface_declaration": "type", "type_alias_declaration": "type", "enum_declaration": "type",
}  # fmt: skip
_KINDS: Mapping[Language, Mapping[str, Kind]] = {
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "javascript": _SCRIPT,
    "rust": {
        "function_item": "function", "function_signature_item": "function", "struct_item": "class", "enum_item": "type",
        "trait_item": "type", "type_item": "type", "const_item": "value", "static_item": "value",
        "macro_definition": "function",
    },
    "ruby": {"method": "method", "singleton_method": "method", "class": "class", "module": "class"},
    "swift": {
        "function_declaration": "function", "protocol_function_declaration": "method", "class_declaration": "class",
        "protocol_declaration": "type", "typealias_declaration": "type", "init_declaration": "method",
    },
}  # fmt: skip
_HOLDERS = frozenset({"class", "type"})
_NAMES = frozenset({
    "identifier", "type_identifier", "property_identifier", "field_identifier", "simple_identifier", "constant",
    "shorthand_property_identifier",
})  # fmt: skip


def outline_tree(language: Language, text: str) -> Outline | None:
    """Return what a file holds; None when it does not parse."""
    raw = text.encode("utf-8", "surrogatepass")
    root = _parser(language).parse(raw).root_node
    if root.has_error:
        return None
    return Outline(language, tuple(_symbols(root, "", language)), tuple(dict.fromkeys(_imports(root, language))))


@cache
def _parser(language: Language) -> "Parser":
    from tree_sitter import Language as Grammar
    from tree_sitter import Parser

    return Parser(Grammar(_grammar(language)))


def _grammar(language: Language) -> object:
    if language in {"typescript", "tsx"}:
        import tree_sitter_typescript as script

        return script.language_tsx() if language == "tsx" else script.language_typescript()
    from importlib import import_module

    return import_module(f"tree_sitter_{language}").language()


def _symbols(node: "Node", inside: str, language: Language) -> Iterator[Symbol]:
    for child in node.named_children:
        kind = _KINDS[language].get(child.type)
        name = _name(child) if kind else ""
        if kind and name:
            inner = "method" if kind == "function" and inside else kind
            yield _symbol(child, f"{inside}{name}", inner)
            if kind in _HOLDERS:
                yield from _symbols(child, f"{inside}{name}.", language)
        elif child.type == "impl_item":
            of = child.child_by_field_name("type")
            yield from _symbols(child, f"{_text(of)}." if of else inside, language)
        elif child.type in {"lexical_declaration", "variable_declaration"}:
            yield from _declared(child, inside)
        elif child.type not in {"statement_block", "block", "function_body", "call_expression"}:
            yield from _symbols(child, inside, language)


def _declared(node: "Node", inside: str) -> Iterator[Symbol]:
    """Yield what a declaration of a script names: a function where one is put under the name."""
    for one in node.named_children:
        name, value = one.child_by_field_name("name"), one.child_by_field_name("value")
        if one.type == "variable_declarator" and name is not None and name.type == "identifier" and not inside:
            makes = value is not None and value.type in {"arrow_function", "function_expression"}
            yield _symbol(node, _text(name), "function" if makes else "value")


def _symbol(node: "Node", name: str, kind: Kind) -> Symbol:
    body = node.child_by_field_name("body")
    end = body.start_byte - node.start_byte if body is not None else None
    head = " ".join((node.text or b"")[:end].decode("utf-8", "replace").split())[:_LONGEST_HEAD].rstrip(" {")
    uses = frozenset(_text(one) for one in _below(node) if one.type in _NAMES)
    return Symbol(name, kind, node.start_point[0] + 1, node.end_point[0] + 1, head, uses - {name.rpartition(".")[2]})


def _name(node: "Node") -> str:
    name = node.child_by_field_name("name")
    return "init" if name is None and node.type == "init_declaration" else _text(name) if name is not None else ""


def _imports(root: "Node", language: Language) -> Iterator[str]:
    for node in _below(root):
        if node.type in {"import_statement", "export_statement"}:
            source = node.child_by_field_name("source")
            if source is not None:
                yield _text(source).strip("'\"`")
        elif node.type == "use_declaration":
            yield from _used(node)
        elif node.type == "mod_item" and node.child_by_field_name("body") is None:
            yield f"mod::{_name(node)}"
        elif node.type in {"call", "call_expression"}:
            yield from _required(node, language)


def _used(node: "Node") -> Iterator[str]:
    """Yield the paths of a `use`: of a list, the path before it with each of its names."""
    text = "".join(_text(node).removesuffix(";").split())
    path = text.partition("use")[2]
    before, brace, inner = path.partition("{")
    yield from (before + one for one in inner.rstrip("}").split(",") if one) if brace else (path,)


def _required(node: "Node", language: Language) -> Iterator[str]:
    function = node.child_by_field_name("method" if language == "ruby" else "function")
    arguments = node.child_by_field_name("arguments")
    if function is None or arguments is None or _text(function) not in {"require", "require_relative", "import"}:
        return
    first = next(iter(arguments.named_children), None)
    if first is not None and first.type == "string":
        yield ("./" if _text(function) == "require_relative" else "") + _text(first).strip("'\"`")


def _below(node: "Node") -> Iterator["Node"]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += reversed(one.named_children)


def _text(node: "Node") -> str:
    return (node.text or b"").decode("utf-8", "replace")
