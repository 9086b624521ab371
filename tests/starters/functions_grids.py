from starter_functions import family

problem = family("matrices")


@problem("turning", ([[1, 2, 3], [4, 5, 6]],), ([[1]],), ([],), ([[1, 2]],), ([[1], [2], [3]],))
def transpose(matrix: list[list[int]]) -> list[list[int]]:
    """Return the matrix with rows and columns exchanged; all rows have the same length, and [] gives []."""
    return [list(row) for row in zip(*matrix, strict=True)]


@problem("turning", ([[1, 2], [3, 4]],), ([[1, 2, 3]],), ([[5]],), ([[1], [2]],), ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],))
def turn_right(matrix: list[list[int]]) -> list[list[int]]:
    """Turn a matrix by 90 degrees clockwise: the first row becomes the last column."""
    return [list(row) for row in zip(*matrix[::-1], strict=True)]


@problem("turning", ([[1, 2], [3, 4]],), ([[1, 2, 3]],), ([[7]],), ([[1], [2]],), ([[0, 1], [1, 0]],))
def mirror(matrix: list[list[int]]) -> list[list[int]]:
    """Mirror a matrix from left to right: each row is reversed."""
    return [row[::-1] for row in matrix]


@problem(
    "turning",
    ([[1, 2], [3, 4]], 1, 4),
    ([[1, 2, 3, 4]], 2, 2),
    ([[1]], 1, 1),
    ([[1, 2], [3, 4]], 3, 2),
    ([[5], [6], [7]], 1, 3),
)
def reshape(matrix: list[list[int]], height: int, width: int) -> list[list[int]]:
    """Fill the numbers of a matrix, read row by row, into `height` rows of `width` numbers.

    When there are more or fewer numbers than that takes, return the matrix as it was.
    """
    flat = [n for row in matrix for n in row]
    if len(flat) != height * width:
        return matrix
    return [flat[at * width : (at + 1) * width] for at in range(height)]


@problem(
    "turning",
    ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],),
    ([[1]],),
    ([[1, 2], [3, 4]],),
    ([[0, 5], [5, 0]],),
    ([[2, 0, 1], [3, 1, 0], [0, 0, 4]],),
)
def diagonals(matrix: list[list[int]]) -> list[list[int]]:
    """Return the two diagonals of a square matrix, each from top to bottom.

    The first begins at the top left, the second at the top right.
    """
    size = len(matrix)
    return [[matrix[n][n] for n in range(size)], [matrix[n][size - 1 - n] for n in range(size)]]


@problem("walking", ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],), ([[1, 2], [3, 4]],), ([[1, 2, 3]],), ([[1], [2]],), ([],))
def spiral(matrix: list[list[int]]) -> list[int]:
    """Return the numbers of a matrix in a spiral: from the top left along the first row, clockwise and inwards."""
    walked: list[int] = []
    rest = [list(row) for row in matrix]
    while rest:
        walked += rest[0]
        rest = [list(row) for row in zip(*rest[1:], strict=True)][::-1]
    return walked


@problem("walking", ([[1, 2, 3], [4, 5, 6]],), ([[1]],), ([[1, 2], [3, 4], [5, 6]],), ([[9, 8, 7]],), ([[1], [2]],))
def zigzag(matrix: list[list[int]]) -> list[int]:
    """Return the numbers of a matrix row by row, the first row from left to right, the next from right to left, and so on."""
    return [n for at, row in enumerate(matrix) for n in (row[::-1] if at % 2 else row)]


@problem("walking", ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],), ([[1, 2]],), ([[1], [2]],), ([[1, 2], [3, 4]],), ([[5]],))
def antidiagonals(matrix: list[list[int]]) -> list[list[int]]:
    """Group the numbers of a matrix by row number plus column number: return the groups by that sum, smallest first.

    Within a group, numbers stand from the top row to the bottom row.
    """
    height, width = len(matrix), len(matrix[0])
    return [
        [matrix[r][total - r] for r in range(height) if 0 <= total - r < width] for total in range(height + width - 1)
    ]


