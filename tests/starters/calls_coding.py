from starter_calls import ask, box, call, many, thing, tool

READ = tool(
    "read_file", "Return the lines of a text file.", path="string Path of the file, relative to the project.",
    first="integer? First line to return, counted from 1. Leave out to begin with the first line.",
    count="integer? How many lines to return. Leave out to return all.",
)  # fmt: skip
LIST = tool("list_folder", "List the names in a folder.", path="string Path of the folder, relative to the project.")
GREP = tool(
    "search_text", "Find lines that match a regular expression.", pattern="string The regular expression.",
    folder="string? Folder to search in. Leave out to search the whole project.",
    file_glob="string? Only search files whose names match, such as *.py. Leave out to search all files.",
)  # fmt: skip
RUN = tool("run_command", "Run a shell command and return what it prints.", command="string The command line, exactly as typed.",
           timeout_seconds="integer? End it after this time. Leave out unless the user names a time.")  # fmt: skip
WRITE = tool(
    "write_file",
    "Replace a file, or make a new one.",
    path="string Path of the file.",
    content="string The whole new content.",
)

box("files", [READ, LIST],
    ask("choice", "Show me the whole file src/parser.py.", call("read_file", path="src/parser.py")),
    ask("choice", "What is in the folder tests/unit? Just list it.", call("list_folder", path="tests/unit")),
    ask("numbers", "Give me 20 lines of docs/guide.md, beginning with line 101.",
        call("read_file", path="docs/guide.md", first=101, count=20)),
    ask("multi-tool", "First list the folder migrations, then show me the whole file migrations/env.py.",
        call("list_folder", path="migrations"), call("read_file", path="migrations/env.py")),
    ask("numbers", "Return the first 5 lines of setup.cfg; set only the number of lines, not the place to begin.",
        call("read_file", path="setup.cfg", count=5)))  # fmt: skip

box("searching", [GREP, READ, LIST],
    ask("choice", "Find every line in the project that matches the regular expression TODO.", call("search_text", pattern="TODO")),
    ask("choice", "Search the folder src/net for the regular expression connect_timeout.",
        call("search_text", pattern="connect_timeout", folder="src/net")),
    ask("choice", "Search all files of the project that are named *.md for the regular expression deprecated.",
        call("search_text", pattern="deprecated", file_glob="*.md")),
    ask("quoting", r"Search all files named *.py below src for the regular expression ^def test_\w+, written exactly so.",
        call("search_text", pattern=r"^def test_\w+", folder="src", file_glob="*.py")))  # fmt: skip

box("shell", [RUN],
    ask("quoting", "Run the command: pytest -q tests/unit", call("run_command", command="pytest -q tests/unit")),
    ask("quoting", "Run `make build` and end it after 120 seconds.", call("run_command", command="make build", timeout_seconds=120)),
    ask("quoting", 'Run this command exactly as it stands: git commit -m "Fix the cache"', call("run_command", command='git commit -m "Fix the cache"')),
    ask("multi-tool", "Run two commands, each in a call of its own: first `git fetch`, then `git status`.",
        call("run_command", command="git fetch"), call("run_command", command="git status")))  # fmt: skip

box("writing", [WRITE, READ, tool("delete_file", "Delete a file.", path="string Path of the file.")],
    ask("quoting", 'Make a file hello.txt whose whole content is the one word "hello", with no line break.',
        call("write_file", path="hello.txt", content="hello")),
    ask("choice", "Delete the file build/old.log.", call("delete_file", path="build/old.log")),
    ask("quoting", r'Write the file notes/a.txt. Its content is exactly two lines, "one" and "two", separated by one line break, with none at the end.',
        call("write_file", path="notes/a.txt", content="one\ntwo")),
    ask("multi-tool", "Delete tmp/a.bin and after that tmp/b.bin.",
        call("delete_file", path="tmp/a.bin"), call("delete_file", path="tmp/b.bin")))  # fmt: skip

EDIT = tool("replace_in_file", "Replace a text in a file.", path="string Path of the file.", old="string The text to replace.",
            new="string What to put there.", everywhere="boolean True to replace every occurrence, false for the first only.")  # fmt: skip
