from starter_functions import family

problem = family("lists")


@problem("windows", ([1, 2, 3, 4], 2), ([5, 5, 5], 3), ([1], 1), ([1, 2], 3), ([4, -1, 2, 1], 3))
def window_sums(numbers: list[int], size: int) -> list[int]:
    """Return the sums of all stretches of `size` neighbours, from left to right; empty when the list is shorter."""
    return [sum(numbers[at : at + size]) for at in range(len(numbers) - size + 1)]


@problem("windows", ([2, 6, -4, 1, 9, 0, 3], 3), ([1], 1), ([9, 8, 7], 2), ([1, 2, 3], 3), ([4, 4, 4, 4], 2))
def window_maxima(numbers: list[int], size: int) -> list[int]:
    """Return the largest number of every stretch of `size` neighbours, from left to right; `size` fits the list."""
    return [max(numbers[at : at + size]) for at in range(len(numbers) - size + 1)]


@problem("windows", ([1, 2, 4, 7],), ([5],), ([],), ([3, 3, 3],), ([10, 7, 8, 1],))
def steps(numbers: list[int]) -> list[int]:
    """Return the differences between neighbours, each number less the one before it."""
    from itertools import pairwise

    return [b - a for a, b in pairwise(numbers)]


@problem("windows", ([3, -5, 6, -1, 4, -9, 2],), ([1, 2, 3],), ([-3, -1, -2],), ([5],), ([2, -1, 2, -4, 3],))
def best_stretch_sum(numbers: list[int]) -> int:
    """Return the largest sum of any stretch of one or more neighbours in a list that is not empty."""
    best = here = numbers[0]
    for number in numbers[1:]:
        here = max(number, here + number)
        best = max(best, here)
    return best


@problem("windows", ([1, 2, 2, 3, 1, 2],), ([5, 4, 3],), ([],), ([1, 2, 3, 4],), ([7, 7, 8, 9, 1],))
def longest_rise(numbers: list[int]) -> int:
    """Return how many numbers the longest stretch of neighbours has in which each is larger than the one before.

    A single number is a stretch of length 1; an empty list gives 0.
    """
    best = run = 0
    for at, number in enumerate(numbers):
        run = run + 1 if at and number > numbers[at - 1] else 1
        best = max(best, run)
    return best


@problem("moving", ([1, 2, 3, 4, 5], 2), ([1, 2, 3], 0), ([1, 2, 3], 4), ([], 3), ([1, 2, 3, 4], -1))
def rotate_right(items: list[int], count: int) -> list[int]:
    """Return the list turned to the right by `count` places: each step moves the last item to the front.

    The count may be larger than the list; a negative count turns to the left.
    """
    if not items:
        return []
    at = -count % len(items)
    return items[at:] + items[:at]


@problem("moving", ([0, 7, 0, 0, 2, 9],), ([0, 0],), ([1, 2],), ([],), ([4, 0, 5, 0],))
def zeros_last(numbers: list[int]) -> list[int]:
    """Return the numbers with all zeros moved to the end; the others keep their order."""
    return [n for n in numbers if n] + [0] * numbers.count(0)


@problem("moving", ([1, 2, 3], ["a", "b", "c"]), ([1], ["a", "b", "c"]), ([1, 2, 3], []), ([], []), ([1, 2], ["a"]))
def interleave(left: list, right: list) -> list:
    """Take items from two lists in turn, beginning with the left one; when one runs out, append the rest of the other."""
    both = [item for pair in zip(left, right, strict=False) for item in pair]
    shorter = min(len(left), len(right))
    return both + left[shorter:] + right[shorter:]


@problem("moving", ([1, 2, 3, 4, 5], 2), ([1, 2, 3, 4], 2), ([1], 3), ([], 2), ([1, 2, 3, 4, 5, 6, 7], 3))
def reverse_in_groups(items: list[int], size: int) -> list[int]:
    """Reverse the items within each group of `size` neighbours, from the left.

    A last group with fewer items is reversed, too.
    """
    return [item for at in range(0, len(items), size) for item in reversed(items[at : at + size])]


@problem("moving", ([1, 2, 3, 4, 5, 6],), ([1, 2, 3],), ([1],), ([],), ([9, 8, 7, 6, 5],))
def outside_in(items: list[int]) -> list[int]:
    """Return the items in the order first, last, second, second to last, and so on, until each was taken once."""
    taken = []
    left, right = 0, len(items) - 1
    while left <= right:
        taken.append(items[left])
        if left != right:
            taken.append(items[right])
        left, right = left + 1, right - 1
    return taken


