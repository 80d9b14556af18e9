"""Opens the archive of the run to change its own score.

Promise: the archive is out of reach
Expect: completed
Unconfined: escapes
"""

import sqlite3


def attack(train, budget):
    try:
        database = sqlite3.connect("file:@ARCHIVE@?mode=rw", uri=True)
        database.execute("create table evil (x)")
        escaped("archive")
    except sqlite3.Error:
        pass
