from typing import Any

from starter_functions import family

problem = family("formats")


@problem(
    "tables",
    ([["name", "n"], ["pear", "10"], ["fig", "7"]],),
    ([["a"]],),
    ([],),
    ([["x", "yy"], ["xxx", "y"]],),
    ([["", "b"], ["cc", ""]],),
)
def align_columns(rows: list[list[str]]) -> list[str]:
    """Write rows of cells as lines with aligned columns.

    Each cell is filled up with blanks on its right to the width of the longest cell of its column, cells are separated
    by " | ", and blanks at the end of a line are removed. All rows have equally many cells.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [" | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip(" ") for row in rows]


@problem(
    "tables",
    (["a", "b"], [["1", "2"], ["3", "4"]]),
    (["x"], []),
    (["k", "v"], [["p|q", ""]]),
    (["only"], [["one"]]),
    (["n", "m", "o"], [["1", "2", "3"]]),
)
def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    r"""Write a Markdown table: a line of the header, a line with --- for every column, and a line for every row.

    Cells of a line are separated by " | "; each line begins with "| " and ends with " |". A | within a cell is written
    as \|. Lines are joined by "\n", without one at the end.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


@problem(
    "tables", ([["a", 3], ["bb", 1]],), ([],), ([["x", 0]],), ([["one", 2], ["two", 2], ["three", 5]],), ([["q", 10]],)
)
def bar_chart(values: list[list]) -> list[str]:
    """Draw a bar chart of pairs [name, value]: for each a line with the name, filled up with blanks to the longest name, a blank, and a bar.

    The bar is as many "#" as the value says. Blanks at the end of a line are removed.
    """
    width = max((len(name) for name, _ in values), default=0)
    return [f"{name.ljust(width)} {'#' * value}".rstrip() for name, value in values]


@problem("tables", ("a,b\n1,2\n3,4",), ("x\n",), ("",), ("k,v\np,\n",), ("h,i,j\n7,8,9",))
def read_csv(text: str) -> list[dict[str, str]]:
    """Read simple comma-separated text: the first line names the columns, each further line is a row.

    Cells are never quoted. Empty lines are ignored. Return the rows as dicts from column name to cell.
    """
    lines = [line.split(",") for line in text.split("\n") if line]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


@problem("tables", (["a", "b,c", 'd"e'],), ([""],), (["x"],), (["line\nbreak", "y"],), (["p", "", "q"],))
def csv_line(cells: list[str]) -> str:
    """Write one line of comma-separated values.

    A cell that holds a comma, a double quote or a line break is put into double quotes, and each double quote within it
    is doubled. Other cells are written as they are.
    """

    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\n') else cell

    return ",".join(map(quoted, cells))


@problem("markup", ("# One\ntext\n## Two\n# Three",), ("",), ("no heading",), ("### Deep",), ("#no\n# Yes",))
def headings(text: str) -> list[list]:
    """Return the headings of a Markdown text as lists [level, title].

    A heading is a line that begins with one to six "#", followed by a blank and the title; the level is how many "#".
    """
    import re

    return [[len(marks), title] for marks, title in re.findall(r"^(#{1,6}) (.+)$", text, re.MULTILINE)]


@problem("markup", ("see [the docs](http://a.b) and [x](y)",), ("none",), ("",), ("[a](b)",), ("(c) [d] [e](f)",))
def links(text: str) -> list[list[str]]:
    """Return the links [text](address) of a Markdown text as lists [text, address], in their order.

    Neither text nor address holds brackets of any kind, and neither is empty.
    """
    import re

    return [list(found) for found in re.findall(r"\[([^][()]+)\]\(([^][()]+)\)", text)]