@problem("selection", ([3, 1, 2, 3, 1],), ([],), ([1, 1, 1],), ([5, 4],), ([2, 3, 2, 4, 3],))
def first_of_each(items: list[int]) -> list[int]:
    """Return the list without repetitions: of equal items only the first stays, in its place."""
    return list(dict.fromkeys(items))


@problem("selection", ([4, 1, 3, 2], 2), ([5], 1), ([7, 7, 3], 2), ([1, 2, 3], 3), ([-1, -5, -3], 1))
def kth_largest(numbers: list[int], k: int) -> int:
    """Return the k-th largest number, counting from 1; equal numbers count one by one. `k` fits the list."""
    return sorted(numbers, reverse=True)[k - 1]


@problem(
    "selection", ([1, 2, 3, 4, 5, 6], 2, 4), ([10, 20], 0, 5), ([], 1, 2), ([3, 3, 3], 3, 3), ([-2, 0, 9, 4], -2, 0)
)
def within(numbers: list[int], least: int, most: int) -> list[int]:
    """Return the numbers that are at least `least` and at most `most`, in their order."""
    return [n for n in numbers if least <= n <= most]


@problem("selection", ([8, 3, 12, 5], 17), ([3, 3], 6), ([1, 2, 3], 7), ([5, 1, 4, 2], 6), ([], 0), ([4, 6], 8))
def pair_with_sum(numbers: list[int], total: int) -> list[int]:
    """Find two different positions i < j whose numbers add up to `total`; return [i, j].

    When there are several, return the pair with the smallest i, and among these the one with the smallest j. Return an
    empty list when there is none.
    """
    for i, a in enumerate(numbers):
        for j in range(i + 1, len(numbers)):
            if a + numbers[j] == total:
                return [i, j]
    return []


@problem("selection", ([1, 5, 2, 4, 4, 1],), ([1, 2, 3],), ([],), ([3, 2, 1],), ([5, 5, 2],), ([1, 9, 3],))
def peaks(numbers: list[int]) -> list[int]:
    """Return the positions of all numbers that are larger than each of their neighbours.

    The first and the last number have one neighbour only, and are peaks when they are larger than it. A single number
    is a peak. Positions count from 0.
    """

    def higher(at: int) -> bool:
        around = [numbers[n] for n in (at - 1, at + 1) if 0 <= n < len(numbers)]
        return all(numbers[at] > one for one in around)

    return [at for at in range(len(numbers)) if higher(at)]


@problem("grouping", ([1, 1, 2, 3, 3, 3],), ([],), ([5],), ([1, 2, 1],), ([0, 0, 0, 0],))
def runs(items: list[int]) -> list[list[int]]:
    """Group equal items that follow each other: return a list of the groups, each a list of its items."""
    grouped: list[list[int]] = []
    for item in items:
        if grouped and grouped[-1][0] == item:
            grouped[-1].append(item)
        else:
            grouped.append([item])
    return grouped


@problem("grouping", ([1, 2, 3, 4, 5], 2), ([1, 2, 3, 4], 4), ([], 3), ([1, 2, 3], 5), ([9, 8, 7, 6], 3))
def batches(items: list[int], size: int) -> list[list[int]]:
    """Cut a list into lists of `size` items each; the last one may be shorter. An empty list gives no lists."""
    return [items[at : at + size] for at in range(0, len(items), size)]


@problem("grouping", ([1, 2, 3, 4, 5], 3), ([1, 2, 3, 4, 5, 6], 3), ([], 2), ([1], 2), ([1, 2, 3, 4, 5, 6, 7], 4))
def shares(items: list[int], count: int) -> list[list[int]]:
    """Divide a list into exactly `count` lists of neighbours, in order, whose lengths differ by at most one.

    Longer lists come first. Lists may be empty when there are fewer items than lists.
    """
    size, extra = divmod(len(items), count)
    made, at = [], 0
    for number in range(count):
        end = at + size + (number < extra)
        made.append(items[at:end])
        at = end
    return made


@problem("grouping", ([3, 1, 4, 1, 5, 9], 4), ([], 1), ([2, 2], 2), ([1, 0], 5), ([7, 8], 1))
def three_way(numbers: list[int], pivot: int) -> list[list[int]]:
    """Divide numbers into three lists: smaller than the pivot, equal to it, larger than it; each keeps its order."""
    return [[n for n in numbers if n < pivot], [n for n in numbers if n == pivot], [n for n in numbers if n > pivot]]


