from starter_functions import family

problem = family("parsing")


@problem("key-values", ("a=1;b=2",), ("",), ("x = 5 ; y=6",), ("k=",), ("a=b=c",))
def parse_pairs(text: str) -> dict[str, str]:
    """Read pairs separated by semicolons, each a key and a value separated by the first equals sign.

    White space around keys and values is removed. An empty text holds no pairs.
    """
    pairs = [part.split("=", 1) for part in text.split(";") if part.strip()]
    return {key.strip(): value.strip() for key, value in pairs}


@problem("key-values", ("name=Ada&lang=py",), ("",), ("q=a+b&q=c",), ("flag",), ("x=&y=1",))
def parse_query(text: str) -> dict[str, list[str]]:
    """Read a query string: parts separated by &, each `key=value`; return a dict from key to the list of its values.

    Values keep their order. A part without an equals sign has the value "". In values every + stands for a blank;
    nothing else is decoded. An empty text gives an empty dict.
    """
    read: dict[str, list[str]] = {}
    for part in text.split("&") if text else []:
        key, _, value = part.partition("=")
        read.setdefault(key, []).append(value.replace("+", " "))
    return read


@problem("key-values", ("# c\na = 1\n\n[s]\nb=2\n",), ("",), ("[one]\nx=1\n[two]\nx=2",), ("k=v",), ("[e]\n; note\n",))
def parse_ini(text: str) -> dict[str, dict[str, str]]:
    """Read a configuration with sections.

    A line [name] begins a section; a line `key = value` belongs to the section above it, or to the section "" before
    the first. Blank lines and lines that begin with # or ; do not count. White space around keys and values is removed.
    A section appears in the result when its line does, and "" when it has a key.
    """
    read: dict[str, dict[str, str]] = {}
    here = ""
    for line in map(str.strip, text.splitlines()):
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            here = line[1:-1]
            read.setdefault(here, {})
        else:
            key, _, value = line.partition("=")
            read.setdefault(here, {})[key.strip()] = value.strip()
    return read


@problem(
    "key-values",
    (["--name", "x", "--loud", "file"],),
    ([],),
    (["a", "b"],),
    (["--a", "--b", "1"],),
    (["--k", "v", "--k", "w"],),
)
def parse_options(words: list[str]) -> dict[str, str]:
    """Read the options of a command line.

    A word that begins with -- names an option. Its value is the next word, unless there is none or it begins with --,
    too; then the value is "yes". Other words are ignored. The last of several values for an option wins.
    """
    read = {}
    for at, word in enumerate(words):
        if word.startswith("--"):
            after = words[at + 1] if at + 1 < len(words) else "--"
            read[word[2:]] = "yes" if after.startswith("--") else after
    return read


@problem(
    "key-values", ("Host: a.example\nAccept: x\n\nbody: no",), ("",), ("A: 1\nA: 2",), ("X-Y:  z ",), ("k: a: b\n",)
)
def parse_headers(text: str) -> dict[str, str]:
    """Read headers, one `Name: value` a line, up to the first empty line or the end.

    Names are put into lower case; white space around values is removed; a name that comes again replaces the value.
    """
    read = {}
    for line in text.split("\n"):
        if not line:
            break
        name, _, value = line.partition(":")
        read[name.lower()] = value.strip()
    return read


@problem("tokens", ("3 + 42*(x1 - 7)",), ("",), ("a",), ("1+2",), ("  foo  ( bar ) ",))
def tokenize(text: str) -> list[str]:
    """Cut an expression into tokens: names, whole numbers, and the single characters + - * / ( ).

    A name is a letter followed by letters and digits. Blanks only separate.
    """
    import re

    return re.findall(r"[A-Za-z][A-Za-z0-9]*|\d+|[-+*/()]", text)


@problem("tokens", ("2 + 3 * 4",), ("7",), ("10 - 2 - 3",), ("2 * 3 * 4 + 1",), ("1 - 2 * 3",))
def calculate(text: str) -> int:
    """Calculate whole numbers joined by +, - and *, all separated by single blanks.

    Multiplication goes before addition and subtraction; otherwise the order is from left to right.
    """
    words = text.split()
    terms = [int(words[0])]
    for sign, number in zip(words[1::2], map(int, words[2::2]), strict=True):
        if sign == "*":
            terms[-1] *= number
        else:
            terms.append(number if sign == "+" else -number)
    return sum(terms)


