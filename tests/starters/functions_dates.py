from starter_functions import family

problem = family("dates")


@problem("arithmetic", ("2024-02-28", "2024-03-01"), ("2023-01-01", "2023-01-01"), ("2024-01-10", "2024-01-01"),
         ("1999-12-31", "2000-12-31"), ("2023-02-28", "2023-03-01"))  # fmt: skip
def days_between(first: str, second: str) -> int:
    """Return how many days the second date is after the first; negative when it is before. Dates are YYYY-MM-DD."""
    from datetime import date

    return (date.fromisoformat(second) - date.fromisoformat(first)).days


@problem("arithmetic", ("2024-02-27", 3), ("2023-12-31", 1), ("2024-03-01", -1), ("2023-06-15", 0), ("2020-01-01", 366))
def add_days(day: str, count: int) -> str:
    """Return the date that is `count` days after a date; a negative count goes back. Dates are written YYYY-MM-DD."""
    from datetime import date, timedelta

    return (date.fromisoformat(day) + timedelta(days=count)).isoformat()


@problem("arithmetic", ("2024-01-31", 1), ("2023-01-31", 1), ("2023-11-15", 3), ("2024-03-31", -1), ("2024-05-31", 12))
def add_months(day: str, count: int) -> str:
    """Return the date `count` months after a date, both written YYYY-MM-DD; a negative count goes back.

    The day of the month stays; when the month has no such day, it becomes the last day of that month.
    """
    import calendar
    from datetime import date

    begun = date.fromisoformat(day)
    year, month = divmod(begun.year * 12 + begun.month - 1 + count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(begun.day, last)).isoformat()


@problem("arithmetic", ("2000-05-20", "2024-05-19"), ("2000-05-20", "2024-05-20"), ("1990-12-31", "1991-01-01"),
         ("2010-03-03", "2010-03-03"), ("1985-07-01", "2020-06-30"))  # fmt: skip
def age_on(born: str, day: str) -> int:
    """Return how many full years old somebody is on a day, by the date of birth; both dates are written YYYY-MM-DD."""
    return int(day[:4]) - int(born[:4]) - (day[5:] < born[5:])


@problem("arithmetic", ("2024-03-04", "2024-03-08"), ("2024-03-08", "2024-03-11"), ("2024-03-09", "2024-03-10"),
         ("2024-03-06", "2024-03-06"), ("2024-01-01", "2024-01-31"))  # fmt: skip
def working_days(first: str, last: str) -> int:
    """Count the days from Monday to Friday between two dates YYYY-MM-DD, both included; the first is not the later."""
    from datetime import date, timedelta

    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    days = [begin + timedelta(days=n) for n in range((end - begin).days + 1)]
    return sum(day.weekday() < 5 for day in days)


@problem("calendars", (2024,), (1900,), (2000,), (2023,), (2100,))
def is_leap_year(year: int) -> bool:
    """Tell whether a year is a leap year: divisible by 4, but not by 100 unless also by 400."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


@problem("calendars", (2024, 2), (2023, 2), (2023, 4), (2023, 12), (1900, 2))
def days_in_month(year: int, month: int) -> int:
    """Return how many days a month of a year has; the months count from 1."""
    import calendar

    return calendar.monthrange(year, month)[1]


@problem("calendars", ("2024-03-15",), ("2000-01-01",), ("2023-12-31",), ("2024-02-29",), ("1969-07-20",))
def weekday_name(day: str) -> str:
    """Return the English name of the weekday of a date written YYYY-MM-DD, such as "Monday"."""
    from datetime import date

    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return names[date.fromisoformat(day).weekday()]


@problem("calendars", ("2024-03-01",), ("2023-01-01",), ("2023-12-31",), ("2024-12-31",), ("2023-03-01",))
def day_of_year(day: str) -> int:
    """Return which day of its year a date written YYYY-MM-DD is; January 1 is day 1."""
    from datetime import date

    return date.fromisoformat(day).timetuple().tm_yday


@problem("calendars", (2024, 3, 4, 2), (2024, 3, 0, 1), (2023, 2, 1, 4), (2024, 9, 6, 1), (2025, 5, 3, 5))
def nth_weekday(year: int, month: int, weekday: int, n: int) -> str:
    """Return the date, YYYY-MM-DD, of the n-th given weekday of a month.

    Weekdays count from 0 for Monday to 6 for Sunday, n counts from 1. When the month has fewer such weekdays, return "".
    """
    import calendar
    from datetime import date

    days = [d for d in range(1, calendar.monthrange(year, month)[1] + 1) if date(year, month, d).weekday() == weekday]
    return date(year, month, days[n - 1]).isoformat() if n <= len(days) else ""


@problem("clock", (3725,), (0,), (59,), (86400,), (3600,))
def clock_time(seconds: int) -> str:
    """Write a number of seconds as H:MM:SS: hours without leading zeros, minutes and seconds with two digits each."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@problem("clock", ("1h30m",), ("45s",), ("2d",), ("1d2h3m4s",), ("90m",))
