from starter_functions import family

problem = family("numbers")


@problem("digits", (1234,), (0,), (9,), (-56,), (1000000007,))
def digit_sum(number: int) -> int:
    """Return the sum of the decimal digits of a whole number; its sign does not count."""
    return sum(int(c) for c in str(abs(number)))


@problem("digits", (9875,), (5,), (0,), (999999,), (38,))
def digital_root(number: int) -> int:
    """Add up the decimal digits of a number again and again until one digit is left; return it. The number is >= 0."""
    while number > 9:
        number = sum(int(c) for c in str(number))
    return number


@problem("digits", (1230,), (-45,), (0,), (7,), (9001,))
def reverse_digits(number: int) -> int:
    """Return the number with its decimal digits in reverse order; the sign stays, leading zeros vanish."""
    turned = int(str(abs(number))[::-1])
    return -turned if number < 0 else turned


@problem("digits", (153,), (10,), (9474,), (0,), (371,), (100,))
def is_narcissistic(number: int) -> bool:
    """Tell whether a number equals the sum of its decimal digits, each raised to the power of how many digits it has."""
    told = str(number)
    return number == sum(int(c) ** len(told) for c in told)


@problem(
    "digits", ("17893729974",), ("17893729975",), ("0",), ("18",), ("4539148803436467",), ("4539148803436468",), ("17",)
)
def luhn_valid(digits: str) -> bool:
    """Tell whether a text of digits passes the Luhn check.

    From the right, every second digit, beginning with the second from the right, is doubled, and 9 is subtracted when
    that gives more than 9. The check is passed when the sum of all digits is divisible by 10.
    """
    total = 0
    for at, c in enumerate(reversed(digits)):
        value = int(c) * (1 + at % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


@problem("divisors", (28,), (1,), (13,), (36,), (100,))
def divisors(number: int) -> list[int]:
    """Return all positive divisors of a positive number in increasing order, 1 and itself included."""
    return [d for d in range(1, number + 1) if number % d == 0]


@problem("divisors", (60,), (1,), (97,), (64,), (2310,), (45,))
def prime_factors(number: int) -> list[int]:
    """Return the prime factors of a positive number in increasing order, each as often as it divides; 1 has none."""
    found, d = [], 2
    while number > 1:
        while number % d == 0:
            found.append(d)
            number //= d
        d += 1
    return found


@problem("divisors", (12, 18), (7, 13), (0, 5), (100, 100), (270, 192))
def greatest_common_divisor(left: int, right: int) -> int:
    """Return the largest number that divides both numbers; when one is 0, return the other. Both are >= 0."""
    while right:
        left, right = right, left % right
    return left


@problem("divisors", ([4, 6],), ([5],), ([2, 3, 7],), ([8, 8],), ([1, 9, 12],))
def least_common_multiple(numbers: list[int]) -> int:
    """Return the smallest positive number that all the given positive numbers divide."""
    import math

    return math.lcm(*numbers)


@problem("divisors", (30,), (2,), (1,), (10,), (50,))
def primes_up_to(limit: int) -> list[int]:
    """Return all prime numbers that are at most `limit`, in increasing order."""
    return [n for n in range(2, limit + 1) if all(n % d for d in range(2, int(n**0.5) + 1))]


@problem("divisors", (6,), (12,), (7,), (28,), (18,))
def abundance(number: int) -> str:
    """Compare a positive number with the sum of its divisors that are smaller than it.

    Return "perfect" when they are equal, "abundant" when the sum is larger, "deficient" when it is smaller.
    """
    total = sum(d for d in range(1, number) if number % d == 0)
    return "perfect" if total == number else "abundant" if total > number else "deficient"


@problem("bases", (10, 2), (255, 16), (0, 7), (35, 36), (100, 3))
def to_base(number: int, base: int) -> str:
    """Write a number >= 0 in a base from 2 to 36, with the digits 0-9 and then a-z in lower case, no leading zeros."""
    digits = ""
    while number:
        number, d = divmod(number, base)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[d] + digits
    return digits or "0"


@problem("bases", (1844,), (4,), (9,), (3999,), (58,), (40,))
def to_roman(number: int) -> str:
    """Write a number from 1 to 3999 as a Roman numeral in upper case, with the usual subtractive forms (4 is IV)."""
    parts = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
             (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]  # fmt: skip
    told = ""
    for value, letters in parts:
        count, number = divmod(number, value)
        told += letters * count
    return told


@problem("bases", ("MDCCCXLIV",), ("IV",), ("LVIII",), ("MMMCMXCIX",), ("X",))
def from_roman(numeral: str) -> int:
    """Read a Roman numeral in upper case, with the usual subtractive forms (IV is 4), and return its number."""
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    total = 0
    for at, c in enumerate(numeral):
        smaller = at + 1 < len(numeral) and values[c] < values[numeral[at + 1]]
        total += -values[c] if smaller else values[c]
    return total


@problem("bases", ("A",), ("Z",), ("AA",), ("AZ",), ("BC",), ("ZZ",))
def column_number(name: str) -> int:
    """Return the number of a spreadsheet column: A is 1, Z is 26, AA is 27, and so on."""
    number = 0
    for c in name:
        number = number * 26 + ord(c) - 64
    return number


@problem("bases", (1,), (26,), (27,), (52,), (703,))
def column_name(number: int) -> str:
    """Return the name of a spreadsheet column by its number, which is >= 1: 1 is A, 26 is Z, 27 is AA, and so on."""
    name = ""
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(65 + letter) + name
    return name


@problem("sequences", (10,), (1,), (0,), (2,), (30,))
def fibonacci(index: int) -> int:
    """Return the Fibonacci number at an index: 0 at index 0, 1 at index 1, then always the sum of the two before."""
    a, b = 0, 1
    for _ in range(index):
        a, b = b, a + b
    return a


@problem("sequences", (6,), (1,), (27,), (16,), (7,))
def collatz_steps(number: int) -> int:
    """Count the steps from a positive number to 1: an even number is halved, an odd one tripled and increased by 1."""
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


@problem("sequences", (5,), (1,), (0,), (3,), (7,))
def pascal_row(index: int) -> list[int]:
    """Return a row of Pascal's triangle; row 0 is [1], row 1 is [1, 1], row 2 is [1, 2, 1]."""
    row = [1]
    for _ in range(index):
        row = [a + b for a, b in zip([0, *row], [*row, 0], strict=True)]
    return row


@problem("sequences", ("1",), ("1211",), ("3",), ("111221",), ("22",))
def look_and_say(term: str) -> str:
    """Return the next term of the look-and-say sequence.

    Each run of equal digits is replaced by its length followed by the digit: "1211" is one 1, one 2, two 1s.
    """
    from itertools import groupby

    return "".join(f"{len(list(run))}{digit}" for digit, run in groupby(term))


@problem("sequences", ([2, 4, 6],), ([1, 2, 4],), ([5],), ([3, 3, 3],), ([10, 7, 4, 1],), ([1, 4, 7, 11],))
def next_in_progression(numbers: list[int]) -> int | None:
    """Return the number that would come next when neighbours always differ by the same amount.

    Return None when they do not, or when there are fewer than two numbers.
    """
    from itertools import pairwise

    if len(numbers) < 2:
        return None
    step = numbers[1] - numbers[0]
    same = all(b - a == step for a, b in pairwise(numbers))
    return numbers[-1] + step if same else None


@problem("statistics", ([3, 1, 2],), ([4, 1, 3, 2],), ([5],), ([1, 1, 9, 9],), ([-1, -5, 0],))
def median(numbers: list[int]) -> float:
    """Return the median of numbers: the middle one when sorted, or the mean of the two in the middle."""
    inner, size = sorted(numbers), len(numbers)
    return (inner[(size - 1) // 2] + inner[size // 2]) / 2


@problem("statistics", ([1, 2, 2, 3, 3],), ([4],), ([1, 2, 3],), ([5, 5, 1, 1, 1],), ([-1, -1, 0],))
def modes(numbers: list[int]) -> list[int]:
    """Return the numbers that occur most often, in increasing order; the list is not empty."""
    most = max(numbers.count(n) for n in numbers)
    return sorted({n for n in numbers if numbers.count(n) == most})


@problem("statistics", ([1, 3, 3, 6, 8, 9],), ([3],), ([1, 1],), ([0, 10],), ([1, 2, 3, 4],))
def standard_deviation(numbers: list[int]) -> float:
    """Return the population standard deviation: the root of the mean squared distance from the mean; not rounded."""
    mean = sum(numbers) / len(numbers)
    return (sum((n - mean) ** 2 for n in numbers) / len(numbers)) ** 0.5


@problem(
    "statistics", ([80, 90, 100], [1, 1, 2]), ([5], [3]), ([1, 2], [0, 4]), ([10, 20, 30], [3, 2, 1]), ([-1, 1], [1, 1])
)
def weighted_mean(values: list[int], weights: list[int]) -> float:
    """Return the mean of values, each counted with its weight; the weights do not add up to 0. Do not round."""
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


@problem("money", (87,), (0,), (4,), (25,), (99,))
def coins(cents: int) -> list[int]:
    """Pay an amount with as few coins as possible of 25, 10, 5 and 1 cents; return the coins, largest first."""
    paid = []
    for coin in (25, 10, 5, 1):
        paid += [coin] * (cents // coin)
        cents %= coin
    return paid


@problem("money", ([1, 3, 4], 6), ([2], 3), ([5, 10], 0), ([1, 2, 5], 11), ([7, 3], 14))
def fewest_coins(kinds: list[int], amount: int) -> int:
    """Return the least number of coins that add up to an amount, with as many of each kind as needed; -1 if none do."""
    least = [0] + [amount + 1] * amount
    for total in range(1, amount + 1):
        least[total] = min([least[total - kind] + 1 for kind in kinds if kind <= total], default=amount + 1)
    return least[amount] if least[amount] <= amount else -1


@problem("money", (1000, [100, 200]), (50, [60]), (0, []), (10, [10]), (500, [100, 100, 350, 20]))
def spend(budget: int, prices: list[int]) -> int:
    """Buy things in the given order as long as the money lasts; stop at the first that costs more than is left.

    Return how much money is left.
    """
    for price in prices:
        if price > budget:
            break
        budget -= price
    return budget


@problem("money", (10001, 3), (9, 3), (2, 3), (100, 7), (0, 4))
def split_bill(cents: int, people: int) -> list[int]:
    """Divide an amount in whole cents among people as evenly as possible; those first in the list pay the extra cents."""
    share, extra = divmod(cents, people)
    return [share + (at < extra) for at in range(people)]


@problem("money", (1000.0, 0.05, 2), (100.0, 0.0, 5), (500.0, 0.1, 0), (250.0, 0.02, 10), (1.0, 1.0, 8))
def compound(amount: float, rate: float, years: int) -> float:
    """Return what an amount becomes when it grows by a rate (0.05 is five percent) each year; rounded with round(x, 2)."""
    return round(amount * (1 + rate) ** years, 2)


@problem("bits", (11,), (0,), (255,), (1024,), (7,))
def count_ones(number: int) -> int:
    """Count the ones in the binary form of a number that is >= 0."""
    return number.bit_count()


@problem("bits", (8,), (6,), (1,), (0,), (1024,), (1023,))
def is_power_of_two(number: int) -> bool:
    """Tell whether a number is 1, 2, 4, 8 and so on: a power of two."""
    return number > 0 and number & (number - 1) == 0


@problem("bits", ([4, 1, 2, 1, 2],), ([7],), ([3, 3, 0],), ([-1, 5, 5],), ([9, 8, 9],))
def the_single_one(numbers: list[int]) -> int:
    """Every number in the list occurs twice, but one, which occurs once; return that one."""
    return next(n for n in numbers if numbers.count(n) == 1)


@problem("bits", (6, 3), (5, 5), (0, 7), (12, 10), (1, 2))
def differing_bits(left: int, right: int) -> int:
    """Count the places at which the binary forms of two numbers >= 0 differ; the shorter one is led by zeros."""
    return (left ^ right).bit_count()


@problem("bits", (5, 3), (1, 4), (0, 2), (6, 8), (13, 4))
def reverse_bits(number: int, width: int) -> int:
    """Write a number >= 0 in binary with `width` digits, led by zeros; reverse the digits; return the number they form.

    When the number needs more digits than `width`, only its lowest `width` binary digits count.
    """
    return int(format(number % 2**width, f"0{width}b")[::-1], 2)