@problem(
    "walking",
    (["#..", ".#.", "..#"], 0, 0),
    (["...", ".#.", "..."], 0, 1),
    (["##", "##"], 1, 1),
    ([".", "#"], 0, 0),
    (["#.#", ".#.", "#.#"], 1, 1),
)
def neighbours_alive(grid: list[str], row: int, column: int) -> int:
    """Count the cells "#" among the up to eight neighbours of a cell, diagonal ones included, the cell itself not."""
    near = [(row + a, column + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    return sum(grid[r][c] == "#" for r, c in near if 0 <= r < len(grid) and 0 <= c < len(grid[0]))


@problem(
    "walking", ([".#.", ".#.", ".#."],), (["##", "##"],), (["...", "...", "..."],), (["###"],), (["#..", ".#.", "..#"],)
)
def life_step(grid: list[str]) -> list[str]:
    """Return the next generation of Conway's game of life; "#" is alive, "." is dead, everything outside is dead.

    A living cell with two or three living neighbours (of eight) stays alive, a dead cell with exactly three becomes
    alive, all others are dead.
    """
    height, width = len(grid), len(grid[0])

    def alive(r: int, c: int) -> bool:
        near = [(r + a, c + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
        count = sum(grid[y][x] == "#" for y, x in near if 0 <= y < height and 0 <= x < width)
        return count == 3 or (count == 2 and grid[r][c] == "#")

    return ["".join("#" if alive(r, c) else "." for c in range(width)) for r in range(height)]


@problem("sums", ([[1, 2], [3, 4]], [[5, 6], [7, 8]]), ([[2]], [[3]]), ([[1, 0], [0, 1]], [[4, 5], [6, 7]]), ([[1, 2, 3]], [[1], [2], [3]]),
         ([[1], [2]], [[3, 4]]))  # fmt: skip
def multiply(left: list[list[int]], right: list[list[int]]) -> list[list[int]]:
    """Return the matrix product of two matrices; the left has as many columns as the right has rows."""
    return [[sum(a * b for a, b in zip(row, col, strict=True)) for col in zip(*right, strict=True)] for row in left]


@problem(
    "sums",
    ([[2, 7, 6], [9, 5, 1], [4, 3, 8]],),
    ([[1, 2], [3, 4]],),
    ([[5]],),
    ([[1, 1], [1, 1]],),
    ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],),
)
def is_magic(square: list[list[int]]) -> bool:
    """Tell whether all rows, all columns and both diagonals of a square of numbers add up to the same."""
    size = len(square)
    lines = [
        *square,
        *zip(*square, strict=True),
        [square[n][n] for n in range(size)],
        [square[n][size - 1 - n] for n in range(size)],
    ]
    return len({sum(line) for line in lines}) == 1


@problem("sums", ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 0, 0, 1, 1), ([[5]], 0, 0, 0, 0), ([[1, 2], [3, 4]], 0, 1, 1, 1), ([[1, 2], [3, 4]], 0, 0, 1, 1),
         ([[1, 2, 3], [4, 5, 6]], 1, 0, 1, 2))  # fmt: skip
def block_sum(matrix: list[list[int]], top: int, left: int, bottom: int, right: int) -> int:
    """Add up the numbers in rows `top` to `bottom` and columns `left` to `right`, all counted from 0 and included."""
    return sum(sum(row[left : right + 1]) for row in matrix[top : bottom + 1])


@problem("sums", ([[3, 1], [2, 4]],), ([[1, 2], [3, 4]],), ([[5]],), ([[1, 1], [1, 1]],), ([[9, 7], [8, 2], [10, 3]],))
def saddle_points(matrix: list[list[int]]) -> list[list[int]]:
    """Return the places [row, column] of all numbers that are the largest of their row and the smallest of their column.

    Equal numbers may share being largest or smallest. Places count from 0 and stand row by row.
    """
    columns = list(zip(*matrix, strict=True))
    return [[r, c] for r, row in enumerate(matrix) for c, n in enumerate(row) if n == max(row) and n == min(columns[c])]


@problem("sums", ([[2, 4, 1], [3, 1, 5], [6, 2, 2]],), ([[5]],), ([[1, 2, 3]],), ([[1], [2]],), ([[0, 9], [1, 0]],))
def cheapest_way(costs: list[list[int]]) -> int:
    """Return the least sum of costs on a way from the top left to the bottom right cell, going only right or down.

    Both ends count.
    """
    best: list[list[int]] = []
    for r, row in enumerate(costs):
        best.append([])
        for c, cost in enumerate(row):
            ways = ([best[r - 1][c]] if r else []) + ([best[r][c - 1]] if c else [])
            best[r].append(cost + min(ways, default=0))
    return best[-1][-1]


problem = family("graphs")


@problem("reach", ({"a": ["b"], "b": ["c"], "c": [], "d": ["a"]}, "a"), ({"x": []}, "x"), ({"a": ["b"], "b": ["a"]}, "b"),
         ({"p": ["q", "r"], "q": [], "r": []}, "p"), ({"a": ["a"], "b": []}, "a"))  # fmt: skip
def reachable(graph: dict[str, list[str]], start: str) -> list[str]:
    """Return, sorted, all nodes that can be reached from a node along edges, the node itself included.

    The graph gives for every node the list of nodes that its edges lead to.
    """
    seen, waiting = {start}, [start]
    while waiting:
        for node in graph[waiting.pop()]:
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return sorted(seen)


@problem(
    "reach",
    (5, [[0, 1], [1, 2], [3, 4]]),
    (3, []),
    (1, []),
    (4, [[0, 1], [1, 2], [2, 3], [3, 0]]),
    (6, [[0, 5], [1, 4]]),
)
def count_components(nodes: int, edges: list[list[int]]) -> int:
    """Count the connected parts of an undirected graph with nodes 0 to nodes - 1 and edges [a, b]."""
    part = list(range(nodes))
    for a, b in edges:
        old, new = part[a], part[b]
        part = [new if one == old else one for one in part]
    return len(set(part))


@problem("reach", (["##.", "#..", "..#"],), (["..."],), (["#.#", ".#.", "#.#"],), (["###"],), ([".#", "#."],))
def count_islands(grid: list[str]) -> int:
    """Count the islands in a map: land is "#", water "."; cells of land that touch at an edge belong to one island."""
    land = {(r, c) for r, row in enumerate(grid) for c, cell in enumerate(row) if cell == "#"}
    count = 0
    while land:
        count += 1
        waiting = [land.pop()]
        while waiting:
            r, c = waiting.pop()
            near = {(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)} & land
            land -= near
            waiting += near
    return count


@problem(
    "reach",
    (["aab", "abb", "bbb"], 0, 0, "x"),
    (["a"], 0, 0, "a"),
    (["aba", "bab"], 0, 1, "c"),
    (["zz", "zz"], 1, 1, "y"),
    (["ab", "aa"], 1, 1, "q"),
)
def flood_fill(grid: list[str], row: int, column: int, colour: str) -> list[str]:
    """Fill an area with a colour: the cell given, and all cells of its old colour connected to it by edges."""
    cells = [list(line) for line in grid]
    old, waiting = cells[row][column], [(row, column)]
    while waiting and old != colour:
        r, c = waiting.pop()
        if 0 <= r < len(cells) and 0 <= c < len(cells[0]) and cells[r][c] == old:
            cells[r][c] = colour
            waiting += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    return ["".join(line) for line in cells]


@problem("reach", ({"ann": ["bob", "cid"], "bob": ["dan"], "cid": ["dan"], "dan": []}, "ann"), ({"x": []}, "x"),
         ({"a": ["b"], "b": ["a"]}, "a"), ({"a": ["b"], "b": ["c", "a"], "c": []}, "a"), ({"a": ["b", "c"], "b": ["c"], "c": []}, "a"))  # fmt: skip
def friends_of_friends(friends: dict[str, list[str]], person: str) -> list[str]:
    """Return, sorted, the friends of a person's friends that are neither the person nor friends of the person."""
    direct = set(friends[person])
    return sorted({two for one in direct for two in friends[one]} - direct - {person})


@problem("paths", ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, "a", "d"), ({"x": []}, "x", "x"), ({"a": ["b"], "b": [], "c": []}, "a", "c"),
         ({"a": ["b"], "b": ["c"], "c": ["a"]}, "c", "b"), ({"a": ["b", "d"], "b": ["c"], "c": ["d"], "d": []}, "a", "d"))  # fmt: skip