box("editing", [EDIT, READ],
    ask("booleans", "In config.ini replace the first occurrence, and only that, of DEBUG by INFO.",
        call("replace_in_file", path="config.ini", old="DEBUG", new="INFO", everywhere=False)),
    ask("booleans", "Rename get_user to fetch_user everywhere in api/users.py by replacing the text.",
        call("replace_in_file", path="api/users.py", old="get_user", new="fetch_user", everywhere=True)),
    ask("quoting", 'In app.js replace the first occurrence of "port: 80" by "port: 8080", without the quotes.',
        call("replace_in_file", path="app.js", old="port: 80", new="port: 8080", everywhere=False)),
    ask("quoting", 'Remove every occurrence of "debugger;", semicolon included, from src/main.ts by replacing it with the empty text.',
        call("replace_in_file", path="src/main.ts", old="debugger;", new="", everywhere=True)))  # fmt: skip

GIT = [
    tool("git_log", "List commits.", branch="string Name of the branch.", limit="integer How many commits."),
    tool(
        "git_diff",
        "Show what changed between two commits.",
        older="string The older commit.",
        newer="string The newer commit.",
    ),
    tool(
        "git_branch",
        "Make a branch.",
        name="string Name of the new branch.",
        start="string Commit or branch that it begins at.",
    ),
    tool(
        "git_blame",
        "Show who changed a line last.",
        path="string Path of the file.",
        line="integer Number of the line, from 1.",
    ),
]
box("git", GIT,
    ask("choice", "Show the last 10 commits of the branch develop.", call("git_log", branch="develop", limit=10)),
    ask("choice", "What changed between commit 3f2a9c1 and the newer commit b77e0d4?", call("git_diff", older="3f2a9c1", newer="b77e0d4")),
    ask("choice", "Make a branch named fix/login that begins at main.", call("git_branch", name="fix/login", start="main")),
    ask("choice", "Who changed line 42 of server/app.go last?", call("git_blame", path="server/app.go", line=42)),
    ask("multi-tool", "First make a branch named release/2.1 from develop, then show the last 3 commits of develop.",
        call("git_branch", name="release/2.1", start="develop"), call("git_log", branch="develop", limit=3)))  # fmt: skip

TESTS = [
    tool("run_tests", "Run tests.", paths="strings Files or folders with tests.", stop_at_first_failure="boolean Whether to stop at the first failure.",
         marker="string? Only run tests with this marker. Leave out to run all."),
    tool("measure_coverage", "Run all tests and report which lines of a package they run.", package="string Name of the package."),
]  # fmt: skip
box("tests", TESTS,
    ask("lists", "Run the tests in tests/unit and tests/api, in this order, and stop at the first failure.",
        call("run_tests", paths=["tests/unit", "tests/api"], stop_at_first_failure=True)),
    ask("choice", "How much of the package billing do the tests cover?", call("measure_coverage", package="billing")),
    ask("lists", "Run the tests in tests/slow that have the marker nightly; do not stop at failures.",
        call("run_tests", paths=["tests/slow"], stop_at_first_failure=False, marker="nightly")),
    ask("lists", "Run test_a.py, test_b.py and test_c.py, in this order, all to the end whatever fails.",
        call("run_tests", paths=["test_a.py", "test_b.py", "test_c.py"], stop_at_first_failure=False)))  # fmt: skip

PACKAGES = [
    tool("install_package", "Install a package.", name="string Name of the package.", version="string? Exact version. Leave out for the newest.",
         group="enum(main|dev|docs) Which dependencies it belongs to."),
    tool("remove_package", "Remove a package.", name="string Name of the package."),
    tool("list_outdated", "List packages with newer versions.", group="enum(main|dev|docs) Which dependencies to look at."),
]  # fmt: skip
box("packages", PACKAGES,
    ask("enums", "Add the newest requests to the main dependencies.", call("install_package", name="requests", group="main")),
    ask("enums", "Install pytest in exactly the version 8.1.0 as a dev dependency.", call("install_package", name="pytest", version="8.1.0", group="dev")),
    ask("choice", "We do not need leftpad any more; remove it.", call("remove_package", name="leftpad")),
    ask("enums", "Which of our docs dependencies are outdated?", call("list_outdated", group="docs")))  # fmt: skip