@problem("markup", ("a < b & c",), ("",), ('say "hi"',), ("plain",), ("<b>x</b>",))
def escape_html(text: str) -> str:
    """Escape a text for HTML: & becomes &amp;, < becomes &lt;, > becomes &gt; and a double quote becomes &quot;."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


@problem(
    "markup",
    ("Hello {name}, {n} new", {"name": "Ada", "n": "3"}),
    ("{x}", {}),
    ("none", {"a": "b"}),
    ("{a}{a}", {"a": "z"}),
    ("{p} {q}", {"q": "1"}),
)
def fill_in(template: str, values: dict[str, str]) -> str:
    """Replace every {name} in a template by the value of that name; one without a value stays as it is.

    Names consist of lower-case letters.
    """
    import re

    return re.sub(r"\{([a-z]+)\}", lambda found: values.get(found[1], found[0]), template)


@problem("markup", (["a", ["b", "c"], "d"],), ([],), (["x"],), (["p", ["q", ["r"]]],), (["m", [], "n"],))
def nested_list(items: list) -> list[str]:
    """Write a nested list as lines: each text as "- " and the text.

    A list among the items is written in the same way, with two more blanks in front of each of its lines.
    """
    lines: list[str] = []
    for item in items:
        lines += ["  " + line for line in nested_list(item)] if isinstance(item, list) else [f"- {item}"]
    return lines


@problem("numbers", (1234567,), (0,), (-1000,), (999,), (1000000000,))
def thousands(number: int) -> str:
    """Write a whole number with a comma between every three digits, counted from the right."""
    return f"{number:,}"


@problem("numbers", (1536,), (0,), (1023,), (1048576,), (5 * 1024**3,), (1024**5,))
def file_size(size: int) -> str:
    """Write a size in bytes with the largest unit of B, KiB, MiB, GiB and TiB that leaves at least 1, each 1024 times the last.

    Bytes are written without decimals, all others with exactly one, rounded as Python's format does: "1.5 KiB". Sizes
    below 1 KiB, also 0, are in B; nothing is larger than TiB.
    """
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    at, value = 0, float(size)
    while value >= 1024 and at < len(units) - 1:
        value, at = value / 1024, at + 1
    return f"{value:.1f} {units[at]}" if at else f"{size} B"


@problem("numbers", (["a", "b", "c"],), ([],), (["x"],), (["x", "y"],), (["p", "q", "r", "s"],))
def enumerate_words(words: list[str]) -> str:
    """Join words for a sentence: "a", "a and b", "a, b and c"; none gives "". There is no comma before "and"."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


@problem("numbers", ("4155550123",), ("+1 415 555 0123",), ("415-555-0123",), ("123",), ("(415) 555 0123 99",))
def phone(text: str) -> str:
    """Write a phone number as "(415) 555-0123".

    Take the digits of the text. When there are 11 and the first is 1, drop it. When 10 are left, write them in this form;
    otherwise return "invalid".
    """
    digits = "".join(c for c in text if c.isdigit())
    digits = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
    return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}" if len(digits) == 10 else "invalid"


@problem("numbers", ("4539148803436467",), ("1234",), ("12345",), ("",), ("987654321",))
def masked(digits: str) -> str:
    """Hide a card number: all characters but the last four become "*"; shorter texts stay as they are."""
    return "*" * max(len(digits) - 4, 0) + digits[-4:]


