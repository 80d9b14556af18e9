from evolver.agents.lists import Listed as Listed
from evolver.agents.lists import by_probability as by_probability
from evolver.agents.lists import head_of as head_of
from evolver.agents.lists import merged_back as merged_back
from evolver.agents.lists import placed as placed
from evolver.agents.lists import ranked as ranked
