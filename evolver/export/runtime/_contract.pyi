# For type checking these files where they lie in evolver; an export has the contract itself here.
from evolver.contract import Users as Users