def duration_seconds(text: str) -> int:
    """Read a duration such as "1h30m" and return it in seconds.

    It is made of whole numbers, each followed by its unit: d for days, h for hours, m for minutes, s for seconds.
    """
    import re

    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)([dhms])", text))


@problem("clock", (93784,), (60,), (0,), (3601,), (172800,))
def spoken_duration(seconds: int) -> str:
    """Say a number of seconds in words: days, hours, minutes and seconds, from the largest to the smallest unit.

    Units whose number is 0 are left out; parts are separated by ", "; a unit has its plural s unless its number is 1.
    0 seconds are "0 seconds".
    """
    parts = []
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return ", ".join(parts) or "0 seconds"


@problem("clock", ("23:30", 45), ("00:00", -1), ("12:15", 0), ("08:59", 1), ("10:00", 1440))
def shift_time(time: str, minutes: int) -> str:
    """Add minutes, which may be negative, to a time of day written HH:MM; past midnight it goes on from 00:00."""
    hours, mins = time.split(":")
    total = (int(hours) * 60 + int(mins) + minutes) % 1440
    return f"{total // 60:02}:{total % 60:02}"


@problem("clock", ("13:05",), ("00:30",), ("12:00",), ("11:59",), ("23:00",))
def twelve_hours(time: str) -> str:
    """Turn a time of day HH:MM on the 24-hour clock into the 12-hour clock.

    The hour has no leading zero and is 12 instead of 0; minutes have two digits; a blank and AM or PM follow.
    """
    hours, minutes = time.split(":")
    return f"{int(hours) % 12 or 12}:{minutes} {'AM' if int(hours) < 12 else 'PM'}"


@problem("writing", ("2024-03-05",), ("1999-12-31",), ("2000-01-01",), ("2023-10-10",), ("0987-06-09",))
def german_date(day: str) -> str:
    """Turn a date YYYY-MM-DD into the form D.M.YYYY: day and month without leading zeros, the year with four digits."""
    year, month, number = day.split("-")
    return f"{int(number)}.{int(month)}.{year}"


@problem("writing", (1,), (2,), (11,), (23,), (112,), (13,), (101,))
def ordinal(number: int) -> str:
    """Write a positive number as an English ordinal: 1st, 2nd, 3rd, 4th; those that end in 11, 12 or 13 get th."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


@problem("writing", ("5 Mar 2024",), ("31 Dec 1999",), ("01 Jan 2000",), ("10 Oct 2023",), ("9 Jun 2021",))
def iso_date(text: str) -> str:
    """Turn a date such as "5 Mar 2024" (day, English month of three letters, year) into YYYY-MM-DD."""
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    day, month, year = text.split()
    return f"{year}-{months.index(month) + 1:02}-{int(day):02}"


@problem("writing", ("2024-02-30",), ("2024-02-29",), ("2023-13-01",), ("2023-1-01",), ("2023-06-15",), ("20230615",))
def is_valid_date(text: str) -> bool:
    """Tell whether a text is a date that exists, in exactly the form YYYY-MM-DD: four, two and two digits."""
    import re
    from datetime import date

    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        date(int(text[:4]), int(text[5:7]), int(text[8:]))
    except ValueError:
        return False
    return True


@problem("writing", ("2024-05-15",), ("2023-12-01",), ("2024-01-31",), ("2020-04-01",), ("2022-09-30",))
def quarter(day: str) -> str:
    """Return the quarter of a date YYYY-MM-DD in the form "2024-Q2"; January to March are Q1."""
    return f"{day[:4]}-Q{(int(day[5:7]) + 2) // 3}"
