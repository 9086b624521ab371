from starter_calls import ask, box, call, many, thing, tool

CALENDAR = [
    tool("create_event", "Put an event into the calendar.", title="string Its title.", start="string Begin as YYYY-MM-DDTHH:MM.",
         minutes="integer How long it takes.", attendees="strings Mail addresses; an empty list for none."),
    tool("cancel_event", "Cancel an event.", event_id="string Id of the event."),
    tool("list_events", "List the events of a day.", day="string The day as YYYY-MM-DD."),
]  # fmt: skip
box("calendar", CALENDAR,
    ask("dates", 'Put "Review" into the calendar for 5 March 2025 at 2 pm, for one hour, without attendees.',
        call("create_event", title="Review", start="2025-03-05T14:00", minutes=60, attendees=[])),
    ask("dates", "What is in my calendar on December 24, 2025?", call("list_events", day="2025-12-24")),
    ask("choice", "Cancel the event with the id ev-4471.", call("cancel_event", event_id="ev-4471")),
    ask("lists", 'Invite ann@example.org and bob@example.org, in this order, to "Planning" on 2025-06-30 at 09:30, 45 minutes.',
        call("create_event", title="Planning", start="2025-06-30T09:30", minutes=45, attendees=["ann@example.org", "bob@example.org"])),
    ask("multi-tool", "First cancel event ev-12, then list the events of 1 July 2025.",
        call("cancel_event", event_id="ev-12"), call("list_events", day="2025-07-01")))  # fmt: skip

MAIL = [
    tool("send_mail", "Send a mail.", to="strings Addresses.", subject="string The subject.", body="string The text."),
    tool("search_mail", "Search mails.", sender="string? Only from this address. Leave out for any.", since="string? Only from this day on, YYYY-MM-DD. Leave out for any.",
         unread="boolean Whether only unread mails count."),
    tool("move_mail", "Move a mail to a folder.", mail_id="integer Number of the mail.", folder="enum(archive|spam|trash) Where to."),
]  # fmt: skip
box("mail", MAIL,
    ask("quoting", 'Send a mail to kim@example.com with the subject "Hello" and the text "See you at 8."',
        call("send_mail", to=["kim@example.com"], subject="Hello", body="See you at 8.")),
    ask("booleans", "Find my unread mails from boss@example.com, from any day.", call("search_mail", sender="boss@example.com", unread=True)),
    ask("enums", "Mail 5081 is spam, move it there.", call("move_mail", mail_id=5081, folder="spam")),
    ask("dates", "Search all mails since 15 January 2024, read or not, from anybody.", call("search_mail", since="2024-01-15", unread=False)))  # fmt: skip

WEATHER = [
    tool("current_weather", "Return the weather now.", city="string Name of the city.", units="enum(metric|imperial) Units to use."),
    tool("forecast", "Return a forecast.", city="string Name of the city.", days="integer How many days, 1 to 10.", units="enum(metric|imperial) Units to use."),
]  # fmt: skip
box("weather", WEATHER,
    ask("enums", "How is the weather in Oslo right now, in metric units?", call("current_weather", city="Oslo", units="metric")),
    ask("numbers", "Give me the forecast for Denver for the next 3 days in imperial units.", call("forecast", city="Denver", days=3, units="imperial")),
    ask("multi-tool", "Tell me the current weather in Rome and then in Paris, metric.",
        call("current_weather", city="Rome", units="metric"), call("current_weather", city="Paris", units="metric")),
    ask("numbers", "I need a forecast of one week (7 days) for Lima in metric units.", call("forecast", city="Lima", days=7, units="metric")))  # fmt: skip

MONEY = [
    tool("convert_currency", "Convert an amount.", amount="number The amount.", source="string Currency code to convert from, such as EUR.",
         target="string Currency code to convert to."),
    tool("transfer", "Send money.", account="string Account to send to.", cents="integer Amount in cents.", note="string Text for the receiver; empty for none."),
]  # fmt: skip
box("money", MONEY,
    ask("numbers", "How much are 250.5 US dollars (USD) in euros (EUR)?", call("convert_currency", amount=250.5, source="USD", target="EUR")),
    ask("numbers", 'Send 12 dollars and 50 cents to the account A-1009 with the note "lunch".', call("transfer", account="A-1009", cents=1250, note="lunch")),
    ask("numbers", "Convert 1000 Japanese yen (JPY) to Swiss francs (CHF).", call("convert_currency", amount=1000, source="JPY", target="CHF")),
    ask("numbers", "Transfer exactly 300 cents to the account B-7; leave the note empty.", call("transfer", account="B-7", cents=300, note="")))  # fmt: skip

