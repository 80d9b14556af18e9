from evolver.agents.features import Scale as Scale
from evolver.agents.features import known_of as known_of
from evolver.agents.features import make_rows as make_rows
from evolver.agents.features import table_of as table_of