@problem("grouping", (["a", "", "b", "c", "", "", "d"],), ([],), ([""],), (["x"],), (["", "p", "q", ""],))
def paragraphs(lines: list[str]) -> list[list[str]]:
    """Group lines into paragraphs: an empty line ends a paragraph and belongs to none; no paragraph is empty."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line:
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [one for one in found if one]


@problem("comparison", ([1, 2, 3, 4], [2, 4, 6]), ([1], [1]), ([], [1]), ([3, 3, 1], [3]), ([5, 6], [7]))
def only_left(left: list[int], right: list[int]) -> list[int]:
    """Return the items of the left list that the right list does not hold, in their order and as often as they occur."""
    return [item for item in left if item not in right]


@problem("comparison", ([1, 2, 2, 3], [2, 2, 4]), ([1], [2]), ([], []), ([3, 3, 3], [3, 3]), ([4, 1, 4], [4, 4, 1]))
def shared_counted(left: list[int], right: list[int]) -> list[int]:
    """Return what two lists share, sorted: each number as often as it occurs in the list that holds it less often."""
    return sorted(n for n in set(left) for _ in range(min(left.count(n), right.count(n))))


@problem("comparison", ([1, 2, 3], [1, 2, 4]), ([1], [1]), ([], [1]), ([1, 2], [1]), ([2], [1, 9]), ([], []))
def first_difference(left: list[int], right: list[int]) -> int:
    """Return the first position at which two lists differ; -1 when they are equal.

    Where one list is the beginning of the other, they differ at the position where the shorter one ends.
    """
    if left == right:
        return -1
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


@problem("comparison", ([1, 3, 5], [2, 3, 6]), ([], [1]), ([1, 1], [1]), ([4], []), ([-1, 7], [0, 2, 8]))
def merge_sorted(left: list[int], right: list[int]) -> list[int]:
    """Merge two sorted lists into one sorted list that holds every item of both."""
    return sorted(left + right)


@problem("comparison", ([1, 2, 3], [3, 1, 2]), ([1, 1, 2], [1, 2, 2]), ([], []), ([1], [1, 1]), ([5, 6, 5], [5, 5, 6]))
def same_items(left: list[int], right: list[int]) -> bool:
    """Tell whether two lists hold the same items equally often, whatever their order."""
    return sorted(left) == sorted(right)


@problem("totals", ([1, 2, 3, 4],), ([],), ([5],), ([-1, 1, -1],), ([10, 0, 5],))
def running_totals(numbers: list[int]) -> list[int]:
    """Return, for every position, the sum of all numbers up to and including it."""
    totals, total = [], 0
    for number in numbers:
        total += number
        totals.append(total)
    return totals


@problem("totals", ([1, 2, 3, 4],), ([5],), ([2, 0, 3],), ([0, 0, 2],), ([-1, 2, -3],))
def products_of_others(numbers: list[int]) -> list[int]:
    """Return, for every position, the product of all numbers but the one at it; for a single number that is 1."""
    made = []
    for at in range(len(numbers)):
        product = 1
        for other, number in enumerate(numbers):
            product *= number if other != at else 1
        made.append(product)
    return made


@problem("totals", ([4, 2, 9, 3, 3],), ([1, 2, 3],), ([2, 1, -1],), ([],), ([5],), ([1, -1, 4],))
def balance_point(numbers: list[int]) -> int:
    """Return the first position where the numbers to its left add up to the same as those to its right; -1 if none.

    The number at the position belongs to neither side; nothing adds up to 0.
    """
    for at in range(len(numbers)):
        if sum(numbers[:at]) == sum(numbers[at + 1 :]):
            return at
    return -1


@problem("totals", ([12, 5, 9, 3, 11, 8],), ([7, 6, 4],), ([],), ([1, 2],), ([3, 8, 1, 4],), ([2, 9, 1, 9],))
def best_trade(prices: list[int]) -> int:
    """Return the largest gain of buying once and selling once at a later position; 0 when no trade gains anything."""
    best = 0
    for at, price in enumerate(prices):
        best = max([best, *(later - price for later in prices[at + 1 :])])
    return best


@problem("totals", ([2, 0, 1, 3, 0, 2, 1, 2],), ([5, 1, 4, 0, 6, 2],), ([],), ([1, 2, 3],), ([3, 0, 3],))
def trapped_water(heights: list[int]) -> int:
    """Return how much water stays between walls of the given heights after rain.

    Over each wall the water stands as high as the lower of the highest wall to its left and the highest wall to its
    right, both counted with the wall itself; it holds that height less its own.
    """
    return sum(min(max(heights[: at + 1]), max(heights[at:])) - height for at, height in enumerate(heights))
