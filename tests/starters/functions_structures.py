from typing import Any

from starter_functions import family

problem = family("recursion")


@problem("nesting", ([1, [2, [3, 4]], 5],), ([],), ([[[]]],), ([1, 2],), ([[1], [[2]], 3],))
def flat(items: list) -> list[int]:
    """Return all numbers of a list whose items are numbers or such lists again, in their order, as one flat list."""
    found: list[int] = []
    for item in items:
        found += flat(item) if isinstance(item, list) else [item]
    return found


@problem("nesting", ([1, [2, [3, 4]], 5],), ([],), ([[[7]]],), ([1, 2],), ([[1], [2, [3]]],))
def weighted_sum(items: list) -> int:
    """Add up the numbers of a nested list, each multiplied by its depth.

    Items are numbers or lists of the same kind. Numbers directly in the given list have depth 1, those in a list within
    it depth 2, and so on.
    """

    def total(inner: list, depth: int) -> int:
        return sum(total(one, depth + 1) if isinstance(one, list) else one * depth for one in inner)

    return total(items, 1)


@problem("nesting", ("([]{})",), ("(]",), ("",), ("((",), ("a(b[c]d)e",), ("}{",))
def is_balanced(text: str) -> bool:
    """Tell whether the brackets (), [] and {} in a text are balanced.

    They are when each one that opens is closed by one of its own kind, and what opens last closes first. All other
    characters are ignored.
    """
    stack: list[str] = []
    for c in text:
        if c in "([{":
            stack.append({"(": ")", "[": "]", "{": "}"}[c])
        elif c in ")]}" and (not stack or stack.pop() != c):
            return False
    return not stack


@problem("nesting", ("4[xy]",), ("2[q3[w]]",), ("xyz",), ("",), ("2[x]1[y]z",), ("10[q]",))
def unfold(text: str) -> str:
    """Unfold a text in which `n[part]` stands for the part repeated n times; parts may hold such groups again.

    All other characters are lower-case letters and stand for themselves.
    """
    import re

    while found := re.search(r"(\d+)\[([a-z]*)\]", text):
        text = text[: found.start()] + int(found[1]) * found[2] + text[found.end() :]
    return text