def fewest_steps(graph: dict[str, list[str]], start: str, goal: str) -> int:
    """Return the least number of edges on a way from one node to another; 0 from a node to itself, -1 if there is none.

    The graph gives for every node the list of nodes that its edges lead to.
    """
    steps, level, seen = 0, {start}, {start}
    while level:
        if goal in level:
            return steps
        level = {after for node in level for after in graph[node]} - seen
        seen |= level
        steps += 1
    return -1


@problem("paths", ([["a", "b", 4], ["a", "c", 1], ["c", "b", 2]], "a", "b"), ([["a", "b", 7]], "a", "b"), ([["a", "b", 1]], "b", "a"), ([], "x", "x"),
         ([["a", "b", 1], ["b", "c", 1], ["a", "c", 5], ["c", "d", 2]], "a", "d"))  # fmt: skip
def cheapest_route(roads: list[list], start: str, goal: str) -> int:
    """Return the least total cost of a route from `start` to `goal`; -1 when there is none; 0 when they are the same.

    A road [from, to, cost] leads in one direction and costs at least 1.
    """
    cost = {start: 0}
    for _ in range(len(roads) + 1):
        for a, b, price in roads:
            if a in cost:
                cost[b] = min(cost.get(b, cost[a] + price), cost[a] + price)
    return cost.get(goal, -1)


