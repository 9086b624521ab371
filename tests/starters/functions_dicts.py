from typing import Any

from starter_functions import family

problem = family("dicts")


@problem("counting", (["a", "b", "a"],), ([],), (["x"],), (["q", "q", "q", "r"],), (["B", "b"],))
def tally(words: list[str]) -> dict[str, int]:
    """Count how often each word occurs; return a dict from word to count."""
    return {word: words.count(word) for word in words}


@problem(
    "counting",
    (["b", "a", "b", "c", "a", "b"], 2),
    (["x", "y"], 1),
    ([], 3),
    (["a", "b", "c"], 5),
    (["d", "d", "c", "c"], 1),
)
def top_words(words: list[str], count: int) -> list[list]:
    """Return the `count` most frequent words as lists [word, how often], most frequent first.

    Words that occur equally often stand in alphabetical order. When there are fewer different words, return them all.
    """
    seen = {word: words.count(word) for word in words}
    return [[word, times] for word, times in sorted(seen.items(), key=lambda one: (-one[1], one[0]))][:count]


@problem(
    "counting", ({"a": 3, "b": 5}, {"b": 2, "c": 1}), ({}, {"x": 1}), ({"k": 1}, {}), ({}, {}), ({"a": -1}, {"a": 1})
)
def add_counts(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    """Add two dicts of counts: the result holds every key of either, with the sum of its values; missing counts are 0.

    A key whose sum is 0 is left out.
    """
    both = {key: left.get(key, 0) + right.get(key, 0) for key in {**left, **right}}
    return {key: value for key, value in both.items() if value}


@problem(
    "counting",
    ({"a": 1, "b": 3, "c": 4},),
    ({"x": 5},),
    ({"x": 1, "y": 1},),
    ({"p": 3, "q": 1, "r": 4},),
    ({"z": 0, "o": 8},),
)
def percentages(counts: dict[str, int]) -> dict[str, float]:
    """Turn counts into percentages of their sum, rounded with `round(value, 1)`; the sum is not 0."""
    total = sum(counts.values())
    return {key: round(100 * value / total, 1) for key, value in counts.items()}


@problem(
    "inverting",
    ({"a": "x", "b": "y"},),
    ({},),
    ({"a": "x", "b": "x"},),
    ({"k": "k"},),
    ({"c": "z", "a": "z", "b": "w"},),
)
def invert(mapping: dict[str, str]) -> dict[str, list[str]]:
    """Turn a dict around: return a dict from each value to the sorted list of the keys that had it."""
    turned: dict[str, list[str]] = {}
    for key in sorted(mapping):
        turned.setdefault(mapping[key], []).append(key)
    return turned


@problem("inverting", ({"fruit": ["apple", "pear"], "root": ["beet"]},), ({},), ({"a": []},), ({"a": ["x"], "b": ["x"]},),
         ({"one": ["q", "r"], "two": ["r"]},))  # fmt: skip
def tags_by_item(items: dict[str, list[str]]) -> dict[str, list[str]]:
    """Given a dict from tag to the list of items with that tag, return a dict from item to the sorted list of its tags."""
    turned: dict[str, set[str]] = {}
    for tag, names in items.items():
        for name in names:
            turned.setdefault(name, set()).add(tag)
    return {name: sorted(tags) for name, tags in turned.items()}


@problem(
    "inverting",
    (["apple", "avocado", "bean", "cherry", "corn"],),
    ([],),
    (["Zoo", "zebra"],),
    (["x"],),
    (["b1", "a1", "b0"],),
)
def index_by_initial(words: list[str]) -> dict[str, list[str]]:
    """Group words by their first letter in lower case: a dict from letter to the list of words in their given order.

    No word is empty.
    """
    grouped: dict[str, list[str]] = {}
    for word in words:
        grouped.setdefault(word[0].lower(), []).append(word)
    return grouped


@problem(
    "inverting",
    ([["a", 1], ["b", 2], ["a", 3]],),
    ([],),
    ([["x", 0]],),
    ([["k", 5], ["k", 5]],),
    ([["p", 2], ["q", 1], ["p", -2]],),
)
def collect_pairs(pairs: list[list]) -> dict[str, list[int]]:
    """Collect pairs [key, number] into a dict from key to the list of its numbers, in their given order."""
    collected: dict[str, list[int]] = {}
    for key, number in pairs:
        collected.setdefault(key, []).append(number)
    return collected


@problem("merging", ({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}, "e": 4}), ({}, {"a": 1}), ({"a": {"x": 1}}, {"a": 5}),
         ({"a": 1}, {"a": {"x": 1}}), ({"p": {"q": {"r": 1}}}, {"p": {"q": {"s": 2}}}))  # fmt: skip
def deep_merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Merge two nested dicts into a new one.

    Where both hold a dict under the same key, these are merged in the same way; otherwise the value on the right wins.
    """
    merged = dict(left)
    for key, value in right.items():
        held = merged.get(key)
        merged[key] = deep_merge(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


@problem("merging", ({"host": "a", "port": 1}, {"port": 2, "user": None}), ({}, {}), ({"a": 0}, {"a": None}), ({"x": 1}, {"y": 2}),
         ({"x": 1, "y": 2}, {"x": None, "y": 0}))  # fmt: skip
def with_overrides(defaults: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults with the overrides in their place; an override whose value is None counts as not given.

    Keys that only the overrides hold are taken over, unless their value is None.
    """
    return {**defaults, **{key: value for key, value in overrides.items() if value is not None}}


