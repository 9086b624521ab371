from starter_functions import script

script(
    "programs",
    "totals",
    "sum-until-zero",
    "3\n4\n0\n9\n",
    "0\n",
    "-1\n1\n5\n0\n",
    "100\n200\n300\n0\n",
    "7\n-7\n-2\n0\n1\n",
)(
    """Read whole numbers, one a line, until a line holds 0, and print their sum. What follows the 0 is ignored.""",
    """
    total = 0
    while (number := int(input())) != 0:
        total += number
    print(total)
    """,
)
script(
    "programs", "totals", "average-line", "4\n1 2 3 4\n", "1\n5\n", "3\n1 1 2\n", "2\n-1 1\n", "5\n10 20 30 40 55\n"
)(
    """The first line holds a number n, the second n whole numbers. Print their average with exactly two digits after
    the point.""",
    """
    n = int(input())
    numbers = list(map(int, input().split()))
    print(f"{sum(numbers) / n:.2f}")
    """,
)
script("programs", "totals", "min-max-range", "5 3 9 1\n", "7\n", "-2 -8 0\n", "4 4 4\n", "100 -100 50\n")(
    """Read one line of whole numbers separated by blanks. Print three lines: "min: A", "max: B" and "range: C", where A
    is the smallest and B the largest number and C is B - A.""",
    """
    numbers = list(map(int, input().split()))
    print(f"min: {min(numbers)}")
    print(f"max: {max(numbers)}")
    print(f"range: {max(numbers) - min(numbers)}")
    """,
)
script(
    "programs",
    "totals",
    "receipt",
    "2 apple 3\n1 bread 5\n",
    "4 egg 1\n",
    "",
    "1 a 1\n1 b 2\n1 c 3\n",
    "10 pen 12\n3 ink 7\n",
)(
    """Each line of the input, which may be empty, holds a count, a name without blanks and a price for one, separated
    by blanks. For each line print "NAME: COUNT x PRICE = COST", and at last "total: SUM". Counts and prices are whole
    numbers.""",
    """
    import sys

    total = 0
    for line in sys.stdin.read().splitlines():
        count, name, price = line.split()
        cost = int(count) * int(price)
        total += cost
        print(f"{name}: {count} x {price} = {cost}")
    print(f"total: {total}")
    """,
)
script(
    "programs",
    "totals",
    "running-balance",
    "100\n+50\n-30\n",
    "0\n",
    "10\n-20\n+5\n",
    "5\n+1\n+1\n+1\n",
    "1000\n-1000\n-1\n",
)(
    """The first line holds a balance, every further line a change such as +50 or -30. Print the balance after each
    change, one a line; when it is below 0, follow it by a blank and an exclamation mark. Without changes print "no
    changes".""",
    """
    import sys

    balance, *changes = map(int, sys.stdin.read().split())
    for change in changes:
        balance += change
        print(f"{balance} !" if balance < 0 else balance)
    if not changes:
        print("no changes")
    """,
)
script(
    "programs", "words", "reverse-lines", "ab\ncd e\n", "x\n", "one two\n\nthree\n", "12\n34\n56\n", "racecar\nlevels\n"
)(
    """Print every line of the input with its characters in reverse order, the lines in their order.""",
    """
    import sys

    for line in sys.stdin.read().splitlines():
        print(line[::-1])
    """,
)
script("programs", "words", "word-count", "the cat\nthe dog\n", "a\n", "b a b a c\n", "x x x\n\ny\n", "Up up UP\n")(
    """Count how often every word occurs in the input, ignoring upper and lower case; words are separated by white space.
    Print "WORD COUNT" for each word, in lower case, most frequent first, equally frequent ones in alphabetical order.""",
    """
    import sys

    words = sys.stdin.read().lower().split()
    for word in sorted(set(words), key=lambda one: (-words.count(one), one)):
        print(word, words.count(word))
    """,
)
script(
    "programs", "words", "longest-lines", "a\nbbb\ncc\nddd\n", "x\n", "same\nsize\n", "one two\nthree\n", "p\nqq\nq\n"
)(
    """Print all lines of the input that are as long as its longest line, in their order.""",
    """
    import sys

    lines = sys.stdin.read().splitlines()
    longest = max(map(len, lines))
    print("\\n".join(line for line in lines if len(line) == longest))
    """,
)
script("programs", "words", "number-lines", "a\n\nb\n", "only\n", "\n\nx\n", "p\nq\nr\n", "one two\n \nthree\n")(
    """Number the lines of the input: print each line that holds anything but white space as "N: LINE", where N counts
    such lines only, from 1. Print the other lines as empty lines.""",
    """
    import sys

    n = 0
    for line in sys.stdin.read().split("\\n")[:-1]:
        if line.strip():
            n += 1
            print(f"{n}: {line}")
        else:
            print()
    """,
)
script("programs", "words", "pig-latin", "hello apple\n", "string\n", "eat the egg\n", "rhythm\n", "a quick fox\n")(
    """Read one line of words in lower case. A word that begins with a, e, i, o or u gets "way" at its end; of any other
    word the letters before its first such vowel are moved to its end, followed by "ay"; a word without vowels only gets
    "ay". Print the words in one line, separated by blanks.""",
    """
    def pig(word):
        at = next((n for n, c in enumerate(word) if c in "aeiou"), 0)
        if word[0] in "aeiou":
            return word + "way"
        return word[at:] + word[:at] + "ay"

    print(" ".join(map(pig, input().split())))
    """,
)
script("programs", "figures", "triangle", "3\n", "1\n", "5\n", "2\n", "4\n")(
    """Read a number n and print a triangle of n lines: line i, from 1, holds n - i blanks followed by 2i - 1 stars, and
    nothing after them.""",
    """
    n = int(input())
    for i in range(1, n + 1):
        print(" " * (n - i) + "*" * (2 * i - 1))
    """,
)
script("programs", "figures", "frame", "2\nhi\nworld\n", "1\nx\n", "3\na\nbb\nccc\n", "1\none two\n", "2\n\nz\n")(
    """The first line holds n, then follow n lines of text. Print them in a frame: a line of "#" over and under them, and
    each text line between "# " and " #", filled up with blanks on the right to the longest one. The lines over and under
    are as long as the others.""",
    """
    n = int(input())
    lines = [input() for _ in range(n)]
    wide = max(map(len, lines))
    print("#" * (wide + 4))
    for line in lines:
        print(f"# {line.ljust(wide)} #")
    print("#" * (wide + 4))
    """,
)
script("programs", "figures", "multiplication-table", "3\n", "1\n", "4\n", "10\n", "2\n")(
    """Read a number n and print the multiplication table from 1 to n: n lines of n products, each filled up with blanks
    on its left to the width of the largest product, n times n, and separated by single blanks.""",
    """
    n = int(input())
    wide = len(str(n * n))
    for a in range(1, n + 1):
        print(" ".join(str(a * b).rjust(wide) for b in range(1, n + 1)))
    """,
)
script("programs", "figures", "chessboard", "2 3\n", "1 1\n", "3 3\n", "4 2\n", "1 6\n")(
    """Read a height and a width from one line and print a chessboard of that size from "#" and ".": the cell at the top
    left is "#", and neighbours at an edge always differ.""",
    """
    height, width = map(int, input().split())
    for r in range(height):
        print("".join(".#"[(r + c + 1) % 2] for c in range(width)))
    """,
)
script("programs", "figures", "histogram", "3 1 2\n", "1\n", "0 4\n", "2 2 2\n", "5 0 1\n")(
    """Read one line of heights, whole numbers >= 0, at least one of them above 0. Print a histogram with columns: as many lines
    as the largest height, from the top down; in each line one character for each column, "#" where the column reaches
    that high and "." where it does not.""",
    """
    heights = list(map(int, input().split()))
    for level in range(max(heights), 0, -1):
        print("".join("#" if h >= level else "." for h in heights))
    """,
)
script(
    "programs",
    "queries",
    "phone-book",
    "2\nann 12\nbob 34\nann\ncid\n",
    "1\nx 1\nx\n",
    "0\nq\n",
    "2\na 5\na 6\na\n",
    "3\np 1\nq 2\nr 3\nr\np\nz\n",
)(
    """The first line holds n, then follow n lines "name number", then names, one a line. For each of these print its
    number, or "unknown". When a name was given several numbers, the last one counts.""",
    """
    import sys

    lines = sys.stdin.read().splitlines()
    n = int(lines[0])
    book = dict(line.split() for line in lines[1 : n + 1])
    for name in lines[n + 1 :]:
        print(book.get(name, "unknown"))
    """,
)
script(
    "programs",
    "queries",
    "range-sums",
    "4 2\n1 2 3 4\n1 2\n2 4\n",
    "1 1\n9\n1 1\n",
    "3 1\n-1 0 1\n1 3\n",
    "5 3\n2 2 2 2 2\n1 1\n1 5\n4 5\n",
    "2 1\n10 20\n2 2\n",
)(
    """The first line holds n and q, the second n whole numbers, then follow q lines with places i and j, counted from 1,
    i <= j. For each print the sum of the numbers from place i to place j.""",
    """
    n, q = map(int, input().split())
    numbers = list(map(int, input().split()))
    for _ in range(q):
        i, j = map(int, input().split())
        print(sum(numbers[i - 1 : j]))
    """,
)
script(
    "programs",
    "queries",
    "set-commands",
    "add 3\nadd 5\nhas 3\nremove 3\nhas 3\n",
    "has 1\n",
    "add 1\nadd 1\nremove 1\nhas 1\n",
    "remove 2\nadd 2\nhas 2\nsize\n",
    "size\nadd 7\nadd 8\nsize\n",
)(
    """Run commands over a set of numbers, which is empty at first. "add N" and "remove N" change it, "has N" prints "yes"
    or "no", "size" prints how many numbers it holds. Removing what is not there does nothing.""",
    """
    import sys

    held = set()
    for line in sys.stdin.read().splitlines():
        name, *number = line.split()
        if name == "add":
            held.add(number[0])
        elif name == "remove":
            held.discard(number[0])
        elif name == "has":
            print("yes" if number[0] in held else "no")
        else:
            print(len(held))
    """,
)
script(
    "programs",
    "queries",
    "queue-at-counter",
    "arrive ann\narrive bob\nserve\nserve\nserve\n",
    "serve\n",
    "arrive x\nleave x\nserve\n",
    "arrive a\narrive b\narrive c\nleave b\nserve\nserve\n",
    "arrive p\nserve\narrive q\nserve\n",
)(
    """People wait in a line. "arrive NAME" puts somebody at its end, "leave NAME" takes somebody who waits out of it, and
    "serve" takes the first one and prints the name, or prints "nobody" when no one waits.""",
    """
    import sys

    waiting = []
    for line in sys.stdin.read().splitlines():
        what, _, name = line.partition(" ")
        if what == "arrive":
            waiting.append(name)
        elif what == "leave":
            waiting.remove(name)
        else:
            print(waiting.pop(0) if waiting else "nobody")
    """,
)
script(
    "programs",
    "queries",
    "undo-editor",
    "type ab\ntype cd\nundo\nshow\n",
    "show\n",
    "type x\nundo\nundo\nshow\n",
    "type a\nshow\ntype b\nshow\nundo\nshow\n",
    "type hello\ntype  world\nshow\n",
)(
    """A text is empty at first. "type TEXT" appends everything after the first blank of the line, "undo" takes back the
    last appending that was not taken back yet, if any, and "show" prints the text between square brackets.""",
    """
    import sys

    typed = []
    for line in sys.stdin.read().splitlines():
        what, _, text = line.partition(" ")
        if what == "type":
            typed.append(text)
        elif what == "undo":
            typed = typed[:-1]
        else:
            print(f"[{''.join(typed)}]")
    """,
)
script(
    "programs",
    "geometry",
    "distance",
    "0 0\n3 4\n",
    "1 1\n1 1\n",
    "0 0\n1 1\n",
    "-1 -1\n2 3\n",
    "10 0\n0 0\n",
    tolerance=1e-6,
)(
    """Read two points, each as x and y on a line of its own, and print their distance. An error of up to 0.000001 is
    allowed.""",
    """
    import math

    x, y = map(float, input().split())
    p, q = map(float, input().split())
    print(math.hypot(p - x, q - y))
    """,
)
script("programs", "geometry", "circle", "1\n", "2.5\n", "10\n", "0.1\n", "3\n", tolerance=1e-6)(
    """Read the radius of a circle and print two lines: its circumference and its area. An error of up to 0.000001 is
    allowed.""",
    """
    import math

    radius = float(input())
    print(2 * math.pi * radius)
    print(math.pi * radius * radius)
    """,
)
script(
    "programs",
    "geometry",
    "polygon-area",
    "4\n0 0\n2 0\n2 3\n0 3\n",
    "3\n0 0\n4 0\n0 3\n",
    "3\n0 0\n1 1\n2 2\n",
    "4\n0 0\n0 1\n1 1\n1 0\n",
    "5\n0 0\n4 0\n4 4\n2 6\n0 4\n",
    tolerance=1e-6,
)(
    """The first line holds n, then follow the n corners of a polygon, x and y on a line each, in the order around it.
    Print its area. An error of up to 0.000001 is allowed.""",
    """
    n = int(input())
    points = [tuple(map(float, input().split())) for _ in range(n)]
    around = zip(points, points[1:] + points[:1])
    print(abs(sum(a * d - b * c for (a, b), (c, d) in around)) / 2)
    """,
)
script("programs", "geometry", "triangle-kind", "3 4 5\n", "2 2 2\n", "1 2 3\n", "5 5 8\n", "4 5 6\n", "10 1 1\n")(
    """Read three lengths, whole numbers above 0, from one line. Print "none" when they form no triangle (a triangle's two
    shorter sides are together longer than its longest), else "equilateral" when all are equal, "isosceles" when exactly
    two are, "right" when the sum of the squares of the two shorter ones is the square of the longest, else "scalene".""",
    """
    a, b, c = sorted(map(int, input().split()))
    if a + b <= c:
        print("none")
    elif a == c:
        print("equilateral")
    elif a == b or b == c:
        print("isosceles")
    elif a * a + b * b == c * c:
        print("right")
    else:
        print("scalene")
    """,
)
script(
    "programs",
    "geometry",
    "temperatures",
    "C 100\n",
    "F 32\n",
    "C -40\nF -40\n",
    "F 98.6\nC 0\n",
    "C 36.6\n",
    tolerance=1e-6,
)(
    """Each line holds "C" or "F" and a temperature on that scale. Print for each the same temperature on the other scale,
    Fahrenheit being Celsius times 1.8 plus 32. An error of up to 0.000001 is allowed.""",
    """
    import sys

    for line in sys.stdin.read().splitlines():
        scale, value = line.split()
        print(float(value) * 1.8 + 32 if scale == "C" else (float(value) - 32) / 1.8)
    """,
)
script(
    "programs",
    "tables",
    "gradebook",
    "ann 90 80\nbob 70 75 80\n",
    "x 1\n",
    "p 50 51\nq 100\n",
    "a 0 0 0\n",
    "m 60 61 62\nn 62 61 60\n",
)(
    """Each line holds a name and one or more whole numbers, the grades. Print for each, in the order of the input, the
    name, a colon, a blank and the average of the grades with exactly one digit after the point; at last a line "best:
    NAME" with the first of those with the highest average.""",
    """
    import sys

    best, top = None, None
    for line in sys.stdin.read().splitlines():
        name, *grades = line.split()
        mean = sum(map(int, grades)) / len(grades)
        print(f"{name}: {mean:.1f}")
        if top is None or mean > top:
            best, top = name, mean
    print(f"best: {best}")
    """,
)
script(
    "programs",
    "tables",
    "sales-by-month",
    "2024-01-05 10\n2024-01-20 5\n2024-03-01 7\n",
    "2023-12-31 1\n",
    "2024-02-01 2\n2023-02-01 3\n",
    "2024-05-01 0\n2024-05-02 0\n",
    "2022-11-11 4\n2022-10-10 6\n2022-11-01 1\n",
)(
    """Each line holds a date YYYY-MM-DD and an amount. Print "YYYY-MM SUM" for every month that occurs, in the order of
    time.""",
    """
    import sys

    sums = {}
    for line in sys.stdin.read().splitlines():
        day, amount = line.split()
        sums[day[:7]] = sums.get(day[:7], 0) + int(amount)
    for month in sorted(sums):
        print(month, sums[month])
    """,
)
script("programs", "tables", "transpose-csv", "a,b\n1,2\n3,4\n", "x\n", "p,q,r\n", "1\n2\n3\n", "k,,v\n1,2,\n")(
    """Read a table, cells separated by commas, all lines with equally many, and print it with rows and columns
    exchanged, in the same form.""",
    """
    import sys

    table = [line.split(",") for line in sys.stdin.read().splitlines()]
    for column in zip(*table):
        print(",".join(column))
    """,
)
script(
    "programs",
    "tables",
    "league",
    "ann 3 bob 1\nbob 2 cid 2\n",
    "x 0 y 1\n",
    "a 1 b 1\nb 1 a 1\n",
    "m 5 n 4\nn 4 o 3\no 3 m 2\n",
    "p 2 q 0\np 1 r 1\nq 3 r 0\n",
)(
    """Each line holds a match as "TEAM GOALS TEAM GOALS". The team with more goals gets 3 points, both get 1 when they
    have equally many. Print "TEAM POINTS" for each team, most points first, teams with equal points in alphabetical
    order.""",
    """
    import sys

    points = {}
    for line in sys.stdin.read().splitlines():
        left, a, right, b = line.split()
        a, b = int(a), int(b)
        points[left] = points.get(left, 0) + (3 if a > b else a == b)
        points[right] = points.get(right, 0) + (3 if b > a else a == b)
    for team in sorted(points, key=lambda one: (-points[one], one)):
        print(team, int(points[team]))
    """,
)
script(
    "programs",
    "tables",
    "stock-check",
    "apple 5\npear 2\n\napple 3\npear 4\n",
    "x 1\n\nx 1\n",
    "a 1\n\nb 1\n",
    "p 10\nq 10\n\nq 1\np 10\n",
    "m 3\n\nm 1\nm 1\nm 2\n",
)(
    """The input has two parts, separated by an empty line. Lines of the first part say how much of a thing is in stock,
    "NAME COUNT". Lines of the second are orders, "NAME COUNT", in their order: print "ok" and take the count out of the
    stock when there is enough, else print "short by N", where N is how many are missing, and take nothing. What the
    first part does not name has a stock of 0.""",
    """
    import sys

    first, second = sys.stdin.read().split("\\n\\n")
    stock = {line.split()[0]: int(line.split()[1]) for line in first.splitlines()}
    for line in second.splitlines():
        name, count = line.split()
        left = stock.get(name, 0) - int(count)
        if left >= 0:
            stock[name] = left
            print("ok")
        else:
            print(f"short by {-left}")
    """,
)