@problem("tokens", ("3 4 + 2 *",), ("5",), ("9 3 -",), ("2 3 4 * +",), ("7 2 /",), ("1 2 - 3 -",))
def calculate_postfix(text: str) -> int:
    """Calculate an expression in postfix form, in which each of + - * / follows its two operands.

    Words are separated by blanks. / divides whole numbers >= 0 and drops the remainder.
    """
    stack: list[int] = []
    for word in text.split():
        if word in {"+", "-", "*", "/"}:
            right, left = stack.pop(), stack.pop()
            stack.append({"+": left + right, "-": left - right, "*": left * right, "/": left // (right or 1)}[word])
        else:
            stack.append(int(word))
    return stack[0]


@problem("tokens", ("a 'b c' d",), ("",), ("one",), ("'x' 'y z'",), ("p  'q  r'  s",))
def split_quoted(text: str) -> list[str]:
    """Cut a text into words at blanks; what stands between two single quotes is one word, without the quotes.

    Quotes come in pairs, begin and end a word, and hold at least one character.
    """
    import re

    return [quoted or plain for quoted, plain in re.findall(r"'([^']+)'|([^' ]+)", text)]


@problem("tokens", ("1-3,5,8-9",), ("4",), ("",), ("7-7",), ("10-12,1",))
def expand_ranges(text: str) -> list[int]:
    """Expand a list of numbers and ranges such as "1-3,5": return all numbers in the order in which they are written.

    A range holds both its ends. An empty text gives an empty list.
    """
    numbers: list[int] = []
    for part in text.split(",") if text else []:
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


@problem("versions", ("1.2.3", "1.10.0"), ("2.0", "2.0.0"), ("1.0.1", "1.0"), ("3.1", "3.1"), ("0.9.9", "1"))
def compare_versions(left: str, right: str) -> int:
    """Compare two versions made of numbers separated by dots: return -1 when the left is older, 1 when newer, else 0.

    Numbers are compared from left to right by value; missing ones count as 0.
    """
    a, b = [[*map(int, one.split(".")), 0, 0, 0, 0] for one in (left, right)]
    size = max(len(a), len(b))
    a, b = (one + [0] * (size - len(one)) for one in (a, b))
    return (a > b) - (a < b)


@problem("versions", ("1.2.3", "minor"), ("1.2.3", "major"), ("0.0.9", "patch"), ("9.9.9", "minor"), ("2.0.0", "patch"))
def bump(version: str, part: str) -> str:
    """Raise one part of a version MAJOR.MINOR.PATCH by 1: `part` is "major", "minor" or "patch".

    The parts to its right become 0.
    """
    numbers = [int(one) for one in version.split(".")]
    at = ["major", "minor", "patch"].index(part)
    return ".".join(str(n) for n in [*numbers[:at], numbers[at] + 1, *[0] * (2 - at)])


@problem("versions", (["1.9", "1.10", "1.2"],), (["2"],), ([],), (["1.0.1", "1.0", "0.5"],), (["3.0", "10.0", "2.11"],))
def sort_versions(versions: list[str]) -> list[str]:
    """Sort versions, numbers separated by dots, from the oldest to the newest, comparing number by number.

    A version that is the beginning of another is the older one.
    """
    return sorted(versions, key=lambda version: [int(one) for one in version.split(".")])


@problem("versions", ("192.168.0.1",), ("256.1.1.1",), ("1.2.3",), ("01.2.3.4",), ("0.255.0.10",), ("1.2.3.x",))
def is_ipv4(text: str) -> bool:
    """Tell whether a text is an IPv4 address: four numbers from 0 to 255 separated by dots.

    Numbers are written in decimal digits without leading zeros.
    """
    parts = text.split(".")
    return len(parts) == 4 and all(one.isdecimal() and str(int(one)) == one and int(one) < 256 for one in parts)


@problem("versions", ("#ff8000",), ("#000000",), ("#FFFFFF",), ("#0a0B0c",), ("#102030",))
def parse_colour(text: str) -> list[int]:
    """Read a colour written # and six hexadecimal digits: return its red, green and blue parts as numbers."""
    return [int(text[at : at + 2], 16) for at in (1, 3, 5)]


@problem("logs", ("2024-03-05 12:00:01 ERROR db: lost",), ("2023-01-01 00:00:00 INFO web: up: yes",), ("2022-12-31 23:59:59 WARN a: b",),
         ("2021-06-01 08:30:00 DEBUG core: x y z",), ("2020-02-29 10:10:10 ERROR io:  two blanks",))  # fmt: skip
def parse_log_line(line: str) -> dict[str, str]:
    """Read a line of a log: DATE TIME LEVEL SOURCE: MESSAGE, separated by single blanks.

    Return a dict with the keys "date", "time", "level", "source" and "message". The source ends at the first colon
    after the level; the message is what follows the colon and one blank.
    """
    date, time, level, rest = line.split(" ", 3)
    source, _, message = rest.partition(": ")
    return {"date": date, "time": time, "level": level, "source": source, "message": message}


@problem(
    "logs",
    (["ERROR a", "INFO b", "ERROR c"],),
    ([],),
    (["INFO x"],),
    (["WARN", "WARN y"],),
    (["DEBUG q", "INFO r", "DEBUG s"],),
)
def count_levels(lines: list[str]) -> dict[str, int]:
    """Count the lines of a log by their level, which is the first word of each line."""
    levels = [line.split(" ")[0] for line in lines]
    return {level: levels.count(level) for level in levels}


@problem("logs", ("/home/ada/notes.tar.gz",), ("a.txt",), ("dir/file",), ("/x/.hidden",), ("p.q/r.s",))
def file_parts(path: str) -> list[str]:
    """Divide a path into [folder, name, extension].

    The folder is what stands before the last slash ("" when there is none). The extension is what follows the last dot
    of the rest, without the dot, and the name is what stands before that dot. When the rest has no dot, or only one as
    its first character, the extension is "" and the name is the whole rest.
    """
    folder, _, rest = path.rpartition("/")
    at = rest.rfind(".")
    return [folder, rest, ""] if at <= 0 else [folder, rest[:at], rest[at + 1 :]]


@problem("logs", ("/a/b/../c/./d",), ("/../x",), ("/",), ("/a//b/",), ("/a/b/../../c",))
def normal_path(path: str) -> str:
    """Simplify an absolute path: single slashes, no part ".", and each ".." takes away the part before it.

    At the top ".." takes away nothing. The result begins with a slash and ends with none, unless it is "/" alone.
    """
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


@problem("logs", ("user@example.org",), ("a.b@c.d.e",), ("no-at.example",), ("@x.y",), ("x@y",), ("two@@x.y",))
def email_domain(address: str) -> str:
    """Return the domain of a mail address in lower case: what follows the @.

    Return "" unless there is exactly one @, something before it, and a dot in what follows.
    """
    name, at, domain = address.partition("@")
    good = bool(name and at) and "@" not in domain and "." in domain
    return domain.lower() if good else ""
