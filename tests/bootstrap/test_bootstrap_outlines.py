"""What files of code hold, and which files they mean by their imports."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.dependencies import Tree, dependencies_of
from flywheel.bootstrap.outlines import LANGUAGES, outline

FILES = {
    "a.py": (
        (
            'import os\nfrom .util import help_it\nRATE = 1\n\n@wrap\ndef f(x):\n    """Do it.\n\n    More."""\n'
            "    return help_it(x) * RATE\n\nclass C(Base):\n    def m(self):\n        return self.n\n"
        ),
        {"RATE": "value", "f": "function", "C": "class", "C.m": "method"},
        ("os", ".util", ".util.help_it"),
    ),
    "a.ts": (
        (
            'import { a } from "./util/a";\nimport type { T } from "../types";\n'
            "export function foo(n: number) { return a(n) }\n"
            "export class S extends B { area(): number { return help(this.z) } }\n"
            "export const arrow = (q: T) => foo(q);\n"
            "interface I { m(): void }\ntype U = string;\n"
        ),
        {
            "foo": "function",
            "S": "class",
            "S.area": "method",
            "arrow": "function",
            "I": "type",
            "I.m": "method",
            "U": "type",
        },
        ("./util/a", "../types"),
    ),
    "a.tsx": ("export const App = () => <div>{name}</div>;\n", {"App": "function"}, ()),
    "a.js": (
        'const fs = require("./fs");\nexport * from "./b.js";\nfunction f() { const inner = 1; return inner }\n',
        {"fs": "value", "f": "function"},
        ("./fs", "./b.js"),
    ),
    "a.rs": (
        (
            "use crate::util::{a, b};\nmod parser;\npub fn foo(n: u32) -> u32 { a(n) }\nstruct S { z: u32 }\n"
            "impl S { fn area(&self) -> u32 { b(self.z) } }\ntrait T { fn m(&self); }\n"
        ),
        {"foo": "function", "S": "class", "S.area": "method", "T": "type", "T.m": "method"},
        ("crate::util::a", "crate::util::b", "mod::parser"),
    ),
    "a.rb": (
        (
            'require "json"\nrequire_relative "util"\nmodule M\n  class S < B\n'
            "    def area(x)\n      help(x)\n    end\n"
            "    def self.make; end\n  end\nend\n"
        ),
        {"M": "class", "M.S": "class", "M.S.area": "method", "M.S.make": "method"},
        ("json", "./util"),
    ),
    "a.swift": (
        (
            "import Foundation\nfunc foo(n: Int) -> Int { return bar(n) }\n"
            "class S: B { func area() -> Int { return help(z) } }\n"
            "protocol P { func m() }\n"
        ),
        {"foo": "function", "S": "class", "S.area": "method", "P": "type", "P.m": "method"},
        (),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_language_is_read_by_a_real_parser(name):
    """Symbols with their kinds and lines, and imports as they are written."""
    text, symbols, imports = FILES[name]
    told = outline(name, text)
    assert {one.name: one.kind for one in told.symbols} == symbols
    assert told.imports == imports
    lines = text.split("\n")
    for one in told.symbols:
        assert one.short in "\n".join(lines[one.first - 1 : one.last])


def test_what_a_symbol_uses_and_says():
    """Names that stand in it, its own left out; its head on one line; the first part of what it says of itself."""
    told = {one.name: one for one in outline("a.py", FILES["a.py"][0]).symbols}
    assert {"help_it", "RATE", "x", "wrap"} <= told["f"].uses
    assert (told["f"].signature, told["f"].doc, told["f"].first) == ("def f(x):", "Do it.", 5)
    script = {one.name: one for one in outline("a.ts", FILES["a.ts"][0]).symbols}
    assert "help" in script["S.area"].uses
    assert script["foo"].signature == "function foo(n: number)"


@pytest.mark.parametrize(
    ("name", "text"), [("a.py", "def f(:"), ("a.ts", "function ("), ("a.rs", "fn {"), ("a.txt", "x")]
)
def test_half_an_outline_is_none(name, text):
    """What does not parse, and what is in no language of ours."""
    assert outline(name, text) is None


@given(st.sampled_from(sorted(LANGUAGES)), st.text(max_size=80))
@settings(max_examples=120, deadline=None)
def test_no_text_breaks_a_parser(suffix, text):
    """Whatever stands in a file, surrogates and zero bytes included."""
    told = outline(f"a{suffix}", text)
    assert told is None or all(one.first <= one.last for one in told.symbols)


NAMES = (
    "src/pkg/__init__.py", "src/pkg/core.py", "src/pkg/util/__init__.py", "src/pkg/util/text.py", "tests/test_core.py",
    "web/app.ts", "web/util/a.ts", "web/util/index.ts", "web/b.js", "src/lib.rs", "src/util.rs", "src/parser/mod.rs",
    "src/parser/lexer.rs", "lib/tool/cli.rb", "lib/tool/util.rb",
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "text", "files"),
    [
        ("tests/test_core.py", "import os\nfrom pkg.core import f\nimport pkg.util.text",
         ["src/pkg/core.py", "src/pkg/util/text.py"]),
        ("src/pkg/core.py", "from . import util\nfrom .util.text import t",
         ["src/pkg/__init__.py", "src/pkg/util/__init__.py", "src/pkg/util/text.py"]),
        ("src/pkg/util/text.py", "from ..core import f\nfrom nowhere import x", ["src/pkg/core.py"]),
        ("web/app.ts", 'import a from "./util/a.js"; import "./util"; import "react"; import b from "./b"',
         ["web/util/a.ts", "web/util/index.ts", "web/b.js"]),
        ("src/lib.rs", "mod util; mod parser; use crate::parser::lexer::Token; use std::fs;",
         ["src/util.rs", "src/parser/mod.rs", "src/parser/lexer.rs"]),
        ("lib/tool/cli.rb", 'require "json"\nrequire "tool/util"\nrequire_relative "util"', ["lib/tool/util.rb"]),
    ],
)  # fmt: skip
def test_imports_are_found_in_the_tree(path, text, files):
    """Direct dependencies, each once, in their order; what is somebody else's is no file of ours."""
    assert dependencies_of(path, outline(path, text), Tree(NAMES)) == files
