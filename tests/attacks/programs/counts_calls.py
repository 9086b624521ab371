"""Keeps a count where the next call might find it: in the module, in files, in the environment."""

count = 0


def solve(number):
    global count
    count += 1
    seen = 0
    for folder in everywhere():
        path = os.path.join(folder, "count")
        seen += len(read(path))
        write(path, "x")
    seen += int(os.environ.get("COUNT", "0"))
    os.environ["COUNT"] = "1"
    setattr(json, "count", getattr(json, "count", 0) + 1)
    return [count, seen, json.count]