SYMBOLS = [
    tool("find_definition", "Find where a symbol is defined.", symbol="string Full name of the symbol.",
         kind="enum(function|class|variable) What the symbol is."),
    tool("find_references", "Find where a symbol is used.", symbol="string Full name of the symbol.",
         include_tests="boolean Whether uses in tests count."),
    tool("rename_symbol", "Rename a symbol everywhere.", symbol="string Full name of the symbol.", new_name="string The new last part of the name."),
]  # fmt: skip
box("symbols", SYMBOLS,
    ask("enums", "Where is the class app.models.Invoice defined?", call("find_definition", symbol="app.models.Invoice", kind="class")),
    ask("booleans", "Where is app.tax.rate_for used? Leave uses in tests out.", call("find_references", symbol="app.tax.rate_for", include_tests=False)),
    ask("choice", "Rename app.tax.rate_for to tax_rate everywhere.", call("rename_symbol", symbol="app.tax.rate_for", new_name="tax_rate")),
    ask("enums", "Find the definition of the function util.text.slugify.", call("find_definition", symbol="util.text.slugify", kind="function")),
    ask("booleans", "List every use of core.cache.LIMIT, those in tests included.", call("find_references", symbol="core.cache.LIMIT", include_tests=True)))  # fmt: skip

ISSUES = [
    tool("open_issue", "Open an issue.", title="string Its title.", body="string Its text.", labels="strings Its labels; an empty list for none.",
         priority="enum(low|normal|high|urgent) How urgent it is."),
    tool("close_issue", "Close an issue.", number="integer Number of the issue.", reason="enum(fixed|duplicate|not_planned) Why it is closed."),
    tool("comment_on_issue", "Write a comment.", number="integer Number of the issue.", text="string The comment."),
    tool("list_issues", "List open issues.", label="string? Only those with this label. Leave out for all.", limit="integer Most issues to list."),
]  # fmt: skip
box("issues", ISSUES,
    ask("enums", "Close issue 118, it is a duplicate.", call("close_issue", number=118, reason="duplicate")),
    ask("lists", 'Open an issue of high priority titled "Login fails" with the text "Status 500 after submit." and the labels bug and auth, in this order.',
        call("open_issue", title="Login fails", body="Status 500 after submit.", labels=["bug", "auth"], priority="high")),
    ask("quoting", 'Comment on issue 7 with the words "Fixed in 2.3, please check."', call("comment_on_issue", number=7, text="Fixed in 2.3, please check.")),
    ask("choice", "List at most 25 open issues that have the label docs.", call("list_issues", label="docs", limit=25)),
    ask("multi-tool", 'First comment on issue 31 with exactly "Done", then close it as fixed.',
        call("comment_on_issue", number=31, text="Done"), call("close_issue", number=31, reason="fixed")))  # fmt: skip

CONTAINERS = [
    tool("start_container", "Start a container.", image="string Image with its tag.", name="string Name of the container.",
         ports=many(thing(host="integer Port of the host.", container="integer Port in the container."), "Ports to publish, in the order given."),
         environment={"type": "object", "additionalProperties": {"type": "string"}, "description": "Variables and their values; {} for none."}),
    tool("stop_container", "Stop a container.", name="string Name of the container.", seconds="integer How long to wait before it is killed."),
    tool("container_logs", "Return the last lines of a container's log.", name="string Name of the container.", lines="integer How many lines."),
]  # fmt: skip
box("containers", CONTAINERS,
    ask("nesting", "Start a container named cache from the image redis:7, publish port 6379 of the container as port 6380 of the host, no variables.",
        call("start_container", image="redis:7", name="cache", ports=[{"host": 6380, "container": 6379}], environment={})),
    ask("nesting", "Start postgres:16 as a container named db, without any published ports, with the variable POSTGRES_PASSWORD set to secret.",
        call("start_container", image="postgres:16", name="db", ports=[], environment={"POSTGRES_PASSWORD": "secret"})),
    ask("choice", "Show me the last 200 lines of the log of the container worker.", call("container_logs", name="worker", lines=200)),
    ask("numbers", "Stop the container web and give it 30 seconds before it is killed.", call("stop_container", name="web", seconds=30)))  # fmt: skip

SQL = [
    tool("run_query", "Run a read-only SQL query.", database="string Name of the database.", sql="string The query, without a semicolon at its end.",
         limit="integer Most rows to return."),
    tool("describe_table", "Describe the columns of a table.", database="string Name of the database.", table="string Name of the table."),
    tool("list_tables", "List the tables of a database.", database="string Name of the database."),
]  # fmt: skip
box("databases", SQL,
    ask("choice", "Which tables does the database shop have?", call("list_tables", database="shop")),
    ask("choice", "Describe the columns of the table orders in the database shop.", call("describe_table", database="shop", table="orders")),
    ask("quoting", "Run this query on the database hr, at most 50 rows: SELECT name FROM staff WHERE age > 30",
        call("run_query", database="hr", sql="SELECT name FROM staff WHERE age > 30", limit=50)),
    ask("multi-tool", "For the database crm, first list its tables, then describe its table leads.",
        call("list_tables", database="crm"), call("describe_table", database="crm", table="leads")))  # fmt: skip