@problem("nesting", ({"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]},), ({"v": 9, "kids": []},),
         ({"v": 0, "kids": [{"v": -1, "kids": []}]},), ({"v": 5, "kids": [{"v": 5, "kids": []}, {"v": 6, "kids": []}]},),
         ({"v": 1, "kids": [{"v": 1, "kids": [{"v": 1, "kids": []}]}]},))  # fmt: skip
def sums_by_level(tree: dict[str, Any]) -> list[int]:
    """Add up a tree level by level.

    A node is a dict with a number under "v" and a list of nodes under "kids". Return the list of the sums of "v" over
    all nodes of each level, from the root down.
    """
    sums, level = [], [tree]
    while level:
        sums.append(sum(node["v"] for node in level))
        level = [kid for node in level for kid in node["kids"]]
    return sums


@problem("enumeration", ("abc",), ("a",), ("aab",), ("ba",), ("zz",))
def arrangements(letters: str) -> list[str]:
    """Return all different texts that use each of the given letters exactly once, sorted alphabetically."""
    from itertools import permutations

    return sorted({"".join(one) for one in permutations(letters)})


@problem("enumeration", ([1, 2, 3],), ([],), ([5],), ([2, 1],), ([4, 4],))
def subsets(items: list[int]) -> list[list[int]]:
    """Return all sublists that leave out any of the items, at every position, including none and all of them.

    Items keep their order within each sublist. Sublists stand by their length, shortest first; those of equal length
    stand in the order of the positions they take, compared from the left.
    """
    from itertools import combinations

    return [list(one) for size in range(len(items) + 1) for one in combinations(items, size)]


@problem("enumeration", (3,), (1,), (2,), (0,), (4,))
def bracketings(count: int) -> list[str]:
    """Return all balanced texts made of `count` pairs of round brackets, sorted as texts; for 0 that is [""]."""

    def grow(text: str, left: int, right: int) -> list[str]:
        if not left and not right:
            return [text]
        more = grow(text + "(", left - 1, right) if left else []
        return more + (grow(text + ")", left, right - 1) if right > left else [])

    return sorted(grow("", count, count))


@problem("enumeration", ([2, 3, 5], 8), ([2], 3), ([1], 2), ([3, 4], 7), ([4, 2], 4))
def ways_to_sum(numbers: list[int], total: int) -> int:
    """Count the ways to write a total as a sum of the given different positive numbers.

    Each number may be used any number of times; sums that differ only in their order are one way.
    """
    ways = [1] + [0] * total
    for number in numbers:
        for at in range(number, total + 1):
            ways[at] += ways[at - number]
    return ways[total]


@problem("enumeration", (3,), (1,), (2,), (0,), (4,))
def hanoi(discs: int) -> list[list[str]]:
    """Solve the Tower of Hanoi with the fewest moves, from peg "A" to peg "C" with the help of peg "B".

    Return the moves as lists [from, to]. A larger disc never lies on a smaller one, and one disc is moved at a time.
    """

    def move(count: int, a: str, b: str, c: str) -> list[list[str]]:
        return [*move(count - 1, a, c, b), [a, c], *move(count - 1, b, a, c)] if count else []

    return move(discs, "A", "B", "C")


@problem("enumeration", (2, 3), (1, 1), (3, 3), (1, 7), (4, 2))
def grid_walks(height: int, width: int) -> int:
    """Count the ways from the top left to the bottom right cell of a grid, going only to the right or down."""
    import math

    return math.comb(height + width - 2, height - 1)


problem = family("sorting")


@problem(
    "keys", (["pear", "fig", "apple", "kiwi"],), ([],), (["b", "a"],), (["aa", "b", "c"],), (["same", "size", "word"],)
)
def by_length(words: list[str]) -> list[str]:
    """Sort words by their length, shortest first; words of equal length stand in alphabetical order."""
    return sorted(words, key=lambda word: (len(word), word))


@problem(
    "keys",
    ([["Ann", 3], ["Bob", 5], ["Cid", 3]],),
    ([],),
    ([["Z", 1], ["A", 1]],),
    ([["x", 0], ["y", -1]],),
    ([["p", 2], ["o", 2], ["n", 9]],),
)
def ranking(scores: list[list]) -> list[str]:
    """Sort lists [name, points] by points, highest first, and those with equal points by name; return the names."""
    return [name for name, points in sorted(scores, key=lambda one: (-one[1], one[0]))]


@problem(
    "keys", (["file10", "file9", "file1"],), (["a2", "a10", "b1"],), ([],), (["x1y2", "x1y10"],), (["c3", "c03", "c1"],)
)
def natural_order(names: list[str]) -> list[str]:
    """Sort names in natural order: digits that follow each other count as one number, other characters as themselves.

    All names have the same pattern of letters and numbers. Names that are equal in this order keep their given order.
    """
    import re

    return sorted(names, key=lambda name: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)])


@problem("keys", ([5, 2, 8, 1, 4],), ([],), ([2, 4],), ([3, 1],), ([0, -1, 7, -2],))
def evens_then_odds(numbers: list[int]) -> list[int]:
    """Return the even numbers in increasing order followed by the odd numbers in decreasing order."""
    return sorted(n for n in numbers if n % 2 == 0) + sorted((n for n in numbers if n % 2), reverse=True)


@problem(
    "keys", (["b", "a", "c", "a"], "cab"), ([], "x"), (["z", "y"], "yz"), (["q", "q"], "q"), (["c", "b", "a"], "bca")
)
def by_custom_alphabet(letters: list[str], alphabet: str) -> list[str]:
    """Sort letters by their place in an alphabet of one's own, which holds each of them exactly once."""
    return sorted(letters, key=alphabet.index)


@problem("keys", ([4, 4, 1, 2, 2, 2],), ([],), ([5, 3, 5, 3],), ([1],), ([9, 8, 8, 7, 7],))
def by_frequency(numbers: list[int]) -> list[int]:
    """Sort numbers by how often they occur in the list, most frequent first; of equally frequent ones the smaller first.

    Every number appears in the result as often as in the list.
    """
    return sorted(numbers, key=lambda n: (-numbers.count(n), n))