@problem(
    "merging", ({"a": 1, "b": 2}, {"b": 3, "c": 4}), ({}, {}), ({"a": 1}, {"a": 1}), ({"x": 1}, {}), ({}, {"n": 0})
)
def changes(before: dict[str, int], after: dict[str, int]) -> dict[str, list[str]]:
    """Compare two dicts: return {"added": ..., "removed": ..., "changed": ...}, each the sorted list of such keys.

    A key is changed when both hold it with different values.
    """
    return {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(key for key in before.keys() & after.keys() if before[key] != after[key]),
    }


@problem("merging", ([{"id": 1, "n": "a"}, {"id": 2, "n": "b"}], [{"id": 2, "m": "c"}]), ([], []), ([{"id": 1}], [{"id": 1, "z": 0}]),
         ([{"id": 3, "n": "x"}], [{"id": 3, "n": "y"}]), ([], [{"id": 9}]))  # fmt: skip
def join_by_id(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join two lists of records by their "id".

    For each record on the left whose id a record on the right has, too, return one record with the keys of both; where
    both have a key, the right value wins. Keep the order of the left list; records without partner are left out. Ids
    are unique within each list.
    """
    known = {one["id"]: one for one in right}
    return [{**one, **known[one["id"]]} for one in left if one["id"] in known]


@problem(
    "nesting",
    ({"a": {"b": {"c": 5}}}, "a.b.c"),
    ({"a": 1}, "a"),
    ({"a": 1}, "b"),
    ({"a": {"b": 2}}, "a.x.y"),
    ({"a": 3}, "a.b"),
)
def look_up(tree: dict[str, Any], path: str) -> Any:
    """Look up a value in nested dicts by a path of keys separated by dots.

    Return None when a key is missing, or when something on the way is no dict.
    """
    here: Any = tree
    for key in path.split("."):
        if not isinstance(here, dict) or key not in here:
            return None
        here = here[key]
    return here


@problem(
    "nesting",
    ({"a": {"b": 1, "c": {"d": 2}}, "e": 3},),
    ({},),
    ({"x": {}},),
    ({"k": 0},),
    ({"p": {"q": {"r": {"s": 9}}}},),
)
def flatten(tree: dict[str, Any]) -> dict[str, int]:
    """Flatten nested dicts with numbers at their ends: the keys on the way to each number, joined by dots, lead to it.

    An empty dict leaves nothing.
    """
    flat: dict[str, int] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": number for inner, number in flatten(value).items()})
        else:
            flat[key] = value
    return flat


@problem(
    "nesting",
    ({"a.b": 1, "a.c": 2, "d": 3},),
    ({},),
    ({"x": 1},),
    ({"p.q.r": 1, "p.q.s": 2},),
    ({"a.b.c": 0, "d.e": 5},),
)
def unflatten(flat: dict[str, int]) -> dict[str, Any]:
    """Build nested dicts from a flat one whose keys are paths separated by dots; no path is the beginning of another."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *ways, last = path.split(".")
        here = tree
        for key in ways:
            here = here.setdefault(key, {})
        here[last] = value
    return tree


@problem(
    "nesting",
    ({"a": {"b": 1}, "c": 2},),
    ({},),
    ({"x": {"y": {"z": {}}}},),
    ({"a": 1},),
    ({"a": {"b": {"c": 0}}, "d": {}},),
)
def nesting_depth(tree: dict[str, Any]) -> int:
    """Return how deep dicts are nested: 1 for a dict that holds no dict, one more for each dict within a dict."""
    return 1 + max((nesting_depth(value) for value in tree.values() if isinstance(value, dict)), default=0)


@problem("records", ([{"team": "red", "points": 3}, {"team": "blue", "points": 1}, {"team": "red", "points": 4}],), ([],),
         ([{"team": "x", "points": 0}],), ([{"team": "b", "points": 2}, {"team": "b", "points": -2}],),
         ([{"team": "q", "points": 9}, {"team": "p", "points": 9}],))  # fmt: skip
def points_by_team(records: list[dict[str, Any]]) -> dict[str, int]:
    """Add up the "points" of all records for each "team"."""
    totals: dict[str, int] = {}
    for one in records:
        totals[one["team"]] = totals.get(one["team"], 0) + one["points"]
    return totals


@problem("records", ([{"name": "a", "age": 30}, {"name": "b", "age": 25}],), ([{"name": "x", "age": 1}],), ([],),
         ([{"name": "p", "age": 5}, {"name": "q", "age": 5}],), ([{"name": "r", "age": 70}, {"name": "s", "age": 69}],))  # fmt: skip
def youngest(people: list[dict[str, Any]]) -> str:
    """Return the "name" of the person with the smallest "age"; of several the first in the list; "" for no people."""
    return min(people, key=lambda one: one["age"])["name"] if people else ""


@problem("records", ([{"a": 1, "b": 2}, {"a": 3, "b": 4}], "b"), ([], "x"), ([{"a": 1}], "z"), ([{"k": 0}, {"j": 1}, {"k": 2}], "k"),
         ([{"n": None}], "n"))  # fmt: skip
def column(records: list[dict[str, Any]], key: str) -> list:
    """Return the values that records hold under a key, in their order; a record without the key gives None."""
    return [one.get(key) for one in records]


@problem(
    "records",
    ({"name": ["a", "b"], "age": [1, 2]},),
    ({"x": []},),
    ({"k": [5]},),
    ({},),
    ({"p": [1, 2, 3], "q": [4, 5, 6]},),
)
def rows(columns: dict[str, list]) -> list[dict[str, Any]]:
    """Turn a dict of columns, all lists of the same length, into a list of records with the same keys."""
    keys = list(columns)
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns.values(), strict=True)]