@problem("paths", (["S.#", "..#", "#.G"],), (["SG"],), (["S#G"],), (["S..", "##.", "G.."],), (["G.", ".S"],))
def maze_steps(maze: list[str]) -> int:
    """Return the least number of steps from "S" to "G" in a maze; -1 when there is no way.

    A step goes to a neighbouring cell at an edge; cells "#" are walls; nothing leads outside.
    """
    cells = {(r, c): cell for r, row in enumerate(maze) for c, cell in enumerate(row) if cell != "#"}
    level = {place for place, cell in cells.items() if cell == "S"}
    seen, steps = set(level), 0
    while level:
        if any(cells[place] == "G" for place in level):
            return steps
        level = {(r + a, c + b) for r, c in level for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))} & cells.keys() - seen
        seen |= level
        steps += 1
    return -1


@problem("paths", ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, "a", "d"), ({"a": []}, "a", "a"), ({"a": ["b"], "b": []}, "b", "a"),
         ({"a": ["c", "b"], "b": ["c"], "c": []}, "a", "c"), ({"s": ["m", "n"], "m": ["t"], "n": ["t", "m"], "t": []}, "s", "t"))  # fmt: skip
def all_paths(graph: dict[str, list[str]], start: str, goal: str) -> list[list[str]]:
    """Return all paths from one node to another in a graph without cycles, each as its list of nodes, sorted.

    The path from a node to itself is the list of that node alone.
    """
    if start == goal:
        return [[goal]]
    return sorted([start, *rest] for node in graph[start] for rest in all_paths(graph, node, goal))