@problem("order", ([1, 2, 2, 3],), ([3, 2, 1],), ([1, 3, 2],), ([],), ([5, 5],), ([2, 1, 1],))
def direction(numbers: list[int]) -> str:
    """Say how a list is ordered.

    Return "constant" when all numbers are equal (also when there are none or one), else "rising" when no number is
    smaller than the one before it, else "falling" when none is larger than the one before it, else "mixed".
    """
    if len(set(numbers)) < 2:
        return "constant"
    if numbers == sorted(numbers):
        return "rising"
    return "falling" if numbers == sorted(numbers, reverse=True) else "mixed"


@problem("order", ([1, 3, 5, 7], 5), ([1, 3, 5], 4), ([], 1), ([2, 2, 2], 2), ([1, 2], 9))
def insertion_place(numbers: list[int], number: int) -> int:
    """Return the first position at which a number can be put into a sorted list so that the list stays sorted."""
    import bisect

    return bisect.bisect_left(numbers, number)


@problem("order", ([2, 4, 1, 3, 5],), ([1, 2, 3],), ([3, 2, 1],), ([],), ([1, 1],))
def inversions(numbers: list[int]) -> int:
    """Count the pairs of positions i < j at which the number at i is larger than the number at j."""
    return sum(a > b for i, a in enumerate(numbers) for b in numbers[i + 1 :])


@problem("order", ([10, 20, 20, 5],), ([],), ([7, 7],), ([1, 2, 3],), ([-5, 0, -5, 5],))
def ranks(numbers: list[int]) -> list[int]:
    """Return the rank of every number: 1 for the largest; equal numbers share a rank; no rank is skipped."""
    order = sorted(set(numbers), reverse=True)
    return [order.index(n) + 1 for n in numbers]


@problem("order", ([6, 2, 8, 3, 9, 4, 7],), ([],), ([3, 2, 1],), ([1, 1, 1],), ([5, 1, 6, 2, 7, 0],))
def longest_rising_subsequence(numbers: list[int]) -> int:
    """Return how many numbers at most can be kept so that each kept one is larger than the kept one before it.

    The kept numbers stay in their order and need not be neighbours.
    """
    best: list[int] = []
    for at, number in enumerate(numbers):
        best.append(1 + max((best[b] for b in range(at) if numbers[b] < number), default=0))
    return max(best, default=0)


@problem("order", ([3, 1, 2],), ([1],), ([],), ([4, 3, 2, 1],), ([2, 1, 2],))
def bubble_exchanges(numbers: list[int]) -> int:
    """Count the exchanges that bubble sort makes.

    It goes through the list from left to right again and again, exchanging two neighbours whenever the left one is
    larger, until a whole pass exchanges nothing.
    """
    return sum(a > b for i, a in enumerate(numbers) for b in numbers[i + 1 :])


problem = family("intervals")


@problem(
    "merging", ([[2, 5], [4, 9], [11, 13]],), ([],), ([[1, 4], [4, 5]],), ([[5, 6], [1, 2]],), ([[1, 10], [2, 3]],)
)
def merge_intervals(intervals: list[list[int]]) -> list[list[int]]:
    """Merge intervals [first, last] that overlap or touch (one begins where another ends); return them sorted."""
    merged: list[list[int]] = []
    for first, last in sorted(intervals):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return merged


@problem(
    "merging",
    ([[1, 3], [5, 9]], [[2, 6]]),
    ([], [[1, 2]]),
    ([[1, 2]], [[2, 3]]),
    ([[0, 10]], [[1, 2], [8, 12]]),
    ([[1, 2]], [[3, 4]]),
)
def common_intervals(left: list[list[int]], right: list[list[int]]) -> list[list[int]]:
    """Return the stretches that two sorted lists of intervals share, sorted.

    An interval [a, b] holds all numbers from a to b, both included; the intervals within one list do not overlap. A
    shared single number n is the interval [n, n].
    """
    shared = [[max(a, c), min(b, d)] for a, b in left for c, d in right]
    return sorted([a, b] for a, b in shared if a <= b)


