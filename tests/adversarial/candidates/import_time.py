"""Attacks while it is imported, before any method is called.

Promise: limits hold from the first line
Expect: timeout
Unconfined: same
Seconds: 1
"""

while True:
    pass