@problem("paths", ("warm", "cold", ["ward", "card", "cord", "cold", "worm", "word"]), ("a", "b", ["b"]), ("ab", "cd", ["ad", "bd"]), ("x", "x", []),
         ("pig", "sty", ["wig", "wag", "way", "say", "sty"]))  # fmt: skip
def word_ladder(begin: str, end: str, words: list[str]) -> int:
    """Return the least number of changes that turn one word into another; -1 when it cannot be done; 0 if they are equal.

    Each change replaces one letter by another and must lead to a word of the list. All words have the same length.
    """
    level, left, count = {begin}, set(words), 0
    while level:
        if end in level:
            return count
        level = {w for w in left if any(sum(a != b for a, b in zip(w, one, strict=True)) == 1 for one in level)}
        left -= level
        count += 1
    return -1


@problem("order", ({"shirt": [], "tie": ["shirt"], "jacket": ["tie"]},), ({},), ({"b": [], "a": []},), ({"a": ["b"], "b": ["a"]},),
         ({"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": []},))  # fmt: skip
def build_order(needs: dict[str, list[str]]) -> list[str]:
    """Order tasks so that each comes after all tasks it needs; `needs` gives for every task the list of those.

    Of all tasks that could come next, always take the one that is first in the alphabet. Return an empty list when the
    tasks need each other in a circle.
    """
    order: list[str] = []
    while len(order) < len(needs):
        ready = [task for task in needs if task not in order and all(one in order for one in needs[task])]
        if not ready:
            return []
        order.append(min(ready))
    return order


@problem(
    "order",
    ({"a": ["b"], "b": ["c"], "c": ["a"]},),
    ({"a": ["b"], "b": []},),
    ({},),
    ({"a": ["a"]},),
    ({"a": ["b", "c"], "b": ["c"], "c": []},),
)
def has_cycle(graph: dict[str, list[str]]) -> bool:
    """Tell whether a directed graph has a cycle: a way along edges from a node back to itself.

    The graph gives for every node the list of nodes that its edges lead to.
    """
    rest = {node: set(after) for node, after in graph.items()}
    while ends := [node for node, after in rest.items() if not after]:
        rest = {node: after - set(ends) for node, after in rest.items() if node not in ends}
    return bool(rest)


@problem("order", ({"a": None, "b": "a", "c": "b", "d": "a"}, "c"), ({"x": None}, "x"), ({"a": None, "b": "a"}, "b"), ({"r": None, "s": "r", "t": "r"}, "t"),
         ({"p": None, "q": "p", "s": "q", "u": "s"}, "u"))  # fmt: skip
def chain_of_command(bosses: dict[str, str | None], person: str) -> list[str]:
    """Return the bosses of a person from the nearest to the topmost; `bosses` gives everybody's boss, None at the top."""
    chain: list[str] = []
    boss = bosses[person]
    while boss is not None:
        chain.append(boss)
        boss = bosses[boss]
    return chain


@problem(
    "order",
    ([["a", "b"], ["a", "c"], ["c", "d"]],),
    ([],),
    ([["x", "y"]],),
    ([["r", "b"], ["r", "a"]],),
    ([["m", "n"], ["n", "o"], ["n", "p"]],),
)
def leaves(edges: list[list[str]]) -> list[str]:
    """Return, sorted, all nodes of a tree without children; the tree is given by its edges [parent, child]."""
    parents = {parent for parent, _ in edges}
    return sorted(child for _, child in edges if child not in parents)


@problem("order", (4, [[0, 1], [0, 2], [0, 3]]), (2, []), (3, [[0, 1], [1, 2], [2, 0]]), (1, []), (5, [[1, 2], [1, 3]]))
def degrees(nodes: int, edges: list[list[int]]) -> list[int]:
    """Return how many edges meet at each node 0 to nodes - 1 of an undirected graph with edges [a, b], a and b differing."""
    return [sum(node in edge for edge in edges) for node in range(nodes)]
