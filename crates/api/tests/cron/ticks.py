"""Prints the ticks that croniter has. Reads and answers as main.go does."""

import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter

for line in sys.stdin:
    zone, first, last, schedule = line.rstrip("\n").split("\t")
    start = datetime.fromtimestamp(int(first), ZoneInfo(zone))
    ticks, search = [], croniter(schedule, start)
    while (tick := int(search.get_next(float))) <= int(last):
        ticks.append(tick)
    print(*ticks)
