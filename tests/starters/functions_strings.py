from starter_functions import family

problem = family("strings")


@problem("casing", ("read_the_file",), ("one",), ("a_b_c",), ("max_open_files_limit",), ("x_1_y",))
def snake_to_camel(name: str) -> str:
    """Turn a snake_case name into camelCase.

    The first word stays as it is; of every following word the first letter becomes upper case. Words are separated by
    single underscores; the name has no underscore at its ends.
    """
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


@problem("casing", ("readTheFile",), ("one",), ("aBC",), ("maxOpenFiles",), ("ReadFile",), ("x",))
def camel_to_snake(name: str) -> str:
    """Turn a camelCase name into snake_case.

    Put an underscore before every upper-case letter that is not the first character, then make everything lower case.
    """
    return "".join(f"_{c}" if c.isupper() and at else c for at, c in enumerate(name)).lower()


@problem("casing", ("the lord of the harbour",), ("a tale of two",), ("of mice and men",), ("and",), ("war and peace",))
def title_case(text: str) -> str:
    """Capitalise a title whose words are lower case and separated by single spaces.

    The first letter of every word becomes upper case, except for the words "a", "an", "and", "of", "or" and "the",
    which stay lower case unless they are the first word.
    """
    small = {"a", "an", "and", "of", "or", "the"}
    words = text.split(" ")
    return " ".join(w if at and w in small else w[:1].upper() + w[1:] for at, w in enumerate(words))


@problem("casing", ("Hello World",), ("abc",), ("XYZ",), ("a1B2",), ("Mixed Case, Again!",))
def swap_case_at_even(text: str) -> str:
    """Swap the case of the characters at even positions, counting from 0; leave all others as they are."""
    return "".join(c if at % 2 else c.swapcase() for at, c in enumerate(text))


@problem("casing", ("light amplification by stimulated emission",), ("As soon as possible",), ("one",), ("  wide   gaps ",),
         ("object-oriented code",))  # fmt: skip
def acronym(phrase: str) -> str:
    """Return the acronym of a phrase: the first letter of each word in upper case.

    Words are separated by one or more spaces; a hyphen separates no words.
    """
    return "".join(word[0].upper() for word in phrase.split())


@problem("counting", ("banana",), ("aab",), ("zyx",), ("mississippi",), ("q",), ("abba",))
def most_common_letter(word: str) -> str:
    """Return the letter that occurs most often in a word of lower-case letters.

    When several letters occur equally often, return the one that comes first in the alphabet. The word is not empty.
    """
    return min(set(word), key=lambda c: (-word.count(c), c))


@problem("counting", ("Hello, World",), ("rhythm",), ("AEIOU",), ("",), ("queue up",))
def count_vowels(text: str) -> int:
    """Count the vowels a, e, i, o and u in a text, in upper and lower case; y is no vowel."""
    return sum(c in "aeiouAEIOU" for c in text)


@problem("counting", ("abracadabra", "abra"), ("aaaa", "aa"), ("abc", "x"), ("ababab", "bab"), ("aaa", "aaaa"))
def count_overlapping(text: str, part: str) -> int:
    """Count at how many positions of the text the part begins; occurrences may overlap. The part is not empty."""
    return sum(text.startswith(part, at) for at in range(len(text)))


@problem("counting", ("the cat and the dog and the bird",), ("a b a",), ("One one ONE",), ("",), ("x y z",))
def repeated_words(text: str) -> list[str]:
    """Return the words that occur more than once, in lower case, each once, sorted alphabetically.

    Words are separated by white space; upper and lower case do not matter.
    """
    words = text.lower().split()
    return sorted({word for word in words if words.count(word) > 1})


@problem("counting", ("aabbbc",), ("abc",), ("",), ("zzzz",), ("aabaaa",), ("112233333",))
def longest_run(text: str) -> int:
    """Return the length of the longest stretch of equal characters that follow each other; 0 for an empty text."""
    best = run = 0
    before = None
    for c in text:
        run = run + 1 if c == before else 1
        before = c
        best = max(best, run)
    return best