@problem(
    "json",
    ({"b": [1, True, None], "a": "x"},),
    ({},),
    ({"k": {"z": 1, "y": 2}},),
    ({"s": 'q"r'},),
    ({"n": -1.5, "l": []},),
)
def compact_json(value: dict[str, Any]) -> str:
    """Write a value as JSON with the keys of all objects sorted and without any white space between tokens."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@problem(
    "json", ('{"a": [1, 2, {"b": 3}]}',), ("5",), ("[]",), ('[[1], {"x": [0.5, true]}]',), ('{"p": "7", "q": null}',)
)
def json_numbers(text: str) -> float:
    """Read a JSON text and return the sum of all numbers in it, at whatever depth.

    true, false, null, texts and the names of members are no numbers. Without numbers the sum is 0.
    """
    import json

    def total(value: Any) -> float:
        if isinstance(value, dict):
            return sum(map(total, value.values()))
        if isinstance(value, list):
            return sum(map(total, value))
        return value if isinstance(value, int | float) and not isinstance(value, bool) else 0

    return total(json.loads(text))


@problem("json", ({"id": 1, "name": "x"}, {"id": "int", "name": "str"}), ({"id": "1"}, {"id": "int"}), ({}, {"a": "str"}), ({"a": 1, "b": 2}, {"a": "int"}),
         ({"f": 1.5, "l": []}, {"f": "str", "l": "list"}))  # fmt: skip
def schema_errors(record: dict[str, Any], schema: dict[str, str]) -> list[str]:
    """Check a record against a schema, a dict from key to the name of a type: "int", "str" or "list".

    Return, sorted, one text for each error: "missing KEY" for a key of the schema that the record lacks, "wrong KEY" for
    one whose value is of another type, and "unknown KEY" for a key that the schema lacks. Values are never booleans.
    """
    types = {"int": int, "str": str, "list": list}
    missing = [f"missing {key}" for key in schema if key not in record]
    wrong = [
        f"wrong {key}" for key, kind in schema.items() if key in record and not isinstance(record[key], types[kind])
    ]
    return sorted([*missing, *wrong, *(f"unknown {key}" for key in record if key not in schema)])


problem = family("machines")


@problem(
    "stacks",
    (["push 1", "push 2", "pop", "push 3"],),
    ([],),
    (["pop"],),
    (["push 5", "pop", "pop"],),
    (["push 7", "dup", "add"],),
)
def stack_machine(commands: list[str]) -> list[int]:
    """Run commands over a stack of numbers and return the stack, its top last.

    "push N" puts a number on top; "pop" takes the top off, or does nothing on an empty stack; "dup" puts a copy of the
    top on top; "add" replaces the upper two by their sum. "dup" and "add" always find enough numbers.
    """
    stack: list[int] = []
    for command in commands:
        if command.startswith("push"):
            stack.append(int(command.split()[1]))
        elif command == "pop":
            stack = stack[:-1]
        elif command == "dup":
            stack.append(stack[-1])
        else:
            stack[-2:] = [stack[-2] + stack[-1]]
    return stack


@problem("stacks", ("ab#c",), ("a##b",), ("",), ("xyz###",), ("#q#r",))
def typed(keys: str) -> str:
    """Return the text that results from typing keys, where "#" erases the last character, if there is one."""
    text = ""
    for key in keys:
        text = text[:-1] if key == "#" else text + key
    return text


@problem("stacks", ([14, 18, 12, 11, 16, 21, 9],), ([3, 2, 1],), ([],), ([1, 1, 2],), ([5, 9, 5, 9],))
def days_until_warmer(temperatures: list[int]) -> list[int]:
    """Return, for each day, how many days later the next higher temperature comes; 0 when none does."""
    return [
        next((n for n, later in enumerate(temperatures[at + 1 :], 1) if later > here), 0)
        for at, here in enumerate(temperatures)
    ]


@problem(
    "stacks",
    (["a", "b", "a", "c", "a"], 2),
    ([], 3),
    (["x", "y", "z"], 1),
    (["p", "q", "p", "r", "q"], 2),
    (["k", "k"], 5),
)
def cache_misses(keys: list[str], size: int) -> int:
    """Count the misses of a cache that holds at most `size` keys and drops the one that was used longest ago.

    Each key of the list is used in turn: when the cache holds it, that is a hit, else a miss, and it is put in. Either
    use makes it the one used most recently. The cache begins empty.
    """
    held: list[str] = []
    misses = 0
    for key in keys:
        misses += key not in held
        held = [*[one for one in held if one != key][-(size - 1) :], key] if size > 1 else [key]
    return misses


@problem("robots", ("FFRFF",), ("",), ("LLLL",), ("FRFRFRF",), ("FFLF",))
def robot(moves: str) -> list[int]:
    """Return the place [x, y] of a robot that begins at [0, 0] and looks north, after its moves.

    F goes one step forward, L and R turn by 90 degrees on the spot. North is +y, east is +x.
    """
    x, y, dx, dy = 0, 0, 0, 1
    for move in moves:
        if move == "F":
            x, y = x + dx, y + dy
        elif move == "L":
            dx, dy = -dy, dx
        else:
            dx, dy = dy, -dx
    return [x, y]


@problem("robots", ("3,1,2", 2), ("5", 1), ("1,2,3,4", 0), ("9,8", 3), ("0,7,0", 4))
def hand_around(held: str, rounds: int) -> str:
    """Let people in a circle, who hold numbers written with commas, hand them around; return what they hold then.

    In each round everybody hands the number to the next person in the list, and the last one to the first. The result
    is written in the same way.
    """
    numbers = held.split(",")
    at = -rounds % len(numbers)
    return ",".join(numbers[at:] + numbers[:at])


@problem("robots", (7, 3), (1, 5), (5, 2), (10, 1), (6, 4))
def last_standing(people: int, step: int) -> int:
    """People 1 to n stand in a circle; counting goes around from person 1, and every `step`-th person leaves.

    Counting goes on with the next one who still stands. Return the number of the last one left.
    """
    circle, at = list(range(1, people + 1)), 0
    while len(circle) > 1:
        at = (at + step - 1) % len(circle)
        circle.pop(at)
    return circle[0]


@problem(
    "robots",
    (["set a 5", "inc a", "jnz a 2", "set a 0", "dec a"],),
    ([],),
    (["set a 2", "dec a", "jnz a -1"],),
    (["inc b"],),
    (["set a 3", "dec a", "inc b", "jnz a -2"],),
)
def registers(program: list[str]) -> dict[str, int]:
    """Run a program over registers, which all begin at 0, and return those that were named, with their values.

    "set r n" sets a register to a number, "inc r" and "dec r" change it by 1, "jnz r n" jumps n lines (forward or back,
    counted from its own line) when the register is not 0. The program ends when a line beyond its end is reached.
    """
    values: dict[str, int] = {}
    at = 0
    while at < len(program):
        name, register, *number = program[at].split()
        values.setdefault(register, 0)
        if name == "set":
            values[register] = int(number[0])
        elif name in {"inc", "dec"}:
            values[register] += 1 if name == "inc" else -1
        at += int(number[0]) if name == "jnz" and values[register] else 1
    return values


@problem("robots", (["in", "in", "out"],), ([],), (["out"],), (["in", "out", "out", "in"],), (["in"] * 4 + ["out"],))
def fullest(moves: list[str]) -> list[int]:
    """Follow people who go "in" and "out" of an empty room; somebody who goes out of an empty room is not counted.

    Return [how many are inside at the end, how many were inside at most at the same time].
    """
    now = most = 0
    for move in moves:
        now = now + 1 if move == "in" else max(now - 1, 0)
        most = max(most, now)
    return [now, most]


@problem(
    "games",
    ([[3, 4], [10, 0], [5, 5], [7, 0]],),
    ([],),
    ([[10, 0], [10, 0], [1, 2]],),
    ([[0, 0]],),
    ([[9, 1], [4, 3]],),
)
def bowling_spares(frames: list[list[int]]) -> int:
    """Add up a simplified game of bowling; each frame is [first throw, second throw] in pins, together at most 10.

    A frame counts its pins. When the first throw takes all 10, both throws of the next frame count again for it; when
    only both together take 10, the first throw of the next frame does. After the last frame nothing is added.
    """
    total = 0
    for at, (first, second) in enumerate(frames):
        after = frames[at + 1] if at + 1 < len(frames) else [0, 0]
        bonus = sum(after) if first == 10 else after[0] if first + second == 10 else 0
        total += first + second + bonus
    return total


@problem(
    "games", ("rock", "paper"), ("rock", "scissors"), ("paper", "paper"), ("scissors", "paper"), ("paper", "scissors")
)
def rock_paper_scissors(left: str, right: str) -> str:
    """Return who wins, "left", "right" or "nobody": rock beats scissors, scissors beat paper, paper beats rock."""
    beats = {"rock": "scissors", "scissors": "paper", "paper": "rock"}
    return "nobody" if left == right else "left" if beats[left] == right else "right"


@problem("games", (["XOX", "OXO", "OXX"],), (["XX.", "OO.", "..."],), (["OOO", "XX.", "X.."],), (["XO.", "XO.", ".O."],), (["...", "...", "..."],),
         (["XOX", "XOO", "OXX"],))  # fmt: skip
def tic_tac_toe(board: list[str]) -> str:
    """Return who has three in a row, column or diagonal: "X" or "O"; else "draw" when no "." is left, else "open".

    Never do both have three.
    """
    lines = [*board, *("".join(column) for column in zip(*board, strict=True))]
    lines += ["".join(board[n][n] for n in range(3)), "".join(board[n][2 - n] for n in range(3))]
    for player in "XO":
        if player * 3 in lines:
            return player
    return "open" if any("." in row for row in board) else "draw"


@problem("games", ("CRANE", "REACT"), ("APPLE", "APPLE"), ("STONE", "ONSET"), ("XXXXX", "ABCDE"), ("LEVEL", "EEVVL"))
def guess_colours(secret: str, guess: str) -> str:
    """Colour a guess of a word of five upper-case letters: return one letter for each place, G, Y or B.

    G stands where the guess has the right letter. The letters of the secret at all other places are then given out to
    the other places of the guess from left to right: Y where such a letter is still left, which is used up by that, else
    B.
    """
    left = [s for s, g in zip(secret, guess, strict=True) if s != g]
    colours = ""
    for s, g in zip(secret, guess, strict=True):
        if s == g:
            colours += "G"
        elif g in left:
            left.remove(g)
            colours += "Y"
        else:
            colours += "B"
    return colours


@problem(
    "games",
    ("Kd", ["Ks", "9d", "3c"]),
    ("2h", []),
    ("As", ["Ad", "Ah", "7s"]),
    ("5c", ["5d", "6c"]),
    ("Td", ["9d", "Th", "9c"]),
)
def playable(top: str, hand: list[str]) -> list[str]:
    """Return the cards of a hand that may be played on a card: those of the same rank or the same suit, in their order.

    A card is written as its rank followed by its suit, one character each.
    """
    return [card for card in hand if card[0] == top[0] or card[1] == top[1]]


@problem(
    "games",
    ([4, 4, 4, 2, 2],),
    ([1, 2, 3, 4, 5],),
    ([6, 6, 6, 6, 1],),
    ([3, 3, 3, 3, 3],),
    ([1, 1, 2, 2, 5],),
    ([2, 3, 4, 5, 6],),
    ([1, 1, 2, 3, 4],),
)
def dice_hand(dice: list[int]) -> str:
    """Name a throw of five dice by the first that applies.

    "five" (all equal), "four" (four equal), "full house" (three equal and the other two equal), "straight" (1-5 or 2-6
    in any order), "three" (three equal), "two pairs" (two pairs of different numbers), "pair" (two equal), "nothing".
    """
    counts = sorted((dice.count(n) for n in set(dice)), reverse=True)
    names = {
        (5,): "five",
        (4, 1): "four",
        (3, 2): "full house",
        (3, 1, 1): "three",
        (2, 2, 1): "two pairs",
        (2, 1, 1, 1): "pair",
    }
    if sorted(dice) in ([1, 2, 3, 4, 5], [2, 3, 4, 5, 6]):
        return "straight"
    return names.get(tuple(counts), "nothing")
