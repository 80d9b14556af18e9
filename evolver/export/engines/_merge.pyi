from evolver.agents.merge import Merged as Merged
from evolver.agents.merge import merge as merge