TRAVEL = [
    tool("find_flights", "Find flights.", origin="string Airport code.", destination="string Airport code.", day="string Day as YYYY-MM-DD.",
         seats="integer How many seats.", cabin="enum(economy|business|first) Class."),
    tool("find_trains", "Find trains.", origin="string City.", destination="string City.", day="string Day as YYYY-MM-DD.",
         seats="integer How many seats."),
    tool("book", "Book an offer that was found.", offer="string Id of the offer.", name="string Name of the passenger."),
]  # fmt: skip
box("travel", TRAVEL,
    ask("dates", "Find flights from FRA to JFK on 2 May 2025 for 2 people in business class.",
        call("find_flights", origin="FRA", destination="JFK", day="2025-05-02", seats=2, cabin="business")),
    ask("choice", "Find trains from Lyon to Nice on 2025-08-11, one seat.", call("find_trains", origin="Lyon", destination="Nice", day="2025-08-11", seats=1)),
    ask("choice", "Book the offer of-93x for Grace Hopper.", call("book", offer="of-93x", name="Grace Hopper")),
    ask("dates", "I want to fly from OSL to ARN on New Year's Eve (December 31) 2025, economy, 4 seats. Search for that.",
        call("find_flights", origin="OSL", destination="ARN", day="2025-12-31", seats=4, cabin="economy")))  # fmt: skip

SHOP = [
    tool("search_products", "Search products.", words="string Words to search for.", most_cents="integer? Highest price in cents. Leave out for any price.",
         sort="enum(price|rating|newest) Order of the results."),
    tool("add_to_cart", "Put a product into the cart.", product="string Id of the product.", quantity="integer How many."),
    tool("apply_coupon", "Apply a coupon to the cart.", code="string The code."),
]  # fmt: skip
box("shopping", SHOP,
    ask("enums", "Search for the words desk lamp, best rating first, whatever the price.", call("search_products", words="desk lamp", sort="rating")),
    ask("numbers", "Find products for the words usb cable up to 9 dollars 99 (999 cents), sorted by price.",
        call("search_products", words="usb cable", most_cents=999, sort="price")),
    ask("choice", "Put 3 of the product p-551 into the cart.", call("add_to_cart", product="p-551", quantity=3)),
    ask("multi-tool", "Put one p-12 into the cart, then apply the coupon SPRING10.", call("add_to_cart", product="p-12", quantity=1),
        call("apply_coupon", code="SPRING10")))  # fmt: skip

HOME = [
    tool("set_light", "Set a light.", room="enum(kitchen|bedroom|hall) Which room.", on="boolean Whether it is on.", brightness="integer 0 to 100."),
    tool("set_heating", "Set the heating of a room.", room="enum(kitchen|bedroom|hall) Which room.", celsius="number The temperature."),
    tool("lock_door", "Lock or unlock a door.", door="enum(front|back) Which door.", locked="boolean Whether it is to be locked."),
]  # fmt: skip
box("home", HOME,
    ask("booleans", "Turn the kitchen light on at 70 percent brightness.", call("set_light", room="kitchen", on=True, brightness=70)),
    ask("numbers", "Make it 19.5 degrees Celsius in the bedroom.", call("set_heating", room="bedroom", celsius=19.5)),
    ask("booleans", "Unlock the back door.", call("lock_door", door="back", locked=False)),
    ask("multi-tool", "First switch the hall light off with brightness 0, then lock the front door.",
        call("set_light", room="hall", on=False, brightness=0), call("lock_door", door="front", locked=True)))  # fmt: skip

MUSIC = [
    tool("play", "Play a song.", title="string Title of the song.", artist="string Name of the artist.", volume="integer? 0 to 100. Leave out to keep it."),
    tool("make_playlist", "Make a playlist.", name="string Its name.", titles="strings Titles of the songs, in their order.", public="boolean Whether others see it."),
    tool("skip", "Skip songs.", count="integer How many."),
]  # fmt: skip
box("music", MUSIC,
    ask("choice", 'Play "Blue Train" by John Coltrane and keep the volume.', call("play", title="Blue Train", artist="John Coltrane")),
    ask("lists", 'Make a private playlist (others must not see it) named "Focus" with the songs "One", "Two" and "Three", in this order.',
        call("make_playlist", name="Focus", titles=["One", "Two", "Three"], public=False)),
    ask("numbers", "Skip the next 2 songs.", call("skip", count=2)),
    ask("numbers", 'Play the song "Gold" by Spandau Ballet at volume 35.', call("play", title="Gold", artist="Spandau Ballet", volume=35)))  # fmt: skip

