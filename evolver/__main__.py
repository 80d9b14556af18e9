"""`python -m evolver` is the same as `evolver`."""

from evolver.cli.main import main

if __name__ == "__main__":
    main()