@problem("wrapping", ("the quick brown fox jumps", 10), ("a b c", 1), ("hello", 3), ("one two three four", 9), ("", 5))
def wrap_words(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` characters.

    Words are separated by single spaces. Each line takes as many words as fit, separated by single spaces; a word that
    is longer than `width` stands alone on its line, unbroken. An empty text gives an empty list.
    """
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


@problem("wrapping", ("hello world", 8), ("hi", 8), ("exactly8", 8), ("abcdef", 3), ("abcdef", 5))
def shorten(text: str, limit: int) -> str:
    """Shorten a text to at most `limit` characters.

    A text that fits is returned as it is. Otherwise return its first `limit - 3` characters followed by three dots.
    `limit` is at least 3.
    """
    return text if len(text) <= limit else text[: limit - 3] + "..."


@problem("wrapping", ("abcdefgh", 3), ("abc", 5), ("", 2), ("abcd", 2), ("xyz", 1))
def chunk_text(text: str, size: int) -> list[str]:
    """Cut a text into pieces of `size` characters; the last piece may be shorter. An empty text gives no pieces."""
    return [text[at : at + size] for at in range(0, len(text), size)]


@problem("wrapping", ("cat", 7, "*"), ("cat", 3, "-"), ("cat", 6, "."), ("", 4, "="), ("toolong", 3, "#"))
def centred(text: str, width: int, fill: str) -> str:
    """Centre a text in `width` characters, filled up with the character `fill`.

    Where the missing characters cannot be halved, the one left over goes to the right. A text that is already as wide
    or wider is returned unchanged.
    """
    missing = max(width - len(text), 0)
    return fill * (missing // 2) + text + fill * (missing - missing // 2)


@problem("wrapping", ("  a\n    b\n  c",), ("a\n  b",), ("    x\n\n    y",), ("\tz",), ("   one\n two",))
def remove_margin(text: str) -> str:
    r"""Remove the common margin of a text.

    Find the smallest number of leading spaces among the lines that hold anything but spaces, and remove that many
    characters from the front of every such line. Lines that are empty or hold only spaces become empty. Tabs count as
    no space. Lines are separated by "\n".
    """
    lines = text.split("\n")
    margin = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip(" ")), default=0)
    return "\n".join(line[margin:] if line.strip(" ") else "" for line in lines)


@problem("compression", ("aaabbc",), ("a",), ("",), ("abc",), ("zzzzzzzzzzzz",), ("aabbaa",))
def run_length(text: str) -> str:
    """Encode a text of letters by its runs: each run of equal letters becomes the letter followed by the run's length.

    The length is always written, also when it is 1.
    """
    from itertools import groupby

    return "".join(f"{letter}{len(list(run))}" for letter, run in groupby(text))


@problem("compression", ("a3b2c1",), ("a1",), ("",), ("z12",), ("x10y2x1",))
def expand_runs(text: str) -> str:
    """Decode a text in which every letter is followed by a decimal number: repeat each letter that many times."""
    import re

    return "".join(letter * int(count) for letter, count in re.findall(r"([a-z])(\d+)", text))


@problem("compression", ("aabbccdda",), ("aaa",), ("",), ("abba",), ("  two  spaces",))
def squeeze(text: str) -> str:
    """Replace every run of equal characters that follow each other by a single one of them."""
    return "".join(c for at, c in enumerate(text) if at == 0 or text[at - 1] != c)


@problem("compression", (["transport", "transfer", "transit"],), (["a"],), (["abc", "xyz"],), ([],), (["same", "same"],),
         (["ab", "abc", ""],))  # fmt: skip
def common_prefix(words: list[str]) -> str:
    """Return the longest text with which all words begin; empty when there is none, or no word."""
    prefix = words[0] if words else ""
    while not all(word.startswith(prefix) for word in words):
        prefix = prefix[:-1]
    return prefix


@problem("compression", ("abc", 1), ("xyz", 3), ("Hello, World!", 13), ("abc", -1), ("Zz", 27))
def caesar(text: str, shift: int) -> str:
    """Shift every letter a-z and A-Z by `shift` places in the alphabet, around its end, keeping its case.

    All other characters stay. A negative shift goes backwards.
    """

    def turn(c: str) -> str:
        if "a" <= c <= "z":
            return chr((ord(c) - 97 + shift) % 26 + 97)
        if "A" <= c <= "Z":
            return chr((ord(c) - 65 + shift) % 26 + 65)
        return c

    return "".join(turn(c) for c in text)


@problem(
    "checks",
    ("Was it a car or a cat I saw?",),
    ("step on no pet",),
    ("",),
    ("No lemon, no melon",),
    ("12321",),
    ("ab",),
)
def is_loose_palindrome(text: str) -> bool:
    """Tell whether a text reads the same backwards when only its letters and digits count, case aside.

    A text without letters and digits does.
    """
    kept = [c.lower() for c in text if c.isalnum()]
    return kept == kept[::-1]


@problem("checks", ("listen", "silent"), ("Dormitory", "Dirty room"), ("abc", "abd"), ("aab", "abb"), ("", " "))
def are_anagrams(left: str, right: str) -> bool:
    """Tell whether two texts consist of the same letters equally often; case and spaces do not count."""
    return sorted(left.lower().replace(" ", "")) == sorted(right.lower().replace(" ", ""))


@problem("checks", ("The quick brown fox jumps over the lazy dog",), ("abc",), ("",),
         ("Pack my box with five dozen liquor jugs.",), ("The quick brown fox jumped over the lazy dog",))  # fmt: skip
def missing_letters(text: str) -> str:
    """Return the letters of the English alphabet that a text does not hold, in lower case and alphabetical order.

    Upper and lower case do not matter.
    """
    return "".join(c for c in "abcdefghijklmnopqrstuvwxyz" if c not in text.lower())


@problem(
    "checks", ("abcde", "cdeab"), ("abc", "acb"), ("", ""), ("aa", "aaa"), ("lighthouse", "houselight"), ("ab", "ab")
)
def is_rotation(left: str, right: str) -> bool:
    """Tell whether a text can be made of another by moving some characters from its front to its end, or none."""
    return len(left) == len(right) and right in left + left


@problem(
    "checks",
    ("Secret12",),
    ("short1A",),
    ("alllowercase1",),
    ("NoDigitsHere",),
    ("Has Space 1",),
    ("OK12345678",),
    ("Mixed4Case",),
    ("aB3aB3aB",),
)
def is_good_password(text: str) -> bool:
    """Tell whether a password is good.

    It is when it has at least 8 characters, at least one of them an upper-case letter, one a lower-case letter and one
    a digit, and when it holds no space.
    """
    return (
        len(text) >= 8
        and any(c.isupper() for c in text)
        and any(c.islower() for c in text)
        and any(c.isdigit() for c in text)
        and " " not in text
    )


@problem("distance", ("lantern", "pattern"), ("abc", "abc"), ("", ""), ("1011", "1001"), ("aaaa", "bbbb"))
def hamming(left: str, right: str) -> int:
    """Count the positions at which two texts of equal length hold different characters."""
    return sum(a != b for a, b in zip(left, right, strict=True))


@problem("distance", ("garden", "warned"), ("", "abc"), ("same", "same"), ("tiger", "great"), ("abcdef", "azced"))
def edit_distance(left: str, right: str) -> int:
    """Return the least number of single characters to insert, delete or replace to make one text of the other."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@problem("distance", ("harvest", "chairs"), ("abc", "xyz"), ("", "a"), ("abcde", "ace"), ("aaa", "aa"))
def common_subsequence_length(left: str, right: str) -> int:
    """Return the length of the longest sequence of characters that occurs in both texts in this order.

    The characters of the sequence need not stand next to each other in either text.
    """
    row = [0] * (len(right) + 1)
    for a in left:
        before = 0
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], before + 1 if a == b else max(row[j], row[j - 1])
    return row[-1]


@problem("distance", ("ace", "abcde"), ("aec", "abcde"), ("", "x"), ("abc", "abc"), ("aa", "a"))
def is_subsequence(part: str, whole: str) -> bool:
    """Tell whether the characters of `part` occur in `whole` in the same order, not necessarily next to each other."""
    rest = iter(whole)
    return all(c in rest for c in part)


@problem(
    "distance", ("xabcdy", "zabcdq"), ("abc", "def"), ("", "abc"), ("aab", "aab"), ("abab", "baba"), ("xyab", "abxy")
)
def common_part(left: str, right: str) -> str:
    """Return the longest stretch of characters that both texts hold.

    When several are equally long, return the one that begins earliest in `left`. Return an empty text when the texts
    share no character.
    """
    for size in range(len(left), 0, -1):
        for at in range(len(left) - size + 1):
            if left[at : at + size] in right:
                return left[at : at + size]
    return ""