PEOPLE = [
    tool("add_contact", "Add a contact.", name=thing(first="string First name.", last="string Last name."), phone="string? Phone number. Leave out if unknown.",
         tags="strings Tags; an empty list for none."),
    tool("find_contact", "Find a contact.", last_name="string Last name."),
    tool("delete_contact", "Delete a contact.", contact_id="integer Number of the contact."),
]  # fmt: skip
box("contacts", PEOPLE,
    ask("nesting", "Add Ada Lovelace to my contacts with the phone number 555-0100 and no tags.",
        call("add_contact", name={"first": "Ada", "last": "Lovelace"}, phone="555-0100", tags=[])),
    ask("nesting", "Add a contact: first name Alan, last name Turing, tags math and work in this order; I do not know his number.",
        call("add_contact", name={"first": "Alan", "last": "Turing"}, tags=["math", "work"])),
    ask("choice", "Look for the contact with the last name Noether.", call("find_contact", last_name="Noether")),
    ask("choice", "Delete contact number 318.", call("delete_contact", contact_id=318)))  # fmt: skip

TASKS = [
    tool("add_task", "Add a task.", title="string What to do.", due="string Day it is due, YYYY-MM-DD.", priority="enum(low|medium|high) How important."),
    tool("finish_task", "Mark a task as done.", task_id="integer Number of the task."),
    tool("postpone_task", "Move the day a task is due.", task_id="integer Number of the task.", days="integer By how many days."),
]  # fmt: skip
box("tasks", TASKS,
    ask("dates", 'Add the task "Pay rent", due on the first of October 2025, with high priority.', call("add_task", title="Pay rent", due="2025-10-01", priority="high")),
    ask("choice", "Task 64 is done.", call("finish_task", task_id=64)),
    ask("numbers", "Postpone task 9 by two weeks.", call("postpone_task", task_id=9, days=14)),
    ask("dates", 'Remind me of "Water plants" as a task of low priority, due 2025-02-28.', call("add_task", title="Water plants", due="2025-02-28", priority="low")),
    ask("multi-tool", "Mark the tasks 3, 5 and 8 as done, in this order, one after the other.",
        call("finish_task", task_id=3), call("finish_task", task_id=5), call("finish_task", task_id=8)))  # fmt: skip

LIBRARY = [
    tool("find_books", "Find books.", author="string? Name of the author. Leave out for any.", subject="string? Subject. Leave out for any.",
         published=thing(first="integer First year.", last="integer Last year.")),
    tool("lend", "Lend a book to a reader.", isbn="string The ISBN, digits only.", reader="integer Number of the reader.", until="string Day as YYYY-MM-DD."),
    tool("reserve", "Reserve a book.", isbn="string The ISBN, digits only.", reader="integer Number of the reader."),
]  # fmt: skip
box("library", LIBRARY,
    ask("nesting", "Find books by Ursula Le Guin that were published from 1968 to 1974.",
        call("find_books", author="Ursula Le Guin", published={"first": 1968, "last": 1974})),
    ask("dates", "Lend the book with ISBN 9780141439518 to reader 77 until 14 April 2025.", call("lend", isbn="9780141439518", reader=77, until="2025-04-14")),
    ask("choice", "Reserve 9780306406157 (an ISBN) for reader 12.", call("reserve", isbn="9780306406157", reader=12)),
    ask("nesting", "Which books on the subject astronomy, by any author, came out in 2001 or 2002?",
        call("find_books", subject="astronomy", published={"first": 2001, "last": 2002})))  # fmt: skip

MAPS = [
    tool("route", "Find a route.", start=thing(lat="number Latitude.", lon="number Longitude."), goal=thing(lat="number Latitude.", lon="number Longitude."),
         mode="enum(car|bike|foot) How to travel."),
    tool("nearby", "Find places near a point.", lat="number Latitude.", lon="number Longitude.", kind="enum(cafe|pharmacy|station) What to look for.",
         metres="integer How far away at most."),
]  # fmt: skip
box("maps", MAPS,
    ask("nesting", "Find a bike route from latitude 52.5, longitude 13.4 to latitude 52.4, longitude 13.1.",
        call("route", start={"lat": 52.5, "lon": 13.4}, goal={"lat": 52.4, "lon": 13.1}, mode="bike")),
    ask("numbers", "Is there a pharmacy within 800 metres of latitude -33.9 and longitude 151.2?", call("nearby", lat=-33.9, lon=151.2, kind="pharmacy", metres=800)),
    ask("numbers", "Find stations at most 2 kilometres (2000 metres) from latitude 48.2, longitude 16.4.",
        call("nearby", lat=48.2, lon=16.4, kind="station", metres=2000)),
    ask("nesting", "How do I walk from 40.7, -74.0 to 40.8, -73.9? The first number is the latitude, the second the longitude.",
        call("route", start={"lat": 40.7, "lon": -74.0}, goal={"lat": 40.8, "lon": -73.9}, mode="foot")))  # fmt: skip