HTTP = tool(
    "http_request", "Send an HTTP request.", method="enum(GET|POST|PUT|DELETE) The method.", url="string The address.",
    headers={"type": "object", "additionalProperties": {"type": "string"}, "description": "Headers by name; {} for none."},
    body="string? The body. Leave out when there is none.",
)  # fmt: skip
box("http", [HTTP],
    ask("enums", "Send a GET request to https://api.example.com/health without any headers or body.",
        call("http_request", method="GET", url="https://api.example.com/health", headers={})),
    ask("nesting", "Get https://api.example.com/users/5 with the header Accept set to application/json and nothing else.",
        call("http_request", method="GET", url="https://api.example.com/users/5", headers={"Accept": "application/json"})),
    ask("enums", "Delete https://api.example.com/items/77 by a request of that method, no headers, no body.",
        call("http_request", method="DELETE", url="https://api.example.com/items/77", headers={})),
    ask("nesting", "Post the body hello to https://hooks.example.org/in with the one header Content-Type: text/plain.",
        call("http_request", method="POST", url="https://hooks.example.org/in", headers={"Content-Type": "text/plain"}, body="hello")))  # fmt: skip

DEPLOY = [
    tool("deploy", "Deploy a version.", service="string Name of the service.", version="string The version, such as 1.4.2.",
         environment="enum(staging|production) Where to.", replicas="integer How many copies run."),
    tool("roll_back", "Go back to the version before.", service="string Name of the service.", environment="enum(staging|production) Where."),
    tool("scale", "Change how many copies run.", service="string Name of the service.", environment="enum(staging|production) Where.",
         replicas="integer How many copies."),
]  # fmt: skip
box("deployments", DEPLOY,
    ask("enums", "Deploy version 1.4.2 of the service checkout to staging with 2 replicas.",
        call("deploy", service="checkout", version="1.4.2", environment="staging", replicas=2)),
    ask("choice", "Something is wrong in production: take the service search back to its version before.",
        call("roll_back", service="search", environment="production")),
    ask("choice", "We need 8 copies of the service api in production.", call("scale", service="api", environment="production", replicas=8)),
    ask("multi-tool", "First scale the service mailer in staging to 1 copy, then roll back the service web in staging.",
        call("scale", service="mailer", environment="staging", replicas=1), call("roll_back", service="web", environment="staging")))  # fmt: skip

PLAN = tool(
    "update_plan", "Replace the list of steps that are shown to the user.",
    steps=many(thing(text="string What is to be done.", state="enum(open|doing|done) How far it is."), "All steps in their order."),
)  # fmt: skip
box("plans", [PLAN],
    ask("nesting", 'Set the plan to one step with the text "Write tests", which is open.', call("update_plan", steps=[{"text": "Write tests", "state": "open"}])),
    ask("nesting", 'Set the plan to two steps: "Read the code", which is done, and then "Fix the bug", which you are doing.',
        call("update_plan", steps=[{"text": "Read the code", "state": "done"}, {"text": "Fix the bug", "state": "doing"}])),
    ask("nesting", "Empty the plan: there are no steps any more.", call("update_plan", steps=[])),
    ask("nesting", 'The plan has three steps, "a", "b" and "c", in this order, and all of them are done. Set it.',
        call("update_plan", steps=[{"text": "a", "state": "done"}, {"text": "b", "state": "done"}, {"text": "c", "state": "done"}])))  # fmt: skip

FEATURES = [
    tool("set_flag", "Turn a feature flag on or off.", flag="string Name of the flag.", on="boolean The new state.",
         percent="integer Share of users it applies to, 0 to 100."),
    tool("get_flag", "Read the state of a feature flag.", flag="string Name of the flag."),
]  # fmt: skip
box("flags", FEATURES,
    ask("booleans", "Turn the flag new-search on for 25 percent of the users.", call("set_flag", flag="new-search", on=True, percent=25)),
    ask("choice", "Is the flag dark-mode on? Look it up.", call("get_flag", flag="dark-mode")),
    ask("booleans", "Switch the flag beta-checkout off for everybody, that is for 100 percent.", call("set_flag", flag="beta-checkout", on=False, percent=100)),
    ask("multi-tool", "Look up the flags alpha and gamma, in this order.", call("get_flag", flag="alpha"), call("get_flag", flag="gamma")))  # fmt: skip