@problem(
    "merging", ([[1, 3], [6, 9]], 0, 10), ([], 2, 5), ([[0, 10]], 0, 10), ([[2, 4], [4, 6]], 0, 8), ([[5, 9]], 6, 12)
)
def gaps(busy: list[list[int]], start: int, end: int) -> list[list[int]]:
    """Return the free stretches [from, to] between `start` and `end` that no busy interval covers.

    Busy intervals [from, to] are sorted, do not overlap, and end where the next may begin. Stretches without length are
    left out.
    """
    free, at = [], start
    for first, last in busy:
        if first > at:
            free.append([at, min(first, end)])
        at = max(at, last)
    if at < end:
        free.append([at, end])
    return free


@problem("merging", ([1, 2, 3, 7, 8, 10],), ([],), ([5],), ([1, 3, 5],), ([-2, -1, 0],))
def to_ranges(numbers: list[int]) -> list[str]:
    """Write sorted different numbers as ranges: numbers that follow each other by 1 as "first..last", others alone."""
    found: list[list[int]] = []
    for n in numbers:
        if found and n == found[-1][1] + 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return [str(a) if a == b else f"{a}..{b}" for a, b in found]


@problem(
    "queries",
    ([[2, 12], [3, 5], [4, 8], [9, 11]],),
    ([[6, 9], [1, 3]],),
    ([],),
    ([[1, 5], [5, 9]],),
    ([[1, 9], [2, 8], [3, 7]],),
)
def rooms_needed(meetings: list[list[int]]) -> int:
    """Return how many rooms are needed so that no two meetings [from, to] are in one room at the same time.

    A meeting may begin in a room at the moment when another ends there.
    """
    times = sorted([(a, 1) for a, b in meetings] + [(b, -1) for a, b in meetings], key=lambda one: (one[0], one[1]))
    most = now = 0
    for _, change in times:
        now += change
        most = max(most, now)
    return most


@problem("queries", ([1, 5], [4, 8]), ([1, 3], [4, 6]), ([1, 10], [3, 4]), ([2, 2], [1, 5]), ([0, 4], [4, 9]))
def overlap(left: list[int], right: list[int]) -> int:
    """Return the length of what two intervals [from, to] share; 0 when they share nothing or touch in one point."""
    return max(0, min(left[1], right[1]) - max(left[0], right[0]))


@problem("queries", ([[1, 4], [2, 6], [8, 9]], 3), ([], 1), ([[5, 5]], 5), ([[1, 2], [3, 4]], 2), ([[0, 9], [1, 2]], 7))
def covering(intervals: list[list[int]], point: int) -> list[int]:
    """Return the positions, from 0, of all intervals [first, last] that hold a point; both ends belong to them."""
    return [at for at, (a, b) in enumerate(intervals) if a <= point <= b]


@problem("queries", ([[1, 3], [2, 5]],), ([],), ([[0, 1], [4, 6]],), ([[1, 10], [2, 3], [5, 12]],), ([[7, 7]],))
def covered_length(intervals: list[list[int]]) -> int:
    """Return the total length that intervals [from, to] cover together; what several cover counts once."""
    total, at = 0, None
    for first, last in sorted(intervals):
        begin = first if at is None else max(first, at)
        total += max(0, last - begin)
        at = last if at is None else max(at, last)
    return total


@problem(
    "queries",
    ([[1, 3], [2, 4], [3, 6]],),
    ([],),
    ([[1, 2], [2, 3], [3, 4]],),
    ([[1, 10], [2, 3], [4, 5]],),
    ([[5, 6], [5, 6]],),
)
def most_disjoint(intervals: list[list[int]]) -> int:
    """Return how many intervals [from, to] can be chosen at most so that no two chosen ones overlap.

    Intervals that only touch do not overlap.
    """
    count, at = 0, None
    for first, last in sorted(intervals, key=lambda one: one[1]):
        if at is None or first >= at:
            count, at = count + 1, last
    return count