TEXTS = [
    tool("translate", "Translate a text.", text="string The text.", target="enum(de|en|fr|es) Language to translate to."),
    tool("summarize", "Shorten a text.", document="string Id of the document.", sentences="integer How many sentences."),
    tool("check_spelling", "Check the spelling of a document.", document="string Id of the document.", language="enum(de|en|fr|es) Its language."),
]  # fmt: skip
box("texts", TEXTS,
    ask("enums", 'Use the tool to translate "good morning" into French.', call("translate", text="good morning", target="fr")),
    ask("numbers", "Summarize the document doc-8 in 3 sentences.", call("summarize", document="doc-8", sentences=3)),
    ask("enums", "Check the spelling of the Spanish document carta-2.", call("check_spelling", document="carta-2", language="es")),
    ask("multi-tool", "For the English document memo-5: first check its spelling, then summarize it in one sentence.",
        call("check_spelling", document="memo-5", language="en"), call("summarize", document="memo-5", sentences=1)))  # fmt: skip

SENSORS = [
    tool("read_sensor", "Read a sensor.", sensor="string Id of the sensor.", unit="enum(celsius|percent|hectopascal) Unit of the value."),
    tool("sensor_history", "Return old values of a sensor.", sensor="string Id of the sensor.", begin="string First moment, YYYY-MM-DDTHH:MM.",
         end="string Last moment, YYYY-MM-DDTHH:MM.", every_minutes="integer Distance between values."),
    tool("set_alarm", "Raise an alarm when a sensor leaves a range.", sensor="string Id of the sensor.", range=thing(low="number Lowest good value.", high="number Highest good value."),
         notify="strings Addresses to tell."),
]  # fmt: skip
box("sensors", SENSORS,
    ask("enums", "Read the humidity sensor h-2, in percent.", call("read_sensor", sensor="h-2", unit="percent")),
    ask("dates", "Return the values of the sensor t-9 from 1 May 2025, 8:00 to 1 May 2025, 20:00, one every 30 minutes.",
        call("sensor_history", sensor="t-9", begin="2025-05-01T08:00", end="2025-05-01T20:00", every_minutes=30)),
    ask("nesting", "Tell ops@example.com when the sensor t-1 goes below 2.5 or above 8.",
        call("set_alarm", sensor="t-1", range={"low": 2.5, "high": 8}, notify=["ops@example.com"])),
    ask("enums", "What is the air pressure at the sensor p-4, in hectopascal?", call("read_sensor", sensor="p-4", unit="hectopascal")))  # fmt: skip

HEALTH = [
    tool("log_meal", "Write down a meal.", items=many(thing(name="string What was eaten.", grams="integer How much."), "What was eaten, in the order told."),
         meal="enum(breakfast|lunch|dinner) Which meal."),
    tool("log_exercise", "Write down exercise.", kind="enum(run|swim|cycle) What it was.", minutes="integer How long.", distance_km="number? How far. Leave out if not told."),
]  # fmt: skip
box("health", HEALTH,
    ask("nesting", "For breakfast I had 60 grams of oats and 200 grams of yoghurt, write that down in this order with these names.",
        call("log_meal", items=[{"name": "oats", "grams": 60}, {"name": "yoghurt", "grams": 200}], meal="breakfast")),
    ask("numbers", "I ran 7.5 kilometres in 42 minutes, log it.", call("log_exercise", kind="run", minutes=42, distance_km=7.5)),
    ask("enums", "Log half an hour of swimming.", call("log_exercise", kind="swim", minutes=30)),
    ask("nesting", "Log my lunch: 150 grams of rice, nothing else.", call("log_meal", items=[{"name": "rice", "grams": 150}], meal="lunch")))  # fmt: skip

CHARTS = [
    tool("draw_chart", "Draw a chart.", kind="enum(line|bar|pie) Kind of chart.", title="string Its title.",
         points=many(thing(label="string Label.", value="number Value."), "The points in their order."), legend="boolean Whether a legend is shown."),
    tool("export_chart", "Save the last chart.", path="string File to write.", width="integer Width in pixels."),
]  # fmt: skip
box("charts", CHARTS,
    ask("nesting", 'Draw a bar chart titled "Sales" with the points Q1: 10 and Q2: 12.5, without a legend.',
        call("draw_chart", kind="bar", title="Sales", points=[{"label": "Q1", "value": 10}, {"label": "Q2", "value": 12.5}], legend=False)),
    ask("choice", "Save the chart to out/sales.png, 800 pixels wide.", call("export_chart", path="out/sales.png", width=800)),
    ask("nesting", 'Draw a pie chart with the title "Votes" and a legend: yes has 61, no has 39, in this order.',
        call("draw_chart", kind="pie", title="Votes", points=[{"label": "yes", "value": 61}, {"label": "no", "value": 39}], legend=True)),
    ask("nesting", 'I need a line chart, title "Empty", with no points at all and with a legend.', call("draw_chart", kind="line", title="Empty", points=[], legend=True)))  # fmt: skip
